//! An empty database.

use infra::postgres::{Script, Server, facts, quote};
use serde::{Deserialize, Serialize};

use crate::config::Vault;
use crate::doctor::fix::shown;
use crate::plan::action::Instance;
use crate::steps::{Failure, World};

/// An empty database for a role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreateDatabase {
    /// The server.
    pub instance: Instance,
    /// A database that always exists.
    pub maintenance: String,
    /// Its name.
    pub database: String,
    /// Its owner.
    pub owner: String,
}

impl CreateDatabase {
    fn script(&self) -> Script {
        Script::new(format!(
            "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8';",
            quote::ident(&self.database),
            quote::ident(&self.owner)
        ))
    }

    fn what(&self) -> String {
        format!("create database {}", self.database)
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<String> {
        let server = self.instance.server(vault);
        shown([server.psql(&self.maintenance, &self.script(), self.what())])
    }

    pub(super) fn apply(&self, world: &World<'_>) -> Result<(), Failure> {
        let server = self.instance.server(world.vault);
        if !self.is_there(&server, world)? {
            server.execute(&world.runner, &self.maintenance, &self.script(), self.what())?;
        }
        Ok(())
    }

    /// Only an empty database goes.
    pub(super) fn undo(&self, world: &World<'_>) -> Result<(), Failure> {
        let server = self.instance.server(world.vault);
        if !self.is_there(&server, world)? {
            return Ok(());
        }
        let seen = facts::database(&world.runner, &server, &self.database)?;
        if !seen.is_empty() {
            return Err(Failure::new(format!(
                "database {} holds {} relations by now; it is not dropped",
                self.database, seen.relations
            )));
        }
        let sql = format!("DROP DATABASE {};", quote::ident(&self.database));
        let what = format!("drop empty database {}", self.database);
        server.execute(&world.runner, &self.maintenance, &Script::new(sql), what)?;
        Ok(())
    }

    fn is_there(&self, server: &Server, world: &World<'_>) -> Result<bool, Failure> {
        let seen = facts::server(&world.runner, server, &self.maintenance)?;
        Ok(seen.databases.contains_key(&self.database))
    }
}
