//! Whether the old instance that was found is the one that `.env` names: another one's rows would stay behind, unnoticed.

use std::path::PathBuf;

use infra::docker::Container;
use serde::{Deserialize, Serialize};

use super::place::Identity;
use super::{DockerSeen, EnvSeen, MappingSeen, SourceSeen, SourceState};
use crate::config::{Control, Database, Settings, Target};

/// The port of PostgreSQL inside a container.
const INSIDE: u16 = 5432;

/// What a `.env` file says of where a database lives, held against the old instance that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSeen {
    /// The file.
    pub file: PathBuf,
    /// `HOST:PORT` as it says.
    pub place: String,
    /// What that is.
    pub what: Named,
    /// Whether its host is this machine.
    #[serde(default)]
    pub here: bool,
}

/// What a `.env` file names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Named {
    /// The old instance that was found.
    Found,
    /// The target, already.
    Target,
    /// Another place; a running container that serves it, where there is one.
    Elsewhere(Option<String>),
    /// Nobody answers there, although the old instance runs; in the words of whoever said so.
    Silent(String),
    /// The host has several addresses, where different servers answer.
    Several(Vec<String>),
    /// Nothing on this machine proves or disproves that it is the one that was found.
    Unproven,
}

/// Host and port as `.env` says them.
pub(super) struct Place<'a> {
    pub(super) host: &'a str,
    pub(super) port: &'a str,
}

impl<'a> Place<'a> {
    /// `None` when the file says only half of it, which has a finding of its own.
    pub(super) fn of(mapping: &'a MappingSeen) -> Option<Self> {
        let said = |key: &'a super::env::KeySeen| {
            let value = key.value.as_deref().filter(|value| !value.is_empty());
            value.filter(|_| !key.placeholder)
        };
        Some(Self {
            host: said(&mapping.host)?,
            port: said(&mapping.port)?,
        })
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.port.trim().parse().ok()
    }

    pub(super) fn is_here(&self, database: &Database) -> bool {
        let also = database.source.host.as_str();
        (!also.is_empty() && self.host.eq_ignore_ascii_case(also)) || infra::ports::is_this_machine(self.host)
    }

    /// Whether a container is reached here: over a port that it publishes on this machine, or by a name or an address
    /// that it has among containers.
    pub(super) fn is_container(&self, container: &Container, database: &Database) -> bool {
        let Some(port) = self.port() else { return false };
        let service = container.labels.get("com.docker.compose.service");
        let inside = [Some(&container.name), service, container.address.as_ref()];
        if inside
            .into_iter()
            .flatten()
            .any(|name| name.eq_ignore_ascii_case(self.host))
        {
            return port == INSIDE || container.ports.contains_key(&port);
        }
        let published = || container.ports.values().any(|hosts| hosts.contains(&port));
        published() && self.is_here(database)
    }

    fn is_target(&self, target: &Target, database: &Database) -> bool {
        let same = self.host.eq_ignore_ascii_case(&target.host);
        let ours = || target.control != Control::External && self.is_here(database);
        // From inside another container it is reached by its name.
        let by_name = target.control != Control::External
            && self.port() == Some(INSIDE)
            && self.host.eq_ignore_ascii_case(&target.container);
        by_name || (self.port() == Some(target.port) && (same || ours()))
    }

    /// The running container behind it that is neither the source nor the target.
    fn other(
        &self,
        docker: &DockerSeen,
        state: &SourceState,
        settings: &Settings,
        database: &Database,
    ) -> Option<String> {
        let is_source =
            |name: &str| matches!(state, SourceState::Container(container) if container.name == name);
        let mut running = docker
            .containers
            .iter()
            .filter(|container| container.is_running());
        let other = running.find(|container| {
            self.is_container(container, database)
                && !is_source(&container.name)
                && container.name != settings.target.container
        })?;
        Some(other.name.clone())
    }

    fn what(
        &self,
        docker: &DockerSeen,
        source: &SourceSeen,
        settings: &Settings,
        database: &Database,
    ) -> Named {
        let state = &source.state;
        let by_port = match state {
            SourceState::Container(container) => self.is_container(container, database),
            SourceState::Cluster { cluster, port } => {
                let serves = port.or_else(|| cluster.configured_port());
                serves.is_some() && self.port() == serves && self.is_here(database)
            }
            _ => false,
        };
        let found = match source.answers.as_ref().zip(source.server.as_ref()) {
            Some((answers, server)) if !answers.servers.is_empty() => {
                let is_source = |(_, identity): &&(String, Identity)| identity.is(server);
                let same = answers.servers.iter().filter(is_source).count();
                if same > 0 && same < answers.servers.len() {
                    let addresses = answers.servers.iter().map(|(address, _)| address.clone());
                    return Named::Several(addresses.collect());
                }
                same > 0
            }
            Some((answers, _)) if answers.refused.is_none() => false,
            _ => by_port,
        };
        let silent = source
            .answers
            .as_ref()
            .filter(|answers| answers.servers.is_empty());
        let silent = silent
            .and_then(|answers| answers.silent.clone())
            .map(Named::Silent);
        if found {
            return Named::Found;
        }
        if let Some(silent) = silent.clone().filter(|_| by_port) {
            return silent;
        }
        let other = self.other(docker, state, settings, database);
        if other.is_some() {
            return Named::Elsewhere(other);
        }
        if self.is_target(&settings.target, database) {
            return Named::Target;
        }
        // Of another machine nothing is expected.
        if self.is_here(database)
            && let Some(silent) = silent
        {
            return silent;
        }
        let may_be = match state {
            // Docker chooses a port anew at each start, and forgets it at the end.
            SourceState::Container(container) => {
                !container.is_running() && container.ports.get(&INSIDE).is_some_and(Vec::is_empty)
            }
            SourceState::Cluster { cluster, port } => port.is_none() && cluster.configured_port().is_none(),
            _ => true,
        };
        // A name without a dot may be one that only containers knew.
        let could_be_here = || !self.host.contains(['.', ':']) || self.is_here(database);
        if may_be && self.port().is_some() && could_be_here() {
            Named::Unproven
        } else {
            Named::Elsewhere(None)
        }
    }
}

/// What the files say of the source of a database; the first that names another place speaks for all. `None` when none
/// says anything, or when what they say is the source by definition.
pub(super) fn look(
    docker: &DockerSeen,
    env_files: &[EnvSeen],
    settings: &Settings,
    name: &str,
    source: &SourceSeen,
) -> Option<NamedSeen> {
    let database = settings.databases.get(name)?;
    let by_docker = matches!(database.source.control, Control::Compose | Control::Container);
    if matches!(database.source.control, Control::External | Control::None)
        || (by_docker && docker.problem.is_some())
    {
        return None;
    }
    let said = env_files.iter().filter_map(|file| {
        let place = Place::of(file.mappings.get(name)?)?;
        Some(NamedSeen {
            file: file.path.clone(),
            place: format!("{}:{}", place.host, place.port),
            what: place.what(docker, source, settings, database),
            here: place.is_here(database),
        })
    });
    said.max_by_key(|named| match named.what {
        Named::Found => 0,
        Named::Target => 1,
        Named::Unproven => 2,
        Named::Silent(_) => 3,
        Named::Several(_) => 4,
        Named::Elsewhere(_) => 5,
    })
}

#[cfg(test)]
mod tests {
    use super::super::env::KeySeen;
    use super::*;

    fn settings() -> Settings {
        toml_edit::de::from_str(infra::MIGRATION_TOML).unwrap()
    }

    fn container(name: &str, status: &str, ports: &[u16]) -> Container {
        serde_json::from_value(serde_json::json!({
            "id": name, "name": name, "image": "postgres:16-alpine", "status": status, "restart": "no",
            "health": null, "mounts": [], "ports": { "5432": ports }, "address": "172.17.0.2",
            "labels": { "com.docker.compose.service": "postgres-labeler" }, "postgres_user": null, "pgdata": null,
        }))
        .unwrap()
    }

    fn mapping(host: &str, port: &str) -> MappingSeen {
        let key = |value: &str| KeySeen {
            value: Some(value.to_owned()),
            ..KeySeen::default()
        };
        MappingSeen {
            host: key(host),
            port: key(port),
            ..MappingSeen::default()
        }
    }

    #[track_caller]
    fn check(state: &SourceState, others: &[Container], (host, port): (&str, &str), wanted: Named) {
        let docker = DockerSeen {
            containers: others.to_vec(),
            ..DockerSeen::default()
        };
        let env = [EnvSeen {
            path: "backend/.env".into(),
            exists: true,
            problem: None,
            locked: None,
            sha256: None,
            rejected: Vec::new(),
            mappings: [("labeler".to_owned(), mapping(host, port))].into(),
        }];
        let source = serde_json::from_value(serde_json::json!({
            "state": state, "running": false, "last_used": null, "server": null, "database": null, "revisions": null,
            "login_problem": null, "problem": null,
        }));
        let seen = look(&docker, &env, &settings(), "labeler", &source.unwrap()).unwrap();
        assert_eq!(seen.what, wanted, "{host}:{port}");
    }

    #[test]
    fn a_container_is_named_by_what_it_publishes_and_by_its_names_among_containers() {
        for status in ["running", "exited"] {
            let state =
                SourceState::Container(Box::new(container("labeler-postgres-labeler", status, &[5435])));
            for host in [
                "localhost",
                "LOCALHOST",
                "127.0.0.1",
                "::1",
                "0.0.0.0",
                "host.docker.internal",
            ] {
                check(&state, &[], (host, "5435"), Named::Found);
                check(&state, &[], (host, "5999"), Named::Elsewhere(None));
            }
            for host in ["labeler-postgres-labeler", "postgres-labeler", "172.17.0.2"] {
                check(&state, &[], (host, "5432"), Named::Found);
                check(&state, &[], (host, "5435"), Named::Elsewhere(None));
            }
            check(
                &state,
                &[],
                ("db.prod.example.com", "5435"),
                Named::Elsewhere(None),
            );
            check(&state, &[], ("localhost", "54x5"), Named::Elsewhere(None));
        }
    }

    #[test]
    fn the_targets_place_is_told_from_another_containers() {
        let state =
            SourceState::Container(Box::new(container("labeler-postgres-labeler", "exited", &[5435])));
        let named = ("localhost", "5432");
        check(&state, &[], named, Named::Target);
        check(
            &state,
            &[container("platform-postgres", "running", &[5432])],
            named,
            Named::Target,
        );
        let other = container("labeler-postgres-platform", "running", &[5432]);
        check(
            &state,
            &[other],
            named,
            Named::Elsewhere(Some("labeler-postgres-platform".to_owned())),
        );
    }

    #[test]
    fn whoever_answers_there_decides_and_not_the_port() {
        let container = container("labeler-postgres-labeler", "running", &[5435]);
        let state = SourceState::Container(Box::new(container));
        let server = |number: &str, started: &str| serde_json::json!({ "system_identifier": number, "started": started });
        let check = |servers: &[serde_json::Value], silent: Option<&str>, port: &str, wanted: Named| {
            let answers: Vec<_> = servers
                .iter()
                .enumerate()
                .map(|(i, server)| (format!("address {i}"), server))
                .collect();
            let mut facts = serde_json::json!({
                "version_num": 160014, "max_connections": 100, "reserved_connections": 3, "connections": 1, "role": "a",
                "superuser": true, "createdb": true, "createrole": true, "databases": {}, "roles": {},
                "available_extensions": [],
            });
            facts
                .as_object_mut()
                .unwrap()
                .extend(server("7", "100").as_object().unwrap().clone());
            let source = serde_json::from_value(serde_json::json!({
                "state": state, "running": true, "last_used": null, "server": facts, "database": null, "revisions": null,
                "login_problem": null, "problem": null,
                "answers": { "servers": answers, "refused": null, "silent": silent },
            }))
            .unwrap();
            let place = mapping("localhost", port);
            let what = Place::of(&place).unwrap().what(
                &DockerSeen::default(),
                &source,
                &settings(),
                &settings().databases["labeler"],
            );
            assert_eq!(what, wanted);
        };
        let (same, copy, other) = (server("7", "100"), server("7", "101"), server("8", "100"));
        check(std::slice::from_ref(&same), None, "5999", Named::Found);
        check(&[same.clone(), same.clone()], None, "5435", Named::Found);
        check(std::slice::from_ref(&other), None, "5435", Named::Elsewhere(None));
        // A physical copy has the number, and another start.
        check(std::slice::from_ref(&copy), None, "5435", Named::Elsewhere(None));
        check(std::slice::from_ref(&other), None, "5432", Named::Target);
        let both = ["address 0", "address 1"].map(str::to_owned).to_vec();
        check(&[same, other], None, "5435", Named::Several(both));
        check(&[], Some("refused"), "5435", Named::Silent("refused".to_owned()));
        check(&[], Some("refused"), "5999", Named::Silent("refused".to_owned()));
        // Edited by hand before the target is there.
        check(&[], Some("refused"), "5432", Named::Target);
    }

    #[test]
    fn of_a_volume_nothing_is_proven_and_a_container_that_serves_the_place_disproves_it() {
        let state = SourceState::Volume("x_postgres_labeler_data".to_owned());
        check(&state, &[], ("localhost", "5435"), Named::Unproven);
        check(&state, &[], ("postgres-labeler", "5432"), Named::Unproven);
        check(
            &state,
            &[],
            ("db.prod.example.com", "5435"),
            Named::Elsewhere(None),
        );
        let other = container("mine", "running", &[5435]);
        check(
            &state,
            &[other],
            ("localhost", "5435"),
            Named::Elsewhere(Some("mine".to_owned())),
        );
        let stopped = container("mine", "exited", &[5435]);
        check(&state, &[stopped], ("localhost", "5435"), Named::Unproven);
        let chosen = SourceState::Container(Box::new(container("labeler-postgres-labeler", "exited", &[])));
        check(&chosen, &[], ("localhost", "5435"), Named::Unproven);
    }
}
