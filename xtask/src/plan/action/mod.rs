//! What a step does, as data. One file per kind; each knows the exact commands it stands for, and both `--dry-run`
//! and the step itself take them from here.

mod application;
mod ask_application;
mod backup;
mod cutover;
mod databases;
mod environment;
mod fence;
mod images;
mod local;
mod plain;
mod pull;
mod redis;
mod release;
mod restore;
mod schema;
mod seal;
mod stack;
mod stop_application;
mod swap;
mod target;
mod upload;

use infra::Cmd;
use infra::postgres::{Clients, Reach, Server};
use serde::{Deserialize, Serialize};

pub use application::{CheckApplication, EmptyDatabase};
pub use ask_application::{ANSWER_SECONDS, AskApplication};
pub use backup::{Backup, BackupDatabase};
pub use cutover::{Cutover, EnvChange, EnvFile, EnvValue};
pub use databases::{CreateDatabases, Held, Holder};
pub use environment::Environment;
pub use fence::{External, Fence, Fenced};
pub use images::Images;
pub use local::LocalSettings;
pub use plain::RestorePlain;
pub use pull::Pull;
pub use redis::StartRedis;
pub use release::Release;
pub use restore::{Locale, Restore, RestoreDatabase, mark};
pub use schema::UpgradeSchema;
pub use seal::Seal;
pub use stack::{LeftOut, StackService, StartStack};
pub use stop_application::StopApplication;
pub use swap::{Swap, SwapDatabase};
pub use target::{StartTarget, TargetControl};
pub use upload::Upload;

use crate::config::{SecretName, Vault};

/// A step's task.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Action {
    /// Pull the platform's checkout before anything stops.
    Pull(Pull),
    /// Have the images before anything stops.
    Images(Images),
    /// Stop the application that runs on the old instances.
    StopApplication(StopApplication),
    /// Stop one old instance and read it in isolation.
    Fence(Fence),
    /// Back up all databases.
    Backup(Backup),
    /// Close the external sources, and prove that nothing was written since the backup.
    Seal(Seal),
    /// Upload the backup to object storage.
    Upload(Upload),
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
    /// Ask the application where it runs.
    AskApplication(AskApplication),
    /// Start the rest of the platform's stack.
    StartStack(StartStack),
    /// Close the readers.
    Release(Release),
    /// Write this machine's own settings.
    LocalSettings(LocalSettings),
    /// Have the labeler's virtual environment.
    Environment(Environment),
    /// Create databases that are not there.
    CreateDatabases(CreateDatabases),
}

impl Action {
    /// The instances that a step works with and that are on a network.
    pub fn external(&self) -> Vec<&Instance> {
        let all: Vec<&Instance> = match self {
            Self::Fence(action) => action.external().into_iter().collect(),
            Self::Seal(action) => action.fences.iter().filter_map(Fence::external).collect(),
            Self::Backup(action) => action.databases.iter().map(|database| &database.reader).collect(),
            Self::StartTarget(action) => vec![&action.instance],
            Self::Restore(action) => vec![&action.target],
            Self::RestorePlain(action) => vec![&action.restore.target],
            Self::Swap(action) => vec![&action.target],
            Self::UpgradeSchema(action) => vec![&action.target],
            Self::Cutover(action) => action.unchanged.iter().filter_map(Fence::external).collect(),
            Self::Pull(_)
            | Self::Images(_)
            | Self::StopApplication(_)
            | Self::StartRedis(_)
            | Self::StartStack(_)
            | Self::CheckApplication(_)
            | Self::AskApplication(_)
            | Self::Release(_)
            | Self::Upload(_)
            | Self::LocalSettings(_)
            | Self::Environment(_)
            | Self::CreateDatabases(_) => Vec::new(),
        };
        all.into_iter()
            .filter(|instance| instance.is_external())
            .collect()
    }

    /// The commands that change something, in order.
    pub fn commands(&self, vault: &Vault) -> Vec<Cmd> {
        match self {
            Self::Pull(action) => vec![action.command()],
            Self::Images(action) => action.commands(),
            Self::StopApplication(action) => action.commands(),
            Self::Fence(action) => action.commands(vault),
            Self::Backup(action) => action.commands(vault),
            Self::Seal(action) => action.commands(vault),
            Self::StartTarget(action) => action.commands(vault),
            Self::Restore(action) => action.commands(vault),
            Self::RestorePlain(action) => action.commands(vault),
            Self::Swap(action) => action.commands(vault),
            Self::UpgradeSchema(action) => vec![action.command(vault)],
            Self::Cutover(_) | Self::Upload(_) => Vec::new(),
            Self::StartRedis(action) => action.commands(),
            Self::StartStack(action) => action.commands(),
            Self::CheckApplication(action) => vec![action.command(0)],
            Self::AskApplication(action) => action.commands(),
            Self::Release(action) => action.commands(),
            Self::LocalSettings(_) => Vec::new(),
            Self::Environment(action) => action.commands(),
            Self::CreateDatabases(action) => vec![action.command(vault)],
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
    /// What reaching it needs beside host and port: TLS, time limits. Only external servers have some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<(String, String)>,
}

impl Instance {
    /// A server without its password.
    pub fn of(server: Server, password: SecretName) -> Self {
        Self {
            label: server.label,
            reach: server.reach,
            user: server.user,
            password,
            clients: server.clients,
            options: server.options,
        }
    }

    /// Whether it is on a network that may fail while it works.
    pub fn is_external(&self) -> bool {
        !self.options.is_empty()
    }

    /// The server, with its password from the vault.
    pub fn server(&self, vault: &Vault) -> Server {
        Server {
            label: self.label.clone(),
            reach: self.reach.clone(),
            user: self.user.clone(),
            password: vault.get(&self.password).cloned(),
            clients: self.clients.clone(),
            options: self.options.clone(),
        }
    }
}
