//! What the platform's Compose files make of the target, held against the settings: a migration starts the one and connects to
//! the other.

use std::path::PathBuf;

use infra::compose::file::{ComposeFile, Service};
use serde::{Deserialize, Serialize};

use crate::config::Target;

/// The stack that holds the target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StackSeen {
    /// The Compose file.
    pub file: PathBuf,
    /// The names of its services.
    pub services: Vec<String>,
    /// The one that the settings name.
    pub target: Option<TargetService>,
}

/// The target's service, without its secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetService {
    /// Its name.
    pub name: String,
    /// Its line.
    pub line: usize,
    /// `container_name`.
    pub container: Option<String>,
    /// Its image.
    pub image: Option<String>,
    /// `POSTGRES_USER`.
    pub user: Option<String>,
    /// Ports of this machine.
    pub ports: Vec<u16>,
    /// Whether it is on the host's own network, where nothing is published.
    pub host_network: bool,
    /// `PGDATA`.
    #[serde(default)]
    pub data_folder: Option<String>,
    /// Volume or folder, and where it is mounted.
    #[serde(default)]
    pub mounts: Vec<(String, String)>,
}

/// A setting that says something else than the Compose file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlike {
    /// The setting.
    pub setting: &'static str,
    /// Both sides, in a sentence.
    pub found: String,
    /// What should be.
    pub wanted: String,
    /// What the Compose file says, where it says one thing.
    pub composed: Option<String>,
}

impl StackSeen {
    /// What a Compose file says of the target.
    pub fn of(file: &ComposeFile, target: &Target) -> Self {
        let named = |service: &&Service| service.name == target.service;
        Self {
            file: file.path.clone(),
            services: file.services.iter().map(|service| service.name.clone()).collect(),
            target: file.services.iter().find(named).map(TargetService::of),
        }
    }

    /// Where the settings and the Compose file differ.
    pub fn unlike(&self, target: &Target) -> Vec<Unlike> {
        let Some(service) = &self.target else {
            let file = self.file.display();
            return vec![Unlike {
                setting: "target.service",
                found: format!(
                    "target.service is {}, which {file} does not define",
                    target.service
                ),
                wanted: format!("one of {}", self.services.join(", ")),
                composed: None,
            }];
        };
        let differs = |setting: &'static str, said: &str, composed: Option<&str>| {
            let composed = composed.filter(|composed| *composed != said)?;
            Some(self.unlike_in(service, setting, said, Some(composed)))
        };
        let port = target.port.to_string();
        let port = match service.ports.as_slice() {
            [] if service.host_network => None,
            [] => Some(self.unlike_in(service, "target.port", &port, None)),
            ports if ports.contains(&target.port) => None,
            [first, ..] => differs("target.port", &port, Some(&first.to_string())),
        };
        [
            differs(
                "target.container",
                &target.container,
                service.container.as_deref(),
            ),
            differs("target.image", &target.image, service.image.as_deref()),
            differs("target.user", &target.user, service.user.as_deref()),
            port,
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn unlike_in(
        &self,
        service: &TargetService,
        setting: &'static str,
        said: &str,
        composed: Option<&str>,
    ) -> Unlike {
        let (name, has) = (&service.name, composed.unwrap_or("none"));
        Unlike {
            setting,
            found: format!("{setting} is {said}, but service {name} has {has}"),
            wanted: format!("the same in {}:{}", self.file.display(), service.line),
            composed: composed.map(str::to_owned),
        }
    }
}

impl TargetService {
    fn of(service: &Service) -> Self {
        let text = |located: &infra::compose::file::Located| located.text.clone();
        Self {
            name: service.name.clone(),
            line: service.line,
            container: service.container_name.as_ref().map(text),
            image: service.image.as_ref().map(text),
            user: service.environment.get("POSTGRES_USER").map(text),
            data_folder: service.environment.get("PGDATA").map(text),
            mounts: service
                .mounts
                .iter()
                .map(|mount| (mount.source.clone(), mount.target.clone()))
                .collect(),
            ports: service.ports.iter().map(|port| port.port).collect(),
            host_network: service
                .network_mode
                .as_ref()
                .is_some_and(|mode| mode.text == "host"),
        }
    }
}
