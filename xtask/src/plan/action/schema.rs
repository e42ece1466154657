//! Alembic against the target, through environment overrides: `.env` still names the old world.

use std::path::PathBuf;
use std::time::Duration;

use infra::Cmd;
use serde::{Deserialize, Serialize};

use super::{EnvValue, Instance};
use crate::config::Vault;

/// Bring the schema to head.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpgradeSchema {
    /// The virtual environment's Python.
    pub python: PathBuf,
    /// The backend's folder.
    pub backend: PathBuf,
    /// The project's own script, when it is there; else Alembic itself.
    pub script: Option<PathBuf>,
    /// The answer to the script's question.
    pub answer: String,
    /// Time limit in seconds.
    pub limit_seconds: u64,
    /// What the application's settings must read instead of `.env`.
    pub overrides: Vec<(String, EnvValue)>,
    /// The target.
    pub target: Instance,
    /// The database that Alembic manages, by the name people use.
    pub name: String,
    /// Its name on the target.
    pub database: String,
}

impl UpgradeSchema {
    /// The script or Alembic.
    pub fn command(&self, vault: &Vault) -> Cmd {
        let what = format!("bring the schema of {} to head", self.database);
        let cmd = Cmd::new(&self.python, what);
        let cmd = match &self.script {
            // One answer for each time it may ask; a script that asks nothing leaves them unread.
            Some(script) => cmd.arg(script).stdin(format!("{}\n", self.answer).repeat(3)),
            None => cmd.args(["-m", "alembic", "upgrade", "head"]),
        };
        self.on_target(cmd.cwd(&self.backend), vault)
    }

    /// Asks `env.py` for the version table, where that cannot be read from it.
    pub fn version_table(&self, vault: &Vault) -> Cmd {
        self.on_target(infra::alembic::run_env(&self.python, &self.backend), vault)
    }

    /// The application's settings name the target: the environment of a process wins over `.env`.
    fn on_target(&self, cmd: Cmd, vault: &Vault) -> Cmd {
        let cmd = cmd
            .limit(Duration::from_secs(self.limit_seconds))
            .env("PYTHONIOENCODING", "utf-8")
            .env("PYTHONUNBUFFERED", "1");
        // What proves the server to us must prove it to Alembic; the rest of our options is not its business.
        let proof = self
            .target
            .options
            .iter()
            .filter(|(name, _)| name.starts_with("PGSSL"));
        let cmd = proof.fold(cmd, |cmd, (name, value)| cmd.env(name, value));
        self.overrides.iter().fold(cmd, |cmd, (key, value)| match value {
            EnvValue::Plain(value) => cmd.env(key, value),
            EnvValue::Secret(name) => match vault.get(name) {
                Some(secret) => cmd.secret_env(key, secret),
                None => cmd,
            },
        })
    }
}
