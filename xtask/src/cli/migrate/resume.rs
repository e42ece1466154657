//! Runs that are not finished: which one stands in the way, and how one goes on.

use super::{Begun, learn_kept, world};
use crate::cli::{Context, Ending, record, refuse};
use crate::engine::{self, JournalEvent};
use crate::model::{Exit, RunDir};
use crate::observe::{self, Eyes};
use crate::plan::{self, Plan};
use crate::steps::{Planned, Probe, Step as _};

/// The newest run that neither finished nor was rolled back.
pub(in crate::cli) fn open_run(context: &Context) -> anyhow::Result<Option<RunDir>> {
    let Some(run) = RunDir::all(&context.workspace.runs()).into_iter().next_back() else {
        return Ok(None);
    };
    Ok(state(&run)?.is_some_and(|state| state.is_open()).then_some(run))
}

/// What to do about a run that stands in the way.
pub(in crate::cli) fn unfinished(context: &Context, run: &RunDir) -> anyhow::Result<Ending> {
    let going_back = state(run)?.is_some_and(|state| state.is_going_back());
    let what = if going_back { ": it is on its way back" } else { "" };
    let ending = Ending::new(
        Exit::Preconditions,
        format!("run {} is not finished{what}", run.id),
    );
    Ok(decisions(context, run)?.into_iter().fold(ending, Ending::hint))
}

/// The lines that decide about a run in the middle. One on its way back cannot go forward.
pub(in crate::cli) fn decisions(context: &Context, run: &RunDir) -> anyhow::Result<Vec<String>> {
    let recorded = record::read(run)?;
    let typed = |line: String| match &recorded {
        Some((plan, _)) => record::line_of(plan, &context.loaded.profile, line),
        None => line,
    };
    let going_back = recorded.as_ref().is_some_and(|(_, state)| state.is_going_back());
    let resume = (!going_back).then(|| typed(format!("cargo xtask migrate --resume {}", run.id)));
    let back = typed(format!("cargo xtask rollback {}", run.id));
    Ok(resume.into_iter().chain([back]).collect())
}

/// Where a run stands; `None` for one that has no plan yet.
pub(in crate::cli) fn state(run: &RunDir) -> anyhow::Result<Option<engine::RunState>> {
    Ok(record::read(run)?.map(|(_, state)| state))
}

pub(super) fn resume(context: &mut Context, name: &str, vouched: bool) -> anyhow::Result<Begun> {
    let run = context.run((!name.is_empty()).then_some(name))?;
    let (plan, mut journal, state) = record::open(&run)?;
    let again = format!("cargo xtask migrate --resume {}", run.id);
    record::same_profile(&plan, &context.loaded.profile, &again)?;
    if state.finished {
        return Err(Ending::new(
            Exit::NothingToDo,
            format!("nothing to do: run {} is finished", run.id),
        )
        .into());
    }
    if state.rolled_back {
        return Err(
            Ending::new(Exit::Preconditions, format!("run {} was rolled back", run.id))
                .hint("cargo xtask migrate")
                .into(),
        );
    }
    if state.is_going_back() {
        let message = format!(
            "run {} is on its way back; it cannot go forward from there",
            run.id
        );
        return Err(Ending::new(Exit::Preconditions, message)
            .hint(format!("cargo xtask rollback {}", run.id))
            .into());
    }
    let eyes = Eyes {
        workspace: &context.workspace,
        settings: &context.loaded.settings,
        runner: &context.runner,
        only: &plan.databases,
    };
    let seen = observe::observe(&eyes, &mut context.vault);
    learn_kept(context, &run)?;
    let now = plan::inputs(&context.loaded, &seen);
    let changed: Vec<String> = plan
        .inputs
        .iter()
        .filter(|(name, before)| now.get(*name) != Some(before))
        .map(|(name, before)| {
            let now = now.get(name).map_or("absent", String::as_str);
            format!("  {name}: was {before}, is {now}")
        })
        .collect();
    if !changed.is_empty() {
        let message = format!(
            "run {} cannot go on, because what it was planned on has changed:\n{}",
            run.id,
            changed.join("\n")
        );
        return Err(Ending::new(Exit::Preconditions, message)
            .hint("change it back and resume")
            .hint(format!("cargo xtask rollback {}", run.id))
            .into());
    }
    unedited(context, &run, &plan)?;
    if vouched && !crate::steps::vouch_for_inside(&run)? {
        let message = "--accept-unfenced-source with --resume is your word for sessions that a failure after the cutover \
                       named, and none did";
        return Err(Ending::new(Exit::Usage, message).hint(again).into());
    }
    let left = crate::steps::clear_orphans(
        &world(context, &run, "resume")?,
        plan::charge::uses_docker(&context.loaded.settings),
    );
    let left = left.map_err(|failure| Ending::new(Exit::Preconditions, failure.message))?;
    for what in left {
        context
            .terminal
            .line(&format!("removed what a killed run left: {what}"));
    }
    journal.append(JournalEvent::RunResumed {})?;
    Ok((run, plan, journal, Vec::new()))
}

/// An edit of `.env` would stop the run at its cutover: told before anything is done for it.
fn unedited(context: &Context, run: &RunDir, plan: &Plan) -> anyhow::Result<()> {
    let world = world(context, run, "resume")?;
    let mut cutovers = plan.steps.iter().zip(Planned::all(&plan.steps));
    let cutover = cutovers.find(|(step, _)| matches!(step.action, plan::Action::Cutover(_)));
    let Some((_, cutover)) = cutover else {
        return Ok(());
    };
    match cutover.probe(&world) {
        Ok(Probe::Conflict(finding)) => {
            let again = format!(
                "take the edit back, then: cargo xtask migrate --resume {}",
                run.id
            );
            Err(refuse(&[finding.hint(again)]).into())
        }
        // What cannot be read is the step's to tell.
        _ => Ok(()),
    }
}
