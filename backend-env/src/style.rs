//! What a new line takes from the lines around it, and what stays when the last one goes.

use crate::attempt::Change;
use crate::document::{Document, Entry};
use crate::scan::{Item, Kind};

impl Document {
    /// The assignment closest to the place in front of `index`, looked for upwards first.
    pub(crate) fn neighbour(&self, index: usize) -> Option<usize> {
        let is_assignment = |item: &Item| matches!(item.kind, Kind::Assignment(_));
        let above = self.items[..index].iter().rposition(is_assignment);
        above.or_else(|| {
            self.items[index..]
                .iter()
                .position(is_assignment)
                .map(|below| index + below)
        })
    }

    pub(crate) fn line_count(&self) -> usize {
        let feeds = self.bytes.iter().filter(|b| **b == b'\n').count();
        feeds + usize::from(self.bytes.last().is_some_and(|b| *b != b'\n') && self.bytes != crate::scan::BOM)
    }

    /// The line ending of an item, or else the first one of the file.
    pub(crate) fn line_end_near(&self, item: Option<&Item>) -> Vec<u8> {
        let near = item
            .map(|item| &self.bytes[item.span.clone()])
            .filter(|text| text.ends_with(b"\n"));
        let crlf = match near {
            Some(text) => text.ends_with(b"\r\n"),
            None => {
                let feed = self.bytes.iter().position(|b| *b == b'\n');
                feed.is_some_and(|feed| feed > 0 && self.bytes[feed - 1] == b'\r')
            }
        };
        if crlf { b"\r\n".to_vec() } else { b"\n".to_vec() }
    }

    /// A file without a final newline stays one when its last line is removed.
    pub(crate) fn without_last_line_end(&self, mut changes: Vec<Change>) -> Vec<Change> {
        let removed_last = changes
            .last()
            .is_some_and(|(span, _)| span.end == self.bytes.len());
        if !removed_last || self.bytes.ends_with(b"\n") {
            return changes;
        }
        let mut start = self.bytes.len();
        while let Some((span, _)) = changes.last()
            && span.end == start
        {
            start = span.start;
            changes.pop();
        }
        for end in [&b"\r\n"[..], b"\n"] {
            if self.bytes[..start].ends_with(end) {
                start -= end.len();
                break;
            }
        }
        changes.push((start..self.bytes.len(), Vec::new()));
        changes
    }
}

/// What stands before the key and between key and value: as next to the new line, or plain where a reader minds.
pub(crate) fn heads(doc: &Document, style: Option<&Item>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut heads = Vec::new();
    if let Some(item) = style
        && let Kind::Assignment(assignment) = &item.kind
    {
        let entry = Entry {
            doc,
            item,
            assignment,
        };
        let head = doc.bytes[item.span.start..assignment.key.start].to_vec();
        if !entry.written_value().is_empty() {
            heads.push((
                head.clone(),
                doc.bytes[assignment.key.end..assignment.value.start].to_vec(),
            ));
        }
        heads.push((head, b"=".to_vec()));
        if assignment.export {
            heads.push((b"export ".to_vec(), b"=".to_vec()));
        }
    }
    heads.push((Vec::new(), b"=".to_vec()));
    heads.dedup();
    heads
}
