//! An S3 server for rehearsals and tests: moto, with an `aws` client beside it, in a private virtual environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::{Child, Cmd, CommandError, Runner};
use crate::{files, http, python, wait};

/// What the environment holds: the server with the services that it needs here, and the client.
const PACKAGES: [&str; 4] = [
    "moto[s3,iam]==5.2.5",
    "flask==3.1.3",
    "flask-cors==6.0.5",
    "awscli==1.46.3",
];
/// How long another program may install packages into the same folder.
const INSTALL_LIMIT: Duration = Duration::from_secs(1200);
/// How long the server may take to answer.
const START_LIMIT: Duration = Duration::from_secs(120);

/// The programs.
#[derive(Clone, Debug)]
pub struct Programs {
    environment: PathBuf,
}

/// A running server; dropping it ends it, and what it stored is gone.
#[derive(Debug)]
pub struct Server {
    /// Its address, for `--endpoint-url`.
    pub url: String,
    child: Child,
}

impl Programs {
    /// The programs in this cache, installed when they are not there.
    ///
    /// # Errors
    /// When packages cannot be had.
    pub fn ensure(runner: &Runner, machine_python: &Path, cache: &Path) -> Result<Self, CommandError> {
        let what = "install an S3 server for rehearsals";
        let io = |source| CommandError::Io {
            what: what.to_owned(),
            line: cache.display().to_string(),
            source,
        };
        let name = &files::sha256_bytes(PACKAGES.join(" ").as_bytes())[..12];
        let environment = cache.join(format!("storage-{name}"));
        let programs = Self { environment };
        let marker = programs.environment.join(".complete");
        if marker.is_file() {
            return Ok(programs);
        }
        std::fs::create_dir_all(cache).map_err(io)?;
        let lock = files::append_private(&cache.join("storage.lock")).map_err(io)?;
        wait::until(runner.interrupt(), INSTALL_LIMIT, || lock.try_lock().ok()).map_err(|stopped| {
            match stopped {
                wait::Stopped::Interrupted => CommandError::Interrupted {
                    what: what.to_owned(),
                },
                wait::Stopped::TimedOut => io(std::io::Error::other(
                    "another program has been installing for too long",
                )),
            }
        })?;
        if marker.is_file() {
            return Ok(programs);
        }
        runner.run(&python::create_environment(machine_python, &programs.environment))?;
        let own = python::in_environment(&programs.environment);
        runner.run(&python::pip_install(&own, what, PACKAGES))?;
        files::write_shared(&marker, b"").map_err(io)?;
        Ok(programs)
    }

    /// The `aws` client.
    pub fn aws(&self) -> PathBuf {
        self.program(if cfg!(windows) { "aws.cmd" } else { "aws" })
    }

    /// Starts a server on this port of loopback and waits until it answers. Its output goes to `log`.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub fn start(&self, runner: &Runner, port: u16, log: &Path) -> Result<Server, CommandError> {
        let what = format!("start an S3 server on port {port}");
        let cmd = Cmd::new(self.program("moto_server"), &what)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("PYTHONUNBUFFERED", "1");
        let child = runner.spawn_server(&cmd, log)?;
        let url = format!("http://127.0.0.1:{port}");
        let ready = format!("{url}/moto-api/data.json");
        let answered = wait::until(runner.interrupt(), START_LIMIT, || {
            match (child.ended(), http::get(&ready, 5)) {
                (Some(_), _) => Some(false),
                (None, Ok(answer)) if answer.status == 200 => Some(true),
                (None, _) => None,
            }
        });
        match answered {
            Ok(true) => Ok(Server { url, child }),
            Ok(false) | Err(wait::Stopped::TimedOut) => Err(CommandError::Failed {
                what,
                line: cmd.to_string(),
                code: child.ended().flatten(),
                tail: std::fs::read_to_string(log).unwrap_or_default(),
            }),
            Err(wait::Stopped::Interrupted) => Err(CommandError::Interrupted { what }),
        }
    }

    fn program(&self, name: &str) -> PathBuf {
        python::in_environment(&self.environment).with_file_name(name)
    }
}

impl Server {
    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.pid()
    }

    /// Lets it live on after us.
    pub fn detach(self) {
        self.child.detach();
    }
}
