//! `cargo xtask cleanup`

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use infra::docker;
use infra::postgres::{Script, facts};

use super::confirm::confirm;
use super::context::lock;
use super::migrate::learn_kept;
use super::{Context, Ending, Global, backup};
use crate::engine::{self, Journal, JournalEvent, RunState, StepState};
use crate::model::run_dir::read_json;
use crate::model::{Exit, RunDir, RunId, time};
use crate::observe::Observed;
use crate::plan::action::{Fence, Fenced, Restore};
use crate::plan::{Action, Plan, charge};

/// Clean up: list what runs left behind, ask, remove it
///
/// Readers, client containers, unfinished, replaced and undone databases on the target, and old runs. Old volumes and
/// old containers go only with --remove-volumes, and only when the run's backup was just read again from end to end.
/// After that there is no way back but the backup.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CleanupArgs {
    /// Only what belongs to this run; without it, every run that is not open
    run: Option<String>,
    /// Remove the old volumes as well
    #[arg(long)]
    remove_volumes: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
}

/// One thing that would go.
struct Item {
    text: String,
    how: Removal,
    /// The run that cannot be rolled back any more without it.
    ends: Option<RunId>,
}

enum Removal {
    Container(String),
    Volume(String),
    Database(String),
    Folder(PathBuf),
}

/// A run and where it stands.
struct Known {
    dir: RunDir,
    plan: Option<Plan>,
    state: Option<RunState>,
}

/// Runs the command.
pub(crate) fn cmd_cleanup(global: &Global, args: &CleanupArgs) -> anyhow::Result<Exit> {
    let mut context = Context::new(global)?;
    let _lock = lock(&context, "cargo xtask cleanup")?;
    let all = known(&context)?;
    let named = args
        .run
        .as_deref()
        .map(|name| context.run(Some(name)))
        .transpose()?;
    let (open, closed): (Vec<Known>, Vec<Known>) = all.into_iter().partition(Known::is_open);
    if let Some(run) = &named
        && open.iter().any(|known| known.dir.id == run.id)
    {
        return Err(
            Ending::new(Exit::Preconditions, format!("run {} is not finished", run.id))
                .hint(format!("cargo xtask migrate --resume {}", run.id))
                .hint(format!("cargo xtask rollback {}", run.id))
                .into(),
        );
    }
    let scope: Vec<&Known> = closed
        .iter()
        .filter(|known| named.as_ref().is_none_or(|run| run.id == known.dir.id))
        .collect();
    let seen = backup::look(&mut context, &[]);
    for known in &scope {
        learn_kept(&mut context, &known.dir)?;
    }
    let cleaning = Cleaning {
        context: &context,
        seen: &seen,
        open: open.iter().map(|known| known.dir.id.clone()).collect(),
        named: named.as_ref().map(|run| run.id.clone()),
    };
    let mut items = cleaning.containers(&scope)?;
    items.extend(cleaning.databases()?);
    let charged = if args.remove_volumes {
        let run = in_charge(&scope)?;
        items.extend(cleaning.old_world(run)?);
        Some(run)
    } else {
        None
    };
    if named.is_none() {
        items.extend(cleaning.old_runs(&closed));
    }
    if items.is_empty() {
        return Err(Ending::new(Exit::NothingToDo, "nothing to do: there is nothing to clean up").into());
    }
    context.terminal.line("would go:");
    for item in &items {
        context.terminal.line(&format!("  {}", item.text));
    }
    if !args.remove_volumes {
        context
            .terminal
            .line("stay: the old volumes and data directories (--remove-volumes)");
    }
    if let Some(run) = charged {
        verify_backup(&context, &run.dir)?;
    }
    let run = args
        .run
        .as_ref()
        .map_or_else(String::new, |run| format!(" {run}"));
    let volumes = if args.remove_volumes {
        " --remove-volumes"
    } else {
        ""
    };
    let again = format!("cargo xtask cleanup{run}{volumes} --yes");
    confirm("remove them? There is no way back from that.", args.yes, &again)?;
    let ends = |known: &&&Known| items.iter().any(|item| item.ends.as_ref() == Some(&known.dir.id));
    for known in scope.iter().filter(ends).filter(|known| known.is_finished()) {
        // Intent before effect: from here on the run cannot be rolled back any more.
        Journal::open(&known.dir.journal())?.append(JournalEvent::RunCleaned {})?;
    }
    cleaning.remove(&items)
}

/// Every migration, the oldest first.
fn known(context: &Context) -> anyhow::Result<Vec<Known>> {
    let one = |dir: RunDir| {
        let plan: Option<Plan> = read_json(&dir.plan())?;
        let state = match &plan {
            Some(plan) => {
                let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
                Some(engine::fold(&ids, &Journal::read(&dir.journal())?)?)
            }
            None => None,
        };
        Ok(Known { dir, plan, state })
    };
    RunDir::all(&context.workspace.runs())
        .into_iter()
        .map(one)
        .collect()
}

impl Known {
    fn is_open(&self) -> bool {
        let begun = |step: &StepState| !matches!(step, StepState::Pending);
        self.state
            .as_ref()
            .is_some_and(|state| !state.finished && !state.rolled_back && state.steps.iter().any(begun))
    }

    fn is_finished(&self) -> bool {
        self.state
            .as_ref()
            .is_some_and(|state| state.finished && !state.rolled_back && !state.cleaned)
    }
}

/// The run whose target replaced the old volumes.
fn in_charge<'a>(scope: &[&'a Known]) -> anyhow::Result<&'a Known> {
    let newest = scope.iter().rev().find(|known| {
        known
            .state
            .as_ref()
            .is_some_and(|state| state.finished && !state.rolled_back)
    });
    newest.copied().ok_or_else(|| {
        Ending::new(
            Exit::Preconditions,
            "no finished run replaced the old volumes; they are in charge and stay",
        )
        .hint("cargo xtask status")
        .into()
    })
}

fn verify_backup(context: &Context, run: &RunDir) -> anyhow::Result<()> {
    context
        .terminal
        .line(&format!("reading the backup of run {} from end to end", run.id));
    let differences = backup::intact(context, &run.backup())?;
    if differences.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the backup of run {} is not intact, so the old volumes stay; nothing was removed:\n  {}",
        run.id,
        differences.join("\n  ")
    );
    Err(Ending::new(Exit::Findings, message)
        .hint("cargo xtask backup create")
        .into())
}

struct Cleaning<'a> {
    context: &'a Context,
    seen: &'a Observed,
    /// Runs that are not to be touched.
    open: Vec<RunId>,
    /// The one run a person named.
    named: Option<RunId>,
}

impl Cleaning<'_> {
    fn covers(&self, run: &RunId) -> bool {
        !self.open.contains(run) && self.named.as_ref().is_none_or(|named| named == run)
    }

    /// Readers and clients of runs of this workspace.
    fn containers(&self, scope: &[&Known]) -> anyhow::Result<Vec<Item>> {
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
                });
            }
        }
        Ok(items)
    }

    /// Databases on the target that carry the name or the mark of a run.
    fn databases(&self) -> anyhow::Result<Vec<Item>> {
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
            });
        }
        Ok(items)
    }

    /// The old instances of a finished run.
    fn old_world(&self, run: &Known) -> anyhow::Result<Vec<Item>> {
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
                    "no .env file names the target for {}; its old volume may be in charge and stays; nothing was removed",
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
                    });
                }
            }
        }
        Ok(items)
    }

    /// Folders of runs that are older than the newest few. The newest run that is in charge always stays.
    fn old_runs(&self, closed: &[Known]) -> Vec<Item> {
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
                text: format!("run {} with its backup and logs, {size}", known.dir.id),
                how: Removal::Folder(known.dir.path().to_owned()),
                ends: None,
            });
        }
        items
    }

    fn remove(&self, items: &[Item]) -> anyhow::Result<Exit> {
        let mut failures = Vec::new();
        for item in items {
            match self.remove_one(item) {
                Ok(()) => self.context.terminal.line(&format!("  removed {}", item.text)),
                Err(error) => failures.push(format!("{}: {error:#}", item.text)),
            }
        }
        if failures.is_empty() {
            return Ok(Exit::Ok);
        }
        let message = format!("not everything could be removed:\n  {}", failures.join("\n  "));
        Err(Ending::new(Exit::Findings, message)
            .hint("cargo xtask cleanup")
            .into())
    }

    fn remove_one(&self, item: &Item) -> anyhow::Result<()> {
        let runner = &self.context.runner;
        match &item.how {
            Removal::Container(name) => {
                // Without -v: volumes go by their own names or not at all.
                let cmd = infra::Cmd::new(docker::PROGRAM, format!("remove container {name}"))
                    .args(["rm", "-f", name]);
                runner.run(&cmd)?;
            }
            Removal::Volume(name) => {
                let cmd = infra::Cmd::new(docker::PROGRAM, format!("remove volume {name}"))
                    .args(["volume", "rm", name]);
                runner.run(&cmd)?;
            }
            Removal::Database(name) => {
                let settings = &self.context.loaded.settings;
                let server = charge::target(settings, "").server(&self.context.vault);
                let drop = Script::new("DROP DATABASE IF EXISTS :\"name\" WITH (FORCE);").var("name", name);
                let maintenance = &settings.target.maintenance_database;
                server.execute(runner, maintenance, &drop, format!("drop database {name}"))?;
            }
            Removal::Folder(path) => {
                std::fs::remove_dir_all(path)
                    .with_context(|| format!("failed to remove {}", path.display()))?;
            }
        }
        Ok(())
    }
}
