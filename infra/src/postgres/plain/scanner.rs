//! Where the SQL of a dump begins and ends: what stands in quotes, in a function's body or in a comment is data, and what
//! stands outside of them acts, wherever on its line it begins.
//!
//! Follows psql's own scanner (`psqlscan.l`) in what it takes for a word, a variable, a string, a name, a dollar quote and
//! a comment. Where its versions differ, the line is [`Acts::Unclear`]. `infra/tests/plain.rs` compares the two.

/// How much of a statement is looked at, without its strings: `COPY` names up to 1,600 columns.
const LOOKED_AT: usize = 256 << 10;
/// How many strings of a statement are kept, and how many bytes of each.
const STRINGS: (usize, usize) = (2, 64);

/// What the text is within, between two characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Sql,
    /// A string; whether a backslash escapes.
    Text { escapes: bool },
    /// `B'..'` or `X'..'`, which know no doubled quote.
    Bits,
    /// A name in double quotes.
    Name,
    /// A dollar quote, with its tag.
    Dollar(Vec<u8>),
    /// Comments within comments.
    Comment(u32),
}

/// What a line holds that acts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Acts {
    /// A command of psql.
    Command,
    /// A statement that ended on this line, or a part of one that its semicolon ends.
    Statement(Statement),
    /// Something that versions of psql take differently.
    Unclear,
    /// A carriage return outside of quotes: psql ends comments there, and people do not see it.
    CarriageReturn,
}

/// A statement.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    /// In upper case, one space between words, without strings and quoted names.
    pub(super) text: String,
    /// The beginnings of its first strings.
    pub(super) strings: Vec<String>,
    /// Whether it is what follows the first semicolon of a function's body (`BEGIN ATOMIC`) or of a rule's list of actions.
    pub(super) inner: bool,
}

/// A dump, line by line.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    within: Within,
    statement: Statement,
    /// Whether the string that we are in is kept.
    keeping: bool,
    /// `standard_conforming_strings = off`: a backslash escapes in every string.
    old_strings: bool,
    /// Open parentheses: no semicolon in them ends a statement.
    parentheses: u32,
    /// Open `BEGIN` and `CASE` of a function's body.
    blocks: u32,
    /// The words that the statement began with, for finding functions.
    words: Vec<String>,
}

fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_in_word(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_in_variable(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit()
}

fn length(text: &[u8], is: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| is(**byte)).count()
}

impl Scanner {
    /// Whether the next line begins outside of strings and comments, and with it a statement.
    pub(super) fn is_between_statements(&self) -> bool {
        let nothing = self.statement.text.trim().is_empty() && !self.statement.inner;
        self.within == Within::Sql && nothing
    }

    /// One line without its line feed.
    pub(super) fn line(&mut self, line: &[u8]) -> Vec<Acts> {
        let mut found = Vec::new();
        let mut at = 0;
        let mut later = self.old_strings;
        while let Some(&byte) = line.get(at) {
            let rest = &line[at..];
            at += match &mut self.within {
                Within::Sql => match self.sql(byte, rest, &mut found, &mut later) {
                    Some(taken) => taken,
                    // The rest of the line is psql's or a comment.
                    None => break,
                },
                Within::Text { escapes } if *escapes && byte == b'\\' => 2,
                Within::Text { .. } if rest.starts_with(b"''") => 2,
                Within::Name if rest.starts_with(b"\"\"") => 2,
                Within::Text { .. } | Within::Bits if byte == b'\'' => self.back(1),
                Within::Name if byte == b'"' => self.back(1),
                Within::Dollar(tag) if rest.starts_with(tag) => {
                    let length = tag.len();
                    self.back(length)
                }
                Within::Comment(depth) if rest.starts_with(b"/*") => {
                    *depth += 1;
                    2
                }
                Within::Comment(depth) if rest.starts_with(b"*/") => {
                    *depth -= 1;
                    if *depth == 0 {
                        self.within = Within::Sql;
                    }
                    2
                }
                Within::Comment(_) if byte == b'\r' => {
                    found.push(Acts::CarriageReturn);
                    1
                }
                Within::Text { .. } => {
                    self.keep(byte);
                    1
                }
                _ => 1,
            };
        }
        self.add(' ');
        // psql asks for the setting when a line begins.
        self.old_strings = later;
        found
    }

    fn back(&mut self, taken: usize) -> usize {
        self.within = Within::Sql;
        self.keeping = false;
        taken
    }

    /// One place outside of everything; `None`: nothing that follows on the line is SQL.
    fn sql(&mut self, byte: u8, rest: &[u8], found: &mut Vec<Acts>, later: &mut bool) -> Option<usize> {
        match byte {
            b'\\' => {
                found.push(Acts::Command);
                return None;
            }
            b'-' if rest.starts_with(b"--") => {
                if rest.contains(&b'\r') {
                    found.push(Acts::CarriageReturn);
                }
                return None;
            }
            b'/' if rest.starts_with(b"/*") => {
                self.add(' ');
                self.within = Within::Comment(1);
                return Some(2);
            }
            b'\r' => found.push(Acts::CarriageReturn),
            b'\'' => return Some(self.open(self.old_strings, 1)),
            b'"' => {
                self.add(' ');
                self.within = Within::Name;
                return Some(1);
            }
            b'$' => {
                let tag = length(&rest[1..], is_in_variable);
                let digit = rest.get(1).is_some_and(u8::is_ascii_digit);
                if digit {
                    return Some(self.number(rest, found));
                }
                if rest.get(tag + 1) == Some(&b'$') {
                    self.add(' ');
                    self.within = Within::Dollar(rest[..tag + 2].to_vec());
                    return Some(tag + 2);
                }
            }
            b':' if rest.starts_with(b"::") => return Some(self.take(rest, 2)),
            // A variable of psql: `:e'..'` is no string with escapes.
            b':' => return Some(self.take(rest, 1 + length(&rest[1..], is_in_variable))),
            b'(' => self.parentheses += 1,
            b')' => self.parentheses = self.parentheses.saturating_sub(1),
            b';' => {
                self.end(found, later);
                return Some(1);
            }
            _ if byte.is_ascii_digit() => return Some(self.number(rest, found)),
            _ if begins_word(byte) => return Some(self.word(rest)),
            _ => {}
        }
        self.add(char::from(byte));
        Some(1)
    }

    /// A string begins after these bytes.
    fn open(&mut self, escapes: bool, taken: usize) -> usize {
        self.add(' ');
        self.within = Within::Text { escapes };
        self.keeping = self.statement.strings.len() < STRINGS.0;
        if self.keeping {
            self.statement.strings.push(String::new());
        }
        taken
    }

    fn keep(&mut self, byte: u8) {
        if let Some(string) = self.statement.strings.last_mut()
            && self.keeping
            && string.len() < STRINGS.1
        {
            string.push(char::from(byte));
        }
    }

    /// A word, and the string that it is the prefix of.
    fn word(&mut self, rest: &[u8]) -> usize {
        let end = length(rest, is_in_word);
        let prefix = match end {
            1 => rest[0].to_ascii_lowercase(),
            _ => 0,
        };
        match (prefix, &rest[end..]) {
            (b'e', [b'\'', ..]) => return self.open(true, 2),
            (b'n', [b'\'', ..]) => return self.open(self.old_strings, 2),
            (b'u', [b'&', b'\'', ..]) => return self.open(false, 3),
            (b'b' | b'x', [b'\'', ..]) => {
                self.add(' ');
                self.within = Within::Bits;
                return 2;
            }
            _ => {}
        }
        self.take(rest, end);
        if self.words.len() < 4 {
            self.words
                .push(String::from_utf8_lossy(&rest[..end]).to_ascii_uppercase());
        }
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let makes_function = matches!(
            words.as_slice(),
            ["CREATE", "FUNCTION" | "PROCEDURE", ..] | ["CREATE", "OR", "REPLACE", "FUNCTION" | "PROCEDURE"]
        );
        if makes_function && self.parentheses == 0 {
            match rest[..end].to_ascii_uppercase().as_slice() {
                b"BEGIN" => self.blocks += 1,
                b"CASE" if self.blocks > 0 => self.blocks += 1,
                b"END" => self.blocks = self.blocks.saturating_sub(1),
                _ => {}
            }
        }
        end
    }

    /// A number or `$1`. What follows its digits directly (`1e'..'`) was a word of its own until PostgreSQL 15.
    fn number(&mut self, rest: &[u8], found: &mut Vec<Acts>) -> usize {
        let end = 1 + length(&rest[1..], |byte| is_in_variable(byte) || byte == b'.');
        let odd = rest[1..end].iter().any(|byte| begins_word(*byte));
        if odd && matches!(rest.get(end), Some(b'\'' | b'$')) {
            found.push(Acts::Unclear);
        }
        self.take(rest, end)
    }

    fn take(&mut self, rest: &[u8], end: usize) -> usize {
        for byte in &rest[..end] {
            self.add(char::from(*byte));
        }
        end
    }

    /// A semicolon.
    fn end(&mut self, found: &mut Vec<Acts>, later: &mut bool) {
        let inside = self.parentheses > 0 || self.blocks > 0;
        let mut statement = std::mem::take(&mut self.statement);
        statement.text.truncate(statement.text.trim_end().len());
        self.statement.inner = inside;
        if !inside {
            self.words.clear();
        }
        match statement.text.as_str() {
            "SET STANDARD_CONFORMING_STRINGS = OFF" => *later = true,
            "SET STANDARD_CONFORMING_STRINGS = ON" => *later = false,
            _ => {}
        }
        found.push(Acts::Statement(statement));
    }

    fn add(&mut self, c: char) {
        let c = if c.is_ascii_whitespace() {
            ' '
        } else {
            c.to_ascii_uppercase()
        };
        let text = &mut self.statement.text;
        let twice = c == ' ' && (text.is_empty() || text.ends_with(' '));
        if self.within == Within::Sql && !twice && text.len() < LOOKED_AT {
            text.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Acts, Scanner};

    fn acts(text: &str) -> Vec<String> {
        let mut scanner = Scanner::default();
        let found = text.split('\n').flat_map(|line| scanner.line(line.as_bytes()));
        found
            .map(|acts| match acts {
                Acts::Command => "\\".to_owned(),
                Acts::Statement(statement) => statement.text,
                Acts::Unclear => "unclear".to_owned(),
                Acts::CarriageReturn => "CR".to_owned(),
            })
            .collect()
    }

    #[test]
    fn what_is_quoted_does_not_act() {
        for text in [
            "SELECT ' \n\\connect x\nDROP DATABASE y; ';",
            "SELECT E'it\\'s\n\\connect x;';",
            "SELECT 'it''s\n\\connect x;';",
            "SELECT \"odd \"\" name\n\\connect x;\";",
            "SELECT $$ \n\\connect x; $a$ ' $$;",
            "SELECT $tag$ \n\\connect x; $$ \" $tag$;",
            "SELECT /* /* \\connect */ \n\\connect x; */ 1;",
            "SELECT 1 -- \\connect x;\n;",
            "SELECT x::e'it\\'s \\! x';",
            "SELECT B'1', X'1f', N'n', U&'\\0041', 1$$ \\! x $$, f.e'\\' \\! x';",
            "SELECT $a$ \r\n\\! x\r\n$a$, 'a\r\n\\! x';",
        ] {
            let found = acts(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with("SELECT"), "{text}: {found:?}");
        }
    }

    #[test]
    fn what_acts_is_seen_wherever_it_begins() {
        assert_eq!(acts("  \\! x"), ["\\"]);
        assert_eq!(acts("select 1; \\c x"), ["SELECT 1", "\\"]);
        assert_eq!(acts("select '\\'; \\c x"), ["SELECT", "\\"]);
        assert_eq!(
            acts("COMMIT; /* x */ create\n  database evil; BEGIN;"),
            ["COMMIT", "CREATE DATABASE EVIL", "BEGIN"]
        );
        assert_eq!(acts("SELECT a$1, $1;\\x"), ["SELECT A$1, $1", "\\"]);
        assert_eq!(acts("drop/**/role x;"), ["DROP ROLE X"]);
    }

    #[test]
    fn what_looks_like_the_beginning_of_a_quote_and_is_none_hides_nothing() {
        for text in [
            // The last letter of a word, a variable, bits, an escape of Unicode.
            "SELECT name'\\'; \\! x\n-- '\n;",
            "SELECT :e'\\'; \\! x\n-- '\n;",
            "SELECT b'\\'; \\! x\n-- '\n;",
            "SELECT u&'\\'; \\! x\n-- '\n;",
            // `$` within a word begins no dollar quote, and after a number it does.
            "SELECT a$$; \\! x\n-- $$\n;",
            "SELECT 1$$ ' $$; \\! x\n-- '\n;",
            "SELECT $1$$ ' $$; \\! x\n-- '\n;",
            // The setting counts from the next line on.
            "SET standard_conforming_strings = off; SELECT '\\'; \\! x\n-- '\n;",
        ] {
            assert!(acts(text).contains(&"\\".to_owned()), "{text}: {:?}", acts(text));
        }
        for text in [
            "SELECT 1e'\\'; \\! x';",
            "SELECT 1a$$ ' $$;",
            "SELECT 1.e'x';",
            "SELECT $1a$$ $$;",
        ] {
            assert!(acts(text).contains(&"unclear".to_owned()), "{text}");
        }
    }

    #[test]
    fn carriage_returns_outside_of_quotes_are_told() {
        for text in [
            "-- a\r\\! x",
            "SELECT 1;\r",
            "SELECT E'a'\r'\\'; \\! x';",
            "/* a\r */",
        ] {
            assert!(acts(text).contains(&"CR".to_owned()), "{text:?}");
        }
    }

    #[test]
    fn the_body_of_a_function_is_one_statement() {
        let text = "CREATE FUNCTION f() RETURNS int\n BEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 END;\n SELECT 2;\nEND;\nSELECT 3;";
        let mut scanner = Scanner::default();
        let found: Vec<Acts> = text
            .split('\n')
            .flat_map(|line| scanner.line(line.as_bytes()))
            .collect();
        let inner: Vec<bool> = found
            .iter()
            .map(|acts| matches!(acts, Acts::Statement(statement) if statement.inner))
            .collect();
        assert_eq!(inner, [false, true, true, false], "{found:?}");
    }

    #[test]
    fn old_strings_escape_when_the_dump_says_so() {
        let text = "SET standard_conforming_strings = off;\nSELECT 'it\\'s \\connect x';";
        assert_eq!(acts(text).len(), 2);
    }
}
