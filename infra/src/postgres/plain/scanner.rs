//! Where the SQL of a dump begins and ends: what stands in quotes, in a function's body or in a comment is data, and what
//! stands outside of them acts, wherever on its line it begins.
//!
//! Follows psql's own scanner (`psqlscan.l`) in what it takes for a string, a name, a dollar quote and a comment.

/// How much of a statement is looked at, without its strings: `COPY` names up to 1,600 columns.
const LOOKED_AT: usize = 256 << 10;

/// What the text is within, between two characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Sql,
    /// A string; whether a backslash escapes.
    Text { escapes: bool },
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
    /// A statement that ended on this line: in upper case, one space between words, without strings and quoted names.
    Statement(String),
}

/// A dump, line by line.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    within: Within,
    statement: String,
    /// `standard_conforming_strings = off`: a backslash escapes in every string.
    old_strings: bool,
}

impl Scanner {
    /// Whether the next line begins outside of strings and comments, and with it a statement.
    pub(super) fn is_between_statements(&self) -> bool {
        self.within == Within::Sql && self.statement.trim().is_empty()
    }

    /// One line without its end.
    pub(super) fn line(&mut self, line: &[u8]) -> Vec<Acts> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(&byte) = line.get(at) {
            let rest = &line[at..];
            at += match &mut self.within {
                Within::Sql => match self.sql(byte, rest, line[..at].last().copied(), &mut found) {
                    Some(taken) => taken,
                    // The rest of the line is psql's or a comment.
                    None => return self.end(found),
                },
                Within::Text { escapes } if *escapes && byte == b'\\' => 2,
                Within::Text { .. } if rest.starts_with(b"''") => 2,
                Within::Name if rest.starts_with(b"\"\"") => 2,
                Within::Text { .. } if byte == b'\'' => self.back(1),
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
                _ => 1,
            };
        }
        self.end(found)
    }

    fn end(&mut self, found: Vec<Acts>) -> Vec<Acts> {
        self.add(' ');
        found
    }

    fn back(&mut self, taken: usize) -> usize {
        self.within = Within::Sql;
        taken
    }

    /// One place outside of everything; `None`: nothing that follows on the line is SQL.
    fn sql(&mut self, byte: u8, rest: &[u8], before: Option<u8>, found: &mut Vec<Acts>) -> Option<usize> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        match byte {
            b'\\' => {
                found.push(Acts::Command);
                return None;
            }
            b'-' if rest.starts_with(b"--") => return None,
            b'/' if rest.starts_with(b"/*") => {
                self.within = Within::Comment(1);
                return Some(2);
            }
            b'\'' => {
                let prefixed = before.is_some_and(|byte| byte.eq_ignore_ascii_case(&b'e'));
                let escapes = prefixed || self.old_strings;
                self.within = Within::Text { escapes };
            }
            b'"' => self.within = Within::Name,
            b'$' if !before.is_some_and(is_word) => {
                let tag = rest[1..].iter().take_while(|byte| is_word(**byte)).count();
                let digit = rest.get(1).is_some_and(u8::is_ascii_digit);
                if rest.get(tag + 1) == Some(&b'$') && !digit {
                    self.within = Within::Dollar(rest[..tag + 2].to_vec());
                    return Some(tag + 2);
                }
            }
            b';' => {
                let statement = std::mem::take(&mut self.statement).trim().to_owned();
                match statement.as_str() {
                    "SET STANDARD_CONFORMING_STRINGS = OFF" => self.old_strings = true,
                    "SET STANDARD_CONFORMING_STRINGS = ON" => self.old_strings = false,
                    _ => {}
                }
                found.push(Acts::Statement(statement));
                return Some(1);
            }
            _ => {}
        }
        self.add(char::from(byte).to_ascii_uppercase());
        Some(1)
    }

    fn add(&mut self, c: char) {
        let c = if c.is_ascii_whitespace() { ' ' } else { c };
        let twice = c == ' ' && (self.statement.is_empty() || self.statement.ends_with(' '));
        if self.within == Within::Sql && !twice && self.statement.len() < LOOKED_AT {
            self.statement.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Acts, Scanner};

    fn acts(text: &str) -> Vec<String> {
        let mut scanner = Scanner::default();
        let found = text.lines().flat_map(|line| scanner.line(line.as_bytes()));
        found
            .map(|acts| match acts {
                Acts::Command => "\\".to_owned(),
                Acts::Statement(text) => text,
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
    }

    #[test]
    fn old_strings_escape_when_the_dump_says_so() {
        let text = "SET standard_conforming_strings = off;\nSELECT 'it\\'s \\connect x';";
        assert_eq!(acts(text).len(), 2);
    }
}
