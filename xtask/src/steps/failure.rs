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
    /// Whether going on with the run would end here again.
    pub for_good: bool,
}

impl Failure {
    /// A failure without a hint of its own.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
            interrupted: false,
            for_good: false,
        }
    }

    /// Ctrl-C.
    pub fn interrupted(what: impl fmt::Display) -> Self {
        Self {
            interrupted: true,
            ..Self::new(format!("interrupted while trying to {what}"))
        }
    }

    /// No resumed run gets past it.
    #[must_use]
    pub fn for_good(mut self) -> Self {
        self.for_good = true;
        self
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

impl From<backend_env::file::Error> for Failure {
    /// With what the system said: the library keeps that apart.
    fn from(error: backend_env::file::Error) -> Self {
        anyhow::Error::new(error).into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_replaced_is_told_with_the_system_s_reason() {
        let folder = tempfile::tempdir().unwrap();
        // A folder stands where the file should be, and is not empty.
        let path = folder.path().join(".env");
        infra::files::private_dir(&path.join("x")).unwrap();
        let error = backend_env::file::write_atomic(&path, b"A=1\n", backend_env::file::Permissions::Keep)
            .unwrap_err();
        let reason = std::error::Error::source(&error).unwrap().to_string();
        let failure = Failure::from(error);
        let wanted = format!("cannot replace {}: {reason}", path.display());
        assert_eq!(failure.message, wanted);
    }
}
