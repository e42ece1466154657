//! The npm package dotenv 16 to 18, after `lib/main.js`:
//!
//! ```js
//! /(?:^|^)\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?(?:$|$)/mg
//! ```
//!
//! The expression is followed with its backtracking; each way it can go back is argued where it is taken. Node
//! expands no references.

use super::Lines;
use crate::reader::Reader;
use crate::reading::{Found, Reading, Readings};

pub(super) fn read(bytes: &[u8], reader: Reader) -> Readings {
    let mut readings = Readings::new(reader);
    let text = String::from_utf8_lossy(bytes);
    let text = if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        text
    };
    let matcher = Matcher { text: &text };
    let mut lines = Lines::new(text.as_bytes());
    let mut pos = 0;
    // `^` matches at the start of the text and behind every line end.
    while let Some(start) = matcher.line_start(pos) {
        let at = matcher.skip_space(start);
        match matcher.assignment(at) {
            Some((key, value, end)) => {
                let line = lines.line(at);
                let reading = Reading::Value(unquote(value).into_bytes());
                readings
                    .values
                    .insert(key.as_bytes().to_vec(), Found { line, reading });
                pos = end.max(at + 1);
            }
            // Every line start between `start` and `at` is followed by the same first character.
            None => match text[at..].chars().next() {
                Some(c) => pos = at + c.len_utf8(),
                None => break,
            },
        }
    }
    readings
}

/// JavaScript's `\s`.
fn is_space(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}

/// What `.` does not match and `^`, `$` look for.
fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

struct Matcher<'a> {
    text: &'a str,
}

impl<'a> Matcher<'a> {
    /// The first place at or after `pos` where `^` matches.
    fn line_start(&self, pos: usize) -> Option<usize> {
        if pos == 0 || self.text[..pos].ends_with(is_line_end) {
            return Some(pos).filter(|pos| *pos < self.text.len());
        }
        let (at, c) = self.text[pos..].char_indices().find(|(_, c)| is_line_end(*c))?;
        Some(pos + at + c.len_utf8())
    }

    fn skip_space(&self, pos: usize) -> usize {
        let rest = &self.text[pos..];
        pos + rest.find(|c| !is_space(c)).unwrap_or(rest.len())
    }

    fn key(&self, pos: usize) -> &'a str {
        let rest = &self.text[pos..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')));
        &rest[..end.unwrap_or(rest.len())]
    }

    /// The match from its first character that is not white space: key, value, end.
    ///
    /// A key is as long as it can be: were it shorter, `=`, `:` or white space would have to follow where a
    /// character of the key does.
    fn assignment(&self, at: usize) -> Option<(&'a str, &'a str, usize)> {
        if let Some(rest) = self.text[at..].strip_prefix("export")
            && rest.starts_with(is_space)
            && let Some(found) = self.pair(self.skip_space(at + "export".len()))
        {
            return Some(found);
        }
        self.pair(at)
    }

    fn pair(&self, at: usize) -> Option<(&'a str, &'a str, usize)> {
        let key = self.key(at);
        if key.is_empty() {
            return None;
        }
        let after = at + key.len();
        let equals = self.skip_space(after);
        let value_at = if self.text[equals..].starts_with('=') {
            equals + 1
        } else {
            let rest = self.text[after..].strip_prefix(':')?;
            let blank = rest.chars().next().filter(|c| is_space(*c))?;
            after + 1 + blank.len_utf8()
        };
        let (value, end) = self.value(value_at);
        Some((key, value, end))
    }

    /// The value group and the end of the match. One of the last two ways always matches, so the lazy `\s*?`
    /// before it never takes more.
    fn value(&self, at: usize) -> (&'a str, usize) {
        let open = self.skip_space(at);
        if let Some(quote @ (b'\'' | b'"' | b'`')) = self.text.as_bytes().get(open)
            && let Some((close, end)) = self.quoted(open + 1, *quote)
        {
            return (&self.text[at..close], end);
        }
        let rest = &self.text[at..];
        let stop = at + rest.find(['#', '\n', '\r']).unwrap_or(rest.len());
        let end = self.tail(stop).unwrap_or(stop);
        (&self.text[at..stop], end)
    }

    /// The place behind the closing quote, and the end of the match. The first quote without a backslash is
    /// tried, then those with one from the last to the first.
    fn quoted(&self, start: usize, quote: u8) -> Option<(usize, usize)> {
        let bytes = self.text.as_bytes();
        let mut escaped = Vec::new();
        let mut at = start;
        while at < bytes.len() {
            if bytes[at] == b'\\' && bytes.get(at + 1) == Some(&quote) {
                escaped.push(at + 2);
                at += 2;
            } else if bytes[at] == quote {
                if let Some(end) = self.tail(at + 1) {
                    return Some((at + 1, end));
                }
                break;
            } else {
                at += 1;
            }
        }
        escaped
            .into_iter()
            .rev()
            .find_map(|close| Some((close, self.tail(close)?)))
    }

    /// `\s*(?:#.*)?$`: the end of the match, when it matches.
    fn tail(&self, pos: usize) -> Option<usize> {
        let at = self.skip_space(pos);
        let rest = &self.text[at..];
        match rest.chars().next() {
            None => Some(at),
            Some('#') => Some(at + rest.find(is_line_end).unwrap_or(rest.len())),
            // `\s*` gives back what it took until a line end is next.
            Some(_) => self.text[pos..at]
                .char_indices()
                .rev()
                .find(|(_, c)| is_line_end(*c))
                .map(|(i, _)| pos + i),
        }
    }
}

/// What happens to the value group after the match.
fn unquote(group: &str) -> String {
    let value = group.trim_matches(is_space);
    let double = value.starts_with('"');
    let value = strip_quotes(value);
    if double {
        value.replace("\\n", "\n").replace("\\r", "\r")
    } else {
        value
    }
}

/// `value.replace(/^(['"`])([\s\S]*)\1$/mg, '$2')`, where `^` and `$` match at inner lines as well.
fn strip_quotes(value: &str) -> String {
    let mut last = [None; 3];
    const QUOTES: [char; 3] = ['\'', '"', '`'];
    let mut before = None;
    for (at, c) in value.char_indices().chain([(value.len(), '\n')]) {
        if let Some((quote_at, quote)) = before
            && (is_line_end(c) || at == value.len())
            && let Some(kind) = QUOTES.iter().position(|q| *q == quote)
        {
            last[kind] = Some(quote_at);
        }
        before = Some((at, c));
    }
    let mut out = String::with_capacity(value.len());
    let mut copied = 0;
    let mut line_start = true;
    for (at, c) in value.char_indices() {
        if at >= copied
            && line_start
            && let Some(kind) = QUOTES.iter().position(|q| *q == c)
            && let Some(close) = last[kind].filter(|close| *close > at)
        {
            out.push_str(&value[copied..at]);
            out.push_str(&value[at + 1..close]);
            copied = close + 1;
        }
        line_start = is_line_end(c);
    }
    out.push_str(&value[copied..]);
    out
}
