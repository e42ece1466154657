//! Docker and Compose, and the containers and volumes there are.

use infra::compose::{self, Program};
use infra::docker::{self, Container, Volume};
use serde::{Deserialize, Serialize};

use super::Eyes;
use crate::config::{Access, Control, Settings};
use crate::model::REHEARSAL;

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
    /// Images that a service here needs and that are not on this machine.
    #[serde(default)]
    pub missing_images: Vec<String>,
}

impl DockerSeen {
    /// A container by name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The running container that publishes a port of this machine.
    pub fn publisher(&self, port: u16) -> Option<&Container> {
        super::ports::publisher(&self.containers, port)
    }
}

/// The running container that has a port of this machine which a stopped one needs.
pub fn in_the_place_of<'a>(containers: &'a [Container], name: &str) -> Option<&'a Container> {
    let stopped = containers
        .iter()
        .find(|one| one.name == name && !one.is_running())?;
    let ports = |container: &'a Container| container.ports.values().flatten();
    let has_one = |other: &&Container| {
        other.is_running()
            && other
                .ports
                .values()
                .flatten()
                .any(|port| ports(stopped).any(|own| own == port))
    };
    containers.iter().find(has_one)
}

/// Whether a volume may belong to this workspace. Those of a rehearsal are its own workspace's, which names it.
fn is_ours(volume: &str, settings: &Settings) -> bool {
    if !volume.starts_with(REHEARSAL) {
        return true;
    }
    let project = &settings.platform.compose_project;
    let rehearsal = project
        .strip_prefix(REHEARSAL)
        .and_then(|rest| rest.split('-').next());
    let own = rehearsal.is_some_and(|id| volume.starts_with(&format!("{REHEARSAL}{id}-")));
    let mut sources = settings.databases.values().map(|database| &database.source);
    own || sources.any(|source| source.volumes.iter().any(|name| name == volume))
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
        seen.volumes.retain(|volume| is_ours(&volume.name, settings));
        Ok(())
    });
    if let Err(error) = looked {
        seen.problem = Some(error.to_string());
    }
    seen
}

/// Which of these images are not on this machine.
pub(super) fn missing_images(eyes: &Eyes<'_>, seen: &mut DockerSeen, mut images: Vec<String>) {
    if !seen.needed || seen.problem.is_some() {
        return;
    }
    images.sort();
    images.dedup();
    for image in images {
        match docker::image_id(eyes.runner, &image) {
            Ok(Some(_)) => {}
            Ok(None) => seen.missing_images.push(image),
            Err(error) => seen.problem = Some(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_in_the_place_of_a_stopped_container_is_known_by_its_port() {
        let container = |name: &str, status: &str, port: u16| -> Container {
            let json = serde_json::json!({
                "id": name, "name": name, "image": "postgres:16-alpine", "status": status, "health": null, "restart": "no",
                "mounts": [], "ports": { "5432": [port] }, "address": null, "labels": {}, "postgres_user": null, "pgdata": null,
            });
            serde_json::from_value(json).unwrap()
        };
        let holder = |all: &[Container]| in_the_place_of(all, "old").map(|one| one.name.clone());
        let (old, new) = (
            container("old", "exited", 5432),
            container("new", "running", 5432),
        );
        assert_eq!(holder(&[old.clone(), new.clone()]).as_deref(), Some("new"));
        let others = [
            vec![old.clone(), container("new", "running", 5433)],
            vec![old, container("new", "exited", 5432)],
            vec![container("old", "running", 5432), new.clone()],
            vec![new],
        ];
        for all in others {
            assert_eq!(holder(&all), None, "{all:?}");
        }
    }

    #[test]
    fn a_rehearsals_volumes_belong_to_its_own_workspace_only() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = crate::config::Workspace::at(folder.path());
        let ours = |sets: &[String], volume: &str| {
            let loaded = crate::config::load(&workspace, crate::DEFAULT_PROFILE, &[], sets).unwrap();
            is_ours(volume, &loaded.settings)
        };
        let rehearsed = "rehearsal-3c89-labeler_postgres_labeler_data";
        assert!(!ours(&[], rehearsed));
        assert!(ours(&[], "mvp-vision-ai-labeler_postgres_labeler_data"));
        let own = ["platform.compose-project=rehearsal-3c89-platform".to_owned()];
        assert!(ours(&own, rehearsed));
        assert!(!ours(&own, "rehearsal-77aa-labeler_postgres_labeler_data"));
        let named = [format!("databases.labeler.source.volumes=[\"{rehearsed}\"]")];
        assert!(ours(&named, rehearsed));
    }
}
