//! Who holds a port of this machine.

use serde::{Deserialize, Serialize};

use super::DockerSeen;

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
pub(super) fn holder(docker: &DockerSeen, port: u16, runner: &infra::Runner) -> Option<Holder> {
    if let Some(container) = docker.publisher(port) {
        return Some(Holder::Container(container.name.clone()));
    }
    if infra::ports::is_free(port) {
        return None;
    }
    let listener = infra::ports::listener(runner, port);
    Some(Holder::Process(listener.map(|listener| listener.to_string())))
}
