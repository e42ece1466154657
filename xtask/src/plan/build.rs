//! Builds the plan from what was seen. Called only when no finding forbids it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use infra::compose::Project;

use super::action::*;
use super::{Plan, PlannedStep, Roles};
use crate::config::{Control, Loaded, SecretName, Settings, Vault, Workspace};
use crate::model::RunId;
use crate::observe::{Observed, SourceSeen, SourceState, servers};

/// What the person asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The run this plan is for.
    pub run: RunId,
    /// Databases to move; empty: all.
    pub only: Vec<String>,
    /// How roles come over.
    pub roles: Roles,
    /// Whether to pull the platform's checkout.
    pub pull: bool,
    /// Whether existing content on the target may be kept under another name.
    pub set_aside: bool,
    /// Whether the target's password is known.
    pub target_password: bool,
    /// Ports that were free when the plan was made, for readers of local clusters.
    pub reader_ports: Vec<u16>,
}

/// Builds the plan.
///
/// # Errors
/// When something that the preflight asserts does not hold: a fault of this tool.
pub fn build(
    workspace: &Workspace,
    loaded: &Loaded,
    seen: &Observed,
    request: &Request,
    vault: &Vault,
) -> anyhow::Result<Plan> {
    let builder = Builder {
        workspace,
        settings: &loaded.settings,
        seen,
        request,
        folder: workspace.runs().join(request.run.as_str()),
    };
    let fences = builder.fences()?;
    let moved: Vec<String> = fences.iter().map(|fence| fence.database.clone()).collect();
    let mut steps = Vec::new();
    let mut add = |id: &str, title: String, reason: &str, action: Action| {
        let commands = action.commands(vault).iter().map(shown).collect();
        steps.push(PlannedStep {
            id: id.to_owned(),
            title,
            reason: reason.to_owned(),
            commands,
            action,
        });
    };
    if let Some(images) = builder.images() {
        let reason = "images arrive while the old instances still serve; nothing is down yet";
        add(
            super::IMAGES,
            format!("have {}", images.images.join(", ")),
            reason,
            Action::Images(images),
        );
    }
    for fence in &fences {
        let reason = "a row written after the backup would be lost: nothing may write from here on";
        let title = format!("fence the source of {}", fence.database);
        add(
            &format!("fence-{}", fence.database),
            title,
            reason,
            Action::Fence(fence.clone()),
        );
    }
    let backup = builder.backup(&fences);
    let reason = "the data as it will ever be, with what must be true of it; every archive is read back";
    add(
        "backup",
        format!("back up {}", moved.join(", ")),
        reason,
        Action::Backup(backup),
    );
    let reason = "the old instances have released their ports; a real query must be answered";
    add(
        "target",
        "start the target".to_owned(),
        reason,
        Action::StartTarget(builder.start_target()?),
    );
    let restore = builder.restore(&fences);
    let reason = "under another name: the real name shows the old content until the new one compared equal";
    add(
        "restore",
        format!("restore and compare {}", moved.join(", ")),
        reason,
        Action::Restore(restore),
    );
    let reason = "one transaction renames all databases: everybody sees all of the old or all of the new";
    add(
        "swap",
        format!("put {} in place", moved.join(", ")),
        reason,
        Action::Swap(builder.swap(&fences)),
    );
    if let Some(schema) = builder.schema()? {
        let reason = "after the comparison, so that a schema change cannot hide a lost row";
        let title = format!("bring the schema to {}", schema.head);
        add("schema", title, reason, Action::UpgradeSchema(schema));
    }
    let reason = "the cutover: only now, when the target holds everything";
    add(
        "cutover",
        "point .env at the target".to_owned(),
        reason,
        Action::Cutover(builder.cutover()?),
    );
    if let Some(redis) = builder.redis()? {
        let reason = "the labeler keeps only Redis; both stacks publish the same port";
        add(
            "redis",
            "have Redis".to_owned(),
            reason,
            Action::StartRedis(redis),
        );
    }
    if let Some(application) = builder.application()? {
        let reason =
            "the proof: the application itself says that it works, in its bodies and not only its status";
        add(
            "application",
            "ask the application".to_owned(),
            reason,
            Action::CheckApplication(application),
        );
    }
    let reason = "the old instances stay stopped, their volumes untouched, until `cleanup`";
    add(
        "release",
        "close the readers".to_owned(),
        reason,
        Action::Release(Release { fences }),
    );
    Ok(Plan {
        schema_version: 1,
        run: request.run.clone(),
        profile: loaded.profile.clone(),
        roles: request.roles,
        databases: moved,
        inputs: inputs(loaded, seen),
        steps,
    })
}

/// The private folder of a reader's socket. Short on purpose: a socket's path has room for 107 bytes.
pub fn socket_dir(run: &str, database: &str) -> PathBuf {
    std::env::temp_dir().join(format!(
        "xtask-{}-{database}",
        &run[run.len().saturating_sub(4)..]
    ))
}

/// A command as it can be pasted, with what it reads.
fn shown(cmd: &infra::Cmd) -> String {
    match cmd.input() {
        Some(input) => format!("{cmd} <<'SQL'\n{}\nSQL", input.trim_end()),
        None => cmd.to_string(),
    }
}

/// What a resumed run must find unchanged.
pub fn inputs(loaded: &Loaded, seen: &Observed) -> BTreeMap<String, String> {
    let mut inputs = BTreeMap::new();
    for (path, (value, _)) in &loaded.origins {
        inputs.insert(format!("setting {path}"), value.clone());
    }
    if let Some(labeler) = &seen.labeler {
        inputs.insert(
            "Alembic heads of the labeler".to_owned(),
            labeler.alembic.heads.join(", "),
        );
    }
    for (name, source) in &seen.sources {
        inputs.insert(format!("source of {name}"), identity(source));
    }
    inputs
}

fn identity(source: &SourceSeen) -> String {
    match &source.state {
        SourceState::Container(container) => format!("container {} of {}", container.id, container.image),
        SourceState::Volume(volume) => format!("volume {volume}"),
        SourceState::Cluster { cluster, .. } => format!("data directory {}", cluster.data.display()),
        SourceState::External => "external".to_owned(),
        SourceState::SeveralVolumes(_) | SourceState::Absent => "absent".to_owned(),
    }
}

struct Builder<'a> {
    workspace: &'a Workspace,
    settings: &'a Settings,
    seen: &'a Observed,
    request: &'a Request,
    folder: PathBuf,
}

impl Builder<'_> {
    fn fences(&self) -> anyhow::Result<Vec<Fence>> {
        let mut fences = Vec::new();
        for (name, source) in &self.seen.sources {
            let settings = &self.settings.databases[name].source;
            let (fenced, user) = match &source.state {
                SourceState::Absent => continue,
                SourceState::Container(container) => {
                    let fenced = Fenced::Container {
                        name: container.name.clone(),
                        id: container.id.clone(),
                        image: container.image.clone(),
                        pgdata: container.pgdata.clone(),
                        restart: container.restart.clone(),
                        was_running: source.running,
                        data: container
                            .data_mount()
                            .map(|m| m.volume.clone().unwrap_or(m.source.clone())),
                    };
                    (
                        fenced,
                        container
                            .postgres_user
                            .clone()
                            .unwrap_or_else(|| settings.user.clone()),
                    )
                }
                SourceState::Volume(volume) => {
                    let fenced = Fenced::Volume {
                        volume: volume.clone(),
                        image: settings.image.clone(),
                    };
                    (fenced, settings.user.clone())
                }
                SourceState::Cluster { cluster, port } => {
                    let run = self.request.run.as_str();
                    let fenced = Fenced::Cluster {
                        cluster: cluster.clone(),
                        was_on: *port,
                        socket_dir: socket_dir(run, name),
                        reader_port: *self
                            .request
                            .reader_ports
                            .get(fences.len())
                            .context("no port was reserved for a reader")?,
                    };
                    (fenced, settings.user.clone())
                }
                SourceState::SeveralVolumes(_) | SourceState::External => {
                    bail!("the source of {name} cannot be fenced")
                }
            };
            fences.push(Fence {
                database: name.clone(),
                source_database: settings.database.clone(),
                fenced,
                user,
                clients: servers::clients(&self.settings.target, self.request.run.as_str()),
                run: self.request.run.clone(),
            });
        }
        if fences.is_empty() {
            bail!("there is no source to migrate");
        }
        Ok(fences)
    }

    fn target(&self) -> Instance {
        let server = servers::target(self.settings, &Vault::default(), self.request.run.as_str());
        Instance {
            label: server.label,
            reach: server.reach,
            user: server.user,
            password: SecretName::Target,
            clients: server.clients,
        }
    }

    fn images(&self) -> Option<Images> {
        let target = &self.settings.target;
        let missing = target.control == Control::Compose && !self.seen.docker.target_image;
        missing.then(|| Images {
            images: vec![target.image.clone()],
            limit_seconds: self.settings.limits.image_pull_seconds,
        })
    }

    fn backup(&self, fences: &[Fence]) -> Backup {
        let databases = fences.iter().map(|fence| BackupDatabase {
            name: fence.database.clone(),
            source_database: fence.source_database.clone(),
            reader: fence.reader(),
        });
        Backup {
            databases: databases.collect(),
            folder: self.folder.join("backup"),
            jobs: self.settings.limits.jobs(),
        }
    }

    fn start_target(&self) -> anyhow::Result<StartTarget> {
        let target = &self.settings.target;
        let control = match target.control {
            Control::Compose => TargetControl::Compose {
                project: self.target_project()?,
                services: target.services.clone(),
                container: target.container.clone(),
                pull: self
                    .request
                    .pull
                    .then(|| {
                        let platform = self.seen.platform.as_ref();
                        platform.map(|p| (p.root.clone(), self.settings.platform.branch.clone()))
                    })
                    .flatten(),
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
            ran_before: self
                .seen
                .docker
                .containers
                .iter()
                .filter(|container| container.is_running())
                .map(|container| container.name.clone())
                .collect(),
        })
    }

    fn target_project(&self) -> anyhow::Result<Project> {
        let (program, _) = self
            .seen
            .docker
            .compose
            .clone()
            .context("Compose is not on this machine")?;
        let platform = &self.settings.platform;
        let from_checkout = self.seen.platform.as_ref().and_then(|p| p.compose_file.clone());
        let own = self
            .workspace
            .root()
            .join("infra")
            .join("compose")
            .join("unified.yaml");
        Ok(Project {
            program,
            name: (!platform.compose_project.is_empty()).then(|| platform.compose_project.clone()),
            file: from_checkout.unwrap_or(own),
            env: platform.compose_env.clone().into_iter().collect(),
        })
    }

    fn restore(&self, fences: &[Fence]) -> Restore {
        let databases = fences.iter().map(|fence| RestoreDatabase {
            name: fence.database.clone(),
            target_name: self.settings.databases[&fence.database].name.clone(),
            owner: self.owner(&fence.database),
            reader: fence.reader(),
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
        }
    }

    /// Who owns a database on the target: its administrator, or the role that the application logs in as today.
    fn owner(&self, database: &str) -> String {
        let mapped = self
            .seen
            .env_files
            .iter()
            .find_map(|file| file.mappings.get(database)?.user.value.clone());
        match self.request.roles {
            Roles::Unify => self.settings.target.user.clone(),
            Roles::Preserve => mapped.unwrap_or_else(|| self.settings.target.user.clone()),
        }
    }

    fn swap(&self, fences: &[Fence]) -> Swap {
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

    /// What `.env` and the overrides say of one database on the target.
    fn mapping(&self, name: &str) -> Vec<EnvChange> {
        let (target, database) = (&self.settings.target, &self.settings.databases[name]);
        let keys = &database.env;
        let plain = |key: &String, value: String| EnvChange {
            key: key.clone(),
            value: EnvValue::Plain(value),
        };
        let owner = self.owner(name);
        // A preserved role keeps the password it has in `.env`.
        let password = if owner == target.user {
            SecretName::Target
        } else {
            SecretName::Source(name.to_owned())
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

    fn changes(&self) -> Vec<EnvChange> {
        self.seen
            .sources
            .keys()
            .flat_map(|name| self.mapping(name))
            .collect()
    }

    fn schema(&self) -> anyhow::Result<Option<UpgradeSchema>> {
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
            head: labeler
                .alembic
                .heads
                .first()
                .cloned()
                .context("Alembic has no head")?,
            target: self.target(),
            name: schema.database.clone(),
            database: self.settings.databases[&schema.database].name.clone(),
        }))
    }

    fn cutover(&self) -> anyhow::Result<Cutover> {
        let mut files = Vec::new();
        for (index, file) in self.seen.env_files.iter().enumerate() {
            files.push(EnvFile {
                path: file.path.clone(),
                before: self.folder.join("env").join(format!("{index}.before")),
                sha256: file
                    .sha256
                    .clone()
                    .with_context(|| format!("cannot read {}", file.path.display()))?,
                changes: self.changes(),
            });
        }
        Ok(Cutover { files })
    }

    fn redis(&self) -> anyhow::Result<Option<StartRedis>> {
        let redis = &self.settings.redis;
        if redis.control == Control::None {
            return Ok(None);
        }
        let file = self
            .seen
            .labeler
            .as_ref()
            .and_then(|labeler| labeler.compose_file.clone());
        let labeler = &self.settings.labeler;
        let project = match (redis.control, file, &self.seen.docker.compose) {
            (Control::Compose, Some(file), Some((program, _))) => Some(Project {
                program: *program,
                file,
                name: (!labeler.compose_project.is_empty()).then(|| labeler.compose_project.clone()),
                env: labeler.compose_env.clone().into_iter().collect(),
            }),
            _ => None,
        };
        Ok(Some(StartRedis {
            project,
            service: redis.service.clone(),
            host: redis.host.clone(),
            port: redis.port,
        }))
    }

    fn application(&self) -> anyhow::Result<Option<CheckApplication>> {
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
        }))
    }
}
