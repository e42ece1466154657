//! The old instances, in every situation they occur: running, stopped, only a volume left, gone.

use std::collections::BTreeMap;
use std::time::SystemTime;

use infra::CommandError;
use infra::alembic::VersionTable;
use infra::docker::Container;
use infra::postgres::activity::{self, Sessions};
use infra::postgres::cluster::Cluster;
use infra::postgres::facts::{self, DatabaseFacts, ServerFacts};
use infra::postgres::unprivileged::{self, Unprivileged};
use infra::postgres::{Reach, Server};
use serde::{Deserialize, Serialize};

use super::candidates::{self, Candidates};
use super::place::Answers;
use super::{DockerSeen, EnvSeen, Eyes, MappingSeen, NamedSeen, StorageSeen, named, place, servers, storage};
use crate::config::{Access, Control, Database, SecretName, Vault};
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

impl SourceState {
    /// Whether something of it is on this machine, and may hold rows.
    pub fn is_here(&self) -> bool {
        !matches!(self, Self::Absent | Self::External)
    }

    /// Where the old data lies.
    pub fn in_words(&self) -> String {
        match self {
            Self::Container(container) => format!("container {}, {}", container.name, container.status),
            Self::Volume(volume) => format!("volume {volume}"),
            Self::SeveralVolumes(volumes) => format!("one of the volumes {}", volumes.join(", ")),
            Self::Cluster { cluster, .. } => format!("data directory {}", cluster.data.display()),
            Self::External => "a server that we may only connect to".to_owned(),
            Self::Absent => "nothing".to_owned(),
        }
    }
}

/// One old instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceSeen {
    /// What there is.
    pub state: SourceState,
    /// Further containers with a name that it may have.
    #[serde(default)]
    pub rivals: Vec<Container>,
    /// Whether one of them may be the one that is meant: nothing decides between them.
    #[serde(default)]
    pub unsettled: bool,
    /// Where its data lie.
    #[serde(default)]
    pub storage: StorageSeen,
    /// Whether it is the one that `.env` names.
    #[serde(default)]
    pub named: Option<NamedSeen>,
    /// When its server was last started or stopped; `None` when that cannot be told.
    #[serde(default)]
    pub last_used: Option<SystemTime>,
    /// Whether it answers now.
    pub running: bool,
    /// The instance, when it runs.
    pub server: Option<ServerFacts>,
    /// The database, when the instance runs.
    pub database: Option<DatabaseFacts>,
    /// Other databases of the instance that hold something.
    #[serde(default)]
    pub beside: Vec<DatabaseFacts>,
    /// Where Alembic stands in it.
    pub revisions: Option<Vec<String>>,
    /// Who answers at the address that `.env` names, while the instance runs.
    #[serde(default)]
    pub answers: Option<Answers>,
    /// Why the login that `.env` names does not work.
    pub login_problem: Option<String>,
    /// Why the instance cannot be asked.
    pub problem: Option<String>,
    /// What a role without superuser may not read here or create elsewhere; asked when a server is external.
    #[serde(default)]
    pub unprivileged: Option<Unprivileged>,
    /// An external server.
    #[serde(default)]
    pub external: Option<ExternalSeen>,
}

/// A server that we may only connect to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalSeen {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The role we are there.
    pub user: String,
    /// Who is connected to the database, asked from the maintenance database where that can be used.
    pub sessions: Option<Sessions>,
    /// Why the maintenance database cannot be used: then the database cannot be closed and opened again.
    pub maintenance_problem: Option<String>,
}

impl ExternalSeen {
    /// Whether our role may close the database, and open it again.
    pub fn is_closable(&self) -> bool {
        self.maintenance_problem.is_none() && self.sessions.as_ref().is_some_and(|sessions| sessions.owned)
    }
}

pub(super) fn look(
    eyes: &Eyes<'_>,
    docker: &DockerSeen,
    env_files: &[EnvSeen],
    table: Option<&VersionTable>,
    vault: &Vault,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, SourceSeen> {
    let wanted = eyes
        .settings
        .databases
        .iter()
        .filter(|(name, database)| eyes.wants(name) && database.access == Access::Owner);
    wanted
        .map(|(name, database)| {
            let mapping = env_files.iter().find_map(|file| file.mappings.get(name));
            let mut seen = one(eyes, docker, mapping, vault, name, database, findings);
            let table = table.filter(|_| seen.database.is_some() && *name == eyes.settings.schema.database);
            if let Some(table) = table
                && let Some(server) = administrator(eyes, &seen.state, name, database, mapping, vault)
            {
                let wanted = &database.source.database;
                match facts::alembic_revisions(eyes.runner, &server, wanted, table) {
                    Ok(revisions) => seen.revisions = Some(revisions),
                    Err(error) => seen.problem = Some(error.to_string()),
                }
            }
            seen.storage = storage::look(eyes, docker, name, &seen.state, seen.server.as_ref());
            seen.named = named::look(docker, env_files, eyes.settings, name, &seen);
            (name.clone(), seen)
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
    let mut candidates = Candidates::default();
    let state = match database.source.control {
        Control::Container | Control::Compose => {
            candidates = candidates::look(docker, database, mapping);
            candidates.state.take().unwrap_or(SourceState::Absent)
        }
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
        last_used: last_used(&state),
        state,
        rivals: candidates.rivals,
        unsettled: candidates.unsettled,
        storage: StorageSeen::Elsewhere,
        named: None,
        server: None,
        database: None,
        beside: Vec::new(),
        revisions: None,
        answers: None,
        login_problem: None,
        problem: None,
        unprivileged: None,
        external: None,
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
    if let (true, Some(mapping)) = (is_ours(&seen.state), mapping) {
        seen.answers = place::ask(eyes, &seen.state, name, database, mapping, vault);
        seen.login_problem = seen.answers.as_ref().and_then(|answers| answers.refused.clone());
        // One login, one finding: the superuser of a local cluster has the password of `.env` as well.
        let same = |server: &Server| Some(&server.user) == mapping.user.value.as_ref();
        if seen.login_problem.is_some() && administrator.as_ref().is_some_and(same) {
            seen.problem = None;
        }
    }
    seen
}

/// Whether it is on this machine, and nothing but its address says which one it is.
fn is_ours(state: &SourceState) -> bool {
    matches!(state, SourceState::Container(_) | SourceState::Cluster { .. })
}

/// When a container was last started, or the files of a cluster last written by a server's start or end. Nothing tells
/// that of a volume without its container.
fn last_used(state: &SourceState) -> Option<SystemTime> {
    match state {
        // One that was never started has a time that is none.
        SourceState::Container(container) => humantime::parse_rfc3339(container.started_at.as_deref()?).ok(),
        SourceState::Cluster { cluster, .. } => {
            let written =
                |file: &str| std::fs::metadata(cluster.data.join(file)).and_then(|file| file.modified());
            let control = written("global/pg_control").ok()?;
            match written("postmaster.opts") {
                Ok(options) => Some(control.max(options)),
                // A cluster that no server was ever started on has none.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(control),
                Err(_) => None,
            }
        }
        _ => None,
    }
}

fn ask(
    eyes: &Eyes<'_>,
    server: &Server,
    database: &Database,
    seen: &mut SourceSeen,
) -> Result<(), CommandError> {
    let external = seen.state == SourceState::External;
    if external {
        seen.external = Some(look_outside(eyes, server, database));
    }
    // template1 always exists and always allows connections; the wanted database may be the problem. On a server that
    // is not ours we go nowhere else.
    let wanted = database.source.database.as_str();
    let instance = facts::server(eyes.runner, server, if external { wanted } else { "template1" })?;
    if instance.databases.contains_key(wanted) {
        let facts = facts::database(eyes.runner, server, wanted)?;
        seen.database = Some(facts);
        if external || eyes.settings.target.control == Control::External {
            seen.unprivileged = Some(unprivileged::unprivileged(eyes.runner, server, wanted)?);
        }
    }
    if !external {
        seen.beside = facts::with_content(eyes.runner, server, &instance, wanted)?;
    }
    seen.server = Some(instance);
    Ok(())
}

/// An external server, and who else is connected to the database.
fn look_outside(eyes: &Eyes<'_>, server: &Server, database: &Database) -> ExternalSeen {
    let maintenance = servers::maintenance_database(&database.source);
    let wanted = database.source.database.as_str();
    let ask = |from: &str| activity::sessions(eyes.runner, server, from, wanted);
    let asked = ask(maintenance);
    let (host, port) = match &server.reach {
        Reach::Tcp { host, port } => (host.clone(), *port),
        _ => (String::new(), 0),
    };
    ExternalSeen {
        host,
        port,
        user: server.user.clone(),
        maintenance_problem: asked.as_ref().err().map(ToString::to_string),
        sessions: asked.or_else(|_| ask(wanted)).ok(),
    }
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
            let user = eyes.settings.source_user(name, Some(container));
            let port = eyes.settings.source_port(name, container);
            Some(servers::in_container(
                label, container, port, &user, password, target,
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
        SourceState::External => servers::external_source(eyes.settings, name, mapping, vault),
        _ => None,
    }
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
