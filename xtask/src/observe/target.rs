//! The new instance and Redis.

use std::collections::BTreeMap;
use std::time::Duration;

use infra::CommandError;
use infra::alembic::VersionTable;
use infra::docker::Container;
use infra::postgres::facts::{self, DatabaseFacts, ServerFacts};
use infra::redis::Pong;
use serde::{Deserialize, Serialize};

use super::{DockerSeen, Eyes, Holder, SpaceSeen, TargetData, ports, servers, weak_passwords};
use crate::config::{Access, Control, SecretName, Vault};
use crate::model::Finding;

/// The new instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetSeen {
    /// Its container, running or not.
    pub container: Option<Container>,
    /// Where Compose puts its data, when its container is gone.
    #[serde(default)]
    pub place: Option<Result<infra::compose::Place, String>>,
    /// Its volume, when its container is gone.
    #[serde(default)]
    pub volume: Option<String>,
    /// Where its data lie, or will.
    #[serde(default)]
    pub data: Option<TargetData>,
    /// Space for its data.
    #[serde(default)]
    pub space: Option<SpaceSeen>,
    /// Whether it (container or cluster) runs.
    pub running: bool,
    /// Whether something of it exists already: a stopped container or a data directory.
    pub exists: bool,
    /// The instance, when it answers.
    pub server: Option<ServerFacts>,
    /// Our databases on it, by the name people use.
    pub databases: BTreeMap<String, TargetDatabase>,
    /// Who holds its port.
    pub port_holder: Option<Holder>,
    /// Why it cannot be asked.
    pub problem: Option<String>,
    /// External: why a login that `.env` will name does not work, by database.
    #[serde(default)]
    pub logins: BTreeMap<String, String>,
    /// External: what is wrong with passwords that `.env` will name, each in a sentence without the password.
    #[serde(default)]
    pub weak: Vec<String>,
}

/// One of our databases on the target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetDatabase {
    /// The database.
    pub facts: DatabaseFacts,
    /// Where Alembic stands; `None` in a database that it does not manage, and where nothing tells its version table.
    pub revisions: Option<Vec<String>>,
}

/// Redis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RedisSeen {
    /// Whether something on its port says `PONG`.
    pub answers: bool,
    /// Who holds its port.
    pub port_holder: Option<Holder>,
}

pub(super) fn look(
    eyes: &Eyes<'_>,
    docker: &DockerSeen,
    table: Option<&VersionTable>,
    vault: &Vault,
    findings: &mut Vec<Finding>,
) -> TargetSeen {
    let settings = &eyes.settings.target;
    let mut seen = TargetSeen {
        place: None,
        container: docker.container(&settings.container).cloned(),
        volume: None,
        data: None,
        space: None,
        running: false,
        exists: false,
        server: None,
        databases: BTreeMap::new(),
        port_holder: match settings.control {
            Control::External | Control::None => None,
            _ => ports::holder(&docker.containers, settings.port, eyes.runner),
        },
        problem: None,
        logins: BTreeMap::new(),
        weak: Vec::new(),
    };
    match settings.control {
        Control::Compose | Control::Container => {
            seen.exists = seen.container.is_some();
            seen.running = seen.container.as_ref().is_some_and(|c| c.status == "running");
        }
        Control::PgCtl => {
            let cluster = servers::target_cluster(settings);
            seen.exists = cluster.data.join("PG_VERSION").is_file();
            if seen.exists {
                match cluster.is_running(eyes.runner) {
                    Ok(running) => seen.running = running,
                    Err(error) => findings.push(Finding::error("target.cluster", error.to_string())),
                }
            }
        }
        Control::External => (seen.running, seen.exists) = (true, true),
        Control::None => {}
    }
    if settings.control == Control::External {
        seen.weak = weak_passwords(eyes.workspace, eyes.settings, vault);
    }
    if settings.control == Control::External && settings.host.is_empty() {
        // Without a host psql would look for a socket of this machine.
        seen.problem = Some("no setting says which server it is".to_owned());
        return seen;
    }
    if seen.running
        && let Err(error) = ask(eyes, table, vault, &mut seen)
    {
        seen.problem = Some(error.to_string());
    }
    if settings.control == Control::External && seen.problem.is_none() {
        seen.logins = logins(eyes, vault);
    }
    seen
}

/// Tries the logins that `.env` will name, each on its own database.
fn logins(eyes: &Eyes<'_>, vault: &Vault) -> BTreeMap<String, String> {
    let others =
        eyes.settings.databases.iter().filter(|(_, database)| {
            !database.login.is_empty() && database.login != eyes.settings.target.user
        });
    let tried = others.filter_map(|(name, database)| {
        let Some(password) = vault.get(&SecretName::Login(name.clone())) else {
            let variable = SecretName::Login(name.clone()).variable();
            return Some((name.clone(), format!("its password is not known ({variable})")));
        };
        let target = servers::target(eyes.settings, vault, "");
        let server = target.as_role(&database.login, Some(password.clone()));
        let error = server.answers(eyes.runner, &database.name).err()?;
        let last = error.tail().lines().last().unwrap_or_default().to_owned();
        Some((
            name.clone(),
            if last.is_empty() { error.to_string() } else { last },
        ))
    });
    tried.collect()
}

fn ask(
    eyes: &Eyes<'_>,
    table: Option<&VersionTable>,
    vault: &Vault,
    seen: &mut TargetSeen,
) -> Result<(), CommandError> {
    let server = servers::target(eyes.settings, vault, "");
    let instance = facts::server(eyes.runner, &server, &eyes.settings.target.maintenance_database)?;
    for (name, database) in &eyes.settings.databases {
        // Another team's database is asked for, not looked into.
        if instance.databases.contains_key(&database.name) && database.access == Access::Owner {
            let facts = facts::database(eyes.runner, &server, &database.name)?;
            let table = table.filter(|_| *name == eyes.settings.schema.database);
            let stands = |table| facts::alembic_revisions(eyes.runner, &server, &database.name, table);
            let revisions = table.map(stands).transpose()?;
            seen.databases
                .insert(name.clone(), TargetDatabase { facts, revisions });
        }
    }
    seen.server = Some(instance);
    Ok(())
}

pub(super) fn redis(eyes: &Eyes<'_>, docker: &DockerSeen) -> RedisSeen {
    let settings = &eyes.settings.redis;
    if settings.control == Control::None {
        return RedisSeen {
            answers: false,
            port_holder: None,
        };
    }
    let ping = infra::redis::ping(&settings.host, settings.port, Duration::from_secs(3));
    RedisSeen {
        answers: matches!(ping, Ok(Pong::Pong)),
        port_holder: ports::holder(&docker.containers, settings.port, eyes.runner),
    }
}
