//! The real readers: many files in, what they got out of each.

#![expect(
    clippy::disallowed_methods,
    reason = "the readers under comparison are other programs"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use backend_env::Reader;

/// What a reader got out of a file; a key without a value has `None`.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) rejected: bool,
    pub(crate) values: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

pub(crate) struct Oracle {
    reader: Reader,
    program: PathBuf,
}

impl Oracle {
    /// The reader, installed if need be; `None`, said aloud, where that cannot be done.
    pub(crate) fn find(reader: Reader) -> Option<Oracle> {
        static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        static PYTHON_BEFORE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let (name, program) = match reader {
            Reader::PythonDotenv => ("python", PYTHON.get_or_init(|| python("1.2.4")).clone()),
            Reader::PythonDotenv12x | Reader::ComposeV1 => {
                ("python", PYTHON_BEFORE.get_or_init(|| python("1.2.1")).clone())
            }
            Reader::Compose => ("compose", compose()),
        };
        match program {
            Ok(program) => Some(Oracle { reader, program }),
            Err(why) => {
                let required = std::env::var("BACKEND_ENV_REQUIRE").unwrap_or_default();
                assert!(
                    !required.split(',').any(|wanted| wanted == name),
                    "{reader} is required: {why}"
                );
                eprintln!("NOT COMPARED with the real {reader}: {why}");
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
        match self.reader {
            Reader::Compose => {
                command.arg(&files_in);
            }
            _ => {
                let encoding = if self.reader == Reader::ComposeV1 {
                    "utf-8-sig"
                } else {
                    "utf-8"
                };
                command
                    .arg(testdata.join("read_with_python_dotenv.py"))
                    .arg(&files_in)
                    .arg(encoding);
            }
        }
        let output = command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "{} failed", self.reader);
        let text = String::from_utf8(output.stdout).unwrap();
        let answers: Vec<Answer> = text.lines().map(from_line).collect();
        assert_eq!(answers.len(), files.len());
        answers
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

/// python-dotenv from PyPI, in a virtual environment under `target/`.
fn python(version: &str) -> Result<PathBuf, String> {
    let venv = work(&format!("python-dotenv-{version}"));
    let python = if cfg!(windows) {
        venv.join("Scripts").join("python.exe")
    } else {
        venv.join("bin").join("python")
    };
    let installed = |python: &Path| {
        let check =
            format!("import importlib.metadata as m; assert m.version('python-dotenv') == '{version}'");
        run(Command::new(python).arg("-c").arg(check))
    };
    if installed(&python).is_err() {
        let system = if cfg!(windows) { "python" } else { "python3" };
        run(Command::new(system).args(["-m", "venv"]).arg(&venv))?;
        let wanted = format!("python-dotenv=={version}");
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--retries", "1"])
            .arg(wanted))?;
        installed(&python)?;
    }
    Ok(python)
}

/// compose-go is a Go library: a program around it has to be built, and named, by whoever wants this comparison. It
/// is given a directory and prints what `read_with_python_dotenv.py` prints, or `error` for a file that is rejected.
fn compose() -> Result<PathBuf, String> {
    let program = std::env::var_os("BACKEND_ENV_COMPOSE_READER");
    program
        .map(PathBuf::from)
        .ok_or_else(|| "BACKEND_ENV_COMPOSE_READER names no program".to_owned())
}
