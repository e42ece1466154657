//! `cargo xtask status`

use std::path::PathBuf;

use serde::Serialize;

use super::{Context, Global};
use crate::cli::record;
use crate::engine::{self, StepState};
use crate::model::upload::Uploads;
use crate::model::{Exit, RunDir, time};
use crate::plan::Plan;
use crate::report::documents::{self, StepDocument};

/// Status: where runs stand, or every setting with its origin
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StatusArgs {
    /// The run to show; without it, all runs
    run: Option<String>,
    /// Show every setting and where its value came from
    #[arg(long)]
    settings: bool,
    /// Print one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// The runs as a program reads them.
#[derive(Debug, Serialize)]
struct StatusDocument {
    schema_version: u32,
    /// What is at work now.
    at_work: Option<String>,
    runs: Vec<RunStatus>,
}

/// One run.
#[derive(Debug, Serialize)]
struct RunStatus {
    run: String,
    folder: PathBuf,
    databases: Vec<String>,
    /// `open`, `finished`, `going-back`, `rolled-back`, `cleaned`, `empty` (it never had a plan) or `unreadable`.
    state: &'static str,
    steps: Vec<StepDocument>,
    /// Where its backup was uploaded to, `s3://...`.
    uploads: Vec<String>,
}

/// Runs the command.
pub(crate) fn cmd_status(global: &Global, args: &StatusArgs) -> anyhow::Result<Exit> {
    let context = Context::new(global)?;
    if args.settings && args.json {
        let origins = &context.loaded.origins;
        let settings: serde_json::Map<String, serde_json::Value> = origins
            .iter()
            .map(|(path, (value, origin))| {
                let said = serde_json::json!({ "value": value, "origin": origin.to_string() });
                (path.clone(), said)
            })
            .collect();
        let document = serde_json::json!({ "schema_version": 1, "settings": settings });
        super::output::out_line(serde_json::to_string_pretty(&document)?)?;
        return Ok(Exit::Ok);
    }
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
    let holder = engine::Lock::holder(&context.workspace.private());
    if args.json {
        return print(&runs, holder.map(|holder| holder.0));
    }
    if let Some(holder) = holder {
        super::output::out_line(format_args!("at work now: {}", holder.0))?;
    }
    if runs.is_empty() {
        super::output::out_line(format_args!("no runs yet"))?;
    }
    let mut unreadable = None;
    for run in &runs {
        match record::read(run) {
            Ok(Some((plan, state))) => {
                super::output::out_line(line(run, &plan, &state))?;
                if args.run.is_some() {
                    steps(run, &plan, &state)?;
                }
            }
            Ok(None) => super::output::out_line(format_args!("{}  ended before it had a plan", run.id))?,
            // The others are told all the same.
            Err(error) => {
                super::output::out_line(format_args!("{}  cannot be read", run.id))?;
                unreadable = Some(error);
            }
        }
    }
    unreadable.map_or(Ok(Exit::Ok), Err)
}

/// All of them as one document. One that cannot be read is told in its place, and is the command's error.
fn print(runs: &[RunDir], at_work: Option<String>) -> anyhow::Result<Exit> {
    let mut unreadable = None;
    let mut one = |run: &RunDir| {
        let (databases, state, steps) = match record::read(run) {
            Ok(Some((plan, state))) => {
                let steps = documents::steps(&plan, &state);
                (plan.databases, word(&state), steps)
            }
            Ok(None) => (Vec::new(), "empty", Vec::new()),
            Err(error) => {
                unreadable = Some(error);
                (Vec::new(), "unreadable", Vec::new())
            }
        };
        let uploads = Uploads::read(&run.backup()).unwrap_or_else(|error| {
            unreadable = Some(error);
            Uploads::default()
        });
        RunStatus {
            run: run.id.to_string(),
            folder: run.path().to_owned(),
            databases,
            state,
            steps,
            uploads: uploads.locations(),
        }
    };
    let document = StatusDocument {
        schema_version: 1,
        at_work,
        runs: runs.iter().map(&mut one).collect(),
    };
    super::output::out_line(serde_json::to_string_pretty(&document)?)?;
    unreadable.map_or(Ok(Exit::Ok), Err)
}

fn word(state: &engine::RunState) -> &'static str {
    match (state.finished, state.rolled_back, state.cleaned) {
        (_, _, true) => "cleaned",
        (_, true, _) => "rolled-back",
        (true, ..) => "finished",
        _ if state.is_going_back() => "going-back",
        _ => "open",
    }
}

fn line(run: &RunDir, plan: &Plan, state: &engine::RunState) -> String {
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
    format!("{}  {}  {outcome}", run.id, plan.databases.join(","))
}

fn steps(run: &RunDir, plan: &Plan, state: &engine::RunState) -> anyhow::Result<()> {
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
    for location in Uploads::read(&run.backup())?.locations() {
        super::output::out_line(format_args!("  uploaded: {location}"))?;
    }
    Ok(())
}
