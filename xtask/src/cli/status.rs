//! `cargo xtask status`

use super::{Context, Global};
use crate::engine::{self, Journal, StepState};
use crate::model::run_dir::read_json;
use crate::model::{Exit, RunDir, time};
use crate::plan::Plan;

/// Status: where runs stand, or every setting with its origin
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StatusArgs {
    /// The run to show; without it, all runs
    run: Option<String>,
    /// Show every setting and where its value came from
    #[arg(long)]
    settings: bool,
}

/// Runs the command.
pub(crate) fn cmd_status(global: &Global, args: &StatusArgs) -> anyhow::Result<Exit> {
    let context = Context::new(global)?;
    if args.settings {
        for (path, (value, origin)) in &context.loaded.origins {
            super::output::out_line(format_args!("{path} = {value}    ({origin})"))?;
        }
        return Ok(Exit::Ok);
    }
    let runs = match &args.run {
        Some(name) => vec![context.run(Some(name))?],
        None => RunDir::all(&context.workspace.runs()),
    };
    if let Some(holder) = engine::Lock::holder(&context.workspace.private()) {
        super::output::out_line(format_args!("at work now: {}", holder.0))?;
    }
    if runs.is_empty() {
        super::output::out_line(format_args!("no runs yet"))?;
    }
    for run in &runs {
        super::output::out_line(format_args!("{}", line(run)?))?;
        if args.run.is_some() {
            steps(run)?;
        }
    }
    Ok(Exit::Ok)
}

fn load(run: &RunDir) -> anyhow::Result<(Plan, engine::RunState)> {
    let plan: Plan = read_json(&run.plan())?.ok_or_else(|| anyhow::anyhow!("run {} has no plan", run.id))?;
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    let state = engine::fold(&ids, &Journal::read(&run.journal())?)?;
    Ok((plan, state))
}

fn line(run: &RunDir) -> anyhow::Result<String> {
    let (plan, state) = load(run)?;
    let done = state
        .steps
        .iter()
        .filter(|step| matches!(step, StepState::Done { .. }))
        .count();
    let outcome = match (state.finished, state.rolled_back, state.cleaned) {
        (_, _, true) => "finished and cleaned up".to_owned(),
        (_, true, _) => "rolled back".to_owned(),
        (true, ..) => "finished".to_owned(),
        _ if state.is_going_back() => "going back stopped halfway: cargo xtask rollback goes on".to_owned(),
        _ => {
            let at = plan.steps.get(done).map_or("the end", |step| step.title.as_str());
            format!("open after {done} of {} steps, at: {at}", plan.steps.len())
        }
    };
    Ok(format!("{}  {}  {outcome}", run.id, plan.databases.join(",")))
}

fn steps(run: &RunDir) -> anyhow::Result<()> {
    let (plan, state) = load(run)?;
    for (step, state) in plan.steps.iter().zip(&state.steps) {
        let text = match state {
            StepState::Pending => "pending".to_owned(),
            StepState::Open { failure: Some(why) } => format!("failed: {why}"),
            StepState::Open { failure: None } => "begun, no end known".to_owned(),
            StepState::Done { seconds, .. } => format!("done in {}", time::seconds(*seconds)),
            StepState::Undoing { failure: Some(why) } => format!("going back failed: {why}"),
            StepState::Undoing { failure: None } => "going back".to_owned(),
            StepState::Undone => "undone".to_owned(),
        };
        super::output::out_line(format_args!("  {:<16} {text}", step.id))?;
    }
    super::output::out_line(format_args!("  folder: {}", run.path().display()))?;
    Ok(())
}
