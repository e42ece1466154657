//! dotenvy 0.15.7, after `iter.rs` and `parse.rs`.
//!
//! Two passes that do not agree with each other are part of it: one joins lines into statements, counting quotes
//! its own way, the other reads the statement. Reading stops at the first error, so an error rejects the file.

use super::{Lines, Scope, Val, invalid_line};
use crate::reader::Reader;
use crate::reading::Readings;

const BROKEN: &str = "the statement cannot be parsed";
const OPEN: &str = "a quote is open, a backslash is last or a blank is last at the end of the file";

pub(super) fn read(bytes: &[u8], reader: Reader, mut scope: Scope<'_>) -> Readings {
    let readings = Readings::new(reader);
    let bytes = bytes.strip_prefix(crate::scan::BOM).unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return readings.reject(invalid_line(bytes, error), "the file is not UTF-8"),
    };
    let mut lines = Lines::new(bytes);
    let mut pos = 0;
    loop {
        let line = lines.line(pos);
        let statement = match next_statement(text, &mut pos) {
            Ok(Some(statement)) => statement,
            Ok(None) => return scope.into_readings(readings),
            Err(()) => return readings.reject(line, OPEN),
        };
        match parse(statement, &mut scope) {
            Ok(None) => {}
            Ok(Some((key, value))) => scope.set(key.as_bytes(), line, value),
            Err(()) => return readings.reject(line, BROKEN),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Complete,
    Escape,
    Strong,
    StrongEscape,
    Weak,
    WeakEscape,
    Space,
}

/// Joins lines while a quote is open. `Err` when the file ends inside.
fn next_statement<'a>(text: &'a str, pos: &mut usize) -> Result<Option<&'a str>, ()> {
    let start = *pos;
    let mut state = State::Complete;
    loop {
        let line_start = *pos;
        if line_start == text.len() {
            return if state == State::Complete {
                Ok(None)
            } else {
                Err(())
            };
        }
        let line_end = text[line_start..]
            .find('\n')
            .map_or(text.len(), |at| line_start + at + 1);
        *pos = line_end;
        // A statement never starts with blanks and `#` after its first line, but the first may.
        if line_start == start && text[start..line_end].trim_start().starts_with('#') {
            return Ok(Some(""));
        }
        for (at, c) in text[line_start..line_end].char_indices() {
            state = match (state, c) {
                (State::Space, '#') => return Ok(Some(&text[start..line_start + at])),
                (State::Complete, c) if c.is_whitespace() && c != '\n' && c != '\r' => State::Space,
                (State::Space | State::Complete, '\\') => State::Escape,
                (State::Space | State::Complete, '"') => State::Weak,
                (State::Space | State::Complete, '\'') => State::Strong,
                (State::Space | State::Complete | State::Escape, _) => State::Complete,
                (State::Weak, '\\') => State::WeakEscape,
                (State::Weak, '"') => State::Complete,
                (State::Weak | State::WeakEscape, _) => State::Weak,
                (State::Strong, '\\') => State::StrongEscape,
                (State::Strong, '\'') => State::Complete,
                (State::Strong | State::StrongEscape, _) => State::Strong,
            };
        }
        if state == State::Complete {
            let statement = &text[start..line_end];
            let statement = statement
                .strip_suffix('\n')
                .map_or(statement, |s| s.strip_suffix('\r').unwrap_or(s));
            return Ok(Some(statement));
        }
    }
}

fn parse<'a>(statement: &'a str, scope: &mut Scope<'_>) -> Result<Option<(&'a str, Val)>, ()> {
    let line = statement.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (mut key, rest) = parse_key(line)?;
    let mut rest = rest.trim_start();
    if key == "export" && !rest.starts_with('=') {
        (key, rest) = parse_key(rest)?;
        rest = rest.trim_start();
    }
    let value = rest.strip_prefix('=').ok_or(())?.trim_start();
    if value.is_empty() || value.starts_with('#') {
        return Ok(Some((key, Val::Known(Vec::new()))));
    }
    Ok(Some((key, parse_value(value, scope)?)))
}

fn parse_key(line: &str) -> Result<(&str, &str), ()> {
    if !line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return Err(());
    }
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .unwrap_or(line.len());
    Ok(line.split_at(end))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reference {
    None,
    /// After `$`.
    Name,
    /// After `${`.
    Braced,
}

/// The value so far; unknown as soon as a reference is.
struct Output<'s, 'e> {
    scope: &'s mut Scope<'e>,
    bytes: Vec<u8>,
    unknown: Option<&'static str>,
}

impl Output<'_, '_> {
    fn push(&mut self, c: char) {
        self.bytes
            .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn refer(&mut self, name: &mut String) {
        let found = self.scope.environment_first(name.as_bytes());
        let text = match found.as_deref() {
            Some(Val::Known(text)) => text.clone(),
            Some(Val::Unknown(why)) => {
                self.unknown = Some(why);
                Vec::new()
            }
            Some(Val::Unset) | None => Vec::new(),
        };
        drop(found);
        if let Err(why) = self.scope.spend(text.len()) {
            self.unknown = Some(why);
        } else {
            self.bytes.extend_from_slice(&text);
        }
        name.clear();
    }
}

fn parse_value(input: &str, scope: &mut Scope<'_>) -> Result<Val, ()> {
    let mut out = Output {
        scope,
        bytes: Vec::with_capacity(input.len()),
        unknown: None,
    };
    let (mut strong, mut weak, mut escaped, mut at_end) = (false, false, false, false);
    let mut reference = Reference::None;
    let mut name = String::new();
    for c in input.chars() {
        if at_end {
            match c {
                ' ' | '\t' => {}
                '#' => break,
                _ => return Err(()),
            }
        } else if escaped {
            match c {
                '\\' | '\'' | '"' | '$' | ' ' => out.push(c),
                'n' => out.push('\n'),
                _ => return Err(()),
            }
            escaped = false;
        } else if strong {
            match c {
                '\'' => strong = false,
                _ => out.push(c),
            }
        } else if reference != Reference::None {
            match (reference, c) {
                (_, c) if c.is_alphanumeric() => name.push(c),
                (Reference::Name, '{') if name.is_empty() => reference = Reference::Braced,
                (Reference::Name, c) => {
                    out.refer(&mut name);
                    // The character that ends a name is taken literally: a closing quote does not close.
                    if c != '$' {
                        reference = Reference::None;
                        out.push(c);
                    }
                }
                (_, '}') => {
                    reference = Reference::None;
                    out.refer(&mut name);
                }
                (_, c) => name.push(c),
            }
        } else if c == '$' {
            reference = Reference::Name;
        } else if c == '\\' {
            escaped = true;
        } else if c == '"' {
            weak = !weak;
        } else if weak {
            out.push(c);
        } else {
            match c {
                '\'' => strong = true,
                ' ' | '\t' => at_end = true,
                _ => out.push(c),
            }
        }
    }
    if reference == Reference::Braced || strong || weak {
        return Err(());
    }
    out.refer(&mut name);
    Ok(match out.unknown {
        Some(why) => Val::Unknown(why),
        None => Val::Known(out.bytes),
    })
}
