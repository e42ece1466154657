//! Named checks. Each is a small pure function over what was observed; it answers with findings, or says why it could
//! not look. Nothing here asks the world.
//!
//! A check that could not look is `skipped` and says so everywhere; it is never counted as passed.

mod accept;
mod alembic;
mod application;
mod catalogue;
mod cleanup;
mod compose;
mod data;
mod databases;
mod env;
mod instance;
mod privileges;
mod select;
mod settings;
mod verdict;

#[cfg(test)]
mod tests;

use crate::config::{Loaded, Settings};
use crate::model::Finding;
use crate::observe::{ApplicationSeen, BackupsSeen, ConfigSeen, InstanceSeen};

pub use crate::model::nearest;
pub use application::REDIS;
pub use catalogue::{CHECKS, page};
pub(crate) use instance::DIAGNOSE;
pub use select::{Selection, UnknownName, select};
pub use verdict::{Counts, Outcome, Verdict, Verdicts};

/// What a check belongs to. JUnit has one suite for each, the page one chapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The team's settings against the checkouts.
    Settings,
    /// `.env` files and their templates.
    Env,
    /// Compose files.
    Compose,
    /// Alembic's files.
    Alembic,
    /// The PostgreSQL instance.
    Instance,
    /// The databases and their schema.
    Databases,
    /// The data.
    Data,
    /// Roles and privileges.
    Privileges,
    /// The application and Redis.
    Application,
    /// What the migration left.
    Cleanup,
}

/// How much of the world a command looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Files only, as git and Compose read them: no service, no engine, no network.
    Config,
    /// The target instance and its databases.
    Databases,
    /// The application and Redis.
    Application,
    /// Everything, with what the migration left behind.
    All,
}

impl Scope {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Databases => "databases",
            Self::Application => "application",
            Self::All => "all",
        }
    }
}

impl Group {
    /// Every group in the order of the page.
    pub const ALL: [Self; 10] = [
        Self::Settings,
        Self::Env,
        Self::Compose,
        Self::Alembic,
        Self::Instance,
        Self::Databases,
        Self::Data,
        Self::Privileges,
        Self::Application,
        Self::Cleanup,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Env => "env",
            Self::Compose => "compose",
            Self::Alembic => "alembic",
            Self::Instance => "instance",
            Self::Databases => "databases",
            Self::Data => "data",
            Self::Privileges => "privileges",
            Self::Application => "application",
            Self::Cleanup => "cleanup",
        }
    }

    /// The scope that looks at it; [`Scope::All`] where only the full look does.
    pub fn scope(self) -> Scope {
        match self {
            Self::Settings | Self::Env | Self::Compose | Self::Alembic => Scope::Config,
            Self::Instance | Self::Databases | Self::Data | Self::Privileges => Scope::Databases,
            Self::Application => Scope::Application,
            Self::Cleanup => Scope::All,
        }
    }
}

/// One check.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its name, for `--only` and `--skip`.
    pub id: &'static str,
    /// What it belongs to.
    pub group: Group,
    /// What is true when it passes, in one line.
    pub meaning: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do when it does not pass.
    pub fix: &'static str,
    /// Looks at what was observed.
    pub run: fn(&Case<'_>) -> Looked,
}

/// What a check answers.
pub type Looked = Result<Vec<Finding>, NotLooked>;

/// Why a check could not look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotLooked(pub String);

impl NotLooked {
    /// With this reason.
    pub fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// What the checks look at. What the scope leaves out is `None`.
pub struct Case<'a> {
    /// The settings with the origin of every value.
    pub loaded: &'a Loaded,
    /// The workspace's folder, for the settings' own file.
    pub root: &'a std::path::Path,
    /// Configuration files.
    pub config: Option<&'a ConfigSeen>,
    /// The target instance.
    pub instance: Option<&'a InstanceSeen>,
    /// The application and Redis.
    pub application: Option<&'a ApplicationSeen>,
    /// What the migration left.
    pub backups: Option<&'a BackupsSeen>,
    /// Whether a migration or a set-up of this machine came to its end: `.env` is meant to name the target.
    pub moved: bool,
    /// What was written through the application and deleted again, by path; `None` when that was not asked for.
    pub writes: Option<&'a [Write]>,
}

/// A path of the application's API, and how writing there went; `Ok(false)` when there was nothing to write with.
pub type Write = (String, Result<bool, String>);

impl<'a> Case<'a> {
    /// The settings.
    pub fn settings(&self) -> &'a Settings {
        &self.loaded.settings
    }

    /// Configuration files.
    pub fn config(&self) -> Result<&'a ConfigSeen, NotLooked> {
        self.config
            .ok_or_else(|| NotLooked::because("configuration files are not in this scope"))
    }
}

/// Runs checks and collects what they say, in the order of the catalogue.
pub fn run(checks: &[&'static Check], case: &Case<'_>) -> Verdicts {
    let verdicts = checks.iter().map(|check| {
        let began = std::time::Instant::now();
        let looked = (check.run)(case);
        let seconds = began.elapsed().as_secs_f64();
        let outcome = match looked {
            Ok(findings) => Outcome::of(findings.into_iter().map(|finding| Finding {
                id: check.id.to_owned(),
                ..finding
            })),
            Err(NotLooked(why)) => Outcome::Skipped(why),
        };
        Verdict {
            check,
            outcome,
            seconds,
        }
    });
    let mut verdicts = Verdicts(verdicts.collect());
    accept::apply(case, &mut verdicts);
    verdicts
}

/// A finding whose id the runner fills in.
fn error(found: impl Into<String>) -> Finding {
    Finding::error("", found)
}

/// A warning whose id the runner fills in.
fn warning(found: impl Into<String>) -> Finding {
    Finding::warning("", found)
}

/// A note whose id the runner fills in.
fn note(found: impl Into<String>) -> Finding {
    Finding::note("", found)
}
