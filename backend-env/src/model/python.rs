//! python-dotenv, after `parser.py`, `variables.py` and `main.py` of 1.2.4.
//!
//! Python opens the file with universal newlines, so CR and CRLF arrive as LF. The scanner works on the file as
//! it is, takes both for a line end, and translates only inside quotes.

use super::{Lines, Scope, Val, invalid_line};
use crate::reader::Reader;
use crate::reading::Readings;

const SKIPPED: &str = "the statement cannot be parsed and is skipped";

pub(super) fn read(bytes: &[u8], reader: Reader, mut scope: Scope<'_>) -> Readings {
    let mut readings = Readings::new(reader);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return readings.reject(invalid_line(bytes, error), "the file is not UTF-8"),
    };
    let mut parser = Parser { text, pos: 0 };
    if text.starts_with('\u{feff}') {
        parser.pos = '\u{feff}'.len_utf8();
    }
    let mut lines = Lines::new(bytes);
    while parser.pos < text.len() {
        parser.skip(is_space);
        let line = lines.line(parser.pos);
        match parser.statement() {
            Some(Some((key, value))) => {
                let value = match value {
                    Some(value) => resolve(&value, &mut scope),
                    None => Val::Unset,
                };
                scope.set(key.as_bytes(), line, value);
            }
            Some(None) => {}
            None => {
                readings.note(line, SKIPPED);
                parser.skip(|c| !is_line_end(c));
                parser.line_end();
            }
        }
    }
    scope.into_readings(readings)
}

/// Python's `str.isspace`: that of Rust and four control characters.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\r' | '\n')
}

fn is_blank(c: char) -> bool {
    is_space(c) && !is_line_end(c)
}

struct Parser<'a> {
    text: &'a str,
    pos: usize,
}

type Binding = Option<(String, Option<String>)>;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, what: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !what(c)).unwrap_or(rest.len());
        self.pos += length;
        &rest[..length]
    }

    fn line_end(&mut self) {
        if self.rest().starts_with("\r\n") {
            self.pos += 2;
        } else if self.peek().is_some_and(is_line_end) {
            self.pos += 1;
        }
    }

    /// `None` is python-dotenv's `Error`; the place it happened at matters, for the rest of *that* line is lost.
    fn statement(&mut self) -> Option<Binding> {
        if self.pos == self.text.len() {
            return Some(None);
        }
        if let Some(after) = self.rest().strip_prefix("export")
            && after.starts_with(is_blank)
        {
            self.pos += "export".len();
            self.skip(is_blank);
        }
        let key = self.key()?;
        self.skip(is_blank);
        let mut value = None;
        if self.peek() == Some('=') {
            self.pos += 1;
            let blanks = self.skip(is_blank);
            let comment = !blanks.is_empty() && self.peek() == Some('#');
            value = Some(if comment { String::new() } else { self.value()? });
        }
        self.skip(is_blank);
        if self.peek() == Some('#') {
            self.skip(|c| !is_line_end(c));
        }
        if self.peek().is_some_and(|c| !is_line_end(c)) {
            return None;
        }
        self.line_end();
        Some(key.map(|key| (key, value)))
    }

    fn key(&mut self) -> Option<Option<String>> {
        match self.peek() {
            Some('#') => Some(None),
            Some('\'') => {
                let inside = &self.rest()[1..];
                let length = inside.find('\'').filter(|length| *length > 0)?;
                self.pos += length + 2;
                Some(Some(newlines(&inside[..length])))
            }
            _ => {
                let key = self.skip(|c| !(c == '=' || c == '#' || is_space(c)));
                if key.is_empty() {
                    None
                } else {
                    Some(Some(key.to_owned()))
                }
            }
        }
    }

    fn value(&mut self) -> Option<String> {
        match self.peek() {
            Some(quote @ ('\'' | '"')) => {
                let start = self.pos + 1;
                let close = closing(self.text.as_bytes(), start, quote as u8)?;
                self.pos = close + 1;
                let inside = newlines(&self.text[start..close]);
                Some(decode(&inside, if quote == '"' { "\\'\"abfnrtv" } else { "\\'" }))
            }
            _ => Some(unquoted(self.skip(|c| !is_line_end(c)))),
        }
    }
}

/// A backslash always escapes the character after it.
fn closing(text: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            byte if byte == quote => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// Universal newlines.
fn newlines(text: &str) -> String {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text.to_owned()
    }
}

fn decode(text: &str, escapes: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let next = if c == '\\' {
            chars.clone().next().filter(|next| escapes.contains(*next))
        } else {
            None
        };
        let Some(next) = next else {
            out.push(c);
            continue;
        };
        chars.next();
        out.push(match next {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            other => other,
        });
    }
    out
}

/// `re.sub(r"\s+#.*", "", part).rstrip()`
fn unquoted(part: &str) -> String {
    let mut end = part.len();
    let mut space = None;
    for (at, c) in part.char_indices() {
        if is_space(c) {
            space = space.or(Some(at));
        } else if c == '#' && space.is_some() {
            end = space.unwrap_or(at);
            break;
        } else {
            space = None;
        }
    }
    part[..end].trim_end_matches(is_space).to_owned()
}

/// Expands `${NAME}` and `${NAME:-default}`, in every quote style, as
/// `\$\{(?P<name>[^\}:]*)(?::-(?P<default>[^\}]*))?\}` finds them.
fn resolve(value: &str, scope: &mut Scope<'_>) -> Val {
    let bytes = value.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut copied = 0;
    let mut at = 0;
    // Both only move forwards, so that a value full of `${` stays linear.
    let mut brace = Ahead::new(bytes, |b| b == b'}');
    let mut stop = Ahead::new(bytes, |b| b == b'}' || b == b':');
    while let Some(found) = value[at..].find("${") {
        let open = at + found;
        let name_start = open + 2;
        at = name_start;
        let Some(name_end) = stop.from(name_start) else {
            break;
        };
        let (default, close) = if bytes[name_end] == b'}' {
            (None, name_end)
        } else if bytes.get(name_end + 1) == Some(&b'-') {
            let Some(close) = brace.from(name_end + 2) else {
                break;
            };
            (Some(&bytes[name_end + 2..close]), close)
        } else {
            continue;
        };
        out.extend_from_slice(&bytes[copied..open]);
        let found = scope.file_first(&bytes[name_start..name_end]);
        let text = match found.as_deref() {
            Some(Val::Known(text)) => text.clone(),
            Some(Val::Unset) => Vec::new(),
            Some(Val::Unknown(why)) => return Val::Unknown(why),
            None => default.unwrap_or_default().to_vec(),
        };
        drop(found);
        if let Err(why) = scope.spend(text.len()) {
            return Val::Unknown(why);
        }
        out.extend_from_slice(&text);
        copied = close + 1;
        at = copied;
    }
    out.extend_from_slice(&bytes[copied..]);
    Val::Known(out)
}

/// The next byte of a kind at or after growing offsets.
struct Ahead<'a, F> {
    bytes: &'a [u8],
    at: usize,
    what: F,
}

impl<'a, F: Fn(u8) -> bool> Ahead<'a, F> {
    fn new(bytes: &'a [u8], what: F) -> Self {
        Ahead { bytes, at: 0, what }
    }

    fn from(&mut self, offset: usize) -> Option<usize> {
        self.at = self.at.max(offset);
        while self.at < self.bytes.len() && !(self.what)(self.bytes[self.at]) {
            self.at += 1;
        }
        (self.at < self.bytes.len()).then_some(self.at)
    }
}
