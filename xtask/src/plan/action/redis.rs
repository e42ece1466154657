//! Redis: the labeler's own, or the platform's when that one has the port.

use infra::Cmd;
use infra::compose::Project;
use serde::{Deserialize, Serialize};

/// Have a Redis that says `PONG`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StartRedis {
    /// The labeler's Compose file, when the service is ours to start.
    pub project: Option<Project>,
    /// The service.
    pub service: String,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl StartRedis {
    /// Starts the service; nothing when Redis is somebody else's.
    pub fn commands(&self) -> Vec<Cmd> {
        self.project
            .iter()
            .map(|project| project.up_only([self.service.as_str()]))
            .collect()
    }
}
