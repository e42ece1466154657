//! The moment `.env` points at the target.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Fence;
use crate::config::SecretName;
use crate::observe::OldNames;

/// The files to rewrite.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cutover {
    /// The files.
    pub files: Vec<EnvFile>,
    /// External sources that must not have been written to: looked at once more before the first file is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unchanged: Vec<Fence>,
    /// Sources of ours whose fence must still hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fences: Vec<Fence>,
    /// The Python of the application's environment, which reads the files back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<PathBuf>,
    /// What else may name the old places, which is looked for again after it.
    #[serde(default)]
    pub old_names: OldNames,
    /// The backup's folder, with the counters of writes.
    #[serde(default)]
    pub backup: PathBuf,
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
    /// The file it is made from, when it is not there; the sum is then that file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<PathBuf>,
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
