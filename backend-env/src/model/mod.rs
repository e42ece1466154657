//! The readers, modelled one by one after their sources, bugs included.
//!
//! Every model takes time linear in the file. Where only a run would tell, it says so ([`Reading::Unknown`])
//! instead of guessing.

mod compose;
mod python;
mod template;

use std::borrow::Cow;
use std::collections::HashMap;

use crate::reader::{Environment, Reader};
use crate::reading::{Found, Reading, Readings};

/// What `reader` gets from the file.
///
/// A pinned key reads as the same fixed text wherever another value refers to it, whatever the file says: two
/// files that differ in nothing but that key then read the same.
pub(crate) fn read(bytes: &[u8], reader: Reader, environment: &Environment, pin: Option<&str>) -> Readings {
    let scope = Scope::new(environment, pin, bytes.len());
    match reader {
        Reader::PythonDotenv => python::read(bytes, reader, scope),
        Reader::Compose => compose::read(bytes, reader, scope),
    }
}

/// What a key stands for while a file is being read.
#[derive(Clone)]
enum Val {
    Known(Vec<u8>),
    Unset,
    Unknown(&'static str),
}

/// The variables a value may refer to.
struct Scope<'a> {
    environment: &'a Environment,
    pin: Option<&'a [u8]>,
    values: HashMap<Vec<u8>, (usize, Val)>,
    /// Bytes that references may still add: a chain of doublings would otherwise fill the memory.
    budget: usize,
}

const PINNED: &[u8] = b"pinned";
const TOO_LARGE: &str = "the references expand to more than any environment holds";

impl<'a> Scope<'a> {
    fn new(environment: &'a Environment, pin: Option<&'a str>, size: usize) -> Scope<'a> {
        let budget = (16 << 20) + 8 * size;
        Scope {
            environment,
            pin: pin.map(str::as_bytes),
            values: HashMap::new(),
            budget,
        }
    }

    fn set(&mut self, key: &[u8], line: usize, value: Val) {
        self.values.insert(key.to_vec(), (line, value));
    }

    fn pinned(&self, name: &[u8]) -> Option<&[u8]> {
        self.pin.filter(|pin| *pin == name).map(|_| PINNED)
    }

    fn in_environment(&self, name: &[u8]) -> Option<&[u8]> {
        self.pinned(name).or_else(|| self.environment.get(name))
    }

    fn in_file(&self, name: &[u8]) -> Option<&Val> {
        self.values.get(name).map(|(_, value)| value)
    }

    /// Returns the value of the file before that of the environment, as python-dotenv does; `None` when neither sets it.
    fn file_first(&self, name: &[u8]) -> Option<Cow<'_, Val>> {
        if let Some(pinned) = self.pinned(name) {
            return Some(Cow::Owned(Val::Known(pinned.to_vec())));
        }
        match self.in_file(name) {
            Some(value) => Some(Cow::Borrowed(value)),
            None => self
                .environment
                .get(name)
                .map(|value| Cow::Owned(Val::Known(value.to_vec()))),
        }
    }

    /// The environment first, as in compose.
    fn environment_first(&self, name: &[u8]) -> Option<Cow<'_, Val>> {
        match self.in_environment(name) {
            Some(value) => Some(Cow::Owned(Val::Known(value.to_vec()))),
            None => self.in_file(name).map(Cow::Borrowed),
        }
    }

    /// Takes `length` from the budget; fails when it is used up.
    fn spend(&mut self, length: usize) -> Result<(), &'static str> {
        self.budget = self.budget.checked_sub(length).ok_or(TOO_LARGE)?;
        Ok(())
    }

    fn into_readings(self, mut readings: Readings) -> Readings {
        readings.values.reserve(self.values.len());
        for (key, (line, value)) in self.values {
            let reading = match value {
                Val::Known(value) => Reading::Value(value),
                Val::Unset => Reading::Unset,
                Val::Unknown(why) => Reading::Unknown { line, why },
            };
            readings.values.insert(key, Found { line, reading });
        }
        readings
    }
}

/// Turns growing offsets into line numbers, in one pass over the text.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a [u8]) -> Lines<'a> {
        Lines { text, at: 0, line: 1 }
    }

    fn line(&mut self, offset: usize) -> usize {
        let offset = offset.clamp(self.at, self.text.len());
        self.line += self.text[self.at..offset].iter().filter(|b| **b == b'\n').count();
        self.at = offset;
        self.line
    }
}

/// The line of the first byte that is not UTF-8.
fn invalid_line(bytes: &[u8], error: std::str::Utf8Error) -> usize {
    Lines::new(bytes).line(error.valid_up_to())
}
