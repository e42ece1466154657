//! The moment `.env` points at the target.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::SecretName;

/// The files to rewrite.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cutover {
    /// The files.
    pub files: Vec<EnvFile>,
}

/// One `.env` file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvFile {
    /// The file.
    pub path: PathBuf,
    /// Where its previous bytes are kept in the run.
    pub before: PathBuf,
    /// SHA-256 of the bytes the plan was made on.
    pub sha256: String,
    /// The keys to set.
    pub changes: Vec<EnvChange>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvChange {
    /// The key.
    pub key: String,
    /// Its new value.
    pub value: EnvValue,
}

/// A value, or the name of a secret one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvValue {
    /// A value that may be shown.
    Plain(String),
    /// A secret.
    Secret(SecretName),
}
