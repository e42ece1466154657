//! The difference of two files as a unified diff that shows no value unless it is asked to.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::ops::Range;

use crate::document::{Document, Entry};
use crate::myers::{Step, compare};
use crate::reading::shown;
use crate::scan::{Item, Kind};

/// The difference of two documents.
///
/// [`Display`](fmt::Display) hides every value: `<old>` and `<new>` stand for values that differ, `<same>` for a
/// value that stays. Comments and what is not understood are hidden as well.
#[derive(Clone)]
pub struct Diff {
    hunks: Vec<Hunk>,
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
}

#[derive(Clone)]
struct Hunk {
    old: Range<usize>,
    new: Range<usize>,
    lines: Vec<Line>,
}

#[derive(Clone)]
struct Line {
    sign: char,
    masked: String,
    revealed: String,
    ended: bool,
}

/// Unchanged lines around a change.
const CONTEXT: usize = 3;

impl Diff {
    /// Whether both files are the same, byte for byte.
    pub fn is_empty(&self) -> bool {
        self.hunks.is_empty()
    }

    /// Keys that only the new file assigns.
    pub fn added(&self) -> &[String] {
        &self.added
    }

    /// Keys that only the old file assigns.
    pub fn removed(&self) -> &[String] {
        &self.removed
    }

    /// Keys whose value is written differently.
    pub fn changed(&self) -> &[String] {
        &self.changed
    }

    /// The unified diff without values, with these names for the two files.
    pub fn masked(&self, old: &str, new: &str) -> String {
        self.render(old, new, |line| &line.masked)
    }

    /// The unified diff with every value: not for a log.
    pub fn revealed(&self, old: &str, new: &str) -> String {
        self.render(old, new, |line| &line.revealed)
    }

    fn render(&self, old: &str, new: &str, text: impl Fn(&Line) -> &str) -> String {
        let mut out = String::new();
        if self.hunks.is_empty() {
            return out;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(out, "--- {old}\n+++ {new}");
        for hunk in &self.hunks {
            let _ = writeln!(out, "@@ -{} +{} @@", place(&hunk.old), place(&hunk.new));
            for line in &hunk.lines {
                let _ = writeln!(out, "{}{}", line.sign, text(line));
                if !line.ended {
                    out.push_str("\\ No newline at end of file\n");
                }
            }
        }
        out
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked("old", "new"))
    }
}

/// Hides values like [`Display`](fmt::Display).
impl fmt::Debug for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `start,count`, where an empty range names the line before it.
fn place(range: &Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => format!("{}", range.start + 1),
        count => format!("{},{count}", range.start + 1),
    }
}

impl Document {
    /// The difference from this document to `new`, with every value hidden.
    pub fn diff(&self, new: &Document) -> Diff {
        self.diff_showing(new, &|_, _| false)
    }

    /// The same, but `shows` says of a key and its written value whether that value is shown: hosts, ports and names let a
    /// person review a change. A comment behind it stays hidden.
    pub fn diff_showing(&self, new: &Document, shows: &dyn Fn(&str, &[u8]) -> bool) -> Diff {
        let (old_lines, new_lines) = (lines(self), lines(new));
        let texts = |doc: &Document, lines: &[(Range<usize>, usize)]| -> Vec<Vec<u8>> {
            lines
                .iter()
                .map(|(span, _)| doc.bytes[span.clone()].to_vec())
                .collect()
        };
        let steps = compare(&texts(self, &old_lines), &texts(new, &new_lines));
        let (old_values, new_values) = (values(self), values(new));
        let sides = Sides {
            old: self,
            new,
            old_lines,
            new_lines,
            old_values,
            new_values,
            shows,
        };
        let hunks = hunks(&steps)
            .into_iter()
            .map(|range| sides.hunk(&steps, range))
            .collect();
        let only = |a: &Document, b: &HashMap<&str, &[u8]>| -> Vec<String> {
            keys(a)
                .into_iter()
                .filter(|key| !b.contains_key(key))
                .map(str::to_owned)
                .collect()
        };
        let differs = |key: &&str| {
            sides
                .new_values
                .get(key)
                .is_some_and(|v| sides.old_values.get(key) != Some(v))
        };
        Diff {
            hunks,
            added: only(new, &sides.old_values),
            removed: only(self, &sides.new_values),
            changed: keys(self)
                .into_iter()
                .filter(differs)
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// Every line with its line ending and the item it belongs to.
fn lines(doc: &Document) -> Vec<(Range<usize>, usize)> {
    let mut lines: Vec<(Range<usize>, usize)> = Vec::new();
    for (index, item) in doc.items.iter().enumerate() {
        let mut at = item.span.start;
        for line in doc.bytes[item.span.clone()].split_inclusive(|b| *b == b'\n') {
            lines.push((at..at + line.len(), index));
            at += line.len();
        }
    }
    // The byte order mark is part of the first line.
    if matches!(doc.items.first(), Some(Item { kind: Kind::Bom, .. })) && lines.len() > 1 {
        let (bom, _) = lines.remove(0);
        lines[0].0.start = bom.start;
    }
    lines
}

fn keys(doc: &Document) -> Vec<&str> {
    let mut seen = std::collections::HashSet::new();
    doc.entries()
        .map(|entry| entry.key())
        .filter(|key| seen.insert(*key))
        .collect()
}

fn values(doc: &Document) -> HashMap<&str, &[u8]> {
    doc.entries()
        .map(|entry| (entry.key(), entry.written_value()))
        .collect()
}

/// Ranges of steps with a change and its context.
fn hunks(steps: &[Step]) -> Vec<Range<usize>> {
    let mut hunks: Vec<Range<usize>> = Vec::new();
    for (at, _) in steps.iter().enumerate().filter(|(_, step)| **step != Step::Equal) {
        let (start, end) = (at.saturating_sub(CONTEXT), (at + 1 + CONTEXT).min(steps.len()));
        match hunks.last_mut() {
            Some(last) if start <= last.end => last.end = end,
            _ => hunks.push(start..end),
        }
    }
    hunks
}

struct Sides<'a> {
    old: &'a Document,
    new: &'a Document,
    old_lines: Vec<(Range<usize>, usize)>,
    new_lines: Vec<(Range<usize>, usize)>,
    old_values: HashMap<&'a str, &'a [u8]>,
    new_values: HashMap<&'a str, &'a [u8]>,
    shows: &'a dyn Fn(&str, &[u8]) -> bool,
}

impl Sides<'_> {
    fn hunk(&self, steps: &[Step], range: Range<usize>) -> Hunk {
        let before = &steps[..range.start];
        let mut old = before.iter().filter(|step| **step != Step::Add).count();
        let mut new = before.iter().filter(|step| **step != Step::Remove).count();
        let (old_start, new_start) = (old, new);
        let mut lines = Vec::new();
        for step in &steps[range] {
            lines.push(match step {
                Step::Add => self.line('+', self.new, &self.new_lines[new], &self.old_values, "<new>"),
                Step::Remove => self.line('-', self.old, &self.old_lines[old], &self.new_values, "<old>"),
                Step::Equal => self.line(' ', self.old, &self.old_lines[old], &self.new_values, "<old>"),
            });
            old += usize::from(*step != Step::Add);
            new += usize::from(*step != Step::Remove);
        }
        Hunk {
            old: old_start..old,
            new: new_start..new,
            lines,
        }
    }

    fn line(
        &self,
        sign: char,
        doc: &Document,
        (span, index): &(Range<usize>, usize),
        other: &HashMap<&str, &[u8]>,
        differs: &str,
    ) -> Line {
        let text = &doc.bytes[span.clone()];
        let ended = text.ends_with(b"\n");
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let span = span.start..span.start + text.len();
        let masked = mask(doc, &doc.items[*index], &span, other, differs, self.shows);
        Line {
            sign,
            masked: visible(&masked),
            revealed: visible(&String::from_utf8_lossy(text)),
            ended,
        }
    }
}

/// A line without what may be a secret.
fn mask(
    doc: &Document,
    item: &Item,
    span: &Range<usize>,
    other: &HashMap<&str, &[u8]>,
    differs: &str,
    shows: &dyn Fn(&str, &[u8]) -> bool,
) -> String {
    let text = |range: Range<usize>| {
        let start = range.start.clamp(span.start, span.end);
        String::from_utf8_lossy(&doc.bytes[start..range.end.clamp(start, span.end)]).into_owned()
    };
    match &item.kind {
        Kind::Bom | Kind::Blank => text(span.clone()),
        Kind::Comment { .. } => mask_comment(&text(span.clone())),
        Kind::NotUnderstood => "<hidden>".to_owned(),
        Kind::Bare { key } => {
            let name = text(key.clone());
            let plain = name
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            if plain {
                shown(name.as_bytes())
            } else {
                "<hidden>".to_owned()
            }
        }
        Kind::Assignment(assignment) => {
            let entry = Entry {
                doc,
                item,
                assignment,
            };
            let same = other.get(entry.key()) == Some(&entry.written_value());
            let label = if same { "<same>" } else { differs };
            let value = &assignment.value;
            let mut out = String::new();
            if span.start < value.start {
                out.push_str(&text(span.start.min(assignment.key.start)..assignment.key.start));
                out.push_str(&shown(entry.key().as_bytes()));
                out.push_str(&text(assignment.key.end..value.start));
            }
            let quote = match entry.written_value() {
                [quote @ (b'\'' | b'"'), .., last] if last == quote => char::from(*quote).to_string(),
                _ => String::new(),
            };
            if shows(entry.key(), entry.written_value()) {
                out.push_str(&text(value.clone()));
            } else if !value.is_empty() {
                if span.start <= value.start {
                    out.push_str(&quote);
                }
                out.push_str(label);
                if value.end <= span.end {
                    out.push_str(&quote);
                }
            }
            if value.end <= span.end {
                let comment = assignment.comment.clone().unwrap_or(span.end..span.end);
                out.push_str(&text(value.end..comment.start));
                out.push_str(&mask_comment(&text(comment)));
            }
            out
        }
    }
}

/// Comments hold old passwords as well: in `# PASSWORD=old`, and in plain words.
fn mask_comment(comment: &str) -> String {
    match comment.find('#') {
        Some(at) if comment.trim().len() > 1 => format!("{}# <comment>", &comment[..at]),
        _ => comment.to_owned(),
    }
}

/// Control characters as pictures, so that a carriage return neither hides nor garbles a line.
fn visible(text: &str) -> String {
    let picture = |c: char| match c {
        '\t' => '\t',
        '\u{7f}' => '\u{2421}',
        '\u{feff}' => '\u{2370}',
        c if c.is_control() => char::from_u32(0x2400 + u32::from(c))
            .filter(|_| c < ' ')
            .unwrap_or('\u{fffd}'),
        c => c,
    };
    text.chars().map(picture).collect()
}
