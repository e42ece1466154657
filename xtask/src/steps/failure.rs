//! Why a step stopped.

use std::fmt;

use infra::CommandError;

use crate::model::Finding;

/// A message that reads on after the step's title, with lines to paste.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong, to what, and what the program said.
    pub message: String,
    /// What to type next, the most useful first.
    pub hints: Vec<String>,
    /// Whether it was Ctrl-C and not a fault.
    pub interrupted: bool,
}

impl Failure {
    /// A failure without a hint of its own.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
            interrupted: false,
        }
    }

    /// Ctrl-C.
    pub fn interrupted(what: impl fmt::Display) -> Self {
        Self {
            interrupted: true,
            ..Self::new(format!("interrupted while trying to {what}"))
        }
    }

    /// Adds a line to paste.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self {
            interrupted: error.is_interrupt(),
            ..Self::new(error.to_string())
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(format!("{error:#}"))
    }
}

impl From<Finding> for Failure {
    fn from(finding: Finding) -> Self {
        let wanted = if finding.wanted.is_empty() {
            String::new()
        } else {
            format!("; wanted {}", finding.wanted)
        };
        Self {
            hints: finding.hints,
            ..Self::new(format!("{}{wanted}", finding.found))
        }
    }
}
