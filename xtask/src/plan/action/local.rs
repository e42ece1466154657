//! This machine's own settings.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Write settings into `.xtask/local.toml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LocalSettings {
    /// The file.
    pub file: PathBuf,
    /// Settings by dotted path, each with its value as TOML.
    pub values: Vec<(String, String)>,
}
