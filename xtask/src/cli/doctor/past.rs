//! What the newest migrations left, from their plans and journals.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::Context as _;

use super::super::{Context, migrate, record};
use crate::doctor::{OpenRun, Past};
use crate::engine::{self, Entry, JournalEvent, Lock, StepState};
use crate::model::RunDir;
use crate::plan::{Action, Plan};

/// The newest run of each database that did anything.
pub(super) fn past(context: &Context) -> BTreeMap<String, Past> {
    let mut found = BTreeMap::new();
    for run in RunDir::all(&context.workspace.runs()).into_iter().rev() {
        match one(&run) {
            Ok(None) => {}
            Ok(Some((databases, past))) => {
                for name in databases {
                    found.entry(name).or_insert_with(|| past.clone());
                }
            }
            // Any database may have been in it.
            Err(error) => {
                let unknown = Past::Unknown(run.id.to_string(), format!("{error:#}"));
                for name in context.loaded.settings.databases.keys() {
                    found.entry(name.clone()).or_insert_with(|| unknown.clone());
                }
            }
        }
    }
    found
}

/// The run that is neither finished nor rolled back. [`past`] reports one that cannot be read.
pub(super) fn open(context: &Context) -> Option<OpenRun> {
    let run = migrate::open_run(context).ok()??;
    let (_, state) = record::read(&run).ok()??;
    Some(OpenRun {
        run: run.id.to_string(),
        going_back: state.is_going_back(),
        held_by: Lock::holder(&context.workspace.private())
            .map(|held| held.0)
            // `doctor --fix` holds the lock itself.
            .filter(|who| !who.contains(&format!("process {},", std::process::id()))),
        lines: migrate::decisions(context, &run).ok()?,
    })
}

/// The databases of a run and what it left; `None` when it never began.
fn one(run: &RunDir) -> anyhow::Result<Option<(Vec<String>, Past)>> {
    let Some((plan, entries)) = record::documents::<Plan>(run)? else {
        return Ok(None);
    };
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    let state = engine::fold(&ids, &entries)?;
    let id = run.id.to_string();
    if state.steps.iter().all(|step| *step == StepState::Pending) {
        return Ok(None);
    }
    let cut_over = plan.steps.iter().zip(&state.steps).any(|(step, state)| {
        matches!(step.action, Action::Cutover(_)) && matches!(state, StepState::Done { .. })
    });
    let past = match (state.rolled_back, cut_over) {
        (true, _) => Past::RolledBack(id),
        (false, true) if !state.is_going_back() => Past::Stands {
            ended: ended(&entries)
                .with_context(|| format!("the journal of run {id} does not say when it ended"))?,
            run: id,
        },
        _ => Past::Unknown(id, "it is neither finished nor rolled back".to_owned()),
    };
    Ok(Some((plan.databases, past)))
}

/// When the last step ended. That a run was looked at again, or cleaned up, is no use of the old instance.
fn ended(entries: &[Entry]) -> Option<SystemTime> {
    let acted = |entry: &&Entry| {
        matches!(
            entry.event,
            JournalEvent::StepSucceeded { .. } | JournalEvent::RunFinished {}
        )
    };
    let last = entries.iter().rev().find(acted)?;
    humantime::parse_rfc3339(&last.at).ok()
}
