//! The old instances, in every situation they occur: running, stopped, only a volume left, gone.

use std::collections::BTreeMap;

use infra::CommandError;
use infra::docker::{Container, Volume};
use infra::postgres::cluster::Cluster;
use infra::postgres::facts::{self, DatabaseFacts, ServerFacts};
use infra::postgres::{Script, Server};
use serde::{Deserialize, Serialize};

use super::{DockerSeen, EnvSeen, Eyes, MappingSeen, servers};
use crate::config::{Control, Database, SecretName, Vault};
use crate::model::Finding;

/// What there is of an old instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceState {
    /// A container, running or stopped.
    Container(Box<Container>),
    /// The container is gone, its volume is left.
    Volume(String),
    /// Several volumes fit; which one is meant cannot be guessed.
    SeveralVolumes(Vec<String>),
    /// A data directory.
    Cluster {
        /// The cluster.
        cluster: Cluster,
        /// The port it serves, when it runs.
        port: Option<u16>,
    },
    /// A server that we may only connect to.
    External,
    /// Nothing.
    Absent,
}

/// One old instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceSeen {
    /// What there is.
    pub state: SourceState,
    /// Whether it answers now.
    pub running: bool,
    /// The instance, when it runs.
    pub server: Option<ServerFacts>,
    /// The database, when the instance runs.
    pub database: Option<DatabaseFacts>,
    /// Where Alembic stands in it.
    pub revisions: Option<Vec<String>>,
    /// Why the login that `.env` names does not work.
    pub login_problem: Option<String>,
    /// Why the instance cannot be asked.
    pub problem: Option<String>,
}

pub(super) fn look(
    eyes: &Eyes<'_>,
    docker: &DockerSeen,
    env_files: &[EnvSeen],
    vault: &Vault,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, SourceSeen> {
    let wanted = eyes
        .settings
        .databases
        .iter()
        .filter(|(name, _)| eyes.wants(name));
    wanted
        .map(|(name, database)| {
            let mapping = env_files.iter().find_map(|file| file.mappings.get(name));
            (
                name.clone(),
                one(eyes, docker, mapping, vault, name, database, findings),
            )
        })
        .collect()
}

fn one(
    eyes: &Eyes<'_>,
    docker: &DockerSeen,
    mapping: Option<&MappingSeen>,
    vault: &Vault,
    name: &str,
    database: &Database,
    findings: &mut Vec<Finding>,
) -> SourceSeen {
    let state = match database.source.control {
        Control::Container | Control::Compose => container_state(docker, database),
        Control::PgCtl => cluster_state(eyes, name, database, findings),
        Control::External => SourceState::External,
        Control::None => SourceState::Absent,
    };
    let mut seen = SourceSeen {
        running: match &state {
            SourceState::Container(container) => container.status == "running",
            SourceState::Cluster { port, .. } => port.is_some(),
            SourceState::External => true,
            _ => false,
        },
        state,
        server: None,
        database: None,
        revisions: None,
        login_problem: None,
        problem: None,
    };
    if !seen.running {
        return seen;
    }
    let administrator = administrator(eyes, &seen.state, name, database, mapping, vault);
    if let Some(server) = &administrator
        && let Err(error) = ask(eyes, server, database, &mut seen)
    {
        seen.problem = Some(error.to_string());
    }
    if let Some(login) = login(eyes, &seen.state, name, mapping, vault) {
        let name = mapping.and_then(|m| m.name.value.clone()).unwrap_or_default();
        let cmd = login.psql(
            &name,
            &Script::new("SELECT 1;"),
            format!("log in to {}", login.label),
        );
        if let Err(error) = eyes.runner.run(&cmd.limit(std::time::Duration::from_secs(30))) {
            let tail = error.tail().lines().last().unwrap_or_default().to_owned();
            seen.login_problem = Some(if tail.is_empty() { error.to_string() } else { tail });
            // One login, one finding: the superuser of a local cluster has the password of `.env` as well.
            if administrator.is_some_and(|server| server.user == login.user) {
                seen.problem = None;
            }
        }
    }
    seen
}

fn ask(
    eyes: &Eyes<'_>,
    server: &Server,
    database: &Database,
    seen: &mut SourceSeen,
) -> Result<(), CommandError> {
    // template1 always exists and always allows connections; the wanted database may be the problem.
    let instance = facts::server(eyes.runner, server, "template1")?;
    if instance.databases.contains_key(&database.source.database) {
        let facts = facts::database(eyes.runner, server, &database.source.database)?;
        seen.revisions = Some(facts::alembic_revisions(eyes.runner, server, &facts)?);
        seen.database = Some(facts);
    }
    seen.server = Some(instance);
    Ok(())
}

/// The source as its bootstrap superuser.
fn administrator(
    eyes: &Eyes<'_>,
    state: &SourceState,
    name: &str,
    database: &Database,
    mapping: Option<&MappingSeen>,
    vault: &Vault,
) -> Option<Server> {
    let label = format!("source {name}");
    let password = vault.get(&SecretName::Source(name.to_owned())).cloned();
    let target = &eyes.settings.target;
    match state {
        SourceState::Container(container) => {
            let user = container
                .postgres_user
                .as_deref()
                .unwrap_or(&database.source.user);
            Some(servers::in_container(
                label,
                container,
                servers::INSIDE,
                user,
                password,
                target,
            ))
        }
        SourceState::Cluster { port: Some(port), .. } => Some(servers::over_tcp(
            label,
            "127.0.0.1",
            *port,
            &database.source.user,
            password,
            target,
        )),
        SourceState::External => {
            let mapping = mapping?;
            let port = mapping.port.value.as_ref()?.parse().ok()?;
            let (host, user) = (mapping.host.value.as_ref()?, mapping.user.value.as_ref()?);
            Some(servers::over_tcp(label, host, port, user, password, target))
        }
        _ => None,
    }
}

/// The source as the application logs in: with the role and password of `.env`, where a password is really asked for.
fn login(
    eyes: &Eyes<'_>,
    state: &SourceState,
    name: &str,
    mapping: Option<&MappingSeen>,
    vault: &Vault,
) -> Option<Server> {
    let mapping = mapping?;
    let user = mapping.user.value.as_deref()?;
    let label = format!("source {name} as {user}");
    let password = vault.get(&SecretName::Source(name.to_owned())).cloned();
    let target = &eyes.settings.target;
    match state {
        SourceState::Container(container) => {
            // Over loopback the image trusts everybody; over the container's own address it does not.
            let address = container.address.as_deref()?;
            Some(servers::in_container(
                label, container, address, user, password, target,
            ))
        }
        SourceState::Cluster { port: Some(port), .. } => Some(servers::over_tcp(
            label,
            "127.0.0.1",
            *port,
            user,
            password,
            target,
        )),
        _ => None,
    }
}

fn container_state(docker: &DockerSeen, database: &Database) -> SourceState {
    let source = &database.source;
    if let Some(container) = source.containers.iter().find_map(|name| docker.container(name)) {
        return SourceState::Container(Box::new(container.clone()));
    }
    let mut volumes: Vec<String> = docker
        .volumes
        .iter()
        .filter(|v| fits(v, &source.volumes))
        .map(|v| v.name.clone())
        .collect();
    match volumes.len() {
        0 => SourceState::Absent,
        1 => SourceState::Volume(volumes.remove(0)),
        _ => SourceState::SeveralVolumes(volumes),
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

fn cluster_state(
    eyes: &Eyes<'_>,
    name: &str,
    database: &Database,
    findings: &mut Vec<Finding>,
) -> SourceState {
    let cluster = servers::source_cluster(&database.source);
    if !cluster.data.join("PG_VERSION").is_file() {
        return SourceState::Absent;
    }
    let port = match cluster.is_running(eyes.runner) {
        Ok(true) => cluster.running_port(),
        Ok(false) => None,
        Err(error) => {
            findings.push(Finding::error(
                format!("source.{name}.cluster"),
                error.to_string(),
            ));
            None
        }
    };
    SourceState::Cluster { cluster, port }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str, short: Option<&str>) -> Volume {
        let labels = short
            .map(|s| ("com.docker.compose.volume".to_owned(), s.to_owned()))
            .into_iter()
            .collect();
        Volume {
            name: name.to_owned(),
            labels,
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
}
