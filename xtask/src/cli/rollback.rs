//! `cargo xtask rollback`

use std::io::{BufRead, IsTerminal, Write};

use anyhow::Context as _;

use super::migrate::{describe, learn_kept, world, write_reports};
use super::{Context, Ending, Global};
use crate::engine::{self, Journal, Lock, StepState};
use crate::model::Exit;
use crate::model::run_dir::read_json;
use crate::observe::{self, Eyes};
use crate::plan::Plan;
use crate::steps::{Planned, Step};

/// Go back: the old instances run again, `.env` names them, and nothing on the target is deleted
///
/// Possible at any point before `cleanup`. What was moved stays on the target under another name.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RollbackArgs {
    /// The run to take back; without it, the newest
    run: Option<String>,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
}

/// Runs the command.
pub(crate) fn cmd_rollback(global: &Global, args: &RollbackArgs) -> anyhow::Result<Exit> {
    let mut context = Context::new(global)?;
    let lock = Lock::take(&context.workspace.private(), "cargo xtask rollback")?;
    let _lock =
        lock.map_err(|held| Ending::new(Exit::Preconditions, format!("another run is at work: {}", held.0)))?;
    let run = context.run(args.run.as_deref())?;
    let plan: Plan = read_json(&run.plan())?.with_context(|| format!("run {} has no plan", run.id))?;
    let mut journal = Journal::open(&run.journal())?;
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    let state = engine::fold(&ids, journal.entries())?;
    if state.cleaned {
        return Err(Ending::new(
            Exit::Preconditions,
            format!("run {} was cleaned up: nothing is left to go back to", run.id),
        )
        .into());
    }
    let begun = |s: &StepState| !matches!(s, StepState::Pending | StepState::Undone);
    if state.rolled_back || !state.steps.iter().any(begun) {
        return Err(Ending::new(
            Exit::NothingToDo,
            format!("nothing to do: run {} is rolled back", run.id),
        )
        .into());
    }
    let terminal = &context.terminal;
    terminal.line(&format!(
        "going back from run {}: {}",
        run.id,
        plan.databases.join(", ")
    ));
    for (step, _) in plan
        .steps
        .iter()
        .zip(&state.steps)
        .rev()
        .filter(|(_, state)| begun(state))
    {
        terminal.line(&format!("   - undo: {}", step.title));
    }
    if !args.yes {
        confirm()?;
    }
    let eyes = Eyes {
        workspace: &context.workspace,
        settings: &context.loaded.settings,
        runner: &context.runner,
        only: &plan.databases,
    };
    observe::observe(&eyes, &mut context.vault);
    learn_kept(&mut context, &run)?;
    let steps = Planned::all(&plan.steps);
    let failures = engine::undo(
        &steps,
        |step: &Planned<'_>| world(&context, &run, step.id()),
        &mut journal,
        |event| context.terminal.event(&event),
    )?;
    let document = describe(&context, &run, &plan, &journal, Vec::new())?;
    write_reports(&context, &run, &plan, &journal, &document);
    if failures.is_empty() {
        context
            .terminal
            .line("\nrolled back: the old instances are in charge, .env names them");
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

fn confirm() -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        return Err(
            Ending::new(Exit::Preconditions, "nobody confirmed; nothing was changed")
                .hint("cargo xtask rollback --yes")
                .into(),
        );
    }
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "\ngo back? [y/N] ");
    let _ = out.flush();
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("failed to read the answer")?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Ending::new(Exit::Preconditions, "not confirmed; nothing was changed").into())
}
