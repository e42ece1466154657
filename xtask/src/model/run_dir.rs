//! The folder of a run: plan, journal, backup, logs, and what steps leave for later ones.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RunId;

/// Folder of migrations under `.xtask`.
pub const RUNS: &str = "runs";
/// Folder of restores of single databases.
pub const RESTORES: &str = "restores";
/// Folder of what `doctor` repaired.
pub const REPAIRS: &str = "repairs";
/// Folder of set-ups of this machine.
pub const ONBOARDINGS: &str = "onboarding";
/// Folder of backups that no migration took.
pub const BACKUPS: &str = "backups";

/// How the folders of backups start that a rollback takes of the target.
pub const BEFORE_ROLLBACK: &str = "before-rollback-";

/// `.xtask/runs/<id>/`
#[derive(Clone, Debug)]
pub struct RunDir {
    /// The run.
    pub id: RunId,
    path: PathBuf,
}

impl RunDir {
    /// The folder of a run; nothing is created.
    pub fn new(runs: &Path, id: RunId) -> Self {
        Self {
            path: runs.join(id.as_str()),
            id,
        }
    }

    /// Creates the folder and those inside it, private to the person.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn create(&self) -> anyhow::Result<()> {
        for dir in [
            self.path.clone(),
            self.backup(),
            self.logs(),
            self.path.join("env"),
            self.path.join("state"),
        ] {
            infra::files::private_dir(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
        }
        Ok(())
    }

    /// Runs that have a journal, or have lost it after they did something, the oldest first.
    pub fn all(runs: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
        let mut found: Vec<Self> = entries
            .filter_map(|entry| RunId::parse(entry.file_name().to_str()?))
            .map(|id| Self::new(runs, id))
            .filter(|run| run.journal().symlink_metadata().is_ok() || !run.traces().is_empty())
            .collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found
    }

    /// What only steps leave in the folder, as paths in it: it tells of a run whose journal is gone or was cut short.
    pub fn traces(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (folder, ends) in [
            ("state", ""),
            ("env", ".before"),
            ("backup", ""),
            ("logs", ".log"),
        ] {
            let entries = std::fs::read_dir(self.path.join(folder))
                .into_iter()
                .flatten()
                .flatten();
            for entry in entries {
                let name = entry.file_name().to_string_lossy().into_owned();
                // A log is made before its step is announced, and written to after that.
                let counts = folder != "logs" || entry.metadata().is_ok_and(|found| found.len() > 0);
                if name.ends_with(ends) && counts {
                    found.push(format!("{folder}/{name}"));
                }
            }
        }
        found.sort();
        found
    }

    /// The values that runs of this workspace, migrations and restores, kept under this name.
    ///
    /// # Errors
    /// When one is there and cannot be read.
    pub fn any_of_workspace<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Vec<T>> {
        let private = self.path.parent().and_then(Path::parent).unwrap_or(&self.path);
        let mut found = Vec::new();
        for folder in [RUNS, RESTORES] {
            for entry in std::fs::read_dir(private.join(folder))
                .into_iter()
                .flatten()
                .flatten()
            {
                if let Some(id) = entry.file_name().to_str().and_then(RunId::parse) {
                    found.extend(Self::new(&private.join(folder), id).load(name)?);
                }
            }
        }
        Ok(found)
    }

    /// Whether a run of this workspace, migration or restore, has this id.
    pub fn is_known(&self, id: &RunId) -> bool {
        let private = self.path.parent().and_then(Path::parent).unwrap_or(&self.path);
        [RUNS, RESTORES, ONBOARDINGS]
            .iter()
            .any(|folder| private.join(folder).join(id.as_str()).is_dir())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plan.
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.json")
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// The backup's folder.
    pub fn backup(&self) -> PathBuf {
        self.path.join("backup")
    }

    /// Backups of the target, taken before going back.
    pub fn before_rollback(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
        let found = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(BEFORE_ROLLBACK));
        found.map(|entry| entry.path()).collect()
    }

    /// The logs' folder.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Keeps a value for later steps and for resume; durable when this returns.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn save<T: Serialize>(&self, name: &str, value: &T) -> anyhow::Result<()> {
        let path = self.state(name);
        let text =
            serde_json::to_vec_pretty(value).with_context(|| format!("failed to write {name} as JSON"))?;
        infra::files::write_private(&path, &text)
            .with_context(|| format!("failed to write {}", path.display()))
    }

    /// A value kept by [`RunDir::save`]; `None` when there is none.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        read_json(&self.state(name))
    }

    fn state(&self, name: &str) -> PathBuf {
        self.path.join("state").join(format!("{name}.json"))
    }
}

/// Reads a JSON file; `None` when it is not there.
///
/// # Errors
/// When it is there and cannot be read: an unreadable file is never taken for an absent one.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let text = match infra::files::read_regular(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("failed to read {}", path.display())),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .with_context(|| format!("failed to understand {}", path.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::read_json;

    #[test]
    fn a_pipe_is_no_document_and_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("manifest.json");
        let make = infra::Cmd::new("mkfifo", "make a pipe").arg(&pipe);
        infra::Runner::default().run(&make).unwrap();
        let error = read_json::<u32>(&pipe).unwrap_err();
        assert!(format!("{error:#}").contains("not a regular file"), "{error:#}");
    }
}
