//! Who holds a port of this machine.

use infra::docker::Container;
use serde::{Deserialize, Serialize};

/// Whoever listens on a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// A container publishes it.
    Container(String),
    /// A process listens; its name and id when they could be told.
    Process(Option<String>),
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Container(name) => write!(f, "container {name}"),
            Self::Process(Some(process)) => write!(f, "process {process}"),
            Self::Process(None) => f.write_str("a process that could not be named"),
        }
    }
}

/// The holder of a port; `None` when it is free.
pub fn holder(containers: &[Container], port: u16, runner: &infra::Runner) -> Option<Holder> {
    if let Some(container) = publisher(containers, port) {
        return Some(Holder::Container(container.name.clone()));
    }
    if infra::ports::is_free(port) {
        return None;
    }
    let listener = infra::ports::listener(runner, port);
    Some(Holder::Process(listener.map(|listener| listener.to_string())))
}

/// The running container that publishes a port of this machine.
pub(super) fn publisher(containers: &[Container], port: u16) -> Option<&Container> {
    let publishes = |container: &&Container| {
        container.is_running() && container.ports.values().any(|hosts| hosts.contains(&port))
    };
    containers.iter().find(publishes)
}
