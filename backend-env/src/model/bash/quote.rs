//! The pieces of a word that are quoted or expanded.

use std::ops::Range;

use super::lex::{COMPLEX, Lexer, Stop};
use super::names::{self, name_length};
use super::word::{Part, Parts, Test};

pub(super) const COMMAND: &str = "bash runs a command to get this value";
const QUOTE: &str = "a quote is not closed";
const BRACE: &str = "`${` is not closed";
const DEEPEST: usize = 32;

impl Lexer<'_> {
    pub(super) fn tilde(&mut self, parts: &mut Parts) -> Result<(), Stop> {
        let rest = &self.text[self.at + 1..];
        let length = rest
            .iter()
            .take_while(|b| !b"/: \t\n;&|()<>'\"\\$`".contains(b))
            .count();
        match rest.get(length) {
            Some(b'\'' | b'"' | b'\\' | b'$' | b'`') => {
                parts.push(b'~', false);
                self.at += 1;
            }
            _ if length == 0 => {
                parts.add(Part::Home);
                self.at += 1;
            }
            _ => {
                parts.add(Part::Unknown("`~` names a home directory"));
                self.at += 1 + length;
            }
        }
        self.not_continued()
    }

    pub(super) fn backslash(&mut self, parts: &mut Parts) {
        match self.text.get(self.at + 1) {
            Some(b'\n') => {}
            Some(byte) => parts.push(*byte, true),
            None => {
                parts.push(b'\\', true);
                self.at += 1;
                return;
            }
        }
        self.at += 2;
    }

    pub(super) fn single_quoted(&mut self, parts: &mut Parts) -> Result<(), Stop> {
        let rest = &self.text[self.at + 1..];
        let length = rest.iter().position(|b| *b == b'\'').ok_or(Stop::Syntax(QUOTE))?;
        parts.extend(&rest[..length], true);
        self.at += length + 2;
        Ok(())
    }

    pub(super) fn double_quoted(&mut self, parts: &mut Parts) -> Result<(), Stop> {
        self.at += 1;
        parts.extend(b"", true);
        loop {
            match self.peek().ok_or(Stop::Syntax(QUOTE))? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => match self.text.get(self.at + 1) {
                    Some(b'\n') => self.at += 2,
                    Some(byte @ (b'$' | b'`' | b'"' | b'\\')) => {
                        parts.push(*byte, true);
                        self.at += 2;
                    }
                    _ => {
                        parts.push(b'\\', true);
                        self.at += 1;
                    }
                },
                b'`' => self.backquoted(parts)?,
                b'$' => self.dollar(parts, true, 0)?,
                byte => {
                    parts.push(byte, true);
                    self.at += 1;
                }
            }
        }
    }

    pub(super) fn backquoted(&mut self, parts: &mut Parts) -> Result<(), Stop> {
        let mut at = self.at + 1;
        while at < self.text.len() {
            match self.text[at] {
                b'\\' => at += 2,
                b'`' => {
                    self.at = at + 1;
                    parts.add(Part::Unknown(COMMAND));
                    return Ok(());
                }
                _ => at += 1,
            }
        }
        Err(Stop::Syntax(QUOTE))
    }

    /// `$`, in double quotes or not.
    pub(super) fn dollar(&mut self, parts: &mut Parts, quoted: bool, depth: usize) -> Result<(), Stop> {
        let rest = &self.text[self.at + 1..];
        match rest.first() {
            Some(b'{') => return self.braced(parts, quoted, depth),
            Some(b'(') => return self.substituted(parts),
            Some(b'[') => return Err(Stop::Unknown(COMPLEX)),
            Some(b'\'') if !quoted => return self.ansi_quoted(parts),
            Some(b'"') if !quoted => {
                self.at += 1;
                return self.double_quoted(parts);
            }
            Some(b'1'..=b'9' | b'@' | b'*') => {
                parts.add(Part::Nothing);
                self.at += 2;
            }
            Some(b'0' | b'#' | b'?' | b'-' | b'$' | b'!') => {
                parts.add(Part::Unknown("the shell itself gives this value"));
                self.at += 2;
            }
            _ => {
                let length = name_length(rest);
                if length == 0 {
                    parts.push(b'$', quoted);
                    self.at += 1;
                } else {
                    let name = rest[..length].to_vec();
                    parts.add(Part::Variable {
                        name,
                        test: Test::None,
                        word: Vec::new(),
                    });
                    self.at += 1 + length;
                }
            }
        }
        self.not_continued()
    }

    /// `$(...)`: where it ends is only known for plain words.
    pub(super) fn substituted(&mut self, parts: &mut Parts) -> Result<(), Stop> {
        let rest = &self.text[self.at + 2..];
        let Some(length) = rest
            .iter()
            .position(|b| !(b.is_ascii_alphanumeric() || b"_-./=,:@%+ ".contains(b)))
        else {
            return Err(Stop::Syntax(QUOTE));
        };
        let mut words = rest[..length]
            .split(|b| *b == b' ')
            .filter(|word| !word.is_empty());
        if rest[length] != b')' || words.any(names::is_powerful) {
            return Err(Stop::Unknown(COMPLEX));
        }
        parts.add(Part::Unknown(COMMAND));
        self.at += length + 3;
        Ok(())
    }

    pub(super) fn braced(&mut self, parts: &mut Parts, quoted: bool, depth: usize) -> Result<(), Stop> {
        let start = self.at + 2;
        let length = name_length(&self.text[start..]);
        let mut at = start + length;
        if !self.text[at..].contains(&b'}') {
            return Err(Stop::Syntax(BRACE));
        }
        if length == 0 || depth > DEEPEST {
            return Err(Stop::Unknown(COMPLEX));
        }
        let name = self.text[start..at].to_vec();
        let colon = self.text.get(at) == Some(&b':');
        at += usize::from(colon);
        let instead = match self.text.get(at) {
            Some(b'}') if !colon => {
                parts.add(Part::Variable {
                    name,
                    test: Test::None,
                    word: Vec::new(),
                });
                self.at = at + 1;
                return Ok(());
            }
            Some(b'-') => true,
            Some(b'+') => false,
            _ => return Err(Stop::Unknown(COMPLEX)),
        };
        self.at = at + 1;
        let test = if colon {
            Test::Empty { instead }
        } else {
            Test::Unset { instead }
        };
        let word = self.braced_word(quoted, depth)?;
        parts.add(Part::Variable { name, test, word });
        Ok(())
    }

    /// Up to the first `}`; plain text and references only.
    pub(super) fn braced_word(&mut self, quoted: bool, depth: usize) -> Result<Vec<Part>, Stop> {
        let mut parts = Parts::default();
        loop {
            match self.peek().ok_or(Stop::Syntax(BRACE))? {
                b'}' => {
                    self.at += 1;
                    return Ok(parts.done);
                }
                b'\'' | b'"' | b'\\' | b'`' | b'~' => return Err(Stop::Unknown(COMPLEX)),
                b'$' => self.dollar(&mut parts, quoted, depth + 1)?,
                byte => {
                    parts.push(byte, quoted);
                    self.at += 1;
                }
            }
        }
    }

    /// `$'...'`
    pub(super) fn ansi_quoted(&mut self, parts: &mut Parts) -> Result<(), Stop> {
        let start = self.at + 2;
        let mut at = start;
        let span: Range<usize> = loop {
            match self.text.get(at) {
                None => return Err(Stop::Syntax(QUOTE)),
                Some(b'\\') => at += 2,
                Some(b'\'') => break start..at,
                Some(_) => at += 1,
            }
        };
        let raw = &self.text[span];
        self.at = at + 1;
        let mut i = 0;
        while i < raw.len() {
            if raw[i] != b'\\' {
                parts.push(raw[i], true);
                i += 1;
                continue;
            }
            let byte = match raw.get(i + 1) {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(b'a') => 7,
                Some(b'b') => 8,
                Some(b'e' | b'E') => 27,
                Some(b'f') => 12,
                Some(b'v') => 11,
                Some(byte @ (b'\\' | b'\'' | b'"' | b'?')) => *byte,
                _ => {
                    parts.add(Part::Unknown("the escape in `$'...'` is beyond the model"));
                    return Ok(());
                }
            };
            parts.push(byte, true);
            i += 2;
        }
        Ok(())
    }
}
