//! The name of a run.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::time;

/// `20261209_141502_3fa9`: UTC time and four hex digits. Fixed once at the start, so that nothing depends on the
/// date again later, and plain enough to be part of a database or container name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// A new id.
    pub fn new() -> Self {
        let mut hasher = std::hash::DefaultHasher::new();
        std::hash::Hash::hash(&(std::time::SystemTime::now(), std::process::id()), &mut hasher);
        let digits = std::hash::Hasher::finish(&hasher) & 0xffff;
        Self(format!("{}_{digits:04x}", time::compact_now()))
    }

    /// Reads an id that a person typed or that names a folder.
    pub fn parse(text: &str) -> Option<Self> {
        let shape = "dddddddd_dddddd_xxxx";
        let fits = text.len() == shape.len()
            && text.chars().zip(shape.chars()).all(|(c, wanted)| match wanted {
                'd' => c.is_ascii_digit(),
                'x' => c.is_ascii_digit() || ('a'..='f').contains(&c),
                other => c == other,
            });
        fits.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for RunId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_nothing_else_does() {
        let id = RunId::new();
        assert_eq!(RunId::parse(id.as_str()), Some(id));
        assert_eq!(RunId::parse("../../etc"), None);
        assert_eq!(RunId::parse("20261209_141502_XYZW"), None);
    }
}
