//! What the platform's Compose files make of the target, held against the settings: a migration starts the one and connects to
//! the other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use infra::compose::{Config, Project, Service};
use infra::docker::Container;
use serde::{Deserialize, Serialize};

use super::{DockerSeen, PlatformSeen};
use crate::config::{Settings, Target, Workspace};

/// The stack that holds the target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StackSeen {
    /// The Compose file.
    pub file: PathBuf,
    /// The names of its services.
    pub services: Vec<String>,
    /// The one that the settings name.
    pub target: Option<TargetService>,
    /// The others.
    #[serde(default)]
    pub others: Vec<OtherService>,
}

/// A service that is not the target.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OtherService {
    /// Its name.
    pub name: String,
    /// `container_name`.
    pub container: Option<String>,
    /// Its image.
    pub image: Option<String>,
    /// Whether it is built here.
    pub builds: bool,
    /// Whether only a profile starts it.
    pub profiled: bool,
    /// Whether it is a PostgreSQL server.
    pub postgres: bool,
    /// Ports of this machine.
    pub ports: Vec<u16>,
}

/// The target's service, without its secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetService {
    /// Its name.
    pub name: String,
    /// The file that defines it.
    #[serde(default)]
    pub file: PathBuf,
    /// The line of its name; 0 where it is not known.
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
    pub fn of(file: &Config, target: &Target) -> Self {
        let named = |service: &&Service| service.name == target.service;
        Self {
            file: file.path.clone(),
            services: file.services.iter().map(|service| service.name.clone()).collect(),
            target: file.services.iter().find(named).map(TargetService::of),
            others: file
                .services
                .iter()
                .filter(|service| !named(service))
                .map(OtherService::of)
                .collect(),
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
            wanted: match service.line {
                0 => format!("the same in {}", service.file.display()),
                line => format!("the same in {}:{line}", service.file.display()),
            },
            composed: composed.map(str::to_owned),
        }
    }
}

impl OtherService {
    fn of(service: &Service) -> Self {
        Self {
            name: service.name.clone(),
            container: service.container_name.clone(),
            image: service.image.clone(),
            builds: service.builds,
            profiled: !service.profiles.is_empty(),
            postgres: service.is_postgres(),
            ports: service.ports.iter().map(|port| port.port).collect(),
        }
    }

    /// Whether a container is this service's, of the Compose project with this name.
    pub fn is(&self, container: &Container, project: &str) -> bool {
        let service = container.labels.get("com.docker.compose.service");
        self.container.as_ref() == Some(&container.name)
            || (container.compose_project() == Some(project) && service == Some(&self.name))
    }
}

/// The Compose project that the target belongs to: the platform's own file, or ours where there is no checkout.
pub fn target_project(
    workspace: &Workspace,
    settings: &Settings,
    docker: &DockerSeen,
    checkout: Option<&PlatformSeen>,
) -> Option<Project> {
    let (program, _) = docker.compose.clone()?;
    let platform = &settings.platform;
    let name = (!platform.compose_project.is_empty()).then(|| platform.compose_project.clone());
    let mut env = BTreeMap::new();
    let (name, file) = match checkout.and_then(|platform| platform.compose_file.clone()) {
        Some(file) => (name, file),
        None => {
            env.extend(unified_env(settings));
            // The name of a checkout's folder is what everybody's volumes are called after; ours would be `compose`.
            let name = name.or_else(|| Some("platform".to_owned()));
            (name, workspace.unified_compose())
        }
    };
    env.extend(platform.compose_env.clone());
    Some(Project {
        program,
        name,
        file,
        laid_over: checkout.and_then(|platform| platform.compose_override.clone()),
        env: env.into_iter().collect(),
    })
}

/// Variables that make our own Compose file start the target that the settings name.
fn unified_env(settings: &Settings) -> [(String, String); 5] {
    let (target, redis) = (&settings.target, &settings.redis);
    [
        ("PLATFORM_POSTGRES_IMAGE", target.image.clone()),
        ("PLATFORM_POSTGRES_CONTAINER", target.container.clone()),
        ("PLATFORM_POSTGRES_USER", target.user.clone()),
        ("PLATFORM_POSTGRES_PORT", target.port.to_string()),
        ("PLATFORM_REDIS_PORT", redis.port.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

impl TargetService {
    fn of(service: &Service) -> Self {
        Self {
            name: service.name.clone(),
            file: service.file.clone(),
            line: service.line,
            container: service.container_name.clone(),
            image: service.image.clone(),
            user: service.variable("POSTGRES_USER").map(str::to_owned),
            data_folder: service.variable("PGDATA").map(str::to_owned),
            mounts: service
                .mounts
                .iter()
                .map(|mount| (mount.source.clone(), mount.target.clone()))
                .collect(),
            ports: service.ports.iter().map(|port| port.port).collect(),
            host_network: service.host_network,
        }
    }
}
