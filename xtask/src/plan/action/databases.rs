//! Create databases that a new instance does not have.

use infra::Cmd;
use infra::postgres::Script;
use serde::{Deserialize, Serialize};

use super::Instance;
use crate::config::Vault;
use crate::model::Finding;

/// Create databases that are not there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreateDatabases {
    /// The instance.
    pub target: Instance,
    /// A database that always exists.
    pub maintenance_database: String,
    /// The databases.
    pub names: Vec<String>,
    /// The role that owns them.
    pub owner: String,
    /// Those of them whose rows are somewhere else: an empty database in their place would hide the loss.
    #[serde(default)]
    pub held: Vec<Held>,
}

/// A database whose rows are somewhere else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    /// Its name on the target.
    pub name: String,
    /// The name people use.
    pub database: String,
    /// Where.
    pub by: Holder,
}

/// What may hold the rows of a database that is not there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// A run or backup, by its id.
    Backup(String),
    /// An old instance, in words.
    OldInstance(String),
}

impl Held {
    /// What is said when it is missing.
    pub fn missing(&self, owner: &str) -> Finding {
        let Self { name, database, by } = self;
        let ident = infra::postgres::quote::ident;
        let (held, hint) = match by {
            Holder::Backup(run) => (
                format!("backup {run} holds its rows"),
                format!("cargo xtask restore {run} --database {database}"),
            ),
            Holder::OldInstance(what) => (
                format!("its old instance is still on this machine ({what}) and may hold its rows"),
                "cargo xtask migrate".to_owned(),
            ),
        };
        let found = format!("database {name} is not on the target, and {held}");
        Finding::error(format!("databases.{database}"), found)
            .wanted("its data, and no empty database in its place")
            .hint(hint)
            .hint(format!(
                "CREATE DATABASE {} OWNER {};  -- when it shall be empty",
                ident(name),
                ident(owner)
            ))
    }
}

impl CreateDatabases {
    /// Creates those that are missing, each in UTF-8 and with the instance's own locale.
    pub fn command(&self, vault: &Vault) -> Cmd {
        let what = format!("create {}", self.names.join(", "));
        self.target
            .server(vault)
            .psql(&self.maintenance_database, &self.script(), what)
    }

    /// `\gexec` runs each line of the answer: one statement for each database that is missing.
    fn script(&self) -> Script {
        let names = serde_json::to_string(&self.names).unwrap_or_default();
        Script::new(
            "SELECT format('CREATE DATABASE %I OWNER %I ENCODING ''UTF8'' TEMPLATE template0', name, :'owner')\n\
             FROM json_array_elements_text(:'names') AS name\n\
             WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \\gexec",
        )
        .var("owner", &self.owner)
        .var("names", names)
    }
}
