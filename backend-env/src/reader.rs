//! The programs that read `.env` files, and the environment they run in.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A program that reads `.env` files, in the version whose behaviour is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reader {
    /// python-dotenv from 1.2.3 on (run: 1.2.4); pydantic-settings reads through it. What is written is read back by older ones
    /// and by docker-compose 1.29 as well, which reads through one (run: 1.0.0).
    PythonDotenv,
    /// Docker Compose v2 (compose-go 2).
    Compose,
}

impl Reader {
    /// Every reader that is modelled.
    pub const ALL: &'static [Reader] = &[Reader::PythonDotenv, Reader::Compose];

    /// The name on the command line and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Reader::PythonDotenv => "python-dotenv",
            Reader::Compose => "compose",
        }
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name of a reader that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownReader(String);

impl fmt::Display for UnknownReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Reader::ALL.iter().map(|reader| reader.name()).collect();
        write!(
            f,
            "there is no reader named `{}`; the readers are {}",
            self.0,
            names.join(", ")
        )
    }
}

impl std::error::Error for UnknownReader {}

impl FromStr for Reader {
    type Err = UnknownReader;

    fn from_str(name: &str) -> Result<Reader, UnknownReader> {
        let found = Reader::ALL.iter().find(|reader| reader.name() == name);
        found.copied().ok_or_else(|| UnknownReader(name.to_owned()))
    }
}

/// The process environment of a reader, which `${NAME}` in the file may refer to.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<Vec<u8>, Vec<u8>>);

impl Environment {
    /// No variables at all.
    pub fn empty() -> Environment {
        Environment::default()
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

impl<K: Into<Vec<u8>>, V: Into<Vec<u8>>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Environment {
        Environment(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// Names only.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.keys().map(|name| String::from_utf8_lossy(name));
        f.debug_tuple("Environment")
            .field(&names.collect::<Vec<_>>())
            .finish()
    }
}
