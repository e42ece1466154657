//! Which container or volume an old instance is, among those with a name that it may have.

use infra::docker::{Container, Volume};

use super::named::Place;
use super::{DockerSeen, MappingSeen, SourceState};
use crate::config::Database;

/// What was chosen, and what else there is.
#[derive(Default)]
pub(super) struct Candidates {
    /// The one; `None`: there is nothing.
    pub(super) state: Option<SourceState>,
    /// Further containers.
    pub(super) rivals: Vec<Container>,
    /// Whether nothing decides between them.
    pub(super) unsettled: bool,
}

/// The container that `.env` names, else one that runs; a volume only where there is no container.
pub(super) fn look(docker: &DockerSeen, database: &Database, mapping: Option<&MappingSeen>) -> Candidates {
    let names = &database.source.containers;
    let mut there: Vec<&Container> = names.iter().filter_map(|name| docker.container(name)).collect();
    let place = mapping.and_then(Place::of);
    let is_named = |container: &Container| {
        let place = place.as_ref();
        place.is_some_and(|place| place.is_container(container, database))
    };
    // Two may publish one port, and only one of them can run.
    there.sort_by_key(|container| (!is_named(container), !container.is_running()));
    let unsettled = match there.as_slice() {
        [] | [_] => false,
        [first, second, ..] => {
            let decides = |of: &dyn Fn(&Container) -> bool| of(first) && !of(second);
            !is_named(first) || !(decides(&is_named) || decides(&Container::is_running))
        }
    };
    let mut there = there.into_iter().cloned();
    let state = match there.next() {
        Some(container) => Some(SourceState::Container(Box::new(container))),
        None => volume(docker, &database.source.volumes),
    };
    Candidates {
        state,
        rivals: there.collect(),
        unsettled,
    }
}

fn volume(docker: &DockerSeen, names: &[String]) -> Option<SourceState> {
    let fitting = docker.volumes.iter().filter(|volume| fits(volume, names));
    let mut volumes: Vec<String> = fitting.map(|volume| volume.name.clone()).collect();
    match volumes.len() {
        0 => None,
        1 => Some(SourceState::Volume(volumes.remove(0))),
        _ => Some(SourceState::SeveralVolumes(volumes)),
    }
}

/// Compose names a volume `PROJECT_SHORT` and labels it with the short name.
fn fits(volume: &Volume, names: &[String]) -> bool {
    let short = volume.labels.get("com.docker.compose.volume");
    names.iter().any(|name| {
        volume.name == *name
            || short == Some(name)
            || (short.is_none() && volume.name.ends_with(&format!("_{name}")))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Settings;

    fn volume(name: &str, short: Option<&str>) -> Volume {
        let labels = short
            .map(|s| ("com.docker.compose.volume".to_owned(), s.to_owned()))
            .into_iter()
            .collect();
        Volume {
            name: name.to_owned(),
            labels,
            memory: false,
        }
    }

    #[test]
    fn a_compose_volume_is_found_under_any_project_name() {
        let names = ["postgres_labeler_data".to_owned()];
        assert!(fits(
            &volume(
                "mvp-vision-ai-labeler_postgres_labeler_data",
                Some("postgres_labeler_data")
            ),
            &names
        ));
        assert!(fits(
            &volume("mvp-vision-ai-labeler_postgres_labeler_data", None),
            &names
        ));
        assert!(fits(&volume("postgres_labeler_data", None), &names));
        assert!(!fits(&volume("x_other_data", Some("other_data")), &names));
    }

    /// The container that is taken of `users`, and whether that is sure, when `.env` names this port.
    #[track_caller]
    fn check(there: &[(&str, &str, u16)], port: u16, wanted: &str, unsettled: bool) {
        let container = |(name, status, port): &(&str, &str, u16)| {
            serde_json::from_value(json!({
                "id": name, "name": name, "image": "postgres:16-alpine", "status": status, "restart": "no",
                "health": null, "mounts": [], "ports": { "5432": [port] }, "address": null, "labels": {},
                "postgres_user": null, "pgdata": null,
            }))
            .unwrap()
        };
        let docker = DockerSeen {
            containers: there.iter().map(container).collect(),
            ..DockerSeen::default()
        };
        let settings: Settings = toml_edit::de::from_str(infra::MIGRATION_TOML).unwrap();
        let mut mapping = MappingSeen::default();
        mapping.host.value = Some("localhost".to_owned());
        mapping.port.value = Some(port.to_string());
        let found = look(&docker, &settings.databases["users"], Some(&mapping));
        let Some(SourceState::Container(taken)) = &found.state else {
            panic!("no container is taken")
        };
        assert_eq!(
            (taken.name.as_str(), found.unsettled),
            (wanted, unsettled),
            "{there:?}"
        );
        assert_eq!(found.rivals.len(), there.len() - 1);
    }

    #[test]
    fn of_several_containers_the_one_that_env_names_is_taken_and_a_guess_is_told() {
        let (old, new) = ("labeler-postgres-user", "platform-postgres-users");
        check(&[(old, "exited", 5433)], 5999, old, false);
        check(&[(old, "exited", 5433), (new, "running", 5434)], 5434, new, false);
        check(&[(old, "exited", 5433), (new, "running", 5434)], 5433, old, false);
        check(&[(old, "exited", 5433), (new, "running", 5433)], 5433, new, false);
        check(&[(old, "exited", 5433), (new, "exited", 5433)], 5433, old, true);
        check(&[(old, "exited", 5433), (new, "running", 5434)], 5432, new, true);
    }
}
