//! The rest of the platform's stack, beside the target.

use std::time::Duration;

use infra::Cmd;
use infra::compose::Project;
use infra::docker::Container;
use serde::{Deserialize, Serialize};

use crate::observe::OtherService;

/// Start the services that nothing stands in the way of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StartStack {
    /// The platform's Compose file.
    pub project: Project,
    /// The Compose project's name, as its containers carry it.
    pub project_name: String,
    /// The services to start.
    pub services: Vec<StackService>,
    /// Services that are not started.
    pub left_out: Vec<LeftOut>,
    /// How long starting may take, in seconds.
    pub limit_seconds: u64,
}

/// A service to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackService {
    /// Its name.
    pub name: String,
    /// `container_name`.
    pub container: Option<String>,
    /// Its image.
    pub image: String,
    /// Ports of this machine.
    pub ports: Vec<u16>,
}

/// A service that is not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
    /// Whether a person may start it once that is out of the way.
    pub typeable: bool,
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.why)
    }
}

impl StartStack {
    /// Starts the services that are planned; nothing when there are none.
    pub fn commands(&self) -> Vec<Cmd> {
        self.up(&self.services.iter().collect::<Vec<_>>())
            .into_iter()
            .collect()
    }

    /// Starts these services; `None` for none.
    pub fn up(&self, services: &[&StackService]) -> Option<Cmd> {
        let limit = Duration::from_secs(self.limit_seconds);
        let names = services.iter().map(|service| service.name.as_str());
        (!services.is_empty()).then(|| self.project.up_only(names).limit(limit))
    }

    /// The line for a person who starts what was left out.
    pub fn line(&self, left_out: &[LeftOut]) -> Option<String> {
        let names: Vec<&str> = left_out
            .iter()
            .filter(|one| one.typeable)
            .map(|one| one.name.as_str())
            .collect();
        (!names.is_empty()).then(|| self.project.up_only(names).to_string())
    }

    /// Whether a container is a service's.
    pub fn is(&self, service: &StackService, container: &Container) -> bool {
        let seen = OtherService {
            name: service.name.clone(),
            container: service.container.clone(),
            ..OtherService::default()
        };
        seen.is(container, &self.project_name)
    }
}
