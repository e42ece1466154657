//! The platform's checkout, pulled while nothing has stopped yet: a plan that no longer fits ends here at no cost.

use std::collections::BTreeMap;
use std::path::PathBuf;

use infra::{Cmd, git};
use serde::{Deserialize, Serialize};

/// A checkout to pull.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pull {
    /// Its folder.
    pub checkout: PathBuf,
    /// The branch, of `origin`.
    pub branch: String,
    /// The Compose file that the plan was made on, where the checkout has one.
    pub compose_file: Option<PathBuf>,
    /// SHA-256 of that file, and of the one that Compose lays over it.
    pub compose_sha256: BTreeMap<PathBuf, String>,
}

impl Pull {
    /// `git pull --ff-only`: never a merge of somebody's work.
    pub fn command(&self) -> Cmd {
        git::pull(&self.checkout, &self.branch)
    }
}
