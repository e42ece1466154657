//! Put the compared databases in place, all in one transaction.

use infra::Cmd;
use infra::postgres::{Script, quote};
use serde::{Deserialize, Serialize};

use super::Instance;
use crate::config::Vault;
use crate::model::RunId;

/// All databases to put in place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Swap {
    /// The databases.
    pub databases: Vec<SwapDatabase>,
    /// The target.
    pub target: Instance,
    /// A database that always exists.
    pub maintenance_database: String,
    /// Whether a non-empty database may be kept as `<db>__before_<run>`; otherwise it is a conflict.
    pub set_aside: bool,
    /// The run.
    pub run: RunId,
}

/// One database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SwapDatabase {
    /// Its name among people.
    pub name: String,
    /// Its name on the target.
    pub target_name: String,
    /// The name under which it arrived.
    pub incoming: String,
}

impl SwapDatabase {
    /// The name under which the old content stays.
    pub fn before(&self, run: &RunId) -> String {
        format!("{}__before_{run}", self.target_name)
    }

    /// The name that rolled-back content gets.
    pub fn undone(&self, run: &RunId) -> String {
        format!("{}__undone_{run}", self.target_name)
    }
}

impl Swap {
    /// Renames in one transaction: everybody sees all old names or all new ones. Sessions must be gone first.
    pub fn rename(&self, renames: &[(String, String)]) -> Script {
        let mut sql = String::from("BEGIN;\n");
        for (from, to) in renames {
            sql.push_str(&format!(
                "ALTER DATABASE {} RENAME TO {};\n",
                quote::ident(from),
                quote::ident(to)
            ));
        }
        sql.push_str("COMMIT;");
        Script::new(sql)
    }

    /// Ends other sessions of a database, so that it can be renamed. Workers of autovacuum give way by themselves, and a
    /// role without superuser may not end them.
    pub fn end_sessions(database: &str) -> Script {
        Script::new(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
             WHERE datname = :'database' AND pid <> pg_backend_pid() AND usesysid IS NOT NULL;",
        )
        .var("database", database)
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<Cmd> {
        let renames: Vec<(String, String)> = self
            .databases
            .iter()
            .flat_map(|database| {
                let before = (database.target_name.clone(), database.before(&self.run));
                [before, (database.incoming.clone(), database.target_name.clone())]
            })
            .collect();
        let server = self.target.server(vault);
        vec![server.psql(
            &self.maintenance_database,
            &self.rename(&renames),
            "put the databases in place",
        )]
    }
}
