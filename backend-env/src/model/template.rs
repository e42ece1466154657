//! Compose's references, after the package `template` of compose-go 2:
//!
//! ```text
//! \$(?i:(?P<escaped>\$)|(?P<named>[_a-z][_a-z0-9]*)|{(?:(?P<braced>[_a-z][_a-z0-9]*(?::?[-+?](.*))?)}|(?P<invalid>)))
//! ```

use std::borrow::Cow;

use super::{Scope, Val};

/// Why a value cannot be had.
pub(super) enum Refused {
    /// Compose gives up on the file.
    Rejected(&'static str),
    /// The model cannot tell.
    Unknown(&'static str),
}

const INVALID: &str = "`${` is not followed by a name and a closing brace";
const REQUIRED: &str = "a required variable is not set";
const TOO_DEEP: &str = "references are nested too deeply";
const DEEPEST: usize = 32;

/// Go handles the rest behind a braced reference in a second pass. As a match reaches to the last brace of its
/// line and the rest ends with that brace, going on from left to right is the same, and linear.
pub(super) fn substitute(text: &[u8], scope: &mut Scope<'_>, depth: usize) -> Result<Vec<u8>, Refused> {
    if depth > DEEPEST {
        return Err(Refused::Unknown(TOO_DEEP));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut last_brace = LastBrace {
        text,
        line_end: 0,
        brace: None,
    };
    while at < text.len() {
        let dollar = match text[at..].iter().position(|b| *b == b'$') {
            None => break,
            Some(length) => at + length,
        };
        out.extend_from_slice(&text[at..dollar]);
        at = dollar + 1;
        match text.get(at) {
            Some(b'$') => {
                out.push(b'$');
                at += 1;
            }
            Some(b'{') => {
                let name_end = name_end(text, at + 1).ok_or(Refused::Rejected(INVALID))?;
                let name = &text[at + 1..name_end];
                if text.get(name_end) == Some(&b'}') {
                    refer(name, scope, &mut out)?;
                    at = name_end + 1;
                } else {
                    let last = last_brace.from(name_end).ok_or(Refused::Rejected(INVALID))?;
                    let close = closing(&text[dollar..=last]).map_or(last, |length| dollar + length);
                    let operator = operator(&text[name_end..close]).ok_or(Refused::Rejected(INVALID))?;
                    let word = &text[name_end + operator.len()..close];
                    braced(name, operator, word, scope, depth, &mut out)?;
                    at = close + 1;
                }
            }
            _ => match name_end(text, at) {
                Some(end) => {
                    refer(&text[at..end], scope, &mut out)?;
                    at = end;
                }
                None => out.push(b'$'),
            },
        }
    }
    out.extend_from_slice(&text[at.min(text.len())..]);
    Ok(out)
}

/// `[_a-z][_a-z0-9]*`, case folded as Go does it: the Kelvin sign is a K and the long s an S.
fn name_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let rest = &text[at.min(text.len())..];
        let first = at == start;
        at += match rest {
            [b'_' | b'a'..=b'z' | b'A'..=b'Z', ..] => 1,
            [b'0'..=b'9', ..] if !first => 1,
            [0xc5, 0xbf, ..] => 2,
            [0xe2, 0x84, 0xaa, ..] => 3,
            _ => return Some(at).filter(|_| !first),
        };
    }
}

fn operator(text: &[u8]) -> Option<&[u8]> {
    let length = if text.first() == Some(&b':') { 2 } else { 1 };
    text.get(..length)
        .filter(|operator| matches!(operator.last(), Some(b'-' | b'+' | b'?')))
}

/// The brace that closes the first, as Go counts: the character behind every opening one is skipped.
fn closing(text: &[u8]) -> Option<usize> {
    let mut open = 0i64;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'}' => {
                open -= 1;
                if open == 0 {
                    return Some(at);
                }
            }
            b'{' => {
                open += 1;
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The last `}` before the end of the line, for growing offsets.
struct LastBrace<'a> {
    text: &'a [u8],
    line_end: usize,
    brace: Option<usize>,
}

impl LastBrace<'_> {
    fn from(&mut self, offset: usize) -> Option<usize> {
        if offset >= self.line_end {
            let rest = &self.text[offset..];
            let length = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            self.line_end = offset + length;
            self.brace = rest[..length]
                .iter()
                .rposition(|b| *b == b'}')
                .map(|at| offset + at);
        }
        self.brace.filter(|brace| *brace >= offset)
    }
}

fn look_up<'s>(name: &[u8], scope: &'s Scope<'_>) -> Result<Option<Cow<'s, [u8]>>, Refused> {
    match scope.environment_first(name) {
        None => Ok(None),
        Some(Cow::Borrowed(Val::Known(value))) => Ok(Some(Cow::Borrowed(value))),
        Some(Cow::Owned(Val::Known(value))) => Ok(Some(Cow::Owned(value))),
        Some(value) => match *value {
            Val::Unknown(why) => Err(Refused::Unknown(why)),
            _ => Ok(None),
        },
    }
}

fn refer(name: &[u8], scope: &mut Scope<'_>, out: &mut Vec<u8>) -> Result<(), Refused> {
    let value = look_up(name, scope)?.unwrap_or_default().into_owned();
    scope.spend(value.len()).map_err(Refused::Unknown)?;
    out.extend_from_slice(&value);
    Ok(())
}

fn braced(
    name: &[u8],
    operator: &[u8],
    word: &[u8],
    scope: &mut Scope<'_>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Refused> {
    let value = look_up(name, scope)?.map(Cow::into_owned);
    let counts_empty = operator.len() == 1;
    let present = value
        .as_ref()
        .is_some_and(|value| counts_empty || !value.is_empty());
    let text = match operator.last() {
        Some(b'-') if !present => substitute(word, scope, depth + 1)?,
        Some(b'+') if present => substitute(word, scope, depth + 1)?,
        Some(b'?') if !present => return Err(Refused::Rejected(REQUIRED)),
        _ => value.unwrap_or_default(),
    };
    scope.spend(text.len()).map_err(Refused::Unknown)?;
    out.extend_from_slice(&text);
    Ok(())
}
