//! Revisions and what follows from them: heads, ancestors, order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::fault::HistoryError;
use super::locations::{Locations, revision_files};
use super::script::{Value, assignment};

/// One revision file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its id.
    pub id: String,
    /// The revisions it follows: none for a base, several for a merge.
    pub down: Vec<String>,
    /// The revisions or branch labels of `depends_on`.
    pub after: Vec<String>,
    /// `branch_labels`.
    pub labels: Vec<String>,
    /// The file.
    pub file: PathBuf,
}

/// All revisions of a checkout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    revisions: BTreeMap<String, Revision>,
}

impl History {
    /// Reads every revision file.
    ///
    /// # Errors
    /// The first [`HistoryError`].
    pub fn read(locations: &Locations) -> Result<Self, HistoryError> {
        Self::parse(revision_files(locations)?)
    }

    /// The same from texts.
    ///
    /// # Errors
    /// The first [`HistoryError`].
    pub fn parse(sources: Vec<(PathBuf, String)>) -> Result<Self, HistoryError> {
        let (history, errors) = Self::examine(sources);
        errors.into_iter().next().map_or(Ok(history), Err)
    }

    /// What can be read of these texts, and everything that is wrong with them.
    pub fn examine(sources: Vec<(PathBuf, String)>) -> (Self, Vec<HistoryError>) {
        let mut history = Self::default();
        let mut errors = Vec::new();
        for (file, source) in sources {
            match revision(file, &source) {
                Err(error) => errors.push(error),
                Ok(revision) if history.knows(&revision.id) => errors.push(HistoryError::Duplicate {
                    id: revision.id,
                    file: revision.file,
                }),
                Ok(revision) => {
                    history.revisions.insert(revision.id.clone(), revision);
                }
            }
        }
        // A file that cannot be read may be the one that is missed.
        if errors.is_empty() {
            errors.extend(history.missing());
        }
        errors.extend(history.cycle());
        (history, errors)
    }

    /// What revisions name and no file defines.
    fn missing(&self) -> Vec<HistoryError> {
        let labels: BTreeSet<&str> = self.labels().map(|(label, _)| label).collect();
        let mut errors = Vec::new();
        for Revision {
            file, down, after, ..
        } in self.revisions.values()
        {
            let unknown = down.iter().filter(|id| !self.knows(id));
            errors.extend(unknown.map(|down| HistoryError::MissingDown {
                file: file.clone(),
                down: down.clone(),
            }));
            let unknown = after
                .iter()
                .filter(|id| !self.knows(id) && !labels.contains(id.as_str()));
            errors.extend(unknown.map(|after| HistoryError::MissingDependency {
                file: file.clone(),
                after: after.clone(),
            }));
        }
        errors
    }

    /// Branch labels, each with the revision that carries it.
    fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.revisions.values();
        all.flat_map(|one| one.labels.iter().map(|label| (label.as_str(), one.id.as_str())))
    }

    /// Revisions that come before themselves. What has nothing left before it, or nothing left behind it, is on no cycle.
    fn cycle(&self) -> Option<HistoryError> {
        let labels: BTreeMap<&str, &str> = self.labels().collect();
        let before = |one: &'_ Revision| -> Vec<String> {
            let after = one
                .after
                .iter()
                .map(|id| labels.get(id.as_str()).map_or(id.clone(), |id| (*id).to_owned()));
            one.down.iter().cloned().chain(after).collect()
        };
        let mut left: BTreeMap<&str, Vec<String>> = self
            .revisions
            .iter()
            .map(|(id, one)| (id.as_str(), before(one)))
            .collect();
        loop {
            let named: BTreeSet<String> = left.values().flatten().cloned().collect();
            let free = |id: &str, before: &[String]| {
                !named.contains(id) || !before.iter().any(|id| left.contains_key(id.as_str()))
            };
            let gone: Vec<&str> = left
                .iter()
                .filter(|(id, before)| free(id, before))
                .map(|(id, _)| *id)
                .collect();
            if gone.is_empty() {
                break;
            }
            for id in gone {
                left.remove(id);
            }
        }
        let first = self.revisions.get(*left.keys().next()?)?;
        Some(HistoryError::Cycle {
            file: first.file.clone(),
            ids: left.keys().map(|id| (*id).to_owned()).collect(),
        })
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

/// What a file says of its revision.
fn revision(file: PathBuf, source: &str) -> Result<Revision, HistoryError> {
    let unreadable = |name: &'static str| HistoryError::Unreadable {
        file: file.clone(),
        name,
    };
    let several = |name: &'static str| match assignment(source, name) {
        Some(Value::Nothing) | None => Ok(Vec::new()),
        Some(Value::Strings(all)) => Ok(all),
        Some(Value::Computed) => Err(unreadable(name)),
    };
    let id = match assignment(source, "revision") {
        Some(Value::Strings(mut ids)) if ids.len() == 1 => ids.remove(0),
        _ => return Err(unreadable("revision")),
    };
    if assignment(source, "down_revision").is_none() {
        return Err(unreadable("down_revision"));
    }
    Ok(Revision {
        id,
        down: several("down_revision")?,
        after: several("depends_on")?,
        labels: several("branch_labels")?,
        file: file.clone(),
    })
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
    /// Everything that is wrong with these files.
    fn faults(files: &[(&str, &str)]) -> Vec<String> {
        let (_, errors) = History::examine(files.iter().map(|(name, text)| file(name, text)).collect());
        errors.iter().map(HistoryError::brief).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let found = faults(&[
            (
                "a.py",
                "revision = 'a'\ndown_revision = None\ndepends_on = 'gone'\n",
            ),
            ("b.py", "revision = 'b'\ndown_revision = ('a', 'lost')\n"),
            ("c.py", "revision = 'c'\ndown_revision = 'missed'\n"),
        ]);
        assert_eq!(
            found,
            [
                "a.py depends on gone, which no file defines",
                "b.py follows revision lost, which no file defines",
                "c.py follows revision missed, which no file defines",
            ]
        );
        let found = faults(&[
            ("a.py", "revision = 'a'\n"),
            ("b.py", "revision = 'b'\ndown_revision = 'a'\n"),
            ("c.py", "revision = 'b'\ndown_revision = None\n"),
            (
                "d.py",
                "revision = 'd'\ndown_revision = None\ndepends_on = what()\n",
            ),
        ]);
        assert_eq!(
            found,
            [
                "a.py has no plain `down_revision`",
                "c.py repeats revision b",
                "d.py has no plain `depends_on`",
            ]
        );
    }

    #[test]
    fn a_cycle_is_told_as_one_and_only_with_what_is_on_it() {
        let first = ("a.py", "revision = 'a'\ndown_revision = None\n");
        let found = faults(&[
            first,
            ("b.py", "revision = 'b'\ndown_revision = ('a', 'd')\n"),
            ("c.py", "revision = 'c'\ndown_revision = 'b'\n"),
            ("d.py", "revision = 'd'\ndown_revision = 'c'\n"),
            ("e.py", "revision = 'e'\ndown_revision = 'd'\n"),
        ]);
        assert_eq!(found, ["b.py is in a cycle: b, c, d follow each other"]);
        let found = faults(&[("a.py", "revision = 'a'\ndown_revision = 'a'\n")]);
        assert_eq!(found, ["a.py follows itself"]);
        // Through what they depend on, by label.
        let found = faults(&[
            (
                "a.py",
                "revision = 'a'\ndown_revision = None\ndepends_on = 'side'\n",
            ),
            (
                "b.py",
                "revision = 'b'\ndown_revision = 'a'\nbranch_labels = ('side',)\n",
            ),
        ]);
        assert_eq!(found, ["a.py is in a cycle: a, b follow each other"]);
        assert_eq!(
            faults(&[
                first,
                (
                    "b.py",
                    "revision = 'b'\ndown_revision = None\nbranch_labels = 'side'\n"
                ),
                (
                    "c.py",
                    "revision = 'c'\ndown_revision = 'a'\ndepends_on = 'side'\n"
                ),
            ]),
            Vec::<String>::new()
        );
    }
}
