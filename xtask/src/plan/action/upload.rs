//! The backup goes to object storage, so that it outlives this machine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Storage;

/// Upload a complete backup. The address follows from the backup itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upload {
    /// The backup's folder.
    pub folder: PathBuf,
    /// Where to, and how. Credentials are the client's own.
    pub storage: Storage,
}
