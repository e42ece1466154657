//! What Alembic itself says of a checkout: its history, what is wrong with it, and where a database would say where it stands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::command::{Cmd, CommandError, Runner};

/// How long Alembic may take to read a history.
const LIMIT: Duration = Duration::from_secs(120);

/// A checkout's history. Heads count only while nothing is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Revisions that nothing follows, by name.
    pub heads: Vec<String>,
    /// Every revision with its `down_revision`.
    pub revisions: BTreeMap<String, Place>,
    /// The version table; `None` when `env.py` computes it, so that only running `env.py` would tell.
    pub version_table: Option<VersionTable>,
    /// `env.py`, there or not; `None` when the configuration names no folder.
    pub env: Option<PathBuf>,
    /// Why Alembic cannot go to the head from the revisions that were given.
    pub stuck: Option<String>,
    /// Everything that is wrong with it.
    pub faults: Vec<Fault>,
}

/// A line of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

/// Something that is wrong with a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The file: a revision, or Alembic's configuration.
    pub file: PathBuf,
    /// The line, from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong, with the file's name where it is a revision's.
    pub what: String,
}

/// Where a database says at which revisions it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionTable {
    /// The table.
    pub name: String,
    /// Its schema; `None` for the one that unqualified names mean.
    pub schema: Option<String>,
}

/// Asks the Alembic of a Python about the checkout whose backend's folder is given, and whether it can go to the head from
/// `standing`. Neither the application nor a revision is imported. `None`: this Python has no Alembic.
///
/// # Errors
/// Any [`CommandError`].
pub fn history(
    runner: &Runner,
    python: &Path,
    backend: &Path,
    standing: &[String],
) -> Result<Option<History>, CommandError> {
    let what = format!("ask Alembic about {}", backend.display());
    answer(
        runner,
        &snippet(python, backend, what).args(standing).limit(LIMIT),
    )
}

/// The command that runs `env.py` as `alembic current` does and asks it for its version table. It connects to wherever the
/// application's settings point, and writes nothing there; [`answer`] reads what it says.
pub fn run_env(python: &Path, backend: &Path) -> Cmd {
    snippet(
        python,
        backend,
        "ask env.py for Alembic's version table".to_owned(),
    )
    .arg("--run-env")
}

/// Isolated: the backend's folder has an `alembic` of its own. Through standard input: a failed command is shown to people.
fn snippet(python: &Path, backend: &Path, what: String) -> Cmd {
    Cmd::new(python, what)
        .args(["-I", "-X", "utf8", "-"])
        .arg(backend)
        .stdin(include_str!("python/alembic.py"))
}

/// Runs a command that answers with one JSON document.
///
/// # Errors
/// Any [`CommandError`].
pub fn answer<T: DeserializeOwned>(runner: &Runner, cmd: &Cmd) -> Result<T, CommandError> {
    let output = runner.run(cmd)?;
    serde_json::from_slice(&output.stdout).map_err(|error| CommandError::Unreadable {
        what: cmd.what().to_owned(),
        why: format!("the answer is not the expected JSON: {error}"),
    })
}
