//! Splits the bytes of a `.env` file into a gap-free list of spans.
//!
//! The grammar is what the readers have in common: one statement a line, a quoted value may go on over several
//! lines. Where they differ nothing is decided here; an edit that relied on a wrong guess fails its verification
//! (see `verify`) and becomes a conflict.

use std::ops::Range;

use crate::document::Quote;

/// A statement or a line that is none; `span` covers it with its line ending, and the spans have no gaps.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) span: Range<usize>,
    /// 1-based, counting line feeds.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone)]
pub(crate) enum Kind {
    /// A UTF-8 byte order mark at the start of the file.
    Bom,
    Blank,
    /// A comment; `key` is set for `# KEY=...`, a commented-out assignment.
    Comment {
        key: Option<Range<usize>>,
    },
    Assignment(Assignment),
    /// `KEY` or `export KEY` alone: no assignment.
    Bare {
        key: Range<usize>,
    },
    /// Kept verbatim.
    NotUnderstood,
}

/// The parts of `export KEY = 'value'  # comment`.
#[derive(Clone)]
pub(crate) struct Assignment {
    pub(crate) export: bool,
    pub(crate) key: Range<usize>,
    /// With its quotes; empty (but at a place) for `KEY=`.
    pub(crate) value: Range<usize>,
    pub(crate) quote: Quote,
    pub(crate) comment: Option<Range<usize>>,
}

pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

pub(crate) fn scan(bytes: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut pos = 0;
    let mut line = 1;
    if bytes.starts_with(BOM) {
        items.push(Item {
            span: 0..BOM.len(),
            line,
            kind: Kind::Bom,
        });
        pos = BOM.len();
    }
    while pos < bytes.len() {
        let (end, kind) = statement(bytes, pos);
        items.push(Item {
            span: pos..end,
            line,
            kind,
        });
        line += bytes[pos..end].iter().filter(|b| **b == b'\n').count();
        pos = end;
    }
    items
}

/// The end of the line at `pos`: before its line ending, and after it.
fn line_end(bytes: &[u8], pos: usize) -> (usize, usize) {
    match bytes[pos..].iter().position(|b| *b == b'\n') {
        None => (bytes.len(), bytes.len()),
        Some(at) => {
            let feed = pos + at;
            let text = if at > 0 && bytes[feed - 1] == b'\r' {
                feed - 1
            } else {
                feed
            };
            (text, feed + 1)
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn skip_blanks(bytes: &[u8], mut pos: usize, end: usize) -> usize {
    while pos < end && is_blank(bytes[pos]) {
        pos += 1;
    }
    pos
}

/// The longest key at `pos`. More than any one reader takes: letters and digits of any script, and the marks
/// that some of them allow.
fn key(bytes: &[u8], pos: usize, end: usize) -> Range<usize> {
    let mut at = pos;
    while at < end
        && (bytes[at].is_ascii_alphanumeric() || b"_.-[]/".contains(&bytes[at]) || bytes[at] >= 0x80)
    {
        at += 1;
    }
    match std::str::from_utf8(&bytes[pos..at]) {
        Ok(text) if text.chars().all(|c| c.is_ascii() || c.is_alphanumeric()) => pos..at,
        _ => pos..pos,
    }
}

/// The statement at `pos`: where the next one starts, and what this one is.
fn statement(bytes: &[u8], pos: usize) -> (usize, Kind) {
    let (end, next) = line_end(bytes, pos);
    let start = skip_blanks(bytes, pos, end);
    if start == end {
        return (next, Kind::Blank);
    }
    if bytes[start] == b'#' {
        return (
            next,
            Kind::Comment {
                key: commented_out(bytes, start, end),
            },
        );
    }
    let Some((export, key, after)) = head(bytes, start, end) else {
        return (next, Kind::NotUnderstood);
    };
    if after == end || bytes[after] == b'#' && after > key.end {
        return (next, Kind::Bare { key });
    }
    if bytes[after] != b'=' {
        return (next, Kind::NotUnderstood);
    }
    let value = skip_blanks(bytes, after + 1, end);
    if value < end
        && matches!(bytes[value], b'\'' | b'"')
        && let Some((close, comment, next)) = quoted(bytes, value)
    {
        let quote = if bytes[value] == b'"' {
            Quote::Double
        } else {
            Quote::Single
        };
        return (
            next,
            Kind::Assignment(Assignment {
                export,
                key,
                value: value..close,
                quote,
                comment,
            }),
        );
    }
    let (stop, comment) = bare(bytes, value, end, value > after + 1);
    // `KEY=   ` has its (empty) value right after the equals sign, so that setting it does not keep the blanks.
    let value = if stop == value {
        after + 1..after + 1
    } else {
        value..stop
    };
    (
        next,
        Kind::Assignment(Assignment {
            export,
            key,
            value,
            quote: Quote::Bare,
            comment,
        }),
    )
}

/// `export KEY` or `KEY` at `start`: whether exported, the key, and the place after the blanks behind it.
fn head(bytes: &[u8], start: usize, end: usize) -> Option<(bool, Range<usize>, usize)> {
    let first = key(bytes, start, end);
    if first.is_empty() {
        return None;
    }
    let after = skip_blanks(bytes, first.end, end);
    if &bytes[first.clone()] == b"export" && after > first.end && after < end {
        let second = key(bytes, after, end);
        if !second.is_empty() {
            let after = skip_blanks(bytes, second.end, end);
            return Some((true, second, after));
        }
    }
    Some((false, first, after))
}

/// The key of `# KEY=...`.
fn commented_out(bytes: &[u8], hash: usize, end: usize) -> Option<Range<usize>> {
    let mut start = hash;
    while start < end && bytes[start] == b'#' {
        start += 1;
    }
    let (_, key, after) = head(bytes, skip_blanks(bytes, start, end), end)?;
    (after < end && bytes[after] == b'=').then_some(key)
}

/// A quoted value that opens at `open`: the place behind the closing quote, the comment, and the next statement.
///
/// The readers do not agree whether a backslash escapes a quote. The first closing quote with nothing but a
/// comment behind it is taken, looked for with escapes first and then without.
fn quoted(bytes: &[u8], open: usize) -> Option<(usize, Option<Range<usize>>, usize)> {
    closing(bytes, open, true)
        .and_then(|close| tail(bytes, close))
        .or_else(|| closing(bytes, open, false).and_then(|close| tail(bytes, close)))
}

fn closing(bytes: &[u8], open: usize, escapes: bool) -> Option<usize> {
    let quote = bytes[open];
    let mut at = open + 1;
    while at < bytes.len() {
        if escapes && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] == quote {
            return Some(at + 1);
        } else {
            at += 1;
        }
    }
    None
}

fn tail(bytes: &[u8], close: usize) -> Option<(usize, Option<Range<usize>>, usize)> {
    let (end, next) = line_end(bytes, close);
    let at = skip_blanks(bytes, close, end);
    match bytes.get(at..end) {
        Some([]) => Some((close, None, next)),
        Some([b'#', ..]) => Some((close, Some(at..end), next)),
        _ => None,
    }
}

/// A bare value: where it ends, and its comment, which starts with a blank and `#`.
fn bare(bytes: &[u8], start: usize, end: usize, blank_before: bool) -> (usize, Option<Range<usize>>) {
    let mut stop = end;
    let mut comment = None;
    for at in start..end {
        let preceded = if at == start {
            blank_before
        } else {
            is_blank(bytes[at - 1])
        };
        if bytes[at] == b'#' && preceded {
            stop = at;
            comment = Some(at..end);
            break;
        }
    }
    while stop > start && is_blank(bytes[stop - 1]) {
        stop -= 1;
    }
    (stop, comment)
}
