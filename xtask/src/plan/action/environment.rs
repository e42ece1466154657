//! The labeler's virtual environment with its requirements.

use std::path::PathBuf;

use infra::{Cmd, python};
use serde::{Deserialize, Serialize};

/// Have the labeler's virtual environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Environment {
    /// The Python that makes it; `None`: it is there.
    pub create_with: Option<PathBuf>,
    /// Whether what is in the folder was cut off while it was made, and goes first.
    #[serde(default)]
    pub clear: bool,
    /// Its folder.
    pub folder: PathBuf,
    /// The file that says what belongs into it.
    pub requirements: Option<PathBuf>,
}

impl Environment {
    /// Makes it and installs what is missing; packages that fit stay as they are.
    pub fn commands(&self) -> Vec<Cmd> {
        self.create().into_iter().chain(self.install()).collect()
    }

    /// Makes it.
    pub fn create(&self) -> Option<Cmd> {
        let python = self.create_with.as_ref()?;
        let create = python::create_environment(python, &self.folder);
        Some(if self.clear { create.arg("--clear") } else { create })
    }

    /// Installs what is missing.
    pub fn install(&self) -> Option<Cmd> {
        let file = self.requirements.as_ref()?;
        let what = format!("install the requirements of {}", file.display());
        Some(python::pip_install(
            &self.python(),
            &what,
            ["-r", &file.to_string_lossy()],
        ))
    }

    /// Its Python.
    pub fn python(&self) -> PathBuf {
        python::in_environment(&self.folder)
    }
}
