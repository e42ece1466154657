//! What a repair does: one kind a file, each with its exact commands and its way back. Every act looks before it acts, so
//! that it may run twice.

mod cluster;
mod container;
mod create;
mod part;
mod password;
mod raise;
mod setting;
mod sql;

use serde::{Deserialize, Serialize};

use crate::config::Vault;
use crate::plan::action::Instance;
use crate::steps::{Failure, World};

pub(super) use cluster::StartCluster;
pub(super) use container::{Container, Verb};
pub(super) use create::CreateDatabase;
pub(super) use part::Part;
pub(super) use password::SetPassword;
pub(super) use raise::{RaiseConnections, Restart};
pub(super) use setting::{ChangeSetting, Value};
pub(super) use sql::{Back, Sql};

/// One act.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// A part of a migration: start the target, have Redis, rewrite `.env`.
    Part(Part),
    /// Statements on the target.
    Sql(Sql),
    /// Start, stop or restart a container.
    Container(Container),
    /// Start an old instance in a data directory.
    StartCluster(StartCluster),
    /// Create an empty database.
    CreateDatabase(CreateDatabase),
    /// Give a role the password of `.env`.
    SetPassword(SetPassword),
    /// Raise `max_connections`.
    RaiseConnections(RaiseConnections),
    /// Change `.xtask/local.toml`.
    ChangeSetting(ChangeSetting),
}

/// Hands a call to the act's own file.
macro_rules! each {
    ($act:expr, $method:ident, $argument:expr) => {
        match $act {
            Act::Part(act) => act.$method($argument),
            Act::Sql(act) => act.$method($argument),
            Act::Container(act) => act.$method($argument),
            Act::StartCluster(act) => act.$method($argument),
            Act::CreateDatabase(act) => act.$method($argument),
            Act::SetPassword(act) => act.$method($argument),
            Act::RaiseConnections(act) => act.$method($argument),
            Act::ChangeSetting(act) => act.$method($argument),
        }
    };
}

impl Act {
    /// The commands as they will run, secrets masked.
    pub(super) fn commands(&self, vault: &Vault) -> Vec<String> {
        each!(self, commands, vault)
    }

    /// Acts.
    ///
    /// # Errors
    /// When it could not finish.
    pub(super) fn apply(&self, world: &World<'_>) -> Result<(), Failure> {
        each!(self, apply, world)
    }

    /// Goes back.
    ///
    /// # Errors
    /// When it could not finish.
    pub(super) fn undo(&self, world: &World<'_>) -> Result<(), Failure> {
        each!(self, undo, world)
    }

    /// What it changes: going back from one act under another that changed the same would undo half of both.
    pub(super) fn touches(&self) -> Vec<String> {
        let database =
            |instance: &Instance, name: &str| vec![format!("database {name} of {:?}", instance.reach)];
        match self {
            Self::Part(part) => part.touches(),
            Self::Sql(act) => database(&act.instance, &act.database),
            Self::CreateDatabase(act) => database(&act.instance, &act.database),
            Self::SetPassword(act) => vec![format!("role {} of {:?}", act.role, act.instance.reach)],
            Self::RaiseConnections(act) => vec![format!("max_connections of {:?}", act.instance.reach)],
            Self::Container(act) => vec![format!("container {}", act.name)],
            Self::StartCluster(act) => vec![format!("cluster {}", act.0.data.display())],
            Self::ChangeSetting(act) => vec![format!("file {}", act.file.display())],
        }
    }

    /// Why it cannot be taken back, when it cannot.
    pub(super) fn no_way_back(&self) -> Option<&'static str> {
        match self {
            Self::Sql(sql) => sql.no_way_back(),
            Self::Container(act) => act.no_way_back(),
            _ => None,
        }
    }
}
