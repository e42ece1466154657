//! What a step does, as data. One file per kind; each knows the exact commands it stands for, and both `--dry-run`
//! and the step itself take them from here.

mod application;
mod backup;
mod cutover;
mod fence;
mod images;
mod plain;
mod redis;
mod release;
mod restore;
mod schema;
mod swap;
mod target;

use infra::Cmd;
use infra::postgres::{Clients, Reach, Server};
use serde::{Deserialize, Serialize};

pub use application::CheckApplication;
pub use backup::{Backup, BackupDatabase};
pub use cutover::{Cutover, EnvChange, EnvFile, EnvValue};
pub use fence::{Fence, Fenced};
pub use images::Images;
pub use plain::RestorePlain;
pub use redis::StartRedis;
pub use release::Release;
pub use restore::{Locale, Restore, RestoreDatabase, mark};
pub use schema::UpgradeSchema;
pub use swap::{Swap, SwapDatabase};
pub use target::{StartTarget, TargetControl};

use crate::config::{SecretName, Vault};

/// A step's task.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Action {
    /// Have the images before anything stops.
    Images(Images),
    /// Stop one old instance and read it in isolation.
    Fence(Fence),
    /// Back up all databases.
    Backup(Backup),
    /// Start the new instance.
    StartTarget(StartTarget),
    /// Restore into incoming databases and compare.
    Restore(Restore),
    /// Load a dump that a person made by hand into an incoming database.
    RestorePlain(RestorePlain),
    /// Put the compared databases in place.
    Swap(Swap),
    /// Bring the schema to head.
    UpgradeSchema(UpgradeSchema),
    /// Point `.env` at the target.
    Cutover(Cutover),
    /// Have Redis.
    StartRedis(StartRedis),
    /// Start the application, ask it, stop it.
    CheckApplication(CheckApplication),
    /// Close the readers.
    Release(Release),
}

impl Action {
    /// The commands that change something, in order.
    pub fn commands(&self, vault: &Vault) -> Vec<Cmd> {
        match self {
            Self::Images(action) => action.commands(),
            Self::Fence(action) => action.commands(),
            Self::Backup(action) => action.commands(vault),
            Self::StartTarget(action) => action.commands(),
            Self::Restore(action) => action.commands(vault),
            Self::RestorePlain(action) => action.commands(vault),
            Self::Swap(action) => action.commands(vault),
            Self::UpgradeSchema(action) => vec![action.command(vault)],
            Self::Cutover(_) => Vec::new(),
            Self::StartRedis(action) => action.commands(),
            Self::CheckApplication(action) => vec![action.command(0)],
            Self::Release(action) => action.commands(),
        }
    }
}

/// An instance in a plan: everything of a [`Server`] but its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// How people call it.
    pub label: String,
    /// The way to it.
    pub reach: Reach,
    /// The role.
    pub user: String,
    /// Which password.
    pub password: SecretName,
    /// The client programs.
    pub clients: Clients,
}

impl Instance {
    /// The server, with its password from the vault.
    pub fn server(&self, vault: &Vault) -> Server {
        Server {
            label: self.label.clone(),
            reach: self.reach.clone(),
            user: self.user.clone(),
            password: vault.get(&self.password).cloned(),
            clients: self.clients.clone(),
            options: Vec::new(),
        }
    }
}
