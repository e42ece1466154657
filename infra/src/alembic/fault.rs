//! What is wrong with a history, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// What is wrong with a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryError {
    /// The folder cannot be read.
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A file does not assign what it must, or not as plain text.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What it assigns: `revision`, `down_revision`, `depends_on` or `branch_labels`.
        name: &'static str,
    },
    /// Two files carry the same id.
    Duplicate {
        /// The id.
        id: String,
        /// The second file.
        file: PathBuf,
    },
    /// A file follows a revision that no file has.
    MissingDown {
        /// The file.
        file: PathBuf,
        /// The id it names.
        down: String,
    },
    /// A file depends on a revision or a branch label that no file has.
    MissingDependency {
        /// The file.
        file: PathBuf,
        /// What it names.
        after: String,
    },
    /// Revisions come before themselves.
    Cycle {
        /// The file of the first of them.
        file: PathBuf,
        /// Their ids.
        ids: Vec<String>,
    },
}

impl HistoryError {
    /// The file or folder that is wrong, and the name in it whose assignment is.
    pub fn place(&self) -> (&Path, Option<&'static str>) {
        match self {
            Self::Folder { path, .. } => (path, None),
            Self::Unreadable { file, name } => (file, Some(name)),
            Self::Duplicate { file, .. } => (file, Some("revision")),
            Self::MissingDown { file, .. } | Self::Cycle { file, .. } => (file, Some("down_revision")),
            Self::MissingDependency { file, .. } => (file, Some("depends_on")),
        }
    }

    /// What is wrong with the file, without its name.
    fn fault(&self) -> String {
        match self {
            Self::Folder { why, .. } => why.clone(),
            Self::Unreadable { name, .. } => format!("has no plain `{name}`"),
            Self::Duplicate { id, .. } => format!("repeats revision {id}"),
            Self::MissingDown { down, .. } => format!("follows revision {down}, which no file defines"),
            Self::MissingDependency { after, .. } => format!("depends on {after}, which no file defines"),
            Self::Cycle { ids, .. } if ids.len() == 1 => "follows itself".to_owned(),
            Self::Cycle { ids, .. } => format!("is in a cycle: {} follow each other", ids.join(", ")),
        }
    }

    /// The message with the file's name alone, for where its place stands beside it.
    pub fn brief(&self) -> String {
        match (self, self.place().0.file_name()) {
            (Self::Folder { .. }, _) | (_, None) => self.to_string(),
            (_, Some(name)) => format!("{} {}", name.to_string_lossy(), self.fault()),
        }
    }
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place().0.display();
        match self {
            Self::Folder { why, .. } => write!(f, "cannot read {place}: {why}"),
            _ => write!(f, "{place} {}", self.fault()),
        }
    }
}

impl std::error::Error for HistoryError {}
