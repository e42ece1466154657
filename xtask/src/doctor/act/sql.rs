//! Statements on the target.

use std::collections::BTreeMap;

use infra::postgres::Script;
use serde::{Deserialize, Serialize};

use crate::config::{SecretName, Vault};
use crate::doctor::fix::shown;
use crate::plan::action::Instance;
use crate::steps::{Failure, World};

/// Statements, and those that take them back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sql {
    /// What they do; completes "failed to ...".
    pub what: String,
    /// The server.
    pub instance: Instance,
    /// The database.
    pub database: String,
    /// One a line.
    pub statements: Vec<String>,
    /// Those that take them back.
    pub back: Back,
    /// Secrets that the statements name as `:'name'`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretName>,
}

/// The way back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Back {
    /// These statements.
    Statements(Vec<String>),
    /// There is none, and none is needed.
    NotNeeded,
}

impl Sql {
    fn script(&self, statements: &[String], vault: &Vault) -> Script {
        let script = Script::new(statements.join("\n"));
        self.secrets
            .iter()
            .fold(script, |script, (name, secret)| match vault.get(secret) {
                Some(secret) => script.secret_var(name, secret),
                None => script,
            })
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<String> {
        let script = self.script(&self.statements, vault);
        shown([self
            .instance
            .server(vault)
            .psql(&self.database, &script, &self.what)])
    }

    pub(super) fn apply(&self, world: &World<'_>) -> Result<(), Failure> {
        self.run(&self.statements, world)
    }

    pub(super) fn undo(&self, world: &World<'_>) -> Result<(), Failure> {
        match &self.back {
            Back::Statements(statements) => self.run(statements, world),
            Back::NotNeeded => Ok(()),
        }
    }

    pub(super) fn no_way_back(&self) -> Option<&'static str> {
        matches!(self.back, Back::NotNeeded)
            .then_some("there is nothing to take back: what was repaired is right as it is")
    }

    fn run(&self, statements: &[String], world: &World<'_>) -> Result<(), Failure> {
        let script = self.script(statements, world.vault);
        self.instance
            .server(world.vault)
            .execute(&world.runner, &self.database, &script, &self.what)?;
        Ok(())
    }
}
