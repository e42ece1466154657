//! The document: bytes, spans, and what can be seen of them.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use crate::reader::{Environment, Reader};
use crate::reading::{Reading, Readings, shown};
use crate::scan::{Assignment, Item, Kind, scan};

/// A `.env` file: its bytes as they are, and what they mean.
#[derive(Clone)]
pub struct Document {
    pub(crate) bytes: Vec<u8>,
    pub(crate) items: Vec<Item>,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quote {
    /// Without quotes.
    Bare,
    /// `'...'`
    Single,
    /// `"..."`
    Double,
}

/// One assignment of the file.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub(crate) doc: &'a Document,
    pub(crate) item: &'a Item,
    pub(crate) assignment: &'a Assignment,
}

impl Document {
    /// Parses a file. Never fails: what is not understood is kept verbatim.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Document {
        let bytes = bytes.into();
        let items = scan(&bytes);
        Document { bytes, items }
    }

    /// The file, byte for byte.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Every assignment in the order of the file, duplicates included.
    ///
    /// A bare `KEY` and a commented-out `# KEY=` are not assignments.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> {
        self.items.iter().filter_map(move |item| match &item.kind {
            Kind::Assignment(assignment) => Some(Entry {
                doc: self,
                item,
                assignment,
            }),
            _ => None,
        })
    }

    /// The assignment of `key` that counts: the last one.
    pub fn get(&self, key: &str) -> Option<Entry<'_>> {
        self.entries().rev().find(|entry| entry.key() == key)
    }

    /// Keys that are assigned more than once, in the order of the file, with the line of every assignment.
    pub fn duplicates(&self) -> Vec<(&str, Vec<usize>)> {
        let mut lines: std::collections::HashMap<&str, Vec<usize>> = std::collections::HashMap::new();
        let mut order = Vec::new();
        for entry in self.entries() {
            let lines = lines.entry(entry.key()).or_insert_with(|| {
                order.push(entry.key());
                Vec::new()
            });
            lines.push(entry.line());
        }
        order
            .into_iter()
            .filter_map(|key| lines.remove(key).map(|lines| (key, lines)))
            .filter(|(_, l)| l.len() > 1)
            .collect()
    }

    /// Keys of `# KEY=...` lines that the file does not assign, with their line, in the order of the file.
    pub fn commented_out(&self) -> Vec<(&str, usize)> {
        let assigned: HashSet<&str> = self.entries().map(|entry| entry.key()).collect();
        let keys = self.items.iter().filter_map(|item| match &item.kind {
            Kind::Comment { key: Some(key) } => Some((self.text(key), item.line)),
            _ => None,
        });
        keys.filter(|(key, _)| !assigned.contains(key)).collect()
    }

    /// What `reader` gets for `key`, its process environment being empty.
    pub fn read(&self, key: &str, reader: Reader) -> Reading {
        self.read_all(reader, &Environment::empty()).get(key).clone()
    }

    /// What `reader` gets for every key, with an environment that `${NAME}` may refer to.
    pub fn read_all(&self, reader: Reader, environment: &Environment) -> Readings {
        crate::model::read(&self.bytes, reader, environment, None)
    }

    /// Whether the file starts with a UTF-8 byte order mark.
    pub fn has_bom(&self) -> bool {
        self.bytes.starts_with(crate::scan::BOM)
    }

    /// Lines (1-based) that end in carriage return and line feed.
    pub fn crlf_lines(&self) -> Vec<usize> {
        let mut lines = Vec::new();
        let mut line = 1;
        for (at, byte) in self.bytes.iter().enumerate() {
            if *byte == b'\n' {
                if at > 0 && self.bytes[at - 1] == b'\r' {
                    lines.push(line);
                }
                line += 1;
            }
        }
        lines
    }

    /// The text of a span that the scanner has found to be UTF-8: keys.
    pub(crate) fn text(&self, span: &Range<usize>) -> &str {
        std::str::from_utf8(&self.bytes[span.clone()]).unwrap_or_default()
    }
}

/// Keys and lines only: a value never reaches a log this way.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document ")?;
        f.debug_list().entries(self.entries()).finish()
    }
}

impl<'a> Entry<'a> {
    /// The key as it is written.
    pub fn key(&self) -> &'a str {
        self.doc.text(&self.assignment.key)
    }

    /// The line the statement starts on, from 1, counting line feeds.
    pub fn line(&self) -> usize {
        self.item.line
    }

    /// The bytes of the whole statement with its line ending.
    pub fn span(&self) -> Range<usize> {
        self.item.span.clone()
    }

    /// The bytes of the value with its quotes.
    pub fn value_span(&self) -> Range<usize> {
        self.assignment.value.clone()
    }

    /// The value as it is written, with its quotes. What it means is a question for [`Document::read`].
    pub fn written_value(&self) -> &'a [u8] {
        &self.doc.bytes[self.assignment.value.clone()]
    }

    /// Whether the statement starts with `export`.
    pub fn is_exported(&self) -> bool {
        self.assignment.export
    }

    /// How the value is written.
    pub fn quote(&self) -> Quote {
        self.assignment.quote
    }

    /// The comment behind the value, from its `#`.
    pub fn comment(&self) -> Option<&'a [u8]> {
        self.assignment.comment.clone().map(|span| &self.doc.bytes[span])
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line(), shown(self.key().as_bytes()))
    }
}
