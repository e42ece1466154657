//! Reads an edited file under every reader and compares it with what was wanted and with the file before.

use std::collections::HashSet;

use crate::conflict::Reason;
use crate::model;
use crate::reader::{Environment, Reader};
use crate::reading::{Reading, Readings};

/// What an edit is meant to do to the keys it touches.
pub(crate) enum Goal<'a> {
    /// The key reads as this value.
    Set(&'a str, &'a [u8]),
    /// The key is no longer set.
    Gone(&'a str),
    /// The second key reads as the first did, and the first is no longer set.
    Renamed(&'a str, &'a str),
}

/// The file before the edit, read by every reader.
pub(crate) struct Before<'a> {
    goal: Goal<'a>,
    bytes: &'a [u8],
    plain: Vec<Readings>,
    /// With the edited key pinned; empty as long as there is no reference in the file.
    pinned: Vec<Readings>,
}

pub(crate) struct Failure {
    pub(crate) readers: Vec<Reader>,
    pub(crate) reason: Reason,
}

impl<'a> Before<'a> {
    pub(crate) fn new(bytes: &'a [u8], goal: Goal<'a>, readers: &[Reader]) -> Before<'a> {
        Before {
            goal,
            bytes,
            plain: read_all(bytes, readers, None),
            pinned: Vec::new(),
        }
    }

    /// Whether every reader already reads what is wanted.
    pub(crate) fn is_met(&self) -> bool {
        self.plain
            .iter()
            .all(|readings| self.goal.reached(None, readings))
    }

    /// Verifies the edited file. Keys that refer to the edited one and follow its value are returned.
    pub(crate) fn verify(&mut self, after: &[u8]) -> Result<Vec<String>, Failure> {
        let readers: Vec<Reader> = self.plain.iter().map(Readings::reader).collect();
        let plain = read_all(after, &readers, None);
        let mut failures: Vec<(Reader, Reason)> = Vec::new();
        for (before, after) in self.plain.iter().zip(&plain) {
            if !self.goal.reached(Some(before), after) {
                failures.push((after.reader, self.goal.shortfall(after)));
            }
        }
        let mut follows = HashSet::new();
        if failures.is_empty() {
            let changed: Vec<_> = self
                .plain
                .iter()
                .zip(&plain)
                .map(|(b, a)| self.changed(b, a))
                .collect();
            let pin = self
                .goal
                .pin()
                .filter(|_| self.bytes.contains(&b'$') || after.contains(&b'$'));
            let pinned = if changed.iter().any(|keys| !keys.is_empty()) {
                pin
            } else {
                None
            };
            for (index, keys) in changed.iter().enumerate() {
                let really = match pinned {
                    Some(_) => self.changed_when_pinned(after, &readers, index),
                    None => keys.clone(),
                };
                if let Some((key, line)) = really.first() {
                    failures.push((
                        readers[index],
                        Reason::OtherKey {
                            key: key.clone(),
                            line: *line,
                        },
                    ));
                } else {
                    follows.extend(keys.iter().map(|(key, _)| key.clone()));
                }
            }
        }
        let Some((_, reason)) = failures.first() else {
            let mut follows: Vec<String> = follows.into_iter().collect();
            follows.sort_unstable();
            return Ok(follows);
        };
        let reason = reason.clone();
        let same = |other: &Reason| std::mem::discriminant(other) == std::mem::discriminant(&reason);
        let readers = failures
            .iter()
            .filter(|(_, other)| same(other))
            .map(|(reader, _)| *reader)
            .collect();
        Err(Failure { readers, reason })
    }

    fn changed_when_pinned(
        &mut self,
        after: &[u8],
        readers: &[Reader],
        index: usize,
    ) -> Vec<(String, usize)> {
        if self.pinned.is_empty() {
            self.pinned = read_all(self.bytes, readers, self.goal.pin());
        }
        let after = model::read(after, readers[index], &Environment::empty(), self.goal.pin());
        self.changed(&self.pinned[index], &after)
    }

    /// Untouched keys that read differently, with their line in the edited file, or before where they are gone. A
    /// reader that could not read the file before has nothing to lose.
    fn changed(&self, before: &Readings, after: &Readings) -> Vec<(String, usize)> {
        if before.rest != Reading::Unset {
            return Vec::new();
        }
        let gone = before
            .values
            .iter()
            .filter(|(key, _)| !after.values.contains_key(*key));
        let mut changed = Vec::new();
        for (key, found) in after.values.iter().chain(gone) {
            if !self.goal.touches(key) && !before.get_bytes(key).same(after.get_bytes(key)) {
                changed.push((crate::reading::shown(key), found.line));
            }
        }
        changed.sort_unstable_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        changed
    }
}

fn read_all(bytes: &[u8], readers: &[Reader], pin: Option<&str>) -> Vec<Readings> {
    readers
        .iter()
        .map(|reader| model::read(bytes, *reader, &Environment::empty(), pin))
        .collect()
}

impl<'a> Goal<'a> {
    /// The key other values may refer to and follow. A rename does not pin: a reference to the old name would
    /// come out empty.
    fn pin(&self) -> Option<&'a str> {
        match self {
            Goal::Set(key, _) | Goal::Gone(key) => Some(key),
            Goal::Renamed(..) => None,
        }
    }

    fn touches(&self, key: &[u8]) -> bool {
        match self {
            Goal::Set(own, _) | Goal::Gone(own) => own.as_bytes() == key,
            Goal::Renamed(old, new) => old.as_bytes() == key || new.as_bytes() == key,
        }
    }

    fn reached(&self, before: Option<&Readings>, after: &Readings) -> bool {
        if after.rest != Reading::Unset {
            return false;
        }
        match self {
            Goal::Set(key, value) => after.get(key).value() == Some(value),
            Goal::Gone(key) => *after.get(key) == Reading::Unset,
            Goal::Renamed(old, new) => {
                *after.get(old) == Reading::Unset && before.is_some_and(|b| b.get(old).same(after.get(new)))
            }
        }
    }

    fn shortfall(&self, after: &Readings) -> Reason {
        let key = match self {
            Goal::Set(key, _) | Goal::Gone(key) | Goal::Renamed(_, key) => key,
        };
        match after.get(key) {
            Reading::FileRejected { line, why } => Reason::FileRejected { line: *line, why },
            Reading::Unknown { line, why } => Reason::NotKnown { line: *line, why },
            Reading::Value(_) | Reading::Unset => Reason::ReadDifferently,
        }
    }
}
