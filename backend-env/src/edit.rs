//! Edits: splices that are verified before they are kept.

use std::ops::Range;

use crate::attempt::{Change, Refusal};
use crate::conflict::{Conflict, Reason};
use crate::document::{Document, Quote};
use crate::reader::Reader;
use crate::scan::{Item, Kind};
use crate::style::heads;
use crate::verify::{Before, Goal};

/// Where a new line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// Behind the last assignment of this key.
    After(&'a str),
    /// In front of the last assignment of this key.
    Before(&'a str),
    /// At the end of the file.
    End,
}

/// Bytes that were replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// The bytes of the document before the edit that are gone.
    pub old: Range<usize>,
    /// How many bytes stand there now.
    pub length: usize,
}

/// An edit that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    line: usize,
    splices: Vec<Splice>,
    shadowed: Vec<usize>,
    follows: Vec<String>,
}

impl Edit {
    /// The line that was edited, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Whether a byte of the document changed.
    pub fn is_change(&self) -> bool {
        !self.splices.is_empty()
    }

    /// What was replaced, in the order of the file. Every other byte is as it was.
    pub fn splices(&self) -> &[Splice] {
        &self.splices
    }

    /// Lines of earlier assignments of the key, which no reader looks at. They keep their old value.
    pub fn shadowed(&self) -> &[usize] {
        &self.shadowed
    }

    /// Keys whose value refers to the edited key, as in `URL=http://${HOST}/`, and changed with it.
    pub fn follows(&self) -> &[String] {
        &self.follows
    }
}

impl Document {
    /// Sets `key` so that every reader in `readers` reads `value` (all of [`Reader::ALL`] when that is empty).
    ///
    /// The last assignment is the one that counts and is edited: the bytes of its value change, nothing else. The
    /// old quotes stay when they are safe for the new value. A key that is not assigned gets a line behind its
    /// commented-out assignment, or else at the end.
    ///
    /// # Errors
    ///
    /// [`Conflict`] when one of the readers would read something else, or when another key would read
    /// differently - but for keys that refer to this one, which are reported as [`Edit::follows`].
    pub fn set(&mut self, key: &str, value: impl AsRef<[u8]>, readers: &[Reader]) -> Result<Edit, Conflict> {
        let value = value.as_ref();
        let Some(entry) = self.get(key) else {
            let item = self.items.iter().rposition(|item| match &item.kind {
                Kind::Comment { key: Some(commented) } => self.text(commented) == key,
                _ => false,
            });
            return self.insert_at("set", key, value, item.map(|index| index + 1), None, readers);
        };
        let line = entry.line();
        let span = entry.value_span();
        let shadowed = self.lines_of(key).filter(|other| *other != line).collect();
        let conflict = Refusal {
            action: "set",
            key,
            line: Some(line),
        };
        let readers = or_all(readers);
        let mut before = Before::new(&self.bytes, Goal::Set(key, value), readers);
        if before.is_met() {
            return Ok(Edit {
                line,
                splices: Vec::new(),
                shadowed,
                follows: Vec::new(),
            });
        }
        let spellings = conflict.spellings(value, entry.quote(), readers)?;
        let attempts = spellings
            .into_iter()
            .map(|spelling| vec![(span.clone(), spelling)]);
        let (bytes, splices, follows) = conflict.first_verified(&self.bytes, &mut before, attempts)?;
        *self = Document::parse(bytes);
        Ok(Edit {
            line,
            splices,
            shadowed,
            follows,
        })
    }

    /// Adds a line for a key that is not assigned, in the style of the line it is put next to and with the
    /// file's own line ending.
    ///
    /// # Errors
    ///
    /// [`Conflict`] as for [`Document::set`], and when the key is assigned already or the other key is not.
    pub fn insert(
        &mut self,
        key: &str,
        value: impl AsRef<[u8]>,
        place: Place<'_>,
        readers: &[Reader],
    ) -> Result<Edit, Conflict> {
        if let Some(entry) = self.get(key) {
            return Err(Refusal {
                action: "insert",
                key,
                line: Some(entry.line()),
            }
            .because(Reason::AlreadyThere));
        }
        let (index, style) = match place {
            Place::End => (None, None),
            Place::After(other) | Place::Before(other) => {
                let index = self.index_of(other);
                let refusal = Refusal {
                    action: "insert next to",
                    key: other,
                    line: None,
                };
                let index = index.ok_or_else(|| refusal.because(Reason::NoSuchKey))?;
                (
                    Some(index + usize::from(matches!(place, Place::After(_)))),
                    Some(index),
                )
            }
        };
        self.insert_at("insert", key, value.as_ref(), index, style, readers)
    }

    /// Removes every assignment of `key` with its line.
    ///
    /// # Errors
    ///
    /// [`Conflict`] when it is not assigned, when a reader would still get a value for it, or when another key
    /// would read differently - but for keys that refer to this one ([`Edit::follows`]).
    pub fn unset(&mut self, key: &str, readers: &[Reader]) -> Result<Edit, Conflict> {
        let changes: Vec<Change> = self
            .items_of(key)
            .map(|item| (item.span.clone(), Vec::new()))
            .collect();
        let attempts = vec![self.without_last_line_end(changes.clone()), changes];
        self.edit_all("unset", key, Goal::Gone(key), attempts, readers)
    }

    /// Turns every assignment of `key` into comments.
    ///
    /// # Errors
    ///
    /// As for [`Document::unset`].
    pub fn comment_out(&mut self, key: &str, readers: &[Reader]) -> Result<Edit, Conflict> {
        let mut changes: Vec<Change> = Vec::new();
        for item in self.items_of(key) {
            let mut at = item.span.start;
            for line in self.bytes[item.span.clone()].split_inclusive(|b| *b == b'\n') {
                changes.push((at..at, b"# ".to_vec()));
                at += line.len();
            }
        }
        self.edit_all("comment out", key, Goal::Gone(key), vec![changes], readers)
    }

    /// Gives every assignment of `old` the key `new`.
    ///
    /// # Errors
    ///
    /// [`Conflict`] when `old` is not assigned, `new` is, or another key would read differently, as one does that
    /// refers to `old`.
    pub fn rename(&mut self, old: &str, new: &str, readers: &[Reader]) -> Result<Edit, Conflict> {
        if !is_name(new) {
            return Err(Refusal {
                action: "rename to",
                key: new,
                line: None,
            }
            .because(Reason::BadKey));
        }
        if let Some(entry) = self.get(new) {
            return Err(Refusal {
                action: "rename to",
                key: new,
                line: Some(entry.line()),
            }
            .because(Reason::AlreadyThere));
        }
        let keys = self
            .entries()
            .filter(|entry| entry.key() == old)
            .map(|entry| entry.assignment.key.clone());
        let changes = keys.map(|span| (span, new.as_bytes().to_vec())).collect();
        self.edit_all("rename", old, Goal::Renamed(old, new), vec![changes], readers)
    }

    fn edit_all(
        &mut self,
        action: &'static str,
        key: &str,
        goal: Goal<'_>,
        attempts: Vec<Vec<Change>>,
        readers: &[Reader],
    ) -> Result<Edit, Conflict> {
        let mut lines: Vec<usize> = self.lines_of(key).collect();
        let Some(line) = lines.pop() else {
            return Err(Refusal {
                action,
                key,
                line: None,
            }
            .because(Reason::NoSuchKey));
        };
        let conflict = Refusal {
            action,
            key,
            line: Some(line),
        };
        let mut before = Before::new(&self.bytes, goal, or_all(readers));
        let (bytes, splices, follows) = conflict.first_verified(&self.bytes, &mut before, attempts)?;
        *self = Document::parse(bytes);
        Ok(Edit {
            line,
            splices,
            shadowed: lines,
            follows,
        })
    }

    /// Puts a line in front of the item `index` (the end when `None`), in the style of the item `style`.
    fn insert_at(
        &mut self,
        action: &'static str,
        key: &str,
        value: &[u8],
        index: Option<usize>,
        style: Option<usize>,
        readers: &[Reader],
    ) -> Result<Edit, Conflict> {
        let conflict = Refusal {
            action,
            key,
            line: None,
        };
        if !is_name(key) {
            return Err(conflict.because(Reason::BadKey));
        }
        let readers = or_all(readers);
        let index = index.unwrap_or(self.items.len());
        let style = style
            .or_else(|| self.neighbour(index))
            .map(|index| &self.items[index]);
        let quote = match style.map(|item| &item.kind) {
            Some(Kind::Assignment(assignment)) => assignment.quote,
            _ => Quote::Bare,
        };
        let (at, line) = match self.items.get(index) {
            Some(item) => (item.span.start, item.line),
            None => (self.bytes.len(), self.line_count() + 1),
        };
        let line_end =
            self.line_end_near(style.or_else(|| index.checked_sub(1).map(|index| &self.items[index])));
        // A file without a final newline stays one.
        let open =
            at > 0 && at == self.bytes.len() && self.bytes[at - 1] != b'\n' && self.bytes != crate::scan::BOM;
        let mut attempts: Vec<Vec<Change>> = Vec::new();
        let spellings = conflict.spellings(value, quote, readers)?;
        for (head, equals) in heads(self, style) {
            for spelling in &spellings {
                let parts: [&[u8]; 6] = [&head, key.as_bytes(), &equals, spelling, &line_end, b""];
                let text = if open {
                    [&parts[4..5], &parts[..4]].concat()
                } else {
                    parts.to_vec()
                };
                attempts.push(vec![(at..at, text.concat())]);
            }
        }
        let mut before = Before::new(&self.bytes, Goal::Set(key, value), readers);
        let (bytes, splices, follows) = conflict.first_verified(&self.bytes, &mut before, attempts)?;
        *self = Document::parse(bytes);
        Ok(Edit {
            line,
            splices,
            shadowed: Vec::new(),
            follows,
        })
    }

    fn items_of(&self, key: &str) -> impl Iterator<Item = &Item> {
        self.entries()
            .filter(move |entry| entry.key() == key)
            .map(|entry| entry.item)
    }

    fn lines_of(&self, key: &str) -> impl Iterator<Item = usize> {
        self.items_of(key).map(|item| item.line)
    }

    fn index_of(&self, key: &str) -> Option<usize> {
        self.items.iter().rposition(|item| match &item.kind {
            Kind::Assignment(assignment) => self.text(&assignment.key) == key,
            _ => false,
        })
    }
}

fn or_all(readers: &[Reader]) -> &[Reader] {
    if readers.is_empty() { Reader::ALL } else { readers }
}

fn is_name(key: &str) -> bool {
    !key.starts_with(|c: char| c.is_ascii_digit())
        && !key.is_empty()
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
