//! Words, taken apart.

use super::quote::COMMAND;

/// A piece of a word.
pub(super) enum Part {
    Literal {
        text: Vec<u8>,
        quoted: bool,
    },
    /// `~`
    Home,
    /// `$NAME`, `${NAME}`, `${NAME:-word}` and its kin.
    Variable {
        name: Vec<u8>,
        test: Test,
        word: Vec<Part>,
    },
    /// An argument of the file, which has none: nothing, not even an empty word.
    Nothing,
    /// Something only a run would tell.
    Unknown(&'static str),
}

/// How `${NAME...}` chooses between the value and its word: `-` takes the word instead of a missing value
/// (`instead`), `+` in place of one that is there; with `:` an empty value is a missing one.
#[derive(Clone, Copy)]
pub(super) enum Test {
    None,
    Unset { instead: bool },
    Empty { instead: bool },
}

/// `NAME=`, `NAME+=`, `NAME[...]=`.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) name: Vec<u8>,
    pub(super) append: bool,
    pub(super) subscript: bool,
}

pub(super) struct Word {
    pub(super) assigns: Option<Target>,
    /// Of the value when the word assigns, else of the whole word.
    pub(super) parts: Vec<Part>,
}

impl Word {
    /// The text when nothing has to be expanded.
    pub(super) fn literal(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        if let Some(target) = &self.assigns {
            out.extend_from_slice(&target.name);
            out.push(b'=');
        }
        for part in &self.parts {
            let Part::Literal { text, .. } = part else {
                return None;
            };
            out.extend_from_slice(text);
        }
        Some(out)
    }

    /// The text when it is written without quotes: only then it can be a keyword.
    pub(super) fn unquoted_literal(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [Part::Literal { text, quoted: false }] if self.assigns.is_none() => Some(text),
            _ => None,
        }
    }

    pub(super) fn runs_a_command(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Unknown(why) if *why == COMMAND))
    }

    /// Whether bash may put file names or several words in its place.
    pub(super) fn may_become_other_words(&self) -> bool {
        self.unquoted()
            .any(|text| text.iter().any(|b| b"*?[".contains(b)))
            || self.may_split_into_braces()
    }

    fn unquoted(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal { text, quoted: false } => Some(text.as_slice()),
            _ => None,
        })
    }

    /// Whether `{a,b}` or `{a..b}` may be in it, which `export` takes apart.
    pub(super) fn may_split_into_braces(&self) -> bool {
        let has = |wanted: &[u8]| {
            self.unquoted()
                .any(|text| text.windows(wanted.len()).any(|w| w == wanted))
        };
        has(b"{") && has(b"}") && (has(b",") || has(b".."))
    }
}

/// Collects parts; neighbouring literals become one.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) done: Vec<Part>,
}

impl Parts {
    pub(super) fn add(&mut self, part: Part) {
        self.done.push(part);
    }

    pub(super) fn push(&mut self, byte: u8, quoted: bool) {
        self.extend(&[byte], quoted);
    }

    pub(super) fn extend(&mut self, bytes: &[u8], quoted: bool) {
        match self.done.last_mut() {
            Some(Part::Literal { text, quoted: last }) if *last == quoted => text.extend_from_slice(bytes),
            _ => self.done.push(Part::Literal {
                text: bytes.to_vec(),
                quoted,
            }),
        }
    }
}
