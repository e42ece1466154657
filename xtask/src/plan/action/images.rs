//! Images, fetched while the old world still runs: the slowest part must not be downtime.

use std::time::Duration;

use infra::{Cmd, docker};
use serde::{Deserialize, Serialize};

/// Images that must be on this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Images {
    /// Names with tags.
    pub images: Vec<String>,
    /// Databases whose server has other programs than the target, with that server's version: the target's image must be
    /// at least as new.
    #[serde(default)]
    pub sources: Vec<(String, u32)>,
    /// How long one may take, in seconds.
    pub limit_seconds: u64,
}

impl Images {
    /// One pull for each image.
    pub fn commands(&self) -> Vec<Cmd> {
        self.images
            .iter()
            .map(|image| docker::pull(image, Duration::from_secs(self.limit_seconds)))
            .collect()
    }
}
