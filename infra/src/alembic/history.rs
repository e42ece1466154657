//! Revisions and what follows from them: heads, ancestors, order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use super::script::{Value, assignment};

/// One revision file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its id.
    pub id: String,
    /// The revisions it follows: none for a base, several for a merge.
    pub down: Vec<String>,
    /// The file.
    pub file: PathBuf,
}

/// All revisions of a `versions` folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    revisions: BTreeMap<String, Revision>,
}

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
    /// A file has no readable `revision` or `down_revision`.
    Unreadable {
        /// The file.
        file: PathBuf,
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
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, why } => write!(f, "cannot read {}: {why}", path.display()),
            Self::Unreadable { file } => {
                write!(
                    f,
                    "{} has no plain `revision` and `down_revision`",
                    file.display()
                )
            }
            Self::Duplicate { id, file } => write!(f, "{} repeats revision {id}", file.display()),
            Self::MissingDown { file, down } => {
                write!(
                    f,
                    "{} follows revision {down}, which no file defines",
                    file.display()
                )
            }
        }
    }
}

impl std::error::Error for HistoryError {}

/// Every revision file of a `versions` folder with its text, by name.
///
/// # Errors
/// [`HistoryError::Folder`].
pub fn revision_files(versions: &Path) -> Result<Vec<(PathBuf, String)>, HistoryError> {
    let folder = |error: std::io::Error| HistoryError::Folder {
        path: versions.to_owned(),
        why: error.to_string(),
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(versions)
        .map_err(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(folder)?;
    files.retain(|file| {
        file.extension().is_some_and(|e| e == "py") && file.file_stem().is_some_and(|s| s != "__init__")
    });
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).map_err(folder)?;
        sources.push((file, String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(sources)
}

impl History {
    /// Reads every `*.py` of a `versions` folder.
    ///
    /// # Errors
    /// The first [`HistoryError`] in file-name order.
    pub fn read(versions: &Path) -> Result<Self, HistoryError> {
        Self::parse(revision_files(versions)?)
    }

    /// The same from texts.
    ///
    /// # Errors
    /// The first [`HistoryError`].
    pub fn parse(sources: Vec<(PathBuf, String)>) -> Result<Self, HistoryError> {
        let mut revisions = BTreeMap::new();
        for (file, source) in sources {
            let unreadable = || HistoryError::Unreadable { file: file.clone() };
            let id = match assignment(&source, "revision") {
                Some(Value::Strings(mut ids)) if ids.len() == 1 => ids.remove(0),
                _ => return Err(unreadable()),
            };
            let down = match assignment(&source, "down_revision") {
                Some(Value::Nothing) => Vec::new(),
                Some(Value::Strings(down)) => down,
                None => return Err(unreadable()),
            };
            if revisions.contains_key(&id) {
                return Err(HistoryError::Duplicate { id, file });
            }
            revisions.insert(id.clone(), Revision { id, down, file });
        }
        for revision in revisions.values() {
            if let Some(down) = revision.down.iter().find(|down| !revisions.contains_key(*down)) {
                return Err(HistoryError::MissingDown {
                    file: revision.file.clone(),
                    down: down.clone(),
                });
            }
        }
        Ok(Self { revisions })
    }

    /// The revisions nothing follows. A healthy history has one.
    pub fn heads(&self) -> Vec<&str> {
        let followed: BTreeSet<&str> = self
            .revisions
            .values()
            .flat_map(|r| r.down.iter().map(String::as_str))
            .collect();
        self.revisions
            .keys()
            .map(String::as_str)
            .filter(|id| !followed.contains(id))
            .collect()
    }

    /// Whether this checkout knows the revision.
    pub fn knows(&self, id: &str) -> bool {
        self.revisions.contains_key(id)
    }

    /// How many revisions lie between `id` and the head above it; `None` when `id` is unknown.
    pub fn behind(&self, id: &str) -> Option<usize> {
        self.knows(id).then(|| {
            let older = self.ancestors(id);
            self.revisions.len() - older.len()
        })
    }

    /// All revisions, by id.
    pub fn revisions(&self) -> impl Iterator<Item = &Revision> {
        self.revisions.values()
    }

    /// All revisions, each after those it follows; along a line, one after the other.
    pub fn in_order(&self) -> Vec<&Revision> {
        fn visit<'a>(history: &'a History, id: &str, done: &mut Vec<&'a Revision>) {
            let Some(revision) = history.revisions.get(id) else {
                return;
            };
            if done.iter().any(|known| known.id == revision.id) {
                return;
            }
            for down in &revision.down {
                visit(history, down, done);
            }
            done.push(revision);
        }
        let mut done = Vec::new();
        for head in self.heads() {
            visit(self, head, &mut done);
        }
        done
    }

    fn ancestors(&self, id: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if let Some(revision) = self.revisions.get(id)
                && seen.insert(revision.id.as_str())
            {
                open.extend(revision.down.iter().map(String::as_str));
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> (PathBuf, String) {
        (PathBuf::from(name), text.to_owned())
    }

    #[test]
    fn a_linear_history_has_one_head() {
        let history = History::parse(vec![
            file(
                "a.py",
                "\"\"\"first\"\"\"\r\nrevision = 'a1'\r\ndown_revision = None\r\n",
            ),
            file(
                "b.py",
                "revision: str = \"b2\"  # id\ndown_revision: Union[str, None] = \"a1\"\n",
            ),
        ])
        .unwrap();
        assert_eq!(history.heads(), ["b2"]);
        assert_eq!(history.behind("a1"), Some(1));
        assert_eq!(history.behind("zz"), None);
    }

    #[test]
    fn two_branches_are_two_heads_and_a_merge_is_one() {
        let mut files = vec![
            file("a.py", "revision = 'a'\ndown_revision = None\n"),
            file("b.py", "revision = 'b'\ndown_revision = 'a'\n"),
            file("c.py", "revision = 'c'\ndown_revision = 'a'\n"),
        ];
        assert_eq!(History::parse(files.clone()).unwrap().heads(), ["b", "c"]);
        files.push(file(
            "d.py",
            "revision = 'd'\ndown_revision = (\n    'b',  # one\n    'c',\n)\n",
        ));
        let history = History::parse(files).unwrap();
        assert_eq!(history.heads(), ["d"]);
        let order: Vec<&str> = history.in_order().iter().map(|one| one.id.as_str()).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_missing_or_computed_revision_is_an_error_not_a_guess() {
        let missing = History::parse(vec![file("b.py", "revision = 'b'\ndown_revision = 'gone'\n")]);
        assert!(matches!(missing, Err(HistoryError::MissingDown { .. })));
        let computed = History::parse(vec![file("b.py", "revision = make()\ndown_revision = None\n")]);
        assert!(matches!(computed, Err(HistoryError::Unreadable { .. })));
    }
}
