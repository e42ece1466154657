//! The journal: one JSON line per event, on disk before the event's effect.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::time;

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1 and without gaps.
    pub seq: u64,
    /// When, UTC.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run exists; its plan has this SHA-256.
    RunStarted {
        /// SHA-256 of plan.json.
        plan: String,
    },
    /// The run goes on after it stopped.
    RunResumed {},
    /// A step is about to act.
    StepStarted {
        /// Its id.
        step: String,
    },
    /// A step acted and its check passed.
    StepSucceeded {
        /// Its id.
        step: String,
        /// Seconds.
        seconds: f64,
        /// Whether there was nothing to do.
        skipped: bool,
        /// What it wants to be remembered.
        facts: Value,
    },
    /// A step failed.
    StepFailed {
        /// Its id.
        step: String,
        /// Whether it was Ctrl-C.
        interrupted: bool,
        /// Why.
        message: String,
    },
    /// A step is about to be undone.
    UndoStarted {
        /// Its id.
        step: String,
    },
    /// A step is undone.
    StepUndone {
        /// Its id.
        step: String,
    },
    /// A step could not be undone.
    UndoFailed {
        /// Its id.
        step: String,
        /// Why.
        message: String,
    },
    /// Every step is done.
    RunFinished {},
    /// Every step is undone.
    RunRolledBack {},
    /// What the run left behind was removed.
    RunCleaned {},
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    file: Option<File>,
    entries: Vec<Entry>,
}

impl Journal {
    /// Opens a journal, creating it when it is not there.
    ///
    /// A last line without its newline was being written when the program died: its event had no effect yet, and it is
    /// cut off. Any other unreadable line is an error.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("failed to open journal {}", path.display());
        let (entries, whole) = Self::parse(path)?;
        let mut file = infra::files::append_private(path).with_context(context)?;
        file.set_len(whole).with_context(context)?;
        file.seek(SeekFrom::End(0)).with_context(context)?;
        Ok(Self {
            file: Some(file),
            entries,
        })
    }

    /// Reads a journal without touching it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> anyhow::Result<Vec<Entry>> {
        Ok(Self::parse(path)?.0)
    }

    /// A journal in memory, for tests of the engine.
    #[cfg(test)]
    pub fn in_memory() -> Self {
        Self {
            file: None,
            entries: Vec::new(),
        }
    }

    /// The events so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Writes an event; it is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written: the caller must not act.
    pub fn append(&mut self, event: Event) -> anyhow::Result<()> {
        let entry = Entry {
            seq: self.entries.len() as u64 + 1,
            at: time::now(),
            event,
        };
        if let Some(file) = &mut self.file {
            let mut line = serde_json::to_vec(&entry).context("failed to write a journal entry as JSON")?;
            line.push(b'\n');
            file.write_all(&line)
                .and_then(|()| file.sync_data())
                .context("failed to write the journal")?;
        }
        self.entries.push(entry);
        crash_point(self.entries.len());
        Ok(())
    }

    /// Checks that a journal is that of this plan: its first line holds the plan's SHA-256. Lines that say what was done
    /// mean nothing beside another plan.
    ///
    /// # Errors
    /// When the first line is another one, or the plan was changed.
    pub fn check_plan(entries: &[Entry], plan: &[u8]) -> anyhow::Result<()> {
        match entries.first().map(|entry| &entry.event) {
            None => Ok(()),
            Some(Event::RunStarted { plan: sum }) => {
                let same = *sum == infra::files::sha256_bytes(plan);
                anyhow::ensure!(same, "its plan.json was changed after it began");
                Ok(())
            }
            Some(_) => anyhow::bail!("its journal lacks its first line"),
        }
    }

    fn parse(path: &Path) -> anyhow::Result<(Vec<Entry>, u64)> {
        let bytes = match infra::files::read_regular(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("failed to read {}", path.display())),
        };
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let mut entries = Vec::new();
        for line in bytes[..whole]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let number = entries.len() + 1;
            let entry: Entry = serde_json::from_slice(line)
                .with_context(|| format!("line {number} of {} is damaged", path.display()))?;
            anyhow::ensure!(
                entry.seq == number as u64,
                "line {number} of {} is out of order",
                path.display()
            );
            entries.push(entry);
        }
        Ok((entries, whole as u64))
    }
}

/// Dies after a given journal line, as a power cut would: `XTASK_CRASH_AFTER=7`. The fault suite kills a run after
/// every line with it; without the variable nothing happens.
fn crash_point(line: usize) {
    let wanted = std::env::var("XTASK_CRASH_AFTER")
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    if wanted == Some(line) {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_cut_off_and_any_other_damage_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        journal
            .append(Event::StepStarted { step: "a".to_owned() })
            .unwrap();
        drop(journal);
        let mut file = infra::files::append_private(&path).unwrap();
        file.write_all(b"{\"seq\":2,\"at\":\"...").unwrap();
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.entries().len(), 1);
        journal.append(Event::RunFinished {}).unwrap();
        assert_eq!(Journal::read(&path).unwrap().len(), 2);
        let mut file = infra::files::append_private(&path).unwrap();
        file.write_all(b"garbage\n").unwrap();
        assert!(Journal::open(&path).is_err());
    }

    #[test]
    fn a_plan_that_is_not_the_journals_is_an_error() {
        let mut journal = Journal::in_memory();
        assert!(Journal::check_plan(journal.entries(), b"plan").is_ok());
        let plan = infra::files::sha256_bytes(b"plan");
        journal.append(Event::RunStarted { plan }).unwrap();
        assert!(Journal::check_plan(journal.entries(), b"plan").is_ok());
        assert!(Journal::check_plan(journal.entries(), b"plam").is_err());
        let mut other = Journal::in_memory();
        other.append(Event::RunFinished {}).unwrap();
        assert!(Journal::check_plan(other.entries(), b"plan").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn the_journal_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        Journal::open(&path)
            .unwrap()
            .append(Event::RunFinished {})
            .unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
