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
        std::hash::Hash::hash(&(time::clock(), std::process::id()), &mut hasher);
        let digits = std::hash::Hasher::finish(&hasher) & 0xffff;
        Self(format!("{}_{digits:04x}", time::compact_now()))
    }

    /// A new id that sorts after this one: the newest run is the one with the greatest name, and a clock may have been
    /// put back since.
    pub fn after(newest: Option<&Self>) -> Self {
        let id = Self::new();
        match newest {
            Some(newest) if id <= *newest => newest.next_second(&id).unwrap_or(id),
            _ => id,
        }
    }

    /// One second later, with the digits of `like`.
    fn next_second(&self, like: &Self) -> Option<Self> {
        let part = |from: usize, to: usize| self.0.get(from..to);
        let text = format!(
            "{}-{}-{}T{}:{}:{}Z",
            part(0, 4)?,
            part(4, 6)?,
            part(6, 8)?,
            part(9, 11)?,
            part(11, 13)?,
            part(13, 15)?
        );
        let at = humantime::parse_rfc3339(&text).ok()? + std::time::Duration::from_secs(1);
        Some(Self(format!("{}{}", time::compact(at), like.0.get(15..)?)))
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
    fn a_new_id_sorts_after_the_newest_whatever_the_clock_says() {
        let of = |text| RunId::parse(text).unwrap();
        let after = RunId::after(Some(&of("29991231_235959_ffff")));
        assert!(after.as_str().starts_with("30000101_000000_"), "{after}");
        assert!(RunId::after(Some(&of("20200101_000000_0000"))) > of("20200101_000001_ffff"));
        assert!(RunId::parse(after.as_str()).is_some());
        // No date: somebody made the folder by hand.
        assert!(RunId::after(Some(&of("99999999_999999_ffff"))) < of("99999999_999999_ffff"));
    }

    #[test]
    fn an_id_reads_back_and_nothing_else_does() {
        let id = RunId::new();
        assert_eq!(RunId::parse(id.as_str()), Some(id));
        assert_eq!(RunId::parse("../../etc"), None);
        assert_eq!(RunId::parse("20261209_141502_XYZW"), None);
    }
}
