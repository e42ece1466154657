//! `cargo xtask rollback`

mod others;
mod set_aside;

use super::confirm::confirm;
use super::context::lock;
use super::migrate::{describe, learn_kept, world, write_reports};
use super::{Context, Ending, Global, backup, care};
use crate::cli::record;
use crate::engine::{self, RunState, StepState};
use crate::model::run_dir::BEFORE_ROLLBACK;
use crate::model::{Exit, RunDir, time};
use crate::plan::action::BackupDatabase;
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
    let ended = match failures.is_empty() {
        true => "rolled back",
        false => "incomplete",
    };
    care::audit(&context, &run, &plan, "cargo xtask rollback", ended)?;
    if failures.is_empty() {
        going.ask_application();
        context
            .terminal
            .line("\nrolled back: the old instances are in charge, .env names them");
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
        let (Some(restore), true) = (restored, swapped) else {
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
        if !self.is_open(|action| matches!(action, Action::Cutover(_))) {
            return Ok(Newer::Nothing);
        }
        let looked = started.and_then(|()| {
            let aside = set_aside::since(self, restore)?;
            Ok((steps::written_since(restore, &world)?, aside))
        });
        let discard = self.args.discard_new_writes;
        let flag = format!("cargo xtask rollback {} --discard-new-writes", self.run.id);
        match looked {
            Ok((found, aside)) if found.is_empty() && aside.is_empty() => {
                self.context
                    .terminal
                    .line("  nothing was written on the target since the cutover");
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
                let server = restore.target.server(&self.context.vault);
                let look = aside.first().map(|aside| server.connect_hint(&aside.name));
                let ending = Ending::new(Exit::Preconditions, message);
                let ending = look.into_iter().fold(ending, Ending::hint);
                Err(ending.hint(flag).into())
            }
            Err(failure) if discard => {
                self.context.terminal.line(&format!(
                    "cannot tell what was written on the target since the cutover: {}",
                    failure.message
                ));
                let answers = restore.target.server(&self.context.vault);
                let answers = answers.answers(&self.context.runner, &restore.maintenance_database);
                Ok(if answers.is_ok() {
                    Newer::Rows
                } else {
                    Newer::Unknown
                })
            }
            Err(failure) => {
                let message = format!(
                    "cannot tell what was written on the target since the cutover: {}\n{changed}",
                    failure.message
                );
                Err(Ending::new(Exit::Preconditions, message).hint(flag).into())
            }
        }
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
        let databases = restore.databases.iter().map(|database| BackupDatabase {
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
