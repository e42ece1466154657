//! A finding: what was found, what was wanted, and what to type next.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing to do.
    Note,
    /// Works, and should be looked at.
    Warning,
    /// Forbids going on.
    Error,
}

/// One result of looking at the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable name, for example `source.labeler.password`.
    pub id: String,
    /// How bad.
    pub severity: Severity,
    /// What was found, in words that name the object.
    pub found: String,
    /// What was wanted; empty when `found` says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub wanted: String,
    /// Lines to paste, at most two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// File and line it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Box<Place>>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
}

impl Finding {
    /// Something that forbids going on.
    pub fn error(id: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Severity::Error, id, found)
    }

    /// Something to look at.
    pub fn warning(id: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Severity::Warning, id, found)
    }

    /// Something worth knowing.
    pub fn note(id: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Severity::Note, id, found)
    }

    fn new(severity: Severity, id: impl Into<String>, found: impl Into<String>) -> Self {
        let (id, found) = (id.into(), found.into());
        Self {
            id,
            severity,
            found,
            wanted: String::new(),
            hints: Vec::new(),
            place: None,
        }
    }

    /// Says what was wanted instead.
    #[must_use]
    pub fn wanted(mut self, wanted: impl Into<String>) -> Self {
        self.wanted = wanted.into();
        self
    }

    /// Adds a line to paste.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Makes every text what `change` makes of it; the id and the place stay.
    pub fn each_text(&mut self, change: &dyn Fn(&str) -> String) {
        let texts = [&mut self.found, &mut self.wanted];
        for text in texts.into_iter().chain(&mut self.hints) {
            *text = change(text);
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, file: &std::path::Path, line: usize) -> Self {
        self.place = Some(Box::new(Place {
            file: file.display().to_string(),
            line,
        }));
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{severity}[{}]: {}", self.id, self.found)?;
        if let Some(place) = &self.place {
            write!(f, "\n  at {}", place.file)?;
            if place.line > 0 {
                write!(f, ":{}", place.line)?;
            }
        }
        if !self.wanted.is_empty() {
            write!(f, "\n  wanted: {}", self.wanted)?;
        }
        self.hints
            .iter()
            .take(2)
            .try_for_each(|hint| write!(f, "\n  hint: {hint}"))
    }
}

/// The worst severity among findings.
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}
