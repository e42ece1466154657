//! Write down where Alembic stands, in a database that lost it: on an exact match of the schema, or by name.

use std::path::PathBuf;

use infra::Cmd;
use infra::postgres::{Script, facts, quote};
use serde::{Deserialize, Serialize};

use super::super::matching::{self, Rehearse};
use crate::config::Vault;
use crate::doctor::fix::shown;
use crate::model::RunDir;
use crate::plan::action::{EnvValue, Instance};
use crate::steps::{Failure, World};

/// State file: the revision that was written down.
const STAMPED: &str = "stamped";

/// Stamp a database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stamp {
    /// The server, as its administrator.
    pub instance: Instance,
    /// A database that always exists.
    pub maintenance: String,
    /// The database.
    pub database: String,
    /// The virtual environment's Python.
    pub python: PathBuf,
    /// The backend's folder.
    pub backend: PathBuf,
    /// The `versions` folder.
    pub versions: PathBuf,
    /// The login of `.env`, which owns the database: the stamp is its.
    pub login: Vec<(String, EnvValue)>,
    /// What the application's settings must read instead, to build a revision in a throw-away database.
    pub builder: Vec<(String, EnvValue)>,
    /// The key of the database's name among them.
    pub name_key: String,
    /// The revision that a person named; without it, the one whose schema is exactly this.
    pub revision: Option<String>,
    /// Whether `alembic_version` is there and empty.
    pub table_is_there: bool,
    /// The revisions that it stands at and the checkout does not have: a stamp by name takes their place.
    #[serde(default)]
    pub replaces: Vec<String>,
    /// Time limit of one Alembic command, in seconds.
    pub limit_seconds: u64,
}

impl Stamp {
    /// Alembic with these settings.
    pub(in crate::doctor) fn alembic(
        &self,
        what: String,
        args: &[&str],
        settings: &[(String, EnvValue)],
        vault: &Vault,
    ) -> Cmd {
        let cmd = Cmd::new(&self.python, what)
            .args(["-m", "alembic"])
            .args(args)
            .cwd(&self.backend)
            .limit(std::time::Duration::from_secs(self.limit_seconds))
            .env("PYTHONIOENCODING", "utf-8");
        settings.iter().fold(cmd, |cmd, (key, value)| match value {
            EnvValue::Plain(value) => cmd.env(key, value),
            EnvValue::Secret(name) => match vault.get(name) {
                Some(secret) => cmd.secret_env(key, secret),
                None => cmd,
            },
        })
    }

    /// It looks first, for minutes; what it will write is kept before it writes.
    pub(super) fn changed_nothing(&self, run: &RunDir) -> bool {
        matches!(run.load::<String>(STAMPED), Ok(None))
    }

    fn stamp(&self, revision: &str, vault: &Vault) -> Cmd {
        let what = format!("stamp {} with {revision}", self.database);
        // Alembic looks for where it stands before it stamps, and would not find that.
        let args: &[&str] = match self.replaces.is_empty() {
            true => &["stamp", revision],
            false => &["stamp", "--purge", revision],
        };
        self.alembic(what, args, &self.login, vault)
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<String> {
        let mut commands = Vec::new();
        if self.revision.is_none() {
            let rehearse = Rehearse::new(self, "ID");
            commands.extend(rehearse.commands(vault));
        }
        let revision = self.revision.as_deref().unwrap_or("THE_REVISION_THAT_MATCHES");
        commands.extend(shown([self.stamp(revision, vault)]));
        commands
    }

    pub(super) fn apply(&self, world: &World<'_>) -> Result<(), Failure> {
        if self.revisions(world)? != self.replaces {
            return Ok(());
        }
        let revision = match &self.revision {
            Some(revision) => revision.clone(),
            None => matching::exact(self, world)?,
        };
        world.run.save(STAMPED, &revision)?;
        world.runner.run(&self.stamp(&revision, world.vault))?;
        let found = self.revisions(world)?;
        if found != [revision.clone()] {
            return Err(Failure::new(format!(
                "{} stands at {} instead of {revision}",
                self.database,
                found.join(", ")
            )));
        }
        Ok(())
    }

    /// Takes the stamp away, unless Alembic went on from it.
    pub(super) fn undo(&self, world: &World<'_>) -> Result<(), Failure> {
        let Some(revision) = world.run.load::<String>(STAMPED)? else {
            return Ok(());
        };
        let found = self.revisions(world)?;
        if found.is_empty() || found == self.replaces {
            return Ok(());
        }
        if found != [revision.clone()] {
            return Err(Failure::new(format!(
                "{} stands at {} by now, and no longer at {revision}; its stamp is not removed",
                self.database,
                found.join(", ")
            )));
        }
        let mut sql = match self.table_is_there {
            true => "DELETE FROM public.alembic_version;".to_owned(),
            false => "DROP TABLE public.alembic_version;".to_owned(),
        };
        for revision in &self.replaces {
            let revision = quote::literal(revision);
            sql.push_str(&format!(
                "INSERT INTO public.alembic_version (version_num) VALUES ({revision});"
            ));
        }
        let server = self.instance.server(world.vault);
        let what = format!("remove the stamp of {}", self.database);
        server.execute(&world.runner, &self.database, &Script::new(sql), what)?;
        Ok(())
    }

    fn revisions(&self, world: &World<'_>) -> Result<Vec<String>, Failure> {
        let server = self.instance.server(world.vault);
        let seen = facts::database(&world.runner, &server, &self.database)?;
        Ok(facts::alembic_revisions(&world.runner, &server, &seen)?)
    }
}
