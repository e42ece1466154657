//! What would go: found here, removed by the module beside this one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use infra::docker;
use infra::postgres::{Script, facts};

use super::runs::Known;
use crate::cli::{Context, Ending};
use crate::model::upload::Uploads;
use crate::model::{Exit, RunDir, RunId, time};
use crate::observe::Observed;
use crate::plan::action::{Fence, Fenced, Restore};
use crate::plan::{Action, charge};

/// One thing that would go.
pub(super) struct Item {
    /// In words.
    pub(super) text: String,
    /// How it goes.
    pub(super) how: Removal,
    /// The run that cannot be rolled back any more without it.
    pub(super) ends: Option<RunId>,
    /// The database whose old data it holds.
    pub(super) old_data_of: Option<String>,
}

/// The ways to remove something.
pub(super) enum Removal {
    Container(String),
    Volume(String),
    Database(String),
    Folder(PathBuf),
}

/// Where to look.
pub(super) struct Cleaning<'a> {
    pub(super) context: &'a Context,
    pub(super) seen: &'a Observed,
    /// Runs that are not to be touched.
    pub(super) open: Vec<RunId>,
    /// The one run a person named.
    pub(super) named: Option<RunId>,
}

impl Cleaning<'_> {
    fn covers(&self, run: &RunId) -> bool {
        !self.open.contains(run) && self.named.as_ref().is_none_or(|named| named == run)
    }

    /// Readers and clients of runs of this workspace.
    pub(super) fn containers(&self, scope: &[&Known]) -> anyhow::Result<Vec<Item>> {
        if !charge::uses_docker(&self.context.loaded.settings) {
            return Ok(Vec::new());
        }
        let mut items = Vec::new();
        for known in scope {
            for container in docker::of_run(&self.context.runner, known.dir.id.as_str())? {
                items.push(Item {
                    text: format!(
                        "container {} ({}) of run {}",
                        container.name, container.status, known.dir.id
                    ),
                    how: Removal::Container(container.name),
                    ends: None,
                    old_data_of: None,
                });
            }
        }
        Ok(items)
    }

    /// Databases on the target that carry the name or the mark of a run.
    pub(super) fn databases(&self) -> anyhow::Result<Vec<Item>> {
        let settings = &self.context.loaded.settings;
        if self.seen.target.server.is_none() {
            self.context
                .terminal
                .line("the target does not answer: what lies there cannot be listed, and stays");
            return Ok(Vec::new());
        }
        let server = charge::target(settings, "").server(&self.context.vault);
        let maintenance = &settings.target.maintenance_database;
        let found = facts::server(&self.context.runner, &server, maintenance)?;
        let marks = Script::new(
            "SELECT coalesce(json_object_agg(datname, shobj_description(oid, 'pg_database')), '{}'::json) \
             FROM pg_database WHERE NOT datistemplate;",
        );
        let marks: BTreeMap<String, Option<String>> = server.json(
            &self.context.runner,
            maintenance,
            &marks,
            "read the marks of databases on the target",
        )?;
        let any = RunDir::new(&self.context.workspace.runs(), RunId::new());
        let mut items = Vec::new();
        for (name, entry) in &found.databases {
            let marked = marks
                .get(name)
                .and_then(|mark| Restore::marked_by(mark.as_deref()?));
            let of = |word: &str| RunId::parse(name.rsplit_once(word)?.1);
            let (run, what) = match (marked, of("__before_"), of("__undone_")) {
                (Some(run), ..) if name.ends_with("__incoming") => (run, "unfinished restore"),
                (_, Some(run), _) => (run, "content that was replaced"),
                (_, _, Some(run)) => (run, "content that was rolled back"),
                _ => continue,
            };
            if !any.is_known(&run) || !self.covers(&run) {
                continue;
            }
            let size = entry.bytes.map_or_else(|| "size unknown".to_owned(), time::bytes);
            items.push(Item {
                text: format!("database {name} on the target, {size}: {what} of run {run}"),
                how: Removal::Database(name.clone()),
                ends: name.contains("__before_").then_some(run),
                old_data_of: None,
            });
        }
        Ok(items)
    }

    /// The old instances of a finished run.
    pub(super) fn old_world(&self, run: &Known) -> anyhow::Result<Vec<Item>> {
        let plan = run.plan.as_ref().context("a finished run has a plan")?;
        let settings = &self.context.loaded.settings;
        let sizes = if charge::uses_docker(settings) {
            docker::volume_sizes(&self.context.runner)?
        } else {
            BTreeMap::new()
        };
        let mut items = Vec::new();
        for step in &plan.steps {
            let Action::Fence(fence) = &step.action else {
                continue;
            };
            if charge::names_target(self.seen, settings, &fence.database) != Some(true) {
                let message = format!(
                    "no .env file names the target for {}; its old volume may be in use and stays; nothing was removed",
                    fence.database
                );
                return Err(Ending::new(Exit::Preconditions, message)
                    .hint("cargo xtask status --settings")
                    .into());
            }
            items.extend(self.old_instance(fence, &sizes)?);
        }
        for item in &mut items {
            item.ends = Some(run.dir.id.clone());
        }
        Ok(items)
    }

    fn old_instance(&self, fence: &Fence, sizes: &BTreeMap<String, String>) -> anyhow::Result<Vec<Item>> {
        let runner = &self.context.runner;
        let runs = |what: String| {
            Ending::new(
                Exit::Preconditions,
                format!("{what} runs; an old instance that runs may be in use; nothing was removed"),
            )
        };
        let volume = |volume: &String| Item {
            text: format!(
                "volume {volume}, {}: the old data of {}",
                sizes.get(volume).map_or("size unknown", String::as_str),
                fence.database
            ),
            how: Removal::Volume(volume.clone()),
            ends: None,
            old_data_of: Some(fence.database.clone()),
        };
        let mut items = Vec::new();
        match &fence.fenced {
            Fenced::Container { name, id, data, .. } => {
                if let Some(container) = docker::container(runner, name)?.filter(|found| found.id == *id) {
                    if container.is_running() {
                        return Err(runs(format!("container {name}"))
                            .hint(format!("docker stop {name}"))
                            .into());
                    }
                    items.push(Item {
                        text: format!("container {name}: the old instance of {}", fence.database),
                        how: Removal::Container(name.clone()),
                        ends: None,
                        old_data_of: None,
                    });
                }
                match data {
                    Some(data) if sizes.contains_key(data) => items.push(volume(data)),
                    Some(data) if data.starts_with(['/', '\\']) => self.context.terminal.line(&format!(
                        "stays: {data}, a folder of this machine with the old data of {}",
                        fence.database
                    )),
                    _ => {}
                }
            }
            Fenced::Volume { volume: name, .. } if sizes.contains_key(name) => items.push(volume(name)),
            Fenced::Volume { .. } => {}
            // Another server's data is not ours to remove.
            Fenced::External(external) => self.context.terminal.line(&format!(
                "stays: database {} of {}, closed to everybody",
                fence.source_database, external.instance.label
            )),
            Fenced::Cluster { cluster, .. } => {
                if cluster.data.is_dir() {
                    if cluster.is_running(runner)? {
                        return Err(runs(format!("the server on {}", cluster.data.display())).into());
                    }
                    let size = infra::files::dir_size(&cluster.data)
                        .map_or_else(|_| "size unknown".to_owned(), time::bytes);
                    items.push(Item {
                        text: format!(
                            "data directory {}, {size}: the old data of {}",
                            cluster.data.display(),
                            fence.database
                        ),
                        how: Removal::Folder(cluster.data.clone()),
                        ends: None,
                        old_data_of: Some(fence.database.clone()),
                    });
                }
            }
        }
        Ok(items)
    }

    /// Folders of runs that are older than the newest few. The newest run that is in use always stays.
    pub(super) fn old_runs(&self, closed: &[Known]) -> Vec<Item> {
        let keep = self.context.loaded.settings.limits.keep_runs.max(1);
        let charged = closed.iter().rposition(|known| {
            known
                .state
                .as_ref()
                .is_some_and(|state| state.finished && !state.rolled_back)
        });
        let old = closed.len().saturating_sub(keep);
        let mut items = Vec::new();
        for (index, known) in closed.iter().take(old).enumerate() {
            if Some(index) == charged {
                continue;
            }
            let size = infra::files::dir_size(known.dir.path())
                .map_or_else(|_| "size unknown".to_owned(), time::bytes);
            items.push(Item {
                text: format!(
                    "run {} with its backup and logs{}, {size}; {}",
                    known.dir.id,
                    match known.dir.before_rollback().is_empty() {
                        true => "",
                        false =>
                            " and the backup of the target that a rollback took (rows that are nowhere else)",
                    },
                    Uploads::words(&known.dir.backup())
                ),
                how: Removal::Folder(known.dir.path().to_owned()),
                ends: None,
                old_data_of: None,
            });
        }
        items
    }

    /// Folders of set-ups of this machine that are older than the newest few. The newest says whether it came to its end.
    pub(super) fn old_set_ups(&self) -> Vec<Item> {
        let keep = self.context.loaded.settings.limits.keep_runs.max(1);
        let all = RunDir::all(&self.context.workspace.onboardings());
        let old = all.len().saturating_sub(keep);
        let item = |run: &RunDir| {
            let size =
                infra::files::dir_size(run.path()).map_or_else(|_| "size unknown".to_owned(), time::bytes);
            Item {
                text: format!(
                    "set-up {} of this machine: its plan, journal, logs and copies of what it changed, {size}",
                    run.id
                ),
                how: Removal::Folder(run.path().to_owned()),
                ends: None,
                old_data_of: None,
            }
        };
        all.iter().take(old).map(item).collect()
    }
}
