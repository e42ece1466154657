//! A value that cannot be printed or serialised by accident, and the redactor that finds one in foreign text.

mod ordinary;
mod quoted;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, RwLock};

/// What stands where a secret stood.
pub const MASK: &str = "***";

/// A password or key. `Debug` and `Display` print [`MASK`]; there is no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes ownership of a secret value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Arc::from(value.into()))
    }

    /// The value itself. Callers hand it to a child's environment or standard input, never to argv or a message.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A new value of 128 random bits, in characters that every `.env` spelling and every URL can hold.
    pub fn random() -> Self {
        use std::hash::{BuildHasher, RandomState};
        // RandomState is seeded by the operating system.
        let digits = |n: u64| format!("{:016x}", RandomState::new().hash_one(n));
        Self::new(format!("re_{}{}", digits(1), digits(2)))
    }

    /// Whether the value is the empty string.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Replaces every known secret in text that other programs wrote: their output may quote what we gave them.
#[derive(Clone, Default)]
pub struct Redactor {
    needles: Arc<RwLock<Vec<String>>>,
    names: Arc<RwLock<BTreeSet<String>>>,
}

impl Redactor {
    /// Adds a secret, in the spellings programs use when they quote it back (SQL literal, URL, JSON).
    pub fn add(&self, secret: &Secret) {
        let value = secret.expose();
        if value.is_empty() {
            return;
        }
        let mut needles = self
            .needles
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let json = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        // Output is redacted line by line, so each line of a multi-line secret is a secret of its own.
        let lines = value.lines().filter(|line| line.len() > 3).map(str::to_owned);
        let spellings = [
            value.to_owned(),
            value.replace('\'', "''"),
            percent_encode(value),
            json,
        ];
        for spelling in spellings.into_iter().chain(lines) {
            if !needles.contains(&spelling) {
                needles.push(spelling);
            }
        }
        // The longest first: a secret that contains another must vanish whole.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    }

    /// Adds names of hosts, roles, databases, services and images: a secret that is spelled like one of them is hidden only where
    /// a password stands.
    pub fn add_names(&self, names: impl IntoIterator<Item = String>) {
        let mut known = self
            .names
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        known.extend(names);
    }

    fn is_ordinary(&self, needle: &str) -> bool {
        let names = self
            .names
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        ordinary::is_word(needle) || names.contains(needle)
    }

    /// Every secret that is known and is no ordinary word, in every spelling: for a runner that masks by itself.
    pub fn known(&self) -> Vec<Secret> {
        let needles = self
            .needles
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let secrets = needles.iter().filter(|needle| !self.is_ordinary(needle));
        secrets.map(Secret::new).collect()
    }

    /// The text with every known secret replaced by [`MASK`].
    pub fn redact(&self, text: &str) -> String {
        let needles = self
            .needles
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut out = text.to_owned();
        for needle in needles.iter() {
            if !out.contains(needle.as_str()) {
                continue;
            }
            out = if self.is_ordinary(needle) {
                replace_where(&out, needle, ordinary::stands_as_a_secret)
            } else if is_short(needle) {
                replace_where(&out, needle, stands_alone)
            } else {
                out.replace(needle.as_str(), MASK)
            };
        }
        out
    }

    /// Text that a program printed, without known secrets and without those that a quoted statement or address holds.
    pub fn redact_output(&self, text: &str) -> String {
        quoted::mask(&self.redact(text))
    }
}

/// Whether a password is an ordinary word, which samples and tutorials publish.
pub fn is_ordinary(secret: &str) -> bool {
    ordinary::is_word(secret)
}

/// Letters that half of all words hold: masked everywhere, they would leave nothing to read.
fn is_short(needle: &str) -> bool {
    needle.len() < 4 && needle.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether what stands between these two texts is no part of a word, as every value is: it is between quotes, blanks or signs, at
/// an end of the text, or behind an escape (`\n`, `%20`, a colour).
fn stands_alone(before: &str, after: &str) -> bool {
    let begins = !before.ends_with(char::is_alphanumeric) || ends_with_escape(before);
    begins && !after.starts_with(char::is_alphanumeric)
}

/// Masks a secret where the texts before and behind it say so.
fn replace_where(text: &str, needle: &str, is_secret: fn(&str, &str) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = 0;
    for (at, _) in text.match_indices(needle) {
        let (before, after) = (&text[..at], &text[at + needle.len()..]);
        if is_secret(before, after) {
            out.push_str(&text[rest..at]);
            out.push_str(MASK);
            rest = at + needle.len();
        }
    }
    out.push_str(&text[rest..]);
    out
}

/// `\n`, `%20` or a terminal's colour at the end of a text.
fn ends_with_escape(text: &str) -> bool {
    let bytes = text.as_bytes();
    let colour = text
        .strip_suffix('m')
        .map(|text| text.trim_end_matches(|c: char| c.is_ascii_digit() || c == ';'));
    colour.is_some_and(|text| text.ends_with("\x1b["))
        || matches!(bytes, [.., b'\\', _])
        || matches!(bytes, [.., b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

fn percent_encode(value: &str) -> String {
    value
        .bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_a_mask() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }

    #[test]
    fn the_redactor_knows_the_spellings_of_a_secret() {
        let redactor = Redactor::default();
        redactor.add(&Secret::new("it's a\"b"));
        for text in [
            "it's a\"b",
            "PASSWORD 'it''s a\"b'",
            "postgres://u:it%27s%20a%22b@h",
            "{\"p\":\"it's a\\\"b\"}",
        ] {
            assert!(!redactor.redact(text).contains("it"), "{text}");
        }
    }

    #[test]
    fn a_short_secret_is_masked_as_a_value_and_not_inside_words() {
        let redactor = Redactor::default();
        redactor.add(&Secret::new("a"));
        assert_eq!(
            redactor.redact("start the database, as ever"),
            "start the database, as ever"
        );
        for (text, masked) in [
            ("postgres://u:a@h", "postgres://u:***@h"),
            ("PASSWORD='a'", "PASSWORD='***'"),
            ("password=a", "password=***"),
            ("a", "***"),
            (r#"{"p":"x\na"}"#, r#"{"p":"x\n***"}"#),
            ("q=%20a&r", "q=%20***&r"),
            ("\x1b[1;31ma\x1b[0m", "\x1b[1;31m***\x1b[0m"),
        ] {
            assert_eq!(redactor.redact(text), masked);
        }
        // Four letters or a sign, and it goes wherever it is.
        redactor.add(&Secret::new("data"));
        redactor.add(&Secret::new("s,"));
        assert_eq!(redactor.redact("databases, x"), "***base*** x");
    }

    #[test]
    fn c4_a_secret_that_is_a_name_elsewhere_is_hidden_where_a_password_stands_and_nowhere_else() {
        let redactor = Redactor::default();
        redactor.add_names(["app".to_owned()]);
        redactor.add(&Secret::new("postgres"));
        redactor.add(&Secret::new("app"));
        for text in [
            "target.image is postgres:16-alpine",
            "role app of container mvp-postgres",
            "the password of postgres is wrong",
        ] {
            assert_eq!(redactor.redact(text), text);
        }
        for (text, masked) in [
            ("LABELER_DB_PASSWORD=postgres", "LABELER_DB_PASSWORD=***"),
            ("DB_PASSWORD: \"app\"", "DB_PASSWORD: \"***\""),
            (
                "{\"password\":\"app\",\"user\":\"app\"}",
                "{\"password\":\"***\",\"user\":\"app\"}",
            ),
            ("ALTER ROLE app PASSWORD 'app'", "ALTER ROLE app PASSWORD '***'"),
            ("postgres://postgres:postgres@db", "postgres://postgres:***@db"),
        ] {
            assert_eq!(redactor.redact(text), masked);
        }
        assert!(redactor.known().is_empty());
    }

    #[test]
    fn a_secret_inside_another_leaves_no_rest() {
        let redactor = Redactor::default();
        redactor.add(&Secret::new("pass"));
        redactor.add(&Secret::new("passphrase"));
        assert_eq!(redactor.redact("the passphrase"), "the ***");
    }
}
