//! A run as its folder tells it: plan, journal, where it stands.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Ending;
use crate::engine::{self, Entry, Journal, RunState, StepState};
use crate::model::run_dir::read_json;
use crate::model::typed::with_profile;
use crate::model::{Exit, RunDir};
use crate::plan::{Action, Plan};

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
    let Some((plan, entries)) = documents::<Plan>(run)? else {
        return Ok(None);
    };
    let state = fold(&plan, &entries)?;
    tells_all(run, &plan, &state)?;
    Ok(Some((plan, state)))
}

/// What a run was planned to do and its journal, which belong together: the one place that reads the two. `None` for a run
/// that ended before anything was done.
///
/// # Errors
/// When one of them is damaged, or gone while the run left traces.
pub(super) fn documents<T: DeserializeOwned>(run: &RunDir) -> anyhow::Result<Option<(T, Vec<Entry>)>> {
    let entries = Journal::read(&run.journal())?;
    let plan: Option<Value> = read_json(&run.plan())?;
    match plan {
        _ if entries.is_empty() => match run.traces().first() {
            None => Ok(None),
            Some(trace) => anyhow::bail!("its journal is empty or gone, and {trace} says that it acted"),
        },
        None => anyhow::bail!("its plan.json is gone, and its journal says that it acted"),
        Some(plan) => {
            let context = || format!("failed to read {}", run.plan().display());
            let bytes = infra::files::read_regular(&run.plan()).with_context(context)?;
            Journal::check_plan(&entries, &bytes)?;
            let plan = serde_json::from_value(here(run, plan));
            let plan = plan.with_context(|| format!("failed to understand {}", run.plan().display()))?;
            Ok(Some((plan, entries)))
        }
    }
}

/// A plan whose workspace was moved since, with the paths that lie in the workspace as they are now. What it kept (the backup, the
/// previous bytes of `.env`) went along.
fn here(run: &RunDir, mut plan: Value) -> Value {
    let workspace = |folder: &Path| folder.ancestors().nth(ABOVE).map(Path::to_owned);
    let planned = plan.get("folder").and_then(Value::as_str).map(PathBuf::from);
    if let Some(planned) = planned
        && planned != run.path()
        && let (Some(old), Some(new)) = (workspace(&planned), workspace(run.path()))
    {
        move_paths(&mut plan, &old, &new);
    }
    plan
}

/// How far above a run's folder its workspace is: `.xtask/runs/<id>`.
const ABOVE: usize = 3;

/// Every text that is a path below `old`, to the same place below `new`.
fn move_paths(value: &mut Value, old: &Path, new: &Path) {
    match value {
        Value::String(text) => {
            if let Ok(rest) = Path::new(text.as_str()).strip_prefix(old) {
                let moved = match rest.as_os_str().is_empty() {
                    true => new.to_owned(),
                    false => new.join(rest),
                };
                *text = moved.to_string_lossy().into_owned();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| move_paths(value, old, new)),
        Value::Object(values) => values.values_mut().for_each(|value| move_paths(value, old, new)),
        _ => {}
    }
}

/// Whether the journal tells of everything that left a trace. One that was cut at a line's end reads well, and would have
/// what it does not tell of left as it is.
fn tells_all(run: &RunDir, plan: &Plan, state: &RunState) -> anyhow::Result<()> {
    let pending = |is: &dyn Fn(&Action) -> bool| {
        let mut steps = plan.steps.iter().zip(&state.steps);
        steps.all(|(step, state)| !is(&step.action) || *state == StepState::Pending)
    };
    let untold = run.traces().into_iter().find(|trace| {
        let step = trace
            .strip_prefix("logs/")
            .and_then(|log| log.strip_suffix(".log"))
            .and_then(|id| plan.steps.iter().position(|step| step.id == id));
        match step {
            Some(step) => state.steps[step] == StepState::Pending,
            // What commands write that are no steps.
            None if trace.starts_with("logs/") => false,
            None if trace.starts_with("env/") => pending(&|action| matches!(action, Action::Cutover(_))),
            None => pending(&|_| true),
        }
    });
    match untold {
        None => Ok(()),
        Some(trace) => anyhow::bail!("its journal was cut short: {trace} says that it did more"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::JournalEvent;
    use crate::model::RunId;
    use std::fs;

    /// A run with two steps, both done.
    fn finished(runs: &std::path::Path) -> RunDir {
        let run = RunDir::new(runs, RunId::new());
        run.create().unwrap();
        let step = |id: &str| {
            serde_json::json!({ "id": id, "title": id, "reason": "", "commands": [],
                "action": { "kind": "pull", "checkout": "/x", "branch": "main", "compose_file": null, "compose_sha256": {} } })
        };
        let plan = serde_json::json!({ "schema_version": 1, "run": run.id, "profile": "", "roles": "unify",
            "databases": ["labeler"], "inputs": {}, "steps": [step("one"), step("two")] });
        let text = serde_json::to_vec(&plan).unwrap();
        infra::files::write_private(&run.plan(), &text).unwrap();
        let mut journal = Journal::open(&run.journal()).unwrap();
        let plan = infra::files::sha256_bytes(&text);
        journal.append(JournalEvent::RunStarted { plan }).unwrap();
        for step in ["one", "two"] {
            let step = step.to_owned();
            infra::files::write_private(&run.logs().join(format!("{step}.log")), b"$ true\n").unwrap();
            journal
                .append(JournalEvent::StepStarted { step: step.clone() })
                .unwrap();
            let (seconds, skipped, facts) = (1.0, false, serde_json::Value::Null);
            let done = JournalEvent::StepSucceeded {
                step,
                seconds,
                skipped,
                facts,
            };
            journal.append(done).unwrap();
        }
        journal.append(JournalEvent::RunFinished {}).unwrap();
        run
    }

    fn refused(run: &RunDir, why: &str) {
        let error = read(run).unwrap_err();
        let ending = error.downcast_ref::<Ending>().unwrap();
        assert_eq!(ending.exit, Exit::Preconditions);
        assert!(
            ending.message.contains("cannot be read") && ending.message.contains(why),
            "{ending}"
        );
        let all = RunDir::all(run.path().parent().unwrap());
        assert_eq!(all.len(), 1, "it does not vanish");
    }

    #[test]
    fn a_journal_that_was_cut_at_any_line_or_is_gone_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let run = finished(dir.path());
        assert!(read(&run).unwrap().unwrap().1.finished);
        let whole = fs::read_to_string(run.journal()).unwrap();
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        for kept in 0..lines.len() {
            infra::files::write_private(&run.journal(), lines[..kept].concat().as_bytes()).unwrap();
            match kept {
                0 => refused(&run, "empty or gone"),
                1..4 => refused(&run, "cut short"),
                // Every step is told of, so that it can be gone on with or taken back.
                _ => assert!(read(&run).unwrap().unwrap().1.is_open()),
            }
        }
        fs::remove_file(run.journal()).unwrap();
        refused(&run, "empty or gone");
        fs::remove_file(run.plan()).unwrap();
        refused(&run, "empty or gone");
    }

    #[test]
    fn a_plan_of_a_workspace_that_was_moved_names_what_moved_along() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(&dir.path().join(".xtask/runs"), RunId::new());
        let old = Path::new("/somewhere/else");
        let folder = old.join(".xtask/runs").join(run.id.as_str());
        let plan = serde_json::json!({ "folder": folder, "kept": folder.join("env/0.before"),
            "env": "/somewhere/labeler/backend/.env", "beside": "/somewhere/elsewhere", "said": "cp /somewhere/else/x" });
        let moved = here(&run, plan);
        assert_eq!(moved["kept"], run.path().join("env/0.before").to_str().unwrap());
        assert_eq!(moved["env"], "/somewhere/labeler/backend/.env");
        assert_eq!(moved["beside"], "/somewhere/elsewhere");
        assert_eq!(moved["said"], "cp /somewhere/else/x");
    }

    #[test]
    fn a_plan_that_was_changed_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let run = finished(dir.path());
        let changed = fs::read_to_string(run.plan())
            .unwrap()
            .replace("labeler", "labelex");
        infra::files::write_private(&run.plan(), changed.as_bytes()).unwrap();
        refused(&run, "plan.json was changed");
    }

    #[test]
    fn a_run_that_was_killed_before_it_did_anything_is_not_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(dir.path(), RunId::new());
        run.create().unwrap();
        assert!(read(&run).unwrap().is_none() && RunDir::all(dir.path()).is_empty());
        infra::files::write_private(&run.logs().join("one.log"), b"").unwrap();
        infra::files::write_private(&run.plan(), b"{").unwrap();
        assert!(read(&run).is_err(), "what is there must make sense");
    }
}
