//! The real readers: many files in, what they got out of each.

#![expect(
    clippy::disallowed_methods,
    reason = "the readers under comparison are other programs"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What a reader got out of a file; a key without a value has `None`.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) rejected: bool,
    pub(crate) values: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// A program that reads `.env` files, and how it is asked.
pub(crate) struct Oracle {
    pub(crate) name: &'static str,
    program: PathBuf,
    script: &'static str,
    arguments: Vec<PathBuf>,
}

/// The real readers, by name.
pub(crate) const REAL: &[&str] = &[
    "python-dotenv 1.2.4",
    "python-dotenv 1.0.0",
    "pydantic-settings",
    "docker-compose 1.29",
    "Compose 2",
];

impl Oracle {
    /// The reader, installed if need be; `None`, said aloud, where that cannot be done.
    pub(crate) fn find(name: &'static str) -> Option<Oracle> {
        static NEW: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        static OLD: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        static PYDANTIC: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let dotenv = "read_with_python_dotenv.py";
        let utf8 = || vec![PathBuf::from("utf-8")];
        let found = match name {
            "python-dotenv 1.2.4" => {
                let python = NEW.get_or_init(|| python("python-dotenv", "1.2.4")).clone();
                python.map(|python| (python, dotenv, utf8()))
            }
            "python-dotenv 1.0.0" => {
                let python = OLD.get_or_init(|| python("python-dotenv", "1.0.0")).clone();
                python.map(|python| (python, dotenv, utf8()))
            }
            "pydantic-settings" => {
                let python = PYDANTIC
                    .get_or_init(|| python("pydantic-settings", "2.6.1"))
                    .clone();
                python.map(|python| (python, "read_with_pydantic_settings.py", Vec::new()))
            }
            "docker-compose 1.29" => compose(&[&["docker-compose"]], "1."),
            _ => {
                let named = std::env::var("BACKEND_ENV_COMPOSE").unwrap_or_default();
                // Where a test of this workspace has fetched it.
                let fetched = work("images/docker-config/cli-plugins/docker-compose");
                let fetched = fetched.to_string_lossy();
                compose(&[&[named.as_str()], &["docker", "compose"], &[&fetched]], "2.")
            }
        };
        match found {
            Ok((program, script, arguments)) => Some(Oracle {
                name,
                program,
                script,
                arguments,
            }),
            Err(why) => {
                let required = std::env::var("BACKEND_ENV_REQUIRE").unwrap_or_default();
                assert!(
                    !required.split(',').any(|wanted| wanted == name),
                    "{name} is required: {why}"
                );
                left_out(&format!("what the real {name} makes of .env files: {why}"));
                None
            }
        }
    }

    pub(crate) fn read(&self, files: &[Vec<u8>]) -> Vec<Answer> {
        let directory = tempfile::tempdir().unwrap();
        let files_in = directory.path().join("files");
        fs::create_dir(&files_in).unwrap();
        for (index, file) in files.iter().enumerate() {
            fs::write(files_in.join(format!("{index:06}")), file).unwrap();
        }
        let mut command = Command::new(&self.program);
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        command
            .arg(testdata.join(self.script))
            .arg(&files_in)
            .args(&self.arguments);
        let output = command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "{} failed", self.name);
        let text = String::from_utf8(output.stdout).unwrap();
        let answers: Vec<Answer> = text.lines().map(from_line).collect();
        assert_eq!(answers.len(), files.len());
        answers
    }
}

/// Said aloud, and noted where continuous integration lists what was not checked.
fn left_out(what: &str) {
    eprintln!("NOT COMPARED: {what}");
    if let Some(file) = std::env::var_os("XTASK_CI_LEFT_OUT") {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)
            .unwrap();
        file.write_all(format!("{what}\n").as_bytes()).unwrap();
    }
}

fn from_line(line: &str) -> Answer {
    let mut answer = Answer::default();
    for field in line.split(' ').skip(1) {
        match field.split_once('=') {
            _ if field == "error" => answer.rejected = true,
            Some((key, value)) => answer.values.push((from_hex(key), Some(from_hex(value)))),
            None => answer.values.push((from_hex(field), None)),
        }
    }
    answer
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = &text.as_bytes()[1..];
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn run(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}");
    match command.stdin(Stdio::null()).output() {
        Err(error) => Err(format!("{shown}: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(format!(
                "{shown}: {}",
                text.lines().find(|line| !line.is_empty()).unwrap_or("failed")
            ))
        }
    }
}

fn work(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A package of PyPI, in a virtual environment under `target/`.
fn python(package: &str, version: &str) -> Result<PathBuf, String> {
    let venv = work(&format!("{package}-{version}"));
    let python = if cfg!(windows) {
        venv.join("Scripts").join("python.exe")
    } else {
        venv.join("bin").join("python")
    };
    let installed = |python: &Path| {
        let check = format!("import importlib.metadata as m; assert m.version('{package}') == '{version}'");
        run(Command::new(python).arg("-c").arg(check))
    };
    if installed(&python).is_err() {
        let system = if cfg!(windows) { "python" } else { "python3" };
        run(Command::new(system).args(["-m", "venv"]).arg(&venv))?;
        let wanted = format!("{package}=={version}");
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--retries", "1"])
            .arg(wanted))?;
        installed(&python)?;
    }
    Ok(python)
}

/// How to run a script that asks a Compose program of this version: by the Python that reads the old one's YAML.
type Asked = (PathBuf, &'static str, Vec<PathBuf>);

fn compose(candidates: &[&[&str]], version: &str) -> Result<Asked, String> {
    let is_it = |words: &[&str]| {
        let (program, arguments) = words.split_first()?;
        let mut command = Command::new(program);
        let output = command
            .args(arguments)
            .args(["version", "--short"])
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        text.trim_start_matches('v')
            .starts_with(version)
            .then(|| words.iter().map(PathBuf::from).collect::<Vec<PathBuf>>())
    };
    let found = candidates.iter().find_map(|words| is_it(words));
    let arguments = found.ok_or_else(|| format!("no Compose {version}x is on this machine"))?;
    // docker-compose 1.29 is a package of Debian's own Python, and so is its YAML.
    let own = Path::new("/usr/bin/python3");
    let python = if own.exists() { own } else { Path::new("python3") };
    Ok((python.to_owned(), "read_with_compose.py", arguments))
}
