//! Python: virtual environments and packages, for rehearsals and onboarding.

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
