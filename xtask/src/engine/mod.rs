//! Runs steps in order, writes the journal, stops cleanly, resumes, goes back. Knows no step by name.

mod fold;
mod journal;
mod lock;

use std::time::Instant;

use serde_json::Value;

use crate::steps::{Failure, Probe, Step};

pub use fold::{RunState, StepState, fold};
pub use journal::{Entry, Event as JournalEvent, Journal};
pub use lock::{Held, Lock};

/// What the engine tells while it works.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step begins.
    Started {
        /// Its number, from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// Its title.
        title: &'a str,
    },
    /// A step is done and checked.
    Done {
        /// Its title.
        title: &'a str,
        /// Seconds it took.
        seconds: f64,
        /// Whether it had been done before.
        before: bool,
    },
    /// A step failed.
    Failed {
        /// Its title.
        title: &'a str,
    },
    /// A step was undone.
    Undone {
        /// Its title.
        title: &'a str,
    },
}

/// How a run of the engine ended.
#[derive(Debug)]
pub enum Outcome {
    /// Every step is done and checked.
    Finished,
    /// A step failed; the journal tells where to go on.
    Stopped {
        /// The step's id.
        step: String,
        /// Its title.
        title: String,
        /// Why.
        failure: Failure,
    },
}

/// Runs every step that the journal does not show as done, in order.
///
/// A step that the journal shows as done is looked at again and done again when what it made is gone: a journal tells
/// what happened, not what is.
///
/// # Errors
/// When the journal cannot be written. Nothing is done that was not announced in it.
pub fn run<S: Step>(
    steps: &[S],
    worlds: impl Fn(&S) -> anyhow::Result<S::World>,
    journal: &mut Journal,
    mut tell: impl FnMut(Event<'_>),
) -> anyhow::Result<Outcome> {
    let ids: Vec<&str> = steps.iter().map(Step::id).collect();
    let state = fold(&ids, journal.entries())?;
    for (index, step) in steps.iter().enumerate() {
        tell(Event::Started {
            number: index + 1,
            of: steps.len(),
            title: step.title(),
        });
        let started = Instant::now();
        let world = worlds(step)?;
        let was_done = matches!(state.steps[index], StepState::Done { .. });
        let result = one(step, &world, was_done, journal)?;
        match result {
            Ok(skipped) => tell(Event::Done {
                title: step.title(),
                seconds: started.elapsed().as_secs_f64(),
                before: skipped,
            }),
            Err(failure) => {
                tell(Event::Failed { title: step.title() });
                journal.append(JournalEvent::StepFailed {
                    step: step.id().to_owned(),
                    interrupted: failure.interrupted,
                    message: failure.message.clone(),
                })?;
                let (id, title) = (step.id().to_owned(), step.title().to_owned());
                return Ok(Outcome::Stopped {
                    step: id,
                    title,
                    failure,
                });
            }
        }
    }
    journal.append(JournalEvent::RunFinished {})?;
    Ok(Outcome::Finished)
}

/// One step: look, announce, act, check. `Ok(true)` when there was nothing to do.
fn one<S: Step>(
    step: &S,
    world: &S::World,
    was_done: bool,
    journal: &mut Journal,
) -> anyhow::Result<Result<bool, Failure>> {
    let started = Instant::now();
    if was_done {
        match step.probe(world) {
            // Steps that always run again (the application is asked anew) answer Absent.
            Ok(Probe::Satisfied) => return Ok(Ok(true)),
            Ok(Probe::Absent) => {}
            Ok(Probe::Conflict(finding)) => return Ok(Err(finding.into())),
            Err(failure) => return Ok(Err(failure)),
        }
    }
    journal.append(JournalEvent::StepStarted {
        step: step.id().to_owned(),
    })?;
    let acted = match step.probe(world) {
        Ok(Probe::Absent) => step.apply(world).map(|facts| (false, facts)),
        Ok(Probe::Satisfied) => Ok((true, Value::Null)),
        Ok(Probe::Conflict(finding)) => Err(finding.into()),
        Err(failure) => Err(failure),
    };
    let checked = acted.and_then(|result| step.verify(world).map(|()| result));
    match checked {
        Ok((skipped, facts)) => {
            journal.append(JournalEvent::StepSucceeded {
                step: step.id().to_owned(),
                seconds: started.elapsed().as_secs_f64(),
                skipped,
                facts,
            })?;
            Ok(Ok(skipped))
        }
        Err(failure) => Ok(Err(failure)),
    }
}

/// Undoes, in reverse order, every step that the journal shows as begun. One that fails does not stop the others:
/// what can be brought back is brought back.
///
/// # Errors
/// When the journal cannot be written.
pub fn undo<S: Step>(
    steps: &[S],
    worlds: impl Fn(&S) -> anyhow::Result<S::World>,
    journal: &mut Journal,
    mut tell: impl FnMut(Event<'_>),
) -> anyhow::Result<Vec<(String, Failure)>> {
    let ids: Vec<&str> = steps.iter().map(Step::id).collect();
    let state = fold(&ids, journal.entries())?;
    let mut failures = Vec::new();
    for (step, state) in steps.iter().zip(&state.steps).rev() {
        if matches!(state, StepState::Pending | StepState::Undone) {
            continue;
        }
        journal.append(JournalEvent::UndoStarted {
            step: step.id().to_owned(),
        })?;
        match step.undo(&worlds(step)?) {
            Ok(()) => {
                journal.append(JournalEvent::StepUndone {
                    step: step.id().to_owned(),
                })?;
                tell(Event::Undone { title: step.title() });
            }
            Err(failure) => {
                tell(Event::Failed { title: step.title() });
                journal.append(JournalEvent::UndoFailed {
                    step: step.id().to_owned(),
                    message: failure.message.clone(),
                })?;
                failures.push((step.title().to_owned(), failure));
            }
        }
    }
    if failures.is_empty() {
        journal.append(JournalEvent::RunRolledBack {})?;
    }
    Ok(failures)
}

#[cfg(test)]
mod tests;
