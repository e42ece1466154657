//! What a reader makes of a file.

use std::collections::HashMap;
use std::fmt;

use crate::reader::Reader;

/// What a reader gets for one key.
#[derive(Clone, PartialEq, Eq)]
pub enum Reading {
    /// The key is set to these bytes.
    Value(Vec<u8>),
    /// The file does not set the key.
    Unset,
    /// The reader gives up on the whole file.
    FileRejected {
        /// The line, from 1.
        line: usize,
        /// The reason; holds no value.
        why: &'static str,
    },
    /// Only running the reader would tell. Never equal to a value that was asked for.
    Unknown {
        /// The line, from 1.
        line: usize,
        /// The reason; holds no value.
        why: &'static str,
    },
}

impl Reading {
    /// The value, where there is one.
    pub fn value(&self) -> Option<&[u8]> {
        match self {
            Reading::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Whether both mean the same; lines do not count, for they move.
    pub(crate) fn same(&self, other: &Reading) -> bool {
        match (self, other) {
            (Reading::FileRejected { why, .. }, Reading::FileRejected { why: other, .. }) => why == other,
            (Reading::Unknown { why, .. }, Reading::Unknown { why: other, .. }) => why == other,
            _ => self == other,
        }
    }
}

/// Hides the value.
impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reading::Value(_) => f.write_str("Value(<hidden>)"),
            Reading::Unset => f.write_str("Unset"),
            Reading::FileRejected { line, why } => write!(f, "FileRejected {{ line: {line}, why: {why:?} }}"),
            Reading::Unknown { line, why } => write!(f, "Unknown {{ line: {line}, why: {why:?} }}"),
        }
    }
}

/// A sentence without a value, for a person: `a value`, `the file is rejected on line 3: ...`.
impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reading::Value(value) if value.is_empty() => f.write_str("empty"),
            Reading::Value(_) => f.write_str("a value"),
            Reading::Unset => f.write_str("not set"),
            Reading::FileRejected { line, why } => write!(f, "the file is rejected on line {line}: {why}"),
            Reading::Unknown { line, why } => write!(f, "not known, line {line}: {why}"),
        }
    }
}

/// Where and why a reader gives up on a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The line, from 1.
    pub line: usize,
    /// The reason; holds no value.
    pub why: &'static str,
}

/// Something a person should know about a line: it is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The line, from 1.
    pub line: usize,
    /// What the reader does there; holds no value.
    pub what: &'static str,
}

/// What one reader gets from a file.
#[derive(Clone)]
pub struct Readings {
    pub(crate) reader: Reader,
    pub(crate) values: HashMap<Vec<u8>, Found>,
    /// The reading of every key that is not in `values`.
    pub(crate) rest: Reading,
    pub(crate) notes: Vec<Note>,
}

/// The reading of a key and the line it comes from.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) line: usize,
    pub(crate) reading: Reading,
}

impl Readings {
    pub(crate) fn new(reader: Reader) -> Readings {
        Readings {
            reader,
            values: HashMap::new(),
            rest: Reading::Unset,
            notes: Vec::new(),
        }
    }

    /// The reader gives up: every key reads as rejected.
    pub(crate) fn reject(mut self, line: usize, why: &'static str) -> Readings {
        self.values.clear();
        self.rest = Reading::FileRejected { line, why };
        self
    }

    /// The model gives up: every key reads as unknown.
    pub(crate) fn give_up(mut self, line: usize, why: &'static str) -> Readings {
        self.values.clear();
        self.rest = Reading::Unknown { line, why };
        self
    }

    pub(crate) fn note(&mut self, line: usize, what: &'static str) {
        self.notes.push(Note { line, what });
    }

    /// The reader this is about.
    pub fn reader(&self) -> Reader {
        self.reader
    }

    /// What the reader gets for `key`.
    pub fn get(&self, key: &str) -> &Reading {
        self.get_bytes(key.as_bytes())
    }

    pub(crate) fn get_bytes(&self, key: &[u8]) -> &Reading {
        self.values.get(key).map_or(&self.rest, |found| &found.reading)
    }

    /// Where the reader gives up on the file, if it does.
    pub fn rejection(&self) -> Option<Rejection> {
        match self.rest {
            Reading::FileRejected { line, why } => Some(Rejection { line, why }),
            _ => None,
        }
    }

    /// Lines the reader skips.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Every key the reader sees, with the line of its last assignment, sorted by line. Names that are not UTF-8
    /// are left out.
    pub fn keys(&self) -> Vec<(&str, usize)> {
        let keys = self
            .values
            .iter()
            .filter_map(|(key, found)| Some((std::str::from_utf8(key).ok()?, found.line)));
        let mut keys: Vec<_> = keys.collect();
        keys.sort_unstable_by_key(|(key, line)| (*line, *key));
        keys
    }
}

/// Keys and readings, values hidden.
impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (key, _) in self.keys() {
            map.entry(&shown(key.as_bytes()), self.get(key));
        }
        map.finish()
    }
}

/// A key for messages. A "key" that is longer than any real one is a piece of a broken multi-line value - a line
/// of base64, say - and is cut.
pub(crate) fn shown(key: &[u8]) -> String {
    const LONGEST: usize = 56;
    let text = String::from_utf8_lossy(key);
    if text.chars().count() <= LONGEST {
        return text.into_owned();
    }
    text.chars().take(8).chain(['…']).collect()
}
