//! The target: started, filled, and put in place.

use anyhow::Context;
use infra::compose::Project;

use super::Builder;
use crate::config::{Control, SecretName};
use crate::observe::{project_of_target, servers, target_project};
use crate::plan::action::*;
use crate::plan::carried::Carried;
use crate::plan::{Rest, Roles, charge};

impl Builder<'_> {
    /// The target as an instance of the plan.
    pub(super) fn target(&self) -> Instance {
        charge::target(self.settings, self.request.run.as_str())
    }

    /// How it is started.
    pub(super) fn start_target(&self) -> anyhow::Result<StartTarget> {
        let target = &self.settings.target;
        let control = match target.control {
            Control::Compose => TargetControl::Compose {
                project: self.target_project()?,
                service: target.service.clone(),
                container: target.container.clone(),
                secrets: match self
                    .seen
                    .platform
                    .as_ref()
                    .and_then(|platform| platform.compose_file.as_ref())
                {
                    Some(_) => Vec::new(),
                    None => vec![("PLATFORM_POSTGRES_PASSWORD".to_owned(), SecretName::Target)],
                },
            },
            Control::PgCtl => TargetControl::Cluster(servers::target_cluster(target)),
            _ => TargetControl::External,
        };
        Ok(StartTarget {
            control,
            instance: self.target(),
            maintenance_database: target.maintenance_database.clone(),
            limit_seconds: self.settings.limits.target_start_seconds,
            published: (target.host.clone(), target.port),
            was_running: self.seen.target.running,
        })
    }

    pub(super) fn target_project(&self) -> anyhow::Result<Project> {
        let checkout = self.seen.platform.as_ref();
        target_project(self.workspace, self.settings, &self.seen.docker, checkout)
            .context("Compose is not on this machine")
    }

    /// The rest of the platform's stack; `None` when all of it runs, or there is none.
    pub(super) fn stack(&self) -> anyhow::Result<Option<StartStack>> {
        let rest = Rest::of(self.seen, self.settings);
        if rest.is_empty() {
            return Ok(None);
        }
        Ok(Some(StartStack {
            project: self.target_project()?,
            project_name: project_of_target(self.settings, self.seen).unwrap_or_default(),
            services: rest.start,
            left_out: rest.left_out,
            limit_seconds: self.settings.limits.target_start_seconds,
        }))
    }

    /// The platform's checkout, when it is to be pulled.
    pub(super) fn pull(&self) -> Option<Pull> {
        let platform = self.seen.platform.as_ref().filter(|_| self.request.pull)?;
        Some(Pull {
            checkout: platform.root.clone(),
            branch: self.settings.platform.branch.clone(),
            compose_file: platform.compose_file.clone(),
            compose_sha256: platform.compose_sha256.clone(),
        })
    }

    /// Restore of everything that was backed up.
    pub(super) fn restore(&self, fences: &[Fence]) -> Restore {
        let databases = fences.iter().map(|fence| {
            let carried = Carried::over(self.seen, self.settings, &fence.database);
            RestoreDatabase {
                name: fence.database.clone(),
                target_name: self.settings.databases[&fence.database].name.clone(),
                owner: self.owner(&fence.database),
                reader: fence.reader(),
                clients: fence.restored_with.clone(),
                left_out: carried.left_out,
                template: carried.template,
                extensions_there: carried.extensions_there,
                given_over: false,
            }
        });
        Restore {
            databases: databases.collect(),
            target: self.target(),
            maintenance_database: self.settings.target.maintenance_database.clone(),
            folder: self.folder.join("backup"),
            jobs: self.settings.limits.jobs(),
            maintenance_work_mem: self.settings.limits.maintenance_work_mem.clone(),
            roles: self.request.roles,
            run: self.request.run.clone(),
            unprivileged: self
                .seen
                .target
                .server
                .as_ref()
                .is_some_and(|server| !server.superuser),
        }
    }

    /// Who owns a database on the target: the role that the settings name for it, else the administrator, or in mode
    /// `preserve` the role that the application logs in as today.
    pub(super) fn owner(&self, database: &str) -> String {
        let login = &self.settings.databases[database].login;
        let administrator = || match login.as_str() {
            "" => self.settings.target.user.clone(),
            login => login.to_owned(),
        };
        let mapped = || {
            let mut files = self.seen.env_files.iter();
            files.find_map(|file| file.mappings.get(database)?.user.value.clone())
        };
        match self.request.roles {
            Roles::Unify => administrator(),
            Roles::Preserve => mapped().unwrap_or_else(administrator),
        }
    }

    /// The renames that put it in place.
    pub(super) fn swap(&self, fences: &[Fence]) -> Swap {
        let restore = self.restore(fences);
        let databases = restore.databases.iter().map(|database| SwapDatabase {
            name: database.name.clone(),
            target_name: database.target_name.clone(),
            incoming: database.incoming(),
        });
        Swap {
            databases: databases.collect(),
            target: restore.target,
            maintenance_database: restore.maintenance_database,
            set_aside: self.request.set_aside,
            run: self.request.run.clone(),
        }
    }
}
