//! What Alembic says of the labeler's checkout.

use std::path::{Path, PathBuf};

use infra::alembic::{History, history};
use infra::{CommandError, python};

use super::{Eyes, LabelerSeen, SourceSeen};

/// Why it is not known where a database stands.
pub const UNTOLD_TABLE: &str = "the name of Alembic's version table cannot be read from env.py";

/// An answer, and who gave it.
pub(super) struct Asked {
    /// The Python of the checkout's virtual environment.
    pub(super) python: Option<PathBuf>,
    /// Whether its Alembic answered.
    pub(super) has_alembic: bool,
    /// The history, or why nobody could tell.
    pub(super) history: Result<History, String>,
}

/// Asks the Alembic of the checkout's virtual environment, or that of this machine's Python: which one reads the files
/// makes no difference.
pub(super) fn ask(eyes: &Eyes<'_>, root: &Path, standing: &[String]) -> Asked {
    let settings = &eyes.settings.labeler;
    let backend = root.join(&settings.backend);
    let environments = settings.virtual_environments.iter();
    // An absolute setting replaces the root.
    let own = environments.flat_map(|dir| {
        let dir = root.join(dir);
        [
            dir.join("bin").join("python"),
            dir.join("Scripts").join("python.exe"),
        ]
    });
    let mut asked = Asked {
        python: own.into_iter().find(|python| python.is_file()),
        has_alembic: false,
        history: Err("the settings name no database for Alembic".to_owned()),
    };
    if eyes.settings.schema.database.is_empty() {
        return asked;
    }
    let answer = |python: &Path| history(eyes.runner, python, &backend, standing);
    let none = || {
        Err(format!(
            "no Python with Alembic is here to read {}",
            backend.display()
        ))
    };
    let told = |answer: Result<Option<History>, CommandError>| match answer {
        Ok(answer) => answer.map_or_else(none, Ok),
        Err(error) => Err(error.to_string()),
    };
    asked.history = match asked.python.as_deref().map(answer) {
        Some(Ok(None)) | None => python::find(eyes.runner).map_or_else(none, |python| told(answer(&python))),
        Some(own) => {
            asked.has_alembic = own.is_ok();
            told(own)
        }
    };
    asked
}

/// With several rows in its version table, only Alembic knows whether it can go on from there.
pub(super) fn ask_from(eyes: &Eyes<'_>, labeler: &mut LabelerSeen, source: Option<&SourceSeen>) {
    if let Some(revisions) = source.and_then(|source| source.revisions.as_deref())
        && revisions.len() > 1
    {
        labeler.alembic = ask(eyes, &labeler.root, revisions).history;
    }
}

#[cfg(test)]
mod tests;
