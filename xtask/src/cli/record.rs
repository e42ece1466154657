//! A run as its folder tells it: plan, journal, where it stands.

use anyhow::Context as _;

use super::Ending;
use crate::engine::{self, Entry, Journal, RunState};
use crate::model::run_dir::read_json;
use crate::model::typed::with_profile;
use crate::model::{Exit, RunDir};
use crate::plan::Plan;

/// Plan and state of a run; `None` for one that ended before it had a plan.
///
/// # Errors
/// An [`Ending`] that says what is damaged and what to do.
pub(super) fn read(run: &RunDir) -> anyhow::Result<Option<(Plan, RunState)>> {
    read_whole(run).map_err(|error| damaged(run, &error).into())
}

/// As [`read`], to go on with the run.
///
/// # Errors
/// As [`read`], and for a run without a plan.
pub(super) fn open(run: &RunDir) -> anyhow::Result<(Plan, Journal, RunState)> {
    let Some((plan, state)) = read(run)? else {
        let message = format!("run {} has no plan: it ended before anything was done", run.id);
        return Err(Ending::new(Exit::NothingToDo, message)
            .hint("cargo xtask status")
            .into());
    };
    let journal = Journal::open(&run.journal()).map_err(|error| damaged(run, &error))?;
    Ok((plan, journal, state))
}

/// A run is gone on with, taken back and cleaned up by the profile that it was planned with: another one names other
/// servers, and everything would seem to have changed.
///
/// # Errors
/// An [`Ending`] with the line to type, when this command was given another profile.
pub(super) fn same_profile(plan: &Plan, given: &str, line: &str) -> Result<(), Ending> {
    if plan.profile == given {
        return Ok(());
    }
    let message = format!(
        "run {} was planned with the profile {}, and this command goes by {given}; nothing was changed",
        plan.run, plan.profile
    );
    Err(Ending::new(Exit::Preconditions, message).hint(with_profile(line, &plan.profile)))
}

/// A line to type about a run, for a command that goes by this profile.
pub(super) fn line_of(plan: &Plan, given: &str, line: String) -> String {
    match plan.profile == given {
        // The line gets the profile of this command where it is printed.
        true => line,
        false => with_profile(&line, &plan.profile),
    }
}

fn read_whole(run: &RunDir) -> anyhow::Result<Option<(Plan, RunState)>> {
    let entries = Journal::read(&run.journal())?;
    match read_json::<Plan>(&run.plan())? {
        Some(plan) => {
            let state = fold(&plan, &entries)?;
            Ok(Some((plan, state)))
        }
        None if entries.is_empty() => Ok(None),
        None => anyhow::bail!("its plan.json is gone, and its journal says that it acted"),
    }
}

fn fold(plan: &Plan, entries: &[Entry]) -> anyhow::Result<RunState> {
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    engine::fold(&ids, entries).context("its journal makes no sense")
}

/// Nobody may guess what was done: a person brings the old instances back.
fn damaged(run: &RunDir, error: &anyhow::Error) -> Ending {
    let message = format!(
        "run {} cannot be read, so nobody knows what it did: {error:#}\nnothing was changed",
        run.id
    );
    Ending::new(Exit::Preconditions, message)
        .hint("read \"By hand\" in docs/rollback.md: it brings the old instances back without this tool")
        .hint(format!(
            "then move {} away, and: cargo xtask status",
            run.path().display()
        ))
}
