//! Builds the plan from what was seen. Called only when no finding forbids it.

mod application;
mod onboarding;
mod sources;
mod target;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::action::*;
use super::{Plan, PlannedStep, Roles};
use crate::config::{Control, Loaded, Settings, Vault, Workspace};
use crate::model::RunId;
use crate::observe::{Observed, SourceSeen, SourceState};

pub use application::env_block;
pub(in crate::plan) use onboarding::held;
pub use onboarding::{Onboarding, onboarding};

/// What the person asked for.
#[derive(Clone, Debug, Default)]
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
    /// Whether a person vouches that nobody writes to external sources that cannot be closed.
    pub accept_unfenced: bool,
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
    Ok(Plan {
        schema_version: 1,
        run: request.run.clone(),
        folder: builder.folder.clone(),
        profile: loaded.profile.clone(),
        roles: request.roles,
        inputs: inputs(loaded, seen),
        steps: builder.steps(&fences, &moved.join(", "), vault)?,
        databases: moved,
    })
}

/// Steps, in the order in which they were added.
struct Steps<'a> {
    vault: &'a Vault,
    steps: Vec<PlannedStep>,
}

impl Steps<'_> {
    fn add(&mut self, id: impl Into<String>, title: impl Into<String>, reason: &str, action: Action) {
        self.steps.push(planned(id, title, reason, action, self.vault));
    }
}

impl Builder<'_> {
    /// The safe order. `names` are the databases, for people.
    fn steps(&self, fences: &[Fence], names: &str, vault: &Vault) -> anyhow::Result<Vec<PlannedStep>> {
        let mut steps = Steps {
            vault,
            steps: Vec::new(),
        };
        if let Some(pull) = self.pull() {
            steps.add(
                super::PULL,
                "pull the platform's checkout",
                "what comes may not fit this plan; nothing is down yet",
                Action::Pull(pull),
            );
        }
        if let Some(images) = self.images() {
            steps.add(
                super::IMAGES,
                format!("have {}", images.images.join(", ")),
                "images arrive while the old instances still serve; nothing is down yet",
                Action::Images(images),
            );
        }
        if let Some(stop) = self.stop_application() {
            steps.add(
                super::STOP_APPLICATION,
                "stop the application",
                "it would only see its databases go away, and its last requests end in errors",
                Action::StopApplication(stop),
            );
        }
        for fence in fences {
            steps.add(
                format!("fence-{}", fence.database),
                format!("fence the source of {}", fence.database),
                "a row written after the backup would be lost: nothing may write from here on",
                Action::Fence(fence.clone()),
            );
        }
        steps.add(
            "backup",
            format!("back up {names}"),
            "the data as it will ever be, with what must be true of it; every archive is read back",
            Action::Backup(self.backup(fences)),
        );
        if let Some(seal) = self.seal(fences) {
            steps.add(
                "seal",
                seal.title(),
                "the server's own counters, and all rows read again, must say that nothing was written since the backup's \
                 snapshot",
                Action::Seal(seal),
            );
        }
        let (title, reason) = match self.settings.target.control {
            Control::External => (
                "ask the target",
                "a real query must be answered before anything is restored",
            ),
            _ => (
                "start the target",
                "the old instances have released their ports; a real query must be answered",
            ),
        };
        steps.add("target", title, reason, Action::StartTarget(self.start_target()?));
        steps.add(
            "restore",
            format!("restore and compare {names}"),
            "under another name: the real name shows the old content until the new one compared equal",
            Action::Restore(self.restore(fences)),
        );
        steps.add(
            "swap",
            format!("put {names} in place"),
            "one transaction renames all databases: everybody sees all of the old or all of the new",
            Action::Swap(self.swap(fences)),
        );
        if let Some(schema) = self.schema()? {
            steps.add(
                "schema",
                format!("bring the schema to {}", self.head()),
                "after the comparison, so that a schema change cannot hide a lost row",
                Action::UpgradeSchema(schema),
            );
        }
        steps.add(
            "cutover",
            "point .env at the target",
            "the cutover: only now, when the target holds everything",
            Action::Cutover(self.cutover(fences, &self.changes())?),
        );
        if let Some(redis) = self.redis()? {
            steps.add(
                "redis",
                "have Redis",
                "the labeler keeps only Redis; both stacks publish the same port",
                Action::StartRedis(redis),
            );
        }
        if let Some(application) = self.ask_application(fences)? {
            steps.add(
                super::APPLICATION,
                "ask the application",
                "the proof: the application itself says that it works, in its bodies and not only its status",
                application,
            );
        }
        if let Some(upload) = self.upload(fences) {
            steps.add(
                "upload",
                format!(
                    "upload the backup to s3://{}/{}",
                    upload.storage.bucket, upload.storage.prefix
                ),
                "a backup on this machine alone is lost with it; nobody waits for this any more",
                Action::Upload(upload),
            );
        }
        // A server that is not ours was read as it is.
        if fences.iter().any(|fence| fence.external().is_none()) {
            steps.add(
                "release",
                "close the readers",
                "the old instances stay stopped, their volumes untouched, until `cleanup`",
                Action::Release(Release {
                    fences: fences.to_vec(),
                }),
            );
        }
        if let Some(stack) = self.stack()? {
            steps.add(
                super::STACK,
                "start the rest of the platform's stack",
                "the databases do not need it: a service that cannot start is a warning",
                Action::StartStack(stack),
            );
        }
        Ok(steps.steps)
    }
}

/// The parts of a migration that `doctor` repairs one by one.
pub struct Parts<'a>(Builder<'a>);

impl<'a> Parts<'a> {
    /// Of a world as it was seen. `request.run` is the folder that keeps what going back needs, below `folder`.
    pub fn new(
        workspace: &'a Workspace,
        loaded: &'a Loaded,
        seen: &'a Observed,
        request: &'a Request,
        folder: PathBuf,
    ) -> Self {
        Self(Builder {
            workspace,
            settings: &loaded.settings,
            seen,
            request,
            folder,
        })
    }

    /// Start the target.
    ///
    /// # Errors
    /// When Compose is needed and not here.
    pub fn start_target(&self) -> anyhow::Result<StartTarget> {
        self.0.start_target()
    }

    /// Have Redis; `None` when it is left out.
    ///
    /// # Errors
    /// None today.
    pub fn redis(&self) -> anyhow::Result<Option<StartRedis>> {
        self.0.redis()
    }

    /// The five values of a database on the target.
    pub fn mapping(&self, name: &str) -> Vec<EnvChange> {
        self.0.mapping(name)
    }

    /// These values, in every `.env` file.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn cutover(&self, changes: &[EnvChange]) -> anyhow::Result<Cutover> {
        self.0.cutover(&[], changes)
    }
}

fn planned(
    id: impl Into<String>,
    title: impl Into<String>,
    reason: &str,
    action: Action,
    vault: &Vault,
) -> PlannedStep {
    PlannedStep {
        id: id.into(),
        title: title.into(),
        reason: reason.to_owned(),
        commands: action.commands(vault).iter().map(shown).collect(),
        action,
    }
}

/// The private folder of a reader's socket. Short on purpose: a socket's path has room for 107 bytes.
pub fn socket_dir(run: &str, database: &str) -> PathBuf {
    std::env::temp_dir().join(format!(
        "xtask-{}-{database}",
        &run[run.len().saturating_sub(4)..]
    ))
}

/// A command as it can be pasted, with what it reads.
pub fn shown(cmd: &infra::Cmd) -> String {
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
            labeler.heads().join(", "),
        );
    }
    for (name, source) in &seen.sources {
        inputs.insert(format!("source of {name}"), identity(source));
    }
    inputs
}

fn identity(source: &SourceSeen) -> String {
    match &source.state {
        // All of them: which one is meant `.env` says, and it says another thing after the cutover.
        SourceState::Container(container) => {
            let all = std::iter::once(&**container).chain(&source.rivals);
            let mut all: Vec<String> = all
                .map(|container| format!("container {} of {}", container.id, container.image))
                .collect();
            all.sort();
            all.join(", ")
        }
        SourceState::Volume(volume) => format!("volume {volume}"),
        SourceState::Cluster { cluster, .. } => format!("data directory {}", cluster.data.display()),
        // Where `.env` says it, it says another thing after the cutover; the file itself is watched by the cutover.
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
