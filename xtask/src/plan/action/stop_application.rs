//! Stop the application that runs on the old instances.

use infra::ports::Listener;
use infra::{Cmd, process};
use serde::{Deserialize, Serialize};

/// Applications of the labeler's checkout that run on this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StopApplication {
    /// Each with the port it answers on.
    pub running: Vec<(u16, Listener)>,
}

impl StopApplication {
    /// One request for each.
    pub fn commands(&self) -> Vec<Cmd> {
        self.running
            .iter()
            .map(|(_, listener)| process::end(listener.pid))
            .collect()
    }
}
