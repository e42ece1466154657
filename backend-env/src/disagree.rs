//! Where readers differ.

use std::collections::BTreeMap;
use std::fmt;

use crate::document::Document;
use crate::reader::{Environment, Reader};
use crate::reading::{Reading, Readings, shown};

/// A line that readers do not read alike.
#[derive(Clone)]
pub struct Disagreement {
    key: Option<String>,
    line: usize,
    readings: Vec<(Reader, Reading)>,
}

impl Disagreement {
    /// The key; `None` for a line that makes a reader give up on the file.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// What each reader makes of it, in the order they were asked for. Readers that give up on the file are only
    /// in the entry of that line.
    pub fn readings(&self) -> &[(Reader, Reading)] {
        &self.readings
    }
}

/// One line for a person: `line 3, KEY: compose: not set; python-dotenv: a value (1)`. Different values get
/// different numbers and are not shown.
impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(key) = &self.key {
            write!(f, ", {}", shown(key.as_bytes()))?;
        }
        let mut groups: Vec<(&Reading, Vec<&str>)> = Vec::new();
        for (reader, reading) in &self.readings {
            match groups.iter_mut().find(|(known, _)| known.same(reading)) {
                Some((_, readers)) => readers.push(reader.name()),
                None => groups.push((reading, vec![reader.name()])),
            }
        }
        let mut values = 0;
        for (index, (reading, readers)) in groups.iter().enumerate() {
            let separator = if index == 0 { ": " } else { "; " };
            write!(f, "{separator}{}: {reading}", readers.join(", "))?;
            if matches!(reading, Reading::Value(value) if !value.is_empty()) {
                values += 1;
                write!(f, " ({values})")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Document {
    /// The lines whose readings differ, sorted by line, each with what every reader makes of it, the process
    /// environment being empty.
    pub fn disagreements(&self, readers: &[Reader]) -> Vec<Disagreement> {
        let all: Vec<Readings> = readers
            .iter()
            .map(|r| self.read_all(*r, &Environment::empty()))
            .collect();
        let mut found = rejections(&all);
        let able: Vec<&Readings> = all
            .iter()
            .filter(|readings| readings.rest == Reading::Unset)
            .collect();
        let mut keys: BTreeMap<&[u8], usize> = BTreeMap::new();
        for readings in &able {
            for (key, place) in &readings.values {
                let line = keys.entry(key).or_default();
                *line = place.line.max(*line);
            }
        }
        for (key, line) in keys {
            let readings: Vec<_> = able
                .iter()
                .map(|r| (r.reader, r.get_bytes(key).clone()))
                .collect();
            if readings.windows(2).any(|pair| !pair[0].1.same(&pair[1].1)) {
                found.push(Disagreement {
                    key: Some(String::from_utf8_lossy(key).into_owned()),
                    line,
                    readings,
                });
            }
        }
        found.sort_by(|a, b| (a.line, &a.key).cmp(&(b.line, &b.key)));
        found
    }
}

/// One entry for each line that stops readers.
fn rejections(all: &[Readings]) -> Vec<Disagreement> {
    let mut lines: BTreeMap<usize, Vec<(Reader, Reading)>> = BTreeMap::new();
    for readings in all {
        if let Reading::FileRejected { line, .. } | Reading::Unknown { line, .. } = readings.rest {
            lines
                .entry(line)
                .or_default()
                .push((readings.reader, readings.rest.clone()));
        }
    }
    lines
        .into_iter()
        .map(|(line, readings)| Disagreement {
            key: None,
            line,
            readings,
        })
        .collect()
}
