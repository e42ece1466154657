//! Words and operators of the shell, as far as the model follows them.

use super::super::Lines;
use super::Operator;
use super::names::name_length;
use super::word::{Parts, Target, Word};

/// Why reading ends before the file does.
pub(super) enum Stop {
    Syntax(&'static str),
    Unknown(&'static str),
}

const TOKEN: &str = "bash finds an operator where none can be";
const REDIRECT: &str = "a redirection names no file";
const PAREN: &str = "bash finds a parenthesis where none can be";
pub(super) const COMPLEX: &str = "the shell syntax is beyond the model";

pub(super) struct Lexer<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    /// Where the word that failed starts.
    mark: usize,
    /// Whether a redirection has been seen since this was last cleared.
    pub(super) redirected: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Lexer<'a> {
        Lexer {
            text,
            at: 0,
            mark: 0,
            redirected: false,
        }
    }

    pub(super) fn pos(&self) -> usize {
        self.at
    }

    pub(super) fn place_of(&self, stop: Stop) -> (usize, Stop) {
        (Lines::new(self.text).line(self.mark), stop)
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn looking_at(&self, what: &[u8]) -> bool {
        self.text[self.at..].starts_with(what)
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\\') if self.looking_at(b"\\\n") => self.at += 2,
                _ => return,
            }
        }
    }

    fn skip_comment(&mut self) {
        if self.peek() == Some(b'#') {
            let rest = &self.text[self.at..];
            self.at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
        }
    }

    /// Goes to the next command; `false` at the end of the file.
    pub(super) fn start_of_command(&mut self) -> Result<bool, Stop> {
        loop {
            self.skip_blanks();
            self.skip_comment();
            self.mark = self.at;
            match self.peek() {
                None => return Ok(false),
                Some(b'\n') => self.at += 1,
                Some(b';' | b'&' | b'|') if !self.looking_at(b"&>") => {
                    let continued = self.text[self.at + 1..].starts_with(b"\\\n");
                    return Err(if continued {
                        Stop::Unknown(COMPLEX)
                    } else {
                        Stop::Syntax(TOKEN)
                    });
                }
                Some(_) => return Ok(true),
            }
        }
    }

    /// Behind `|`, `&&` or `||` the command may be on a later line.
    pub(super) fn after_connector(&mut self) -> Result<(), Stop> {
        if self.start_of_command()? {
            Ok(())
        } else {
            Err(Stop::Syntax("a command is missing at the end"))
        }
    }

    pub(super) fn operator(&mut self) -> Result<Operator, Stop> {
        self.mark = self.at;
        let (length, operator) = match self.text[self.at..] {
            [] => (0, Operator::End),
            [b'\n', ..] => (1, Operator::End),
            [b';', b';' | b'&', ..] => return Err(Stop::Syntax(TOKEN)),
            [b';', ..] => (1, Operator::Semicolon),
            [b'&', b'&', ..] => (2, Operator::And),
            [b'|', b'|', ..] => (2, Operator::Or),
            [b'|', b'&', ..] => (2, Operator::Pipe),
            [b'|', ..] => (1, Operator::Pipe),
            [b'&', ..] => (1, Operator::Background),
            _ => return Err(Stop::Syntax(PAREN)),
        };
        self.at += length;
        self.not_continued()?;
        Ok(operator)
    }

    /// bash joins continued lines before it looks for tokens; the model does so between words only.
    pub(super) fn not_continued(&self) -> Result<(), Stop> {
        if self.looking_at(b"\\\n") {
            Err(Stop::Unknown(COMPLEX))
        } else {
            Ok(())
        }
    }

    /// The next word of a command; `None` at its end. `first` while no command word has been seen.
    pub(super) fn word(&mut self, first: bool) -> Result<Option<Word>, Stop> {
        loop {
            self.skip_blanks();
            self.mark = self.at;
            match self.peek() {
                None | Some(b'\n' | b';' | b'|') => return Ok(None),
                Some(b'#') => {
                    self.skip_comment();
                    return Ok(None);
                }
                Some(b'&') if !self.looking_at(b"&>") => return Ok(None),
                Some(b'<' | b'>' | b'&') => self.redirection()?,
                Some(b'(') if first => return Err(Stop::Unknown(COMPLEX)),
                Some(b'(' | b')') => return Err(Stop::Syntax(PAREN)),
                Some(_) => {
                    let word = self.read_word()?;
                    if self.is_descriptor(&word) {
                        continue;
                    }
                    return Ok(Some(word));
                }
            }
        }
    }

    /// Digits right in front of a redirection.
    fn is_descriptor(&self, word: &Word) -> bool {
        let digits = word
            .unquoted_literal()
            .is_some_and(|text| text.iter().all(u8::is_ascii_digit));
        digits && matches!(self.peek(), Some(b'<' | b'>'))
    }

    fn redirection(&mut self) -> Result<(), Stop> {
        const OPERATORS: &[&[u8]] = &[
            b"&>>", b"&>", b">>", b">|", b">&", b"<<<", b"<>", b"<&", b">", b"<",
        ];
        if self.looking_at(b"<(") || self.looking_at(b">(") {
            return Err(Stop::Unknown(COMPLEX));
        }
        if self.looking_at(b"<<") && !self.looking_at(b"<<<") {
            return Err(Stop::Unknown(COMPLEX));
        }
        self.redirected = true;
        let operator = OPERATORS.iter().find(|operator| self.looking_at(operator));
        self.at += operator.map_or(1, |operator| operator.len());
        self.not_continued()?;
        self.skip_blanks();
        match self.peek() {
            None | Some(b'\n' | b';' | b'|' | b'&' | b'(' | b')' | b'<' | b'>') => {
                Err(Stop::Syntax(REDIRECT))
            }
            Some(b'#') => Err(Stop::Syntax(REDIRECT)),
            Some(_) => {
                // In `<1>x` the digit belongs to the second redirection.
                let word = self.read_word()?;
                let duplicates = operator.is_some_and(|operator| operator.ends_with(b"&"));
                if self.is_descriptor(&word) && !duplicates {
                    Err(Stop::Syntax(REDIRECT))
                } else {
                    Ok(())
                }
            }
        }
    }

    fn read_word(&mut self) -> Result<Word, Stop> {
        let assigns = self.target()?;
        let mut parts = Parts::default();
        let in_value = assigns.is_some();
        // The text that a tilde may follow.
        let mut tilde = in_value;
        while let Some(byte) = self.peek() {
            let was_tilde = std::mem::replace(&mut tilde, false);
            match byte {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b')' => break,
                b'(' => {
                    return Err(if in_value {
                        Stop::Syntax(PAREN)
                    } else {
                        Stop::Unknown(COMPLEX)
                    });
                }
                b'<' | b'>' if self.text.get(self.at + 1) == Some(&b'(') => {
                    return Err(Stop::Unknown(COMPLEX));
                }
                b'<' | b'>' => break,
                b'~' if was_tilde => self.tilde(&mut parts)?,
                b':' => {
                    parts.push(byte, false);
                    self.at += 1;
                    tilde = in_value;
                }
                b'\\' if !in_value && self.looking_at(b"\\\n") => return Err(Stop::Unknown(COMPLEX)),
                b'\\' => self.backslash(&mut parts),
                b'\'' => self.single_quoted(&mut parts)?,
                b'"' => self.double_quoted(&mut parts)?,
                b'`' => self.backquoted(&mut parts)?,
                b'$' => self.dollar(&mut parts, false, 0)?,
                _ => {
                    parts.push(byte, false);
                    self.at += 1;
                }
            }
        }
        Ok(Word {
            assigns,
            parts: parts.done,
        })
    }

    /// `NAME=`, `NAME+=` or `NAME[...]=` here.
    fn target(&mut self) -> Result<Option<Target>, Stop> {
        let rest = &self.text[self.at..];
        let length = name_length(rest);
        if length == 0 {
            return Ok(None);
        }
        let name = rest[..length].to_vec();
        let mut end = length;
        let mut subscript = false;
        if rest.get(end) == Some(&b'[') {
            let inside = rest[end + 1..]
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric())
                .count();
            if rest.get(end + 1 + inside) != Some(&b']') {
                return Ok(None);
            }
            subscript = true;
            end += inside + 2;
        }
        let append = rest[end..].starts_with(b"+=");
        end += usize::from(append);
        if rest.get(end) != Some(&b'=') {
            return Ok(None);
        }
        if rest.get(end + 1) == Some(&b'(') {
            return Err(Stop::Unknown("bash arrays are beyond the model"));
        }
        self.at += end + 1;
        Ok(Some(Target {
            name,
            append,
            subscript,
        }))
    }
}
