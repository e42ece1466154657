//! The plan that makes a machine ready for development. It holds the steps that are needed and no others: what is there
//! already is not planned.

use std::path::PathBuf;

use super::{Builder, planned};
use crate::config::{Access, Control, Loaded, SecretName, Vault, Workspace};
use crate::model::RunId;
use crate::observe::{EnvFileSeen, MachineSeen, Observed};
use crate::plan::action::*;
use crate::plan::{Plan, PlannedStep, Request, Roles, charge};

/// What the person asked for.
#[derive(Clone, Debug)]
pub struct Onboarding {
    /// The run this plan is for.
    pub run: RunId,
    /// Settings of this machine by dotted path, each with its value as TOML.
    pub local: Vec<(String, String)>,
    /// Whether `local.toml` lacks one of them.
    pub local_changes: bool,
    /// Whether the last set-up of this machine stopped before its end.
    pub unfinished: bool,
}

/// Builds the plan; one without steps says that nothing is missing.
///
/// # Errors
/// When something that the preflight asserts does not hold: a fault of this tool.
pub fn onboarding(
    workspace: &Workspace,
    loaded: &Loaded,
    seen: &Observed,
    machine: &MachineSeen,
    wanted: &Onboarding,
    vault: &Vault,
) -> anyhow::Result<Plan> {
    // Later steps use the environment that an earlier one makes.
    let mut later = seen.clone();
    if let (Some(labeler), Some(environment)) = (&mut later.labeler, &machine.environment) {
        labeler
            .python
            .get_or_insert_with(|| infra::python::in_environment(&environment.folder));
    }
    let request = Request {
        run: wanted.run.clone(),
        only: Vec::new(),
        roles: Roles::Unify,
        pull: false,
        set_aside: false,
        accept_unfenced: false,
        target_password: true,
        reader_ports: Vec::new(),
    };
    let builder = Builder {
        workspace,
        settings: &loaded.settings,
        seen: &later,
        request: &request,
        folder: workspace.onboardings().join(wanted.run.as_str()),
    };
    let setup = SetUp {
        builder: &builder,
        machine,
        wanted,
        vault,
    };
    Ok(Plan {
        schema_version: 1,
        run: wanted.run.clone(),
        folder: builder.folder.clone(),
        profile: loaded.profile.clone(),
        roles: Roles::Unify,
        databases: loaded.settings.databases.keys().cloned().collect(),
        inputs: std::collections::BTreeMap::new(),
        steps: setup.steps()?,
    })
}

/// A machine that is being set up.
struct SetUp<'a> {
    builder: &'a Builder<'a>,
    machine: &'a MachineSeen,
    wanted: &'a Onboarding,
    vault: &'a Vault,
}

impl SetUp<'_> {
    fn steps(&self) -> anyhow::Result<Vec<PlannedStep>> {
        let builder = self.builder;
        let mut steps = Vec::new();
        let mut add = |id: &str, title: &str, reason: &str, action: Option<Action>| {
            let step = action.map(|action| planned(id, title.to_owned(), reason, action, self.vault));
            steps.extend(step);
        };
        let reason = "this machine's own values belong to it and not into the team's settings";
        add("settings", "write .xtask/local.toml", reason, self.local());
        let reason = "Alembic and the application run in the labeler's own environment";
        add(
            "environment",
            "have the labeler's virtual environment",
            reason,
            self.environment(),
        );
        let reason = "the template's values, with those of the target and of this machine";
        add("env", "make .env name the target", reason, self.env_files());
        let images = builder.images().filter(|_| !self.target_runs());
        let reason = "what takes longest comes before anything is started";
        add("images", "have the images", reason, images.map(Action::Images));
        let target = match self.target_runs() {
            true => None,
            false => Some(Action::StartTarget(builder.start_target()?)),
        };
        let reason = "one PostgreSQL for all databases; a real query must be answered";
        add("target", "start the target", reason, target);
        let reason = "the platform's own scripts make them only on an empty volume";
        add(
            "databases",
            "create the databases that are missing",
            reason,
            self.databases(),
        );
        let redis = builder.redis()?.filter(|_| !builder.seen.redis.answers);
        let reason = "the labeler's queues live there";
        add("redis", "have Redis", reason, redis.map(Action::StartRedis));
        let stack = match self.target_runs() {
            true => None,
            false => builder.stack()?,
        };
        let reason = "development may need it; a service that cannot start is a warning";
        add(
            crate::plan::STACK,
            "start the rest of the platform's stack",
            reason,
            stack.map(Action::StartStack),
        );
        let reason = "the tables of the checkout, made by its own migrations";
        add("schema", "bring the schema to head", reason, self.schema()?);
        if !steps.is_empty() || self.wanted.unfinished {
            let reason = "the proof: the application itself says that it works, in its bodies";
            let action = self.application()?;
            let step = action.map(|action| {
                planned(
                    "application",
                    "ask the application".to_owned(),
                    reason,
                    action,
                    self.vault,
                )
            });
            steps.extend(step);
        }
        Ok(steps)
    }

    /// Whether the instance answers already.
    fn target_runs(&self) -> bool {
        self.builder.seen.target.server.is_some()
    }

    fn local(&self) -> Option<Action> {
        self.wanted.local_changes.then(|| {
            Action::LocalSettings(LocalSettings {
                file: self.builder.workspace.local_settings(),
                values: self.wanted.local.clone(),
            })
        })
    }

    fn environment(&self) -> Option<Action> {
        let seen = self.machine.environment.as_ref()?;
        let complete = seen.exists && seen.missing.as_ref().is_ok_and(Vec::is_empty);
        // Half of one that this tool was making is made anew.
        let clear = seen.exists && seen.ours;
        let create_with = self.machine.python.clone().filter(|_| !seen.exists || clear);
        (!complete).then(|| {
            Action::Environment(Environment {
                create_with,
                clear,
                folder: seen.folder.clone(),
                requirements: seen.requirements.clone(),
            })
        })
    }

    /// Files that are not there, do not name the target, or still hold values of the template that we know.
    fn env_files(&self) -> Option<Action> {
        let files = self.machine.env_files.iter().enumerate();
        let files: Vec<EnvFile> = files
            .filter_map(|(index, file)| self.env_file(index, file))
            .collect();
        (!files.is_empty()).then_some(Action::Cutover(Cutover {
            files,
            unchanged: Vec::new(),
            fences: Vec::new(),
            python: None,
            old_names: crate::observe::OldNames::default(),
            backup: PathBuf::new(),
        }))
    }

    fn env_file(&self, index: usize, file: &EnvFileSeen) -> Option<EnvFile> {
        let builder = self.builder;
        let seen = builder
            .seen
            .env_files
            .iter()
            .find(|seen| seen.path == file.path)?;
        let known = known_values(builder.settings, &file.open, !seen.exists);
        let databases = !seen.exists || !self.names_target(&file.path);
        if !databases && known.is_empty() {
            return None;
        }
        let mut changes = if databases { builder.changes() } else { Vec::new() };
        changes.extend(known);
        let sum = match (&seen.sha256, &file.template) {
            (Some(sum), _) | (None, Some((_, sum))) => sum.clone(),
            (None, None) => return None,
        };
        Some(EnvFile {
            path: file.path.clone(),
            before: builder.folder.join("env").join(format!("{index}.before")),
            sha256: sum,
            template: file
                .template
                .as_ref()
                .map(|(path, _)| path.clone())
                .filter(|_| !seen.exists),
            changes,
        })
    }

    /// Whether every mapping of the file is complete and names the target; whose role it uses is left to it.
    fn names_target(&self, path: &PathBuf) -> bool {
        let (seen, settings) = (self.builder.seen, self.builder.settings);
        let complete = seen
            .env_files
            .iter()
            .filter(|file| file.path == *path)
            .all(|file| {
                let keys = file.mappings.values().flat_map(|mapping| mapping.keys());
                keys.into_iter()
                    .all(|key| !key.lines.is_empty() && !key.placeholder)
            });
        let databases = settings.databases.keys();
        complete
            && databases
                .into_iter()
                .all(|name| charge::names_target(seen, settings, name) == Some(true))
    }

    fn databases(&self) -> Option<Action> {
        let (settings, seen) = (self.builder.settings, self.builder.seen);
        // Another team's database is theirs to make.
        let ours = settings
            .databases
            .values()
            .filter(|database| database.access == Access::Owner);
        let names = ours.map(|database| &database.name);
        let there = |name: &String| {
            let server = seen.target.server.as_ref();
            server.is_some_and(|server| server.databases.contains_key(name))
        };
        let missing: Vec<String> = names.filter(|name| !there(name)).cloned().collect();
        (!missing.is_empty()).then(|| {
            Action::CreateDatabases(CreateDatabases {
                target: self.builder.target(),
                maintenance_database: settings.target.maintenance_database.clone(),
                names: missing,
                owner: settings.target.user.clone(),
                held: held(self.builder.seen, self.machine, settings),
            })
        })
    }

    fn schema(&self) -> anyhow::Result<Option<Action>> {
        let schema = &self.builder.settings.schema.database;
        let Some(action) = self.builder.schema()? else {
            return Ok(None);
        };
        let target = self.builder.seen.target.databases.get(schema);
        let labeler = self.builder.seen.labeler.as_ref();
        let heads = labeler.map_or(&[][..], |labeler| labeler.heads());
        let at_head = target.is_some_and(|database| database.revisions.as_deref() == Some(heads));
        Ok((heads.is_empty() || !at_head).then_some(Action::UpgradeSchema(action)))
    }

    fn application(&self) -> anyhow::Result<Option<Action>> {
        let settings = self.builder.settings;
        let Some(mut action) = self.builder.application()? else {
            return Ok(None);
        };
        // The tables of the other databases are the platform's to make.
        let others = settings.databases.iter().filter(|(name, database)| {
            **name != settings.schema.database
                && !database.health_key.is_empty()
                && database.access == Access::Owner
        });
        let others = others.map(|(_, database)| EmptyDatabase {
            instance: self.builder.target(),
            database: database.name.clone(),
            key: database.health_key.clone(),
        });
        action.may_be_empty = others.collect();
        Ok(Some(Action::CheckApplication(action)))
    }
}

/// The databases of ours whose rows a backup holds, or else an old instance that is still on this machine may.
pub(in crate::plan) fn held(
    seen: &Observed,
    machine: &MachineSeen,
    settings: &crate::config::Settings,
) -> Vec<Held> {
    let ours = settings
        .databases
        .iter()
        .filter(|(_, database)| database.access == Access::Owner);
    let held = ours.filter_map(|(name, database)| {
        let old = || {
            let source = seen.sources.get(name)?;
            let held = || Holder::OldInstance(source.state.in_words());
            source.state.is_here().then(held)
        };
        Some(Held {
            name: database.name.clone(),
            database: name.clone(),
            by: machine.held.get(name).cloned().map(Holder::Backup).or_else(old)?,
        })
    });
    held.collect()
}

/// Values for keys that a template leaves open, and for those of a new file that this machine decides.
fn known_values(settings: &crate::config::Settings, open: &[String], new: bool) -> Vec<EnvChange> {
    let redis = &settings.redis;
    let wanted = settings
        .onboarding
        .env
        .iter()
        .filter(|(key, _)| new || open.contains(key));
    let change = |(key, value): (&String, &String)| EnvChange {
        key: key.clone(),
        value: if value == RANDOM {
            EnvValue::Secret(SecretName::New(key.clone()))
        } else {
            let host = value.replace("{redis.host}", &redis.host);
            EnvValue::Plain(host.replace("{redis.port}", &redis.port.to_string()))
        },
    };
    let uses_redis = |value: &String| value.contains("{redis.");
    wanted
        .filter(|(_, value)| redis.control != Control::None || !uses_redis(value))
        .map(change)
        .collect()
}

/// A value that is made up once for each machine.
const RANDOM: &str = "{random}";
