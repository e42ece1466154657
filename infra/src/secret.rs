//! A value that cannot be printed or serialised by accident, and the redactor that finds one in foreign text.

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

    /// The text with every known secret replaced by [`MASK`].
    pub fn redact(&self, text: &str) -> String {
        let needles = self
            .needles
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut out = text.to_owned();
        for needle in needles.iter() {
            if out.contains(needle.as_str()) {
                out = out.replace(needle.as_str(), MASK);
            }
        }
        out
    }
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
    fn a_secret_inside_another_leaves_no_rest() {
        let redactor = Redactor::default();
        redactor.add(&Secret::new("pass"));
        redactor.add(&Secret::new("passphrase"));
        assert_eq!(redactor.redact("the passphrase"), "the ***");
    }
}
