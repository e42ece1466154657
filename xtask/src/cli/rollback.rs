//! `cargo xtask rollback`

mod env_files;
mod others;
mod set_aside;

use infra::postgres::manifest::CompareOptions;

use super::confirm::confirm;
use super::context::lock;
use super::migrate::{describe, learn_kept, world, write_reports};
use super::{Context, Ending, Global, backup, care};
use crate::cli::record;
use crate::engine::{self, RunState, StepState};
use crate::model::run_dir::BEFORE_ROLLBACK;
use crate::model::{Exit, RunDir, time};
use crate::plan::action::{BackupDatabase, Restore, RestoreDatabase};
use crate::plan::{self, Action, Plan, charge};
use crate::steps::{self, Failure, Planned, Step, World};

/// How many differences of a database are shown.
const SHOWN: usize = 10;

/// Go back: the old instances run again, `.env` names them, and nothing on the target is deleted
///
/// Possible at any point before `cleanup`. Looks first whether anything was written on the target since the cutover, and
/// refuses to leave that behind. What was moved stays on the target under another name.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RollbackArgs {
    /// The run to take back; without it, the newest
    run: Option<String>,
    /// Go back although rows were written on the target since the cutover; they stay there and in a backup
    #[arg(long)]
    discard_new_writes: bool,
    /// Go back although somebody edited .env since the cutover; the edited file is kept in the run's folder
    #[arg(long)]
    discard_env_edits: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
}

/// Runs the command.
pub(crate) fn cmd_rollback(global: &Global, args: &RollbackArgs) -> anyhow::Result<Exit> {
    let mut context = Context::new(global)?;
    let _lock = lock(&context, "cargo xtask rollback")?;
    let run = context.run(args.run.as_deref())?;
    let (plan, mut journal, state) = record::open(&run)?;
    let again = format!("cargo xtask rollback {}", run.id);
    record::same_profile(&plan, &context.loaded.profile, &again)?;
    if state.cleaned {
        return Err(Ending::new(
            Exit::Preconditions,
            format!("run {} was cleaned up: nothing is left to go back to", run.id),
        )
        .into());
    }
    let begun = |s: &StepState| !matches!(s, StepState::Pending | StepState::Undone);
    // Killed after its last step was undone, a run still lacks the line that says so.
    if state.rolled_back || !(state.steps.iter().any(begun) || state.is_going_back()) {
        let what = match state.rolled_back {
            true => "is rolled back",
            false => "did nothing that could be taken back",
        };
        let message = format!("nothing to do: run {} {what}", run.id);
        return Err(Ending::new(Exit::NothingToDo, message).into());
    }
    newer_run(&context, &run)?;
    context.terminal.line(&format!(
        "going back from run {}: {}",
        run.id,
        plan.databases.join(", ")
    ));
    backup::look(&mut context, &plan.databases);
    learn_kept(&mut context, &run)?;
    let going = Going {
        context: &context,
        run: &run,
        plan: &plan,
        state: &state,
        args,
    };
    going.clear_orphans()?;
    going.env_files(false)?;
    let newer = going.new_writes()?;
    for (step, _) in plan
        .steps
        .iter()
        .zip(&state.steps)
        .rev()
        .filter(|(_, state)| begun(state))
    {
        context.terminal.line(&format!("   - undo: {}", step.title));
    }
    others::tell(&going);
    let again = format!("cargo xtask rollback {} --yes", run.id);
    confirm("go back?", args.yes, &again)?;
    if newer == Newer::Rows {
        going.keep_target()?;
    }
    going.env_files(args.discard_env_edits)?;
    let steps = Planned::all(&plan.steps);
    let failures = engine::undo(
        &steps,
        |step: &Planned<'_>| world(&context, &run, step.id()),
        &mut journal,
        |event| context.terminal.event(&event),
    )?;
    // The old world is back whether or not a report can be made of it.
    if let Ok(document) = describe(&context, &run, &plan, &journal, Vec::new()) {
        write_reports(&context, &run, &plan, &journal, &document);
    }
    let elsewhere = env_files::on_the_target(&going);
    let complete = failures.is_empty() && elsewhere.is_empty();
    let ended = match complete {
        true => "rolled back",
        false => "incomplete",
    };
    care::audit(&context, &run, &plan, "cargo xtask rollback", ended)?;
    if complete {
        going.ask_application();
        let ran = |step: &plan::PlannedStep| !matches!(&step.action, Action::Fence(fence) if !fence.ran());
        context.terminal.line(match plan.steps.iter().all(ran) {
            true => "\nrolled back: the old instances are in charge, .env names them",
            false => "\nrolled back: .env and the old instances are as they were before the run; not all of them ran",
        });
        if newer == Newer::Unknown {
            context.terminal.line(
                "the target could not be asked: what is on it keeps its names, so that the next migration needs another \
                 target, or --set-aside-existing",
            );
        }
        if plan.steps.iter().any(|step| step.id == plan::STOP_APPLICATION) {
            context
                .terminal
                .line("the run had stopped your application: start it again");
        }
        return Ok(Exit::RolledBack);
    }
    let mut message = String::from("rollback is incomplete; a person must look at:");
    for what in &elsewhere {
        message.push_str(&format!("\n  - {what}"));
    }
    for (title, failure) in &failures {
        message.push_str(&format!("\n  - {title}: {}", failure.message));
        for hint in &failure.hints {
            message.push_str(&format!("\n      {hint}"));
        }
    }
    let again = format!("cargo xtask rollback {}", run.id);
    Err(Ending::new(Exit::RollbackIncomplete, message).hint(again).into())
}

/// Going back from a run under a newer one that is in charge would pull the ground from under it.
fn newer_run(context: &Context, run: &RunDir) -> anyhow::Result<()> {
    for newer in RunDir::all(&context.workspace.runs()).into_iter().rev() {
        if newer.id <= run.id {
            break;
        }
        let Some((plan, state)) = record::read(&newer)? else {
            continue;
        };
        let acted = state
            .steps
            .iter()
            .any(|s| !matches!(s, StepState::Pending | StepState::Undone));
        if acted && !state.rolled_back {
            return Err(Ending::new(
                Exit::Preconditions,
                format!(
                    "run {} came after run {}; go back from that one first",
                    newer.id, run.id
                ),
            )
            .hint(record::line_of(
                &plan,
                &context.loaded.profile,
                format!("cargo xtask rollback {}", newer.id),
            ))
            .into());
        }
    }
    Ok(())
}

/// Whether something is on the target that the old world does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newer {
    /// No: it was compared, or nobody but us ever wrote there.
    Nothing,
    /// Yes.
    Rows,
    /// It cannot be told, and cannot be backed up.
    Unknown,
}

/// A rollback before it acts.
struct Going<'a> {
    context: &'a Context,
    run: &'a RunDir,
    plan: &'a Plan,
    state: &'a RunState,
    args: &'a RollbackArgs,
}

impl Going<'_> {
    /// What a killed run left running would disturb.
    fn clear_orphans(&self) -> anyhow::Result<()> {
        let world = world(self.context, self.run, "rollback")?;
        let docker = charge::uses_docker(&self.context.loaded.settings);
        let cleared =
            steps::clear_orphans(&world, docker).map_err(|failure| self.refuse(&failure.message))?;
        for what in cleared {
            self.context
                .terminal
                .line(&format!("  removed what a killed run left: {what}"));
        }
        Ok(())
    }

    /// Refuses when somebody edited a `.env` file since the cutover, unless the edit may go.
    fn env_files(&self, discard: bool) -> anyhow::Result<()> {
        if !self.is_open(|action| matches!(action, Action::Cutover(_))) {
            return Ok(());
        }
        let world = world(self.context, self.run, "rollback")?;
        for step in &self.plan.steps {
            let Action::Cutover(cutover) = &step.action else {
                continue;
            };
            let edits =
                steps::edits(cutover, &world, discard).map_err(|failure| self.refuse(&failure.message))?;
            let Some(edit) = edits.first().filter(|_| !self.args.discard_env_edits) else {
                continue;
            };
            let message = format!(
                "{} was edited after the cutover; going back would lose that edit:\n{}\nnothing was changed",
                edit.path.display(),
                edit.diff
            );
            return Err(Ending::new(Exit::Preconditions, message)
                .hint(format!(
                    "cargo xtask rollback {} --discard-env-edits",
                    self.run.id
                ))
                .into());
        }
        Ok(())
    }

    /// Looks for rows that were written on the target since the cutover, and refuses to leave them behind.
    fn new_writes(&self) -> anyhow::Result<Newer> {
        let restored = self.plan.steps.iter().find_map(|step| match &step.action {
            Action::Restore(restore) => Some(restore),
            _ => None,
        });
        let swapped = self.is_open(|action| matches!(action, Action::Swap(_)));
        let (Some(asked), true) = (restored, swapped) else {
            return Ok(Newer::Nothing);
        };
        // The swap can only be undone on a target that runs.
        let world = world(self.context, self.run, "rollback")?;
        let mut changed = "nothing was changed";
        let started = self.start_target(&world).map(|started| {
            if started {
                changed = "the target was started to look, and runs; nothing else was changed";
            }
        });
        let cut_over = self.is_open(|action| matches!(action, Action::Cutover(_)));
        // Where the target took the place of an old instance, `.env` names it before the cutover.
        let since = match cut_over {
            true => "the cutover",
            false => "the databases were put in place",
        };
        let options = CompareOptions {
            // A swap that was cut off leaves our mark in it.
            database_comment: cut_over,
            ..CompareOptions::default()
        };
        let looked = started.and_then(|()| match cut_over {
            true => {
                let aside = set_aside::since(self, asked)?;
                Ok((steps::written_since(asked, &options, &world)?, aside))
            }
            false => {
                let unfinished = self.unfinished(asked, &world)?;
                Ok((steps::written_since(&unfinished, &options, &world)?, Vec::new()))
            }
        });
        let discard = self.args.discard_new_writes;
        let flag = format!("cargo xtask rollback {} --discard-new-writes", self.run.id);
        match looked {
            Ok((found, aside)) if found.is_empty() && aside.is_empty() => {
                self.context
                    .terminal
                    .line(&format!("  nothing was written on the target since {since}"));
                Ok(Newer::Nothing)
            }
            Ok((found, aside)) => {
                let mut message = String::from("the target holds what the old instances do not have:");
                for (database, differences) in &found {
                    for difference in differences.iter().take(SHOWN) {
                        message.push_str(&format!("\n  {database}: {difference}"));
                    }
                    if differences.len() > SHOWN {
                        message.push_str(&format!("\n  {database}: and {} more", differences.len() - SHOWN));
                    }
                }
                for aside in &aside {
                    message.push_str(&format!("\n  {aside}"));
                }
                if discard {
                    self.context.terminal.line(&message);
                    return Ok(Newer::Rows);
                }
                message.push_str(&format!("\ngoing back would leave that behind; {changed}"));
                let server = asked.target.server(&self.context.vault);
                let look = aside.first().map(|aside| server.connect_hint(&aside.name));
                let ending = Ending::new(Exit::Preconditions, message);
                let ending = look.into_iter().fold(ending, Ending::hint);
                Err(ending.hint(flag).into())
            }
            // Nobody but us was told of the target yet.
            Err(_) if !cut_over && !env_files::any_on_the_target(self) => Ok(Newer::Nothing),
            Err(failure) if discard => {
                self.context.terminal.line(&format!(
                    "cannot tell what was written on the target since {since}: {}",
                    failure.message
                ));
                let answers = asked.target.server(&self.context.vault);
                let answers = answers.answers(&self.context.runner, &asked.maintenance_database);
                Ok(if answers.is_ok() {
                    Newer::Rows
                } else {
                    Newer::Unknown
                })
            }
            Err(failure) => {
                let message = format!(
                    "cannot tell what was written on the target since {since}: {}\n{changed}",
                    failure.message
                );
                Err(Ending::new(Exit::Preconditions, message).hint(flag).into())
            }
        }
    }

    /// The databases of a run that came to its swap and not to its cutover which others may have written to: those in place,
    /// but for one whose schema was being upgraded, by us.
    fn unfinished(&self, restore: &Restore, world: &World<'_>) -> Result<Restore, Failure> {
        let mut restore = restore.clone();
        let in_place = self.in_place(world)?;
        restore
            .databases
            .retain(|database| in_place.contains(&database.name));
        for (step, state) in self.plan.steps.iter().zip(&self.state.steps) {
            if let Action::UpgradeSchema(schema) = &step.action
                && *state != StepState::Pending
                && !steps::is_recorded(self.run, &schema.name)?
            {
                restore.databases.retain(|database| database.name != schema.name);
            }
        }
        Ok(restore)
    }

    /// The databases that this run put in place and that are there now.
    fn in_place(&self, world: &World<'_>) -> Result<Vec<String>, Failure> {
        let mut swaps = self.plan.steps.iter().filter_map(|step| match &step.action {
            Action::Swap(swap) => Some(swap),
            _ => None,
        });
        swaps
            .next()
            .map_or(Ok(Vec::new()), |swap| steps::in_place_now(swap, world))
    }

    /// Starts the target when somebody stopped it meanwhile; whether it did.
    fn start_target(&self, world: &World<'_>) -> Result<bool, Failure> {
        let mut started = false;
        for (planned, step) in self.plan.steps.iter().zip(Planned::all(&self.plan.steps)) {
            let Action::StartTarget(start) = &planned.action else {
                continue;
            };
            let server = start.instance.server(&self.context.vault);
            if server
                .answers(&world.runner, &start.maintenance_database)
                .is_err()
            {
                self.context
                    .terminal
                    .line("  the target does not answer; starting it to look");
                step.apply(world)?;
                step.verify(world)?;
                started = true;
            }
        }
        Ok(started)
    }

    /// Backs the target's databases up into the run's folder.
    fn keep_target(&self) -> anyhow::Result<()> {
        let restored = self.plan.steps.iter().find_map(|step| match &step.action {
            Action::Restore(restore) => Some(restore),
            _ => None,
        });
        let Some(restore) = restored else { return Ok(()) };
        let world = world(self.context, self.run, "rollback")?;
        let in_place = self
            .in_place(&world)
            .map_err(|failure| self.refuse(&failure.message))?;
        let here = |database: &&RestoreDatabase| in_place.contains(&database.name);
        let databases = restore
            .databases
            .iter()
            .filter(here)
            .map(|database| BackupDatabase {
                name: database.name.clone(),
                source_database: database.target_name.clone(),
                reader: restore.target.clone(),
                watched: false,
            });
        let folder = self
            .run
            .path()
            .join(format!("{BEFORE_ROLLBACK}{}", time::compact_now()));
        self.context.terminal.line(&format!(
            "backing up the target before going back: {}",
            folder.display()
        ));
        backup::take(self.context, self.run, databases.collect(), folder)?;
        Ok(())
    }

    /// The old application, asked once: going back is done whatever it says.
    fn ask_application(&self) {
        for (planned, step) in self.plan.steps.iter().zip(Planned::all(&self.plan.steps)) {
            let world = || world(self.context, self.run, "rollback").map_err(Failure::from);
            let (asked, where_it_is) = match &planned.action {
                Action::CheckApplication(_) => (
                    world().and_then(|world| step.apply(&world).map(drop)),
                    String::new(),
                ),
                Action::AskApplication(action) => (
                    world().and_then(|world| steps::ask_once(action, &world)),
                    format!(" at {}", action.url),
                ),
                _ => continue,
            };
            self.context.terminal.line(&match asked {
                Ok(()) => format!("  the application{where_it_is} answers and finds its databases"),
                Err(failure) => format!(
                    "  warning: the application{where_it_is} does not work: {}",
                    failure.message
                ),
            });
            if !where_it_is.is_empty() {
                let line = "  restart it wherever it runs, so that it reads the previous .env";
                self.context.terminal.line(line);
            }
        }
    }

    /// Whether a step of this kind has begun and is not undone.
    fn is_open(&self, is: impl Fn(&Action) -> bool) -> bool {
        let mut steps = self.plan.steps.iter().zip(&self.state.steps);
        steps
            .any(|(step, state)| is(&step.action) && !matches!(state, StepState::Pending | StepState::Undone))
    }

    fn refuse(&self, message: &str) -> Ending {
        Ending::new(Exit::Preconditions, format!("{message}\nnothing was changed"))
            .hint(format!("cargo xtask status {}", self.run.id))
    }
}
