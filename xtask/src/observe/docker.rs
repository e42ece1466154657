//! Docker and Compose, and the containers and volumes there are.

use infra::compose::{self, Program};
use infra::docker::{self, Container, Volume};
use serde::{Deserialize, Serialize};

use super::Eyes;
use crate::config::{Access, Control};

/// Docker as this machine has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DockerSeen {
    /// Whether the settings need it.
    pub needed: bool,
    /// The engine's version.
    pub engine: Option<String>,
    /// Why no engine answers.
    pub problem: Option<String>,
    /// The Compose command and its version.
    pub compose: Option<(Program, String)>,
    /// The other Compose command, where the one that is asked for is missing.
    #[serde(default)]
    pub other_compose: Option<(Program, String)>,
    /// All containers.
    pub containers: Vec<Container>,
    /// All named volumes.
    pub volumes: Vec<Volume>,
    /// Whether the target's image is on this machine.
    pub target_image: bool,
}

impl DockerSeen {
    /// A container by name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The running container that publishes a port of this machine.
    pub fn publisher(&self, port: u16) -> Option<&Container> {
        self.containers.iter().find(|container| {
            container.is_running() && container.ports.values().any(|hosts| hosts.contains(&port))
        })
    }
}

pub(super) fn look(eyes: &Eyes<'_>) -> DockerSeen {
    let settings = eyes.settings;
    let uses = |control| matches!(control, Control::Compose | Control::Container);
    let needed = uses(settings.target.control)
        || settings
            .databases
            .values()
            .any(|database| database.access == Access::Owner && uses(database.source.control));
    let mut seen = DockerSeen {
        needed,
        ..DockerSeen::default()
    };
    if !needed {
        return seen;
    }
    match docker::engine_version(eyes.runner) {
        Ok(version) => seen.engine = Some(version),
        Err(error) => {
            seen.problem = Some(error.to_string());
            return seen;
        }
    }
    seen.compose = compose::detect(eyes.runner, settings.docker.compose);
    if seen.compose.is_none() && settings.docker.compose.is_some() {
        seen.other_compose = compose::detect(eyes.runner, None);
    }
    let looked = docker::containers(eyes.runner).and_then(|containers| {
        seen.containers = containers;
        seen.volumes = docker::volumes(eyes.runner)?;
        seen.target_image = docker::image_id(eyes.runner, &settings.target.image)?.is_some();
        Ok(())
    });
    if let Err(error) = looked {
        seen.problem = Some(error.to_string());
    }
    seen
}
