//! Start the application from its own virtual environment, ask it, stop it.

use std::path::PathBuf;

use infra::Cmd;
use serde::{Deserialize, Serialize};

use super::Instance;
use crate::config::Probe;

/// Ask the application whether it works on the new instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckApplication {
    /// The virtual environment's Python.
    pub python: PathBuf,
    /// The backend's folder.
    pub backend: PathBuf,
    /// Arguments; `{port}` stands for a free port.
    pub command: Vec<String>,
    /// Keys that must come from `.env` and not from our own environment.
    pub keys: Vec<String>,
    /// How long it may take to answer, in seconds.
    pub limit_seconds: u64,
    /// The questions.
    pub probes: Vec<Probe>,
    /// Databases that may hold nothing yet: while one is empty, the application need not be content with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_be_empty: Vec<EmptyDatabase>,
    /// Keys of databases that take no part: `.env` goes on naming their old place, which may be down. Only told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untouched: Vec<String>,
}

/// A database whose tables come from somewhere else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EmptyDatabase {
    /// The instance that holds it.
    pub instance: Instance,
    /// Its name there.
    pub database: String,
    /// Its key in the application's answers.
    pub key: String,
}

impl CheckApplication {
    /// The application on this port; 0 stands for one that is picked when it starts.
    pub fn command(&self, port: u16) -> Cmd {
        let port = if port == 0 {
            "FREE_PORT".to_owned()
        } else {
            port.to_string()
        };
        let args = self.command.iter().map(|arg| arg.replace("{port}", &port));
        let cmd = Cmd::new(&self.python, "start the application")
            .cwd(&self.backend)
            .args(args)
            .env("PYTHONUNBUFFERED", "1");
        self.keys.iter().fold(cmd, |cmd, key| cmd.env_remove(key))
    }
}
