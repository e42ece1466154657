//! Python: virtual environments and packages, for rehearsals and onboarding.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::{Cmd, CommandError, Runner, find_program};

/// How long one pip call may take.
const PIP_LIMIT: Duration = Duration::from_secs(900);

/// The Python 3 of this machine.
pub fn find(runner: &Runner) -> Option<PathBuf> {
    ["python3", "python", "py"]
        .iter()
        .filter_map(|name| find_program(name))
        .find(|path| {
            let cmd = Cmd::new(path, "ask Python for its version")
                .args(["-c", "import sys; sys.exit(sys.version_info < (3, 9))"]);
            runner
                .output(&cmd.limit(Duration::from_secs(30)))
                .is_ok_and(|output| output.success())
        })
}

/// The Python inside a virtual environment.
pub fn in_environment(environment: &Path) -> PathBuf {
    if cfg!(windows) {
        environment.join("Scripts").join("python.exe")
    } else {
        environment.join("bin").join("python")
    }
}

/// Why this Python makes no virtual environment; Debian keeps that part in a package of its own, `python3-venv`.
pub fn venv_problem(runner: &Runner, python: &Path) -> Option<String> {
    let cmd = Cmd::new(python, "ask Python for virtual environments")
        .args(["-c", "import ensurepip, venv"])
        .limit(Duration::from_secs(30));
    let last = |tail: &str| tail.lines().last().unwrap_or_default().to_owned();
    runner.run(&cmd).err().map(|error| last(error.tail()))
}

/// The lines of a requirements file that an environment does not satisfy. Installs and fetches nothing.
///
/// # Errors
/// Any [`CommandError`]: an environment that cannot be asked is not taken for a complete one.
pub fn missing_requirements(
    runner: &Runner,
    python: &Path,
    file: &Path,
) -> Result<Vec<String>, CommandError> {
    let cmd = Cmd::new(python, format!("compare the environment with {}", file.display()))
        .args(["-c", include_str!("python/missing_requirements.py")])
        .arg(file)
        .env("PYTHONIOENCODING", "utf-8")
        .limit(Duration::from_secs(60));
    let text = runner.run(&cmd)?.stdout_text();
    Ok(text.lines().map(str::trim).map(str::to_owned).collect())
}

/// The keys of a `.env` file that the python-dotenv of an environment does not read as these values, whatever the case of the
/// key, as pydantic-settings does. `None`: the environment has no python-dotenv. The values travel over standard input only.
///
/// # Errors
/// Any [`CommandError`].
pub fn misread_keys(
    runner: &Runner,
    python: &Path,
    file: &Path,
    wanted: &BTreeMap<String, String>,
) -> Result<Option<Vec<String>>, CommandError> {
    let cmd = Cmd::new(python, format!("read {} as the application does", file.display()))
        // Isolated: a module of the current folder is not the application's.
        .args(["-I", "-c", include_str!("python/read_env.py")])
        .arg(file)
        .stdin(serde_json::json!(wanted).to_string())
        .limit(Duration::from_secs(60));
    let output = runner.run(&cmd)?;
    serde_json::from_slice(&output.stdout).map_err(|error| CommandError::Unreadable {
        what: cmd.what().to_owned(),
        why: format!("the answer is not the expected JSON: {error}"),
    })
}

/// `python -m venv`.
pub fn create_environment(python: &Path, environment: &Path) -> Cmd {
    Cmd::new(
        python,
        format!("create the virtual environment {}", environment.display()),
    )
    .args(["-m", "venv"])
    .arg(environment)
    .limit(PIP_LIMIT)
}

/// Runs the command that its arguments name, and ends it with everything it started when its own standard input closes.
const GUARD: &str = "\
import os, signal, subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
signal.signal(signal.SIGTERM, lambda *_: child.terminate())
def guard():
    while os.read(0, 4096):
        pass
    if os.name == 'nt':
        subprocess.run(['taskkill', '/F', '/T', '/PID', str(child.pid)], capture_output=True)
    elif os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    child.kill()
threading.Thread(target=guard, daemon=True).start()
os._exit(child.wait() & 255)
";

/// A command of this Python that does not outlive us, however we end: it runs under a guard that holds the other end of
/// a pipe. For children whose standard input we keep open.
#[must_use]
pub fn guarded(python: &Path, cmd: &Cmd) -> Cmd {
    cmd.through(python, ["-c", GUARD])
}

/// Whether an environment has a pip that works: one that was cut off while it was made has none.
pub fn has_pip(runner: &Runner, python: &Path) -> bool {
    let cmd = Cmd::new(python, "ask an environment for its pip")
        .args(["-m", "pip", "--version"])
        .limit(Duration::from_secs(60));
    runner.output(&cmd).is_ok_and(|output| output.success())
}

/// `pip install` into an environment or, with `--target`, into a folder.
pub fn pip_install<'a>(python: &Path, what: &str, args: impl IntoIterator<Item = &'a str>) -> Cmd {
    Cmd::new(python, what)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ])
        .args(args)
        .limit(PIP_LIMIT)
}

/// Installs packages into a folder once: a marker written last says that it is complete.
///
/// # Errors
/// Any [`CommandError`].
pub fn ensure_target(
    runner: &Runner,
    python: &Path,
    folder: &Path,
    packages: &[&str],
) -> Result<(), CommandError> {
    let marker = folder.join(".complete");
    let wanted = packages.join(" ");
    if std::fs::read_to_string(&marker).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    let what = format!("install {wanted}");
    let io = |source| CommandError::Io {
        what: what.clone(),
        line: folder.display().to_string(),
        source,
    };
    let target = folder.to_string_lossy();
    let args = [
        "--no-deps",
        "--only-binary=:all:",
        "--upgrade",
        "--target",
        &target,
    ];
    runner.run(&pip_install(
        python,
        &what,
        args.into_iter().chain(packages.iter().copied()),
    ))?;
    crate::files::write_shared(&marker, wanted.as_bytes()).map_err(io)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::interrupt::Interrupt;
    use crate::wait;

    #[test]
    fn what_is_guarded_ends_with_everything_it_started_when_its_owner_is_gone() {
        let runner = Runner::default();
        let Some(python) = find(&runner) else { return };
        let start = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()";
        let cmd = Cmd::new(&python, "start a child").args(["-c", start]);
        let mut child = runner.spawn(&guarded(&python, &cmd), None).unwrap();
        let sleeper: u32 = child.read_line().unwrap().unwrap().parse().unwrap();
        // A process whose program has just begun has no command line for a moment.
        let sleeps = || {
            let line = crate::process::command_line(&runner, sleeper)?;
            line.contains("sleep").then_some(())
        };
        assert!(wait::until(&Interrupt::default(), Duration::from_secs(60), sleeps).is_ok());
        // Our end of the pipe closes, as it does when we are killed.
        child.finish(Duration::from_secs(60));
        let gone = || {
            let line = crate::process::command_line(&runner, sleeper).unwrap_or_default();
            (!line.contains("sleep")).then_some(())
        };
        assert!(wait::until(&Interrupt::default(), Duration::from_secs(60), gone).is_ok());
    }

    #[test]
    fn a_guarded_command_gives_its_output_and_its_exit_code() {
        let runner = Runner::default();
        let Some(python) = find(&runner) else { return };
        let cmd = Cmd::new(&python, "say something")
            .args(["-c", "import sys; print('said', sys.stdin.read()); sys.exit(7)"])
            .guarded_by(&python);
        assert!(!cmd.to_string().contains("threading"), "{cmd}");
        let output = runner.output(&cmd).unwrap();
        assert_eq!((output.code, output.stdout_text().trim()), (Some(7), "said"));
        let mut lines = Vec::new();
        let error = runner
            .stream(&cmd, |line| lines.push(line.to_owned()))
            .unwrap_err();
        assert!(error.to_string().contains("exit code 7"), "{error}");
        assert_eq!(lines, ["said "]);
    }
}
