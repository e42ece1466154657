//! `cargo xtask rollback`

mod env_files;
mod newer;
mod others;
mod set_aside;

use self::newer::Newer;
use super::confirm::confirm;
use super::context::lock;
use super::migrate::{describe, learn_kept, world, write_reports};
use super::{Context, Ending, Global, backup, care};
use crate::cli::record;
use crate::engine::{self, RunState, StepState};
use crate::model::{Exit, RunDir};
use crate::plan::{self, Action, Plan, charge};
use crate::steps::{self, Failure, Planned, Step};

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
        for database in &plan.databases {
            if let Some(held) = steps::proven(database, &run) {
                let line = format!("  the old database of {database} answers and {held}");
                context.terminal.line(&line);
            }
        }
        going.ask_application();
        let ran = |step: &plan::PlannedStep| !matches!(&step.action, Action::Fence(fence) if !fence.ran());
        context.terminal.line(match plan.steps.iter().all(ran) {
            true => "\nrolled back: every old database answers and holds all that it held, .env names them",
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
    let ending = Ending::new(Exit::RollbackIncomplete, message);
    // Where nothing that is left would end otherwise the next time, the same command is no advice.
    let retryable = !elsewhere.is_empty() || failures.iter().any(|(_, failure)| !failure.for_good);
    Err(match retryable {
        true => ending.hint(format!("cargo xtask rollback {}", run.id)),
        false => ending,
    }
    .into())
}

/// Going back from a run under a newer one that is in use would pull the ground from under it.
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
