//! The readers go; the old instances stay stopped and their volumes untouched.

use infra::Cmd;
use serde::{Deserialize, Serialize};

use super::Fence;

/// Close every reader.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Release {
    /// The fences whose readers are closed.
    pub fences: Vec<Fence>,
}

impl Release {
    pub(super) fn commands(&self) -> Vec<Cmd> {
        self.fences.iter().filter_map(Fence::stop_reader).collect()
    }
}
