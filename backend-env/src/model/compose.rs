//! Docker Compose v2, after the package `dotenv` of compose-go 2 (its `parser.go` and `godotenv.go`).
//!
//! An error anywhere rejects the file. A statement may start right behind a closing quote.

use super::template::{self, Refused};
use super::{Lines, Scope, Val};
use crate::reader::Reader;
use crate::reading::Readings;

const BAD_KEY: &str = "a key has a character that compose does not take";
const BLANK_IN_KEY: &str = "a key has a blank inside";
const NO_KEY: &str = "`export` stands alone";
const OPEN_QUOTE: &str = "a quote is not closed";

pub(super) fn read(bytes: &[u8], reader: Reader, mut scope: Scope<'_>) -> Readings {
    let readings = Readings::new(reader);
    let text = bytes.strip_prefix(crate::scan::BOM).unwrap_or(bytes);
    let mut lines = Lines::new(text);
    let mut pos = 0;
    while let Some(start) = statement_start(text, pos) {
        let line = lines.line(start);
        match statement(text, start, line, &mut scope) {
            Ok(next) => pos = next,
            Err(Refused::Rejected(why)) => return readings.reject(line, why),
            Err(Refused::Unknown(why)) => return readings.give_up(line, why),
        }
    }
    scope.into_readings(readings)
}

/// The character at `at`, as Go decodes it: a byte that is not UTF-8 is a replacement character.
fn decode(text: &[u8], at: usize) -> (char, usize) {
    let head = &text[at..text.len().min(at + 4)];
    let valid = match std::str::from_utf8(head) {
        Ok(head) => head,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid
        .chars()
        .next()
        .map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, c.len_utf8()))
}

/// Go's `unicode.IsSpace` is Rust's; `isSpace` of the parser has no line feed and nothing beyond Latin-1.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

fn skip(text: &[u8], mut at: usize, what: impl Fn(char) -> bool) -> usize {
    while at < text.len() {
        let (c, length) = decode(text, at);
        if !what(c) {
            break;
        }
        at += length;
    }
    at
}

fn statement_start(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = skip(text, at, char::is_whitespace);
        if at == text.len() {
            return None;
        }
        if text[at] != b'#' {
            return Some(at);
        }
        at = text[at..]
            .iter()
            .position(|b| *b == b'\n')
            .map(|length| at + length)?;
    }
}

/// One statement: the place behind it.
fn statement(text: &[u8], start: usize, line: usize, scope: &mut Scope<'_>) -> Result<usize, Refused> {
    let mut at = start;
    if let Some(after) = text[at..].strip_prefix(b"export")
        && after
            .first()
            .is_some_and(|b| matches!(b, b'\t' | b'\n' | b'\x0c' | b'\r' | b' '))
    {
        at = skip(text, at + "export".len(), is_blank);
    }
    let end = key_end(text, at)?;
    if at == text.len() {
        return Err(Refused::Rejected(NO_KEY));
    }
    let (key, inherited, value_at) = match end {
        // Without an end, the key is empty and everything is its value.
        None => (&text[at..at], false, at),
        Some(end) => (trim_end(&text[at..end]), text[end] == b'\n', end + 1),
    };
    if key.contains(&b' ') {
        return Err(Refused::Rejected(BLANK_IN_KEY));
    }
    if inherited {
        if let Some(value) = scope.environment.get(key) {
            let value = value.to_vec();
            scope.set(key, line, Val::Known(value));
        }
        return Ok(value_at);
    }
    let value_at = skip(text, value_at, is_blank);
    let (value, next) = value(text, value_at, scope)?;
    if !key.is_empty() {
        scope.set(key, line, value);
    }
    Ok(next)
}

fn key_end(text: &[u8], mut at: usize) -> Result<Option<usize>, Refused> {
    while at < text.len() {
        let (c, length) = decode(text, at);
        match c {
            '=' | ':' | '\n' => return Ok(Some(at)),
            '_' | '.' | '-' | '[' | ']' => {}
            _ if is_blank(c) || c.is_alphabetic() || c.is_numeric() => {}
            _ => return Err(Refused::Rejected(BAD_KEY)),
        }
        at += length;
    }
    Ok(None)
}

fn trim_end(text: &[u8]) -> &[u8] {
    let mut end = text.len();
    while end > 0 {
        let start = (end.saturating_sub(4)..end)
            .rev()
            .find(|at| text[*at] & 0xc0 != 0x80)
            .unwrap_or(end - 1);
        let (c, length) = decode(&text[..end], start);
        if start + length != end || !c.is_whitespace() {
            break;
        }
        end = start;
    }
    &text[..end]
}

fn value(text: &[u8], at: usize, scope: &mut Scope<'_>) -> Result<(Val, usize), Refused> {
    match text.get(at) {
        Some(quote @ (b'\'' | b'"')) => {
            let (raw, next) = quoted(text, at + 1, *quote).ok_or(Refused::Rejected(OPEN_QUOTE))?;
            let value = if *quote == b'"' {
                expand(&escapes(&raw), scope)?
            } else {
                Val::Known(raw)
            };
            Ok((value, next))
        }
        _ => {
            let feed = text[at..].iter().position(|b| *b == b'\n');
            let line = &text[at..feed.map_or(text.len(), |length| at + length)];
            let comment = line.windows(2).position(|pair| pair == b" #");
            let value = trim_end(&line[..comment.unwrap_or(line.len())]);
            Ok((
                expand(value, scope)?,
                feed.map_or(text.len(), |length| at + length + 1),
            ))
        }
    }
}

fn quoted(text: &[u8], start: usize, quote: u8) -> Option<(Vec<u8>, usize)> {
    let mut value = Vec::new();
    let mut at = start;
    while at < text.len() {
        match text[at] {
            b'\\' => {
                let next = *text.get(at + 1)?;
                if next != quote {
                    value.push(b'\\');
                }
                value.push(next);
                at += 2;
            }
            byte if byte == quote => return Some((value, at + 1)),
            byte => {
                value.push(byte);
                at += 1;
            }
        }
    }
    None
}

fn expand(value: &[u8], scope: &mut Scope<'_>) -> Result<Val, Refused> {
    match template::substitute(value, scope, 0) {
        Ok(value) => Ok(Val::Known(value)),
        Err(Refused::Unknown(why)) => Ok(Val::Unknown(why)),
        Err(rejected) => Err(rejected),
    }
}

/// `\\(?:[abcfnrtv$"\\]|0\d{0,3})`, each match put through Go's `strconv.UnquoteChar`.
fn escapes(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let next = if raw[at] == b'\\' {
            raw.get(at + 1).copied()
        } else {
            None
        };
        let plain = match next {
            Some(b'a') => 0x07,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 0x0b,
            Some(byte @ (b'"' | b'\\')) => byte,
            Some(b'$') => {
                out.extend_from_slice(b"$$");
                at += 2;
                continue;
            }
            Some(b'0') => {
                let digits = raw[at + 2..]
                    .iter()
                    .take(3)
                    .take_while(|b| b.is_ascii_digit())
                    .count();
                octal(&raw[at + 2..at + 2 + digits], &mut out);
                at += 2 + digits;
                continue;
            }
            _ => {
                out.push(raw[at]);
                at += 1;
                continue;
            }
        };
        out.push(plain);
        at += 2;
    }
    out
}

/// `\0` and up to three digits. Go takes exactly three octal digits up to 0377 and writes the code point; anything
/// else stays as it is, without the zero.
fn octal(digits: &[u8], out: &mut Vec<u8>) {
    let value = match digits {
        [a @ b'0'..=b'7', b @ b'0'..=b'7', c @ b'0'..=b'7'] => {
            Some(u32::from(a - b'0') * 64 + u32::from(b - b'0') * 8 + u32::from(c - b'0'))
        }
        _ => None,
    };
    match value.filter(|value| *value <= 255).and_then(char::from_u32) {
        Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None => {
            out.push(b'\\');
            out.extend_from_slice(digits);
        }
    }
}
