//! Edits that were not made, and why.

use std::fmt;

use crate::reader::Reader;
use crate::reading::shown;

/// An edit that was not made. The document is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub(crate) action: &'static str,
    pub(crate) key: String,
    pub(crate) line: Option<usize>,
    pub(crate) readers: Vec<Reader>,
    pub(crate) reason: Reason,
}

/// Why an edit was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The value holds a NUL or a carriage return.
    Forbidden,
    /// No spelling of the value is read back by all readers.
    NoSpelling,
    /// The readers would read something else on this line, or nothing.
    ReadDifferently,
    /// The readers give up on the file.
    FileRejected {
        /// The line they give up on.
        line: usize,
        /// Why; holds no value.
        why: &'static str,
    },
    /// What the readers would get cannot be told without running them.
    NotKnown {
        /// The line that cannot be told.
        line: usize,
        /// Why; holds no value.
        why: &'static str,
    },
    /// Another key would read differently.
    OtherKey {
        /// The other key.
        key: String,
        /// Its line.
        line: usize,
    },
    /// The key that is to be edited is not assigned.
    NoSuchKey,
    /// The key that is to be made is assigned already.
    AlreadyThere,
    /// The key is not a name that every reader takes: letters, digits and `_`, no digit first.
    BadKey,
}

impl Conflict {
    /// The key that was to be edited.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The line that was to be edited, from 1; `None` for a line that does not exist yet.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The readers the edit would go wrong for. Empty where it is not a matter of readers.
    pub fn readers(&self) -> &[Reader] {
        &self.readers
    }

    /// Why the edit was not made.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.action, shown(self.key.as_bytes()))?;
        if let Some(line) = self.line {
            write!(f, " on line {line}")?;
        }
        let names: Vec<_> = self.readers.iter().map(|reader| reader.name()).collect();
        let names = names.join(", ");
        match &self.reason {
            Reason::Forbidden => {
                f.write_str(": the value holds a NUL or a carriage return, which no file can carry")
            }
            Reason::NoSpelling => write!(
                f,
                ": there is no spelling of the value that {names} would read back"
            ),
            Reason::ReadDifferently => write!(f, ": {names} would read something else from this line"),
            Reason::FileRejected { line, why } => {
                write!(f, ": {names} cannot read the file beyond line {line}: {why}")
            }
            Reason::NotKnown { line, why } => {
                write!(
                    f,
                    ": what {names} would read is not known, because of line {line}: {why}"
                )
            }
            Reason::OtherKey { key, line } => {
                write!(
                    f,
                    ": {names} would no longer read the same for {} on line {line}",
                    shown(key.as_bytes())
                )
            }
            Reason::NoSuchKey => f.write_str(": the file does not assign it"),
            Reason::AlreadyThere => f.write_str(": the file assigns it already"),
            Reason::BadKey => f.write_str(": a key is letters, digits and `_`, and no digit first"),
        }
    }
}

impl std::error::Error for Conflict {}
