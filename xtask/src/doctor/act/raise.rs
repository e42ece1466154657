//! `max_connections` raised: `ALTER SYSTEM` and a restart.

use std::time::Duration;

use infra::docker;
use infra::postgres::Script;
use infra::postgres::cluster::Cluster;
use serde::{Deserialize, Serialize};

use crate::config::Vault;
use crate::doctor::fix::shown;
use crate::plan::action::Instance;
use crate::steps::{Failure, World, wait_for_query};

/// More connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RaiseConnections {
    /// The server.
    pub instance: Instance,
    /// A database that always exists.
    pub maintenance: String,
    /// How many there will be.
    pub to: u32,
    /// How many there are.
    pub from: u32,
    /// The value that somebody gave it with `ALTER SYSTEM` before.
    pub altered: Option<String>,
    /// How the server restarts.
    pub restart: Restart,
    /// Whether not one connection is left: then the restart comes first, and frees one.
    #[serde(default)]
    pub locked_out: bool,
    /// How long it may take to answer again, in seconds.
    pub limit_seconds: u64,
}

/// How a server restarts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// A container.
    Container(String),
    /// A local cluster.
    Cluster(Cluster),
}

impl Restart {
    fn commands(&self) -> Vec<infra::Cmd> {
        match self {
            Self::Container(name) => vec![docker::restart(name)],
            Self::Cluster(cluster) => vec![cluster.stop(), cluster.start(&[], &cluster.log())],
        }
    }
}

impl RaiseConnections {
    fn alter(&self) -> Script {
        Script::new(format!("ALTER SYSTEM SET max_connections = {};", self.to))
    }

    fn back(&self) -> Script {
        match &self.altered {
            Some(value) => Script::new("ALTER SYSTEM SET max_connections = :'value';").var("value", value),
            None => Script::new("ALTER SYSTEM RESET max_connections;"),
        }
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<String> {
        let server = self.instance.server(vault);
        let alter = server.psql(&self.maintenance, &self.alter(), "raise max_connections");
        let first = match self.locked_out {
            true => self.restart.commands(),
            false => Vec::new(),
        };
        shown(first.into_iter().chain([alter]).chain(self.restart.commands()))
    }

    pub(super) fn apply(&self, world: &World<'_>) -> Result<(), Failure> {
        let server = self.instance.server(world.vault);
        let altered = server.execute(
            &world.runner,
            &self.maintenance,
            &self.alter(),
            "raise max_connections",
        );
        if let Err(error) = altered {
            // Not one connection was left, not even for us: a restart ends the others' sessions, and whoever comes first
            // after it is served.
            world.runner.note(&format!("no connection was left: {error}"));
            self.restarted(world)?;
            server.execute(
                &world.runner,
                &self.maintenance,
                &self.alter(),
                "raise max_connections",
            )?;
        }
        self.restarted(world)
            .map_err(|failure| self.start_with_the_old_value(failure, world))
    }

    pub(super) fn undo(&self, world: &World<'_>) -> Result<(), Failure> {
        let server = self.instance.server(world.vault);
        let what = "give max_connections its previous value";
        server.execute(&world.runner, &self.maintenance, &self.back(), what)?;
        self.restarted(world)
    }

    fn restarted(&self, world: &World<'_>) -> Result<(), Failure> {
        for cmd in self.restart.commands() {
            world.runner.run(&cmd)?;
        }
        let server = self.instance.server(world.vault);
        let limit = Duration::from_secs(self.limit_seconds);
        wait_for_query(world, &server, &self.maintenance, limit)
    }

    /// A server that does not start with more connections starts with those it had: settings on the command line win over
    /// those of `ALTER SYSTEM`.
    fn start_with_the_old_value(&self, failure: Failure, world: &World<'_>) -> Failure {
        let Restart::Cluster(cluster) = &self.restart else {
            return failure;
        };
        let old = self.from.to_string();
        let started = world
            .runner
            .run(&cluster.start(&[("max_connections", &old)], &cluster.log()));
        let server = self.instance.server(world.vault);
        let reset = started.and_then(|_| {
            server.execute(
                &world.runner,
                &self.maintenance,
                &self.back(),
                "give max_connections its previous value",
            )
        });
        Failure {
            message: match reset {
                Ok(_) => format!(
                    "{}\nthe server runs with {old} connections again",
                    failure.message
                ),
                Err(error) => format!(
                    "{}\nand it does not start with {old} either: {error}",
                    failure.message
                ),
            },
            ..failure
        }
    }
}
