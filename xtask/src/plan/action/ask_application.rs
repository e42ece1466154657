//! Ask the application where it runs, after somebody restarted it there.

use infra::Cmd;
use infra::site::{self, Site};
use serde::{Deserialize, Serialize};

use super::Fence;
use crate::config::Probe;

/// How long one answer may take, in seconds.
pub const ANSWER_SECONDS: u64 = 20;

/// Ask the application at its address until it is content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskApplication {
    /// The address, without a slash at its end.
    pub url: String,
    /// How long it may take until every answer is good, in seconds.
    pub limit_seconds: u64,
    /// The questions.
    pub probes: Vec<Probe>,
    /// Sources that stay open: an application that was not restarted is content with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<Fence>,
}

impl AskApplication {
    /// The questions that a program asks; those to this machine need none.
    pub fn commands(&self) -> Vec<Cmd> {
        let probes = self.probes.iter().filter(|_| Site::needs_curl(&self.url));
        probes
            .map(|probe| site::get(&self.url, &probe.path, ANSWER_SECONDS))
            .collect()
    }
}
