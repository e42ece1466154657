//! What the application needs: its schema, its `.env`, Redis, and the question whether it works.

use anyhow::Context;

use super::Builder;
use crate::config::{Access, Control, Database, SecretName, Settings};
use crate::observe::{RunningApplication, labeler_project};
use crate::plan::Roles;
use crate::plan::action::*;

impl Builder<'_> {
    /// The applications of this checkout that run here.
    pub(super) fn stop_application(&self) -> Option<StopApplication> {
        let ours = |seen: &RunningApplication| Some((seen.port, seen.process.clone()?));
        let running: Vec<_> = self.seen.application.iter().filter_map(ours).collect();
        (!running.is_empty()).then_some(StopApplication { running })
    }

    /// What `.env` and the overrides say of one database on the target.
    pub(super) fn mapping(&self, name: &str) -> Vec<EnvChange> {
        mapping(self.settings, name, self.owner(name), self.request.roles)
    }

    /// Everything that changes in `.env`: of the databases that are moved, and of those that are another team's.
    pub(super) fn changes(&self) -> Vec<EnvChange> {
        let moved = |name: &String| self.seen.sources.contains_key(name);
        let databases = self.settings.databases.iter();
        let followed =
            databases.filter(|(name, database)| moved(name) || database.access == Access::ReadOnly);
        followed.flat_map(|(name, _)| self.mapping(name)).collect()
    }

    /// Alembic, when its database is among those that are moved.
    pub(super) fn schema(&self) -> anyhow::Result<Option<UpgradeSchema>> {
        let schema = &self.settings.schema;
        if schema.database.is_empty() || !self.seen.sources.contains_key(&schema.database) {
            return Ok(None);
        }
        let labeler = self
            .seen
            .labeler
            .as_ref()
            .context("the labeler repository is not there")?;
        Ok(Some(UpgradeSchema {
            python: labeler
                .python
                .clone()
                .context("the labeler has no virtual environment")?,
            backend: labeler.backend.clone(),
            script: labeler.has_script.then(|| schema.script.clone()),
            answer: schema.answer.clone(),
            limit_seconds: schema.timeout_seconds,
            overrides: self
                .changes()
                .into_iter()
                .map(|change| (change.key, change.value))
                .collect(),
            target: self.target(),
            name: schema.database.clone(),
            database: self.settings.databases[&schema.database].name.clone(),
        }))
    }

    /// Alembic's head, for people.
    pub(super) fn head(&self) -> String {
        let labeler = self.seen.labeler.as_ref();
        labeler.map_or_else(String::new, |labeler| labeler.heads().join(", "))
    }

    /// The `.env` files.
    pub(super) fn cutover(&self, fences: &[Fence], changes: &[EnvChange]) -> anyhow::Result<Cutover> {
        let mut files = Vec::new();
        for (index, file) in self.seen.env_files.iter().enumerate() {
            files.push(EnvFile {
                path: file.path.clone(),
                before: self.folder.join("env").join(format!("{index}.before")),
                sha256: file
                    .sha256
                    .clone()
                    .with_context(|| format!("cannot read {}", file.path.display()))?,
                template: None,
                changes: changes.to_vec(),
            });
        }
        Ok(Cutover {
            files,
            unchanged: super::sources::external(fences),
            fences: fences
                .iter()
                .filter(|fence| fence.external().is_none())
                .cloned()
                .collect(),
            python: self
                .seen
                .labeler
                .as_ref()
                .and_then(|labeler| labeler.python.clone()),
            old_names: self.seen.old_names.clone(),
            backup: self.folder.join("backup"),
        })
    }

    /// Redis.
    pub(super) fn redis(&self) -> anyhow::Result<Option<StartRedis>> {
        let redis = &self.settings.redis;
        if redis.control == Control::None {
            return Ok(None);
        }
        let docker = &self.seen.docker;
        let labeler = self.seen.labeler.as_ref();
        let own = labeler.and_then(|labeler| labeler_project(self.settings, docker, labeler));
        let project = match redis.control {
            Control::Compose if own.is_some() => own,
            // Without a checkout of either repository our own file has one.
            Control::Compose if docker.compose.is_some() && self.seen.platform.is_none() => {
                Some(self.target_project()?)
            }
            _ => None,
        };
        Ok(Some(StartRedis {
            project,
            service: redis.service.clone(),
            host: redis.host.clone(),
            port: redis.port,
        }))
    }

    /// The application, where it runs on this machine or elsewhere.
    pub(super) fn ask_application(&self, fences: &[Fence]) -> anyhow::Result<Option<Action>> {
        let application = &self.settings.application;
        let Some(url) = application.address() else {
            return Ok(self.application()?.map(Action::CheckApplication));
        };
        Ok(Some(Action::AskApplication(AskApplication {
            url: url.to_owned(),
            limit_seconds: application.url_timeout_seconds,
            probes: application.probes.clone(),
            open: super::sources::external(fences)
                .into_iter()
                .filter(|fence| !fence.is_closable())
                .collect(),
        })))
    }

    /// The health keys of our databases that were left out of this run.
    fn untouched(&self) -> Vec<String> {
        let left_out = self.settings.databases.iter().filter(|(name, database)| {
            database.access == Access::Owner && !self.seen.sources.contains_key(*name)
        });
        let keys = left_out.map(|(_, database)| database.health_key.clone());
        keys.filter(|key| !key.is_empty()).collect()
    }

    /// The application itself, started here.
    pub(super) fn application(&self) -> anyhow::Result<Option<CheckApplication>> {
        let application = &self.settings.application;
        if application.command.is_empty() {
            return Ok(None);
        }
        let labeler = self
            .seen
            .labeler
            .as_ref()
            .context("the labeler repository is not there")?;
        Ok(Some(CheckApplication {
            python: labeler
                .python
                .clone()
                .context("the labeler has no virtual environment")?,
            backend: labeler.backend.clone(),
            command: application.command.clone(),
            keys: self
                .settings
                .databases
                .values()
                .flat_map(|d| d.env.keys())
                .map(str::to_owned)
                .collect(),
            limit_seconds: application.start_timeout_seconds,
            probes: application.probes.clone(),
            may_be_empty: Vec::new(),
            untouched: self.untouched(),
        }))
    }
}

fn mapping(settings: &Settings, name: &str, owner: String, roles: Roles) -> Vec<EnvChange> {
    let (target, database) = (&settings.target, &settings.databases[name]);
    let keys = &database.env;
    let plain = |key: &String, value: String| EnvChange {
        key: key.clone(),
        value: EnvValue::Plain(value),
    };
    let password = match roles {
        _ if owner == target.user => SecretName::Target,
        // A preserved role keeps the password it has in `.env`.
        Roles::Preserve if database.access == Access::Owner => SecretName::Source(name.to_owned()),
        _ => SecretName::Login(name.to_owned()),
    };
    vec![
        plain(&keys.host, target.host.clone()),
        plain(&keys.port, target.port.to_string()),
        plain(&keys.name, database.name.clone()),
        plain(&keys.user, owner),
        EnvChange {
            key: keys.password.clone(),
            value: EnvValue::Secret(password),
        },
    ]
}

/// What `.env` says of each database once it is on the target, whoever keeps that file.
pub fn env_block(settings: &Settings) -> Vec<Vec<EnvChange>> {
    let databases = settings.databases.iter();
    let login = |database: &Database| database.login_on(&settings.target).to_owned();
    databases
        .map(|(name, database)| mapping(settings, name, login(database), Roles::Unify))
        .collect()
}
