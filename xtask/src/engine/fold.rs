//! The state of a run, folded from its journal.

use std::fmt;

use serde_json::Value;

use super::journal::{Entry, Event};

/// Where one step stands.
#[derive(Clone, Debug, PartialEq)]
pub enum StepState {
    /// Never begun.
    Pending,
    /// Begun, and no end is known: it failed, was interrupted, or the program died.
    Open {
        /// The last failure, when one was written.
        failure: Option<String>,
    },
    /// Done and checked.
    Done {
        /// Seconds it took.
        seconds: f64,
        /// Whether there was nothing to do.
        skipped: bool,
        /// What it left in the journal.
        facts: Value,
    },
    /// Being undone, or its undo failed.
    Undoing {
        /// Why it failed.
        failure: Option<String>,
    },
    /// Undone.
    Undone,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    /// Each step, in the order of the plan.
    pub steps: Vec<StepState>,
    /// Whether every step was done.
    pub finished: bool,
    /// Whether every step was undone.
    pub rolled_back: bool,
    /// Whether what it left was removed.
    pub cleaned: bool,
}

impl RunState {
    /// Whether there is something to resume or to roll back.
    pub fn is_open(&self) -> bool {
        !self.finished && !self.rolled_back && self.steps.iter().any(|step| *step != StepState::Pending)
    }
}

impl RunState {
    /// Whether a rollback began and did not come to its end.
    pub fn is_going_back(&self) -> bool {
        let undone = |step: &StepState| matches!(step, StepState::Undoing { .. } | StepState::Undone);
        !self.rolled_back && self.steps.iter().any(undone)
    }
}

/// A journal that no run of the engine writes.
#[derive(Debug, PartialEq)]
pub struct IllegalSequence {
    /// Number of the entry.
    pub seq: u64,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for IllegalSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "journal entry {} cannot follow what stands before it: {}",
            self.seq, self.why
        )
    }
}

impl std::error::Error for IllegalSequence {}

/// Folds a journal. Pure.
///
/// # Errors
/// An [`IllegalSequence`]: such a journal is not trusted.
pub fn fold(ids: &[&str], entries: &[Entry]) -> Result<RunState, IllegalSequence> {
    let mut state = RunState {
        steps: vec![StepState::Pending; ids.len()],
        finished: false,
        rolled_back: false,
        cleaned: false,
    };
    for entry in entries {
        let wrong = |why: String| IllegalSequence { seq: entry.seq, why };
        let at = |id: &String| {
            ids.iter()
                .position(|known| known == id)
                .ok_or_else(|| wrong(format!("the plan has no step {id}")))
        };
        match &entry.event {
            Event::RunStarted { .. } => {}
            Event::RunResumed {} => {
                state.finished = false;
            }
            Event::StepStarted { step } => {
                let index = at(step)?;
                if state.rolled_back || matches!(state.steps[index], StepState::Undoing { .. }) {
                    return Err(wrong(format!("step {step} begins while the run goes back")));
                }
                state.steps[index] = StepState::Open { failure: None };
            }
            Event::StepSucceeded {
                step,
                seconds,
                skipped,
                facts,
            } => {
                let index = at(step)?;
                if !matches!(state.steps[index], StepState::Open { .. }) {
                    return Err(wrong(format!("step {step} ends without having begun")));
                }
                state.steps[index] = StepState::Done {
                    seconds: *seconds,
                    skipped: *skipped,
                    facts: facts.clone(),
                };
            }
            Event::StepFailed { step, message, .. } => {
                let index = at(step)?;
                state.steps[index] = StepState::Open {
                    failure: Some(message.clone()),
                };
            }
            Event::UndoStarted { step } => {
                let index = at(step)?;
                if state.steps[index] == StepState::Pending {
                    return Err(wrong(format!("step {step} is undone without having begun")));
                }
                state.finished = false;
                state.steps[index] = StepState::Undoing { failure: None };
            }
            Event::StepUndone { step } | Event::UndoFailed { step, .. } => {
                let index = at(step)?;
                if !matches!(state.steps[index], StepState::Undoing { .. }) {
                    return Err(wrong(format!(
                        "the undo of step {step} ends without having begun"
                    )));
                }
                state.steps[index] = match &entry.event {
                    Event::UndoFailed { message, .. } => StepState::Undoing {
                        failure: Some(message.clone()),
                    },
                    _ => StepState::Undone,
                };
            }
            Event::RunFinished {} => {
                if !state
                    .steps
                    .iter()
                    .all(|step| matches!(step, StepState::Done { .. }))
                {
                    return Err(wrong("the run finishes with open steps".to_owned()));
                }
                state.finished = true;
            }
            Event::RunRolledBack {} => state.rolled_back = true,
            Event::RunCleaned {} => state.cleaned = true,
        }
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(events: Vec<Event>) -> Vec<Entry> {
        let entry = |(i, event)| Entry {
            seq: i as u64 + 1,
            at: String::new(),
            event,
        };
        events.into_iter().enumerate().map(entry).collect()
    }

    fn started(step: &str) -> Event {
        Event::StepStarted {
            step: step.to_owned(),
        }
    }

    fn succeeded(step: &str) -> Event {
        Event::StepSucceeded {
            step: step.to_owned(),
            seconds: 1.0,
            skipped: false,
            facts: Value::Null,
        }
    }

    #[test]
    fn a_begun_step_without_an_end_is_open() {
        let state = fold(
            &["a", "b"],
            &journal(vec![started("a"), succeeded("a"), started("b")]),
        )
        .unwrap();
        assert!(matches!(state.steps[0], StepState::Done { .. }));
        assert_eq!(state.steps[1], StepState::Open { failure: None });
        assert!(state.is_open());
    }

    #[test]
    fn illegal_sequences_are_rejected() {
        assert!(fold(&["a"], &journal(vec![succeeded("a")])).is_err());
        assert!(fold(&["a"], &journal(vec![started("b")])).is_err());
        assert!(
            fold(
                &["a", "b"],
                &journal(vec![started("a"), succeeded("a"), Event::RunFinished {}])
            )
            .is_err()
        );
        assert!(
            fold(
                &["a"],
                &journal(vec![Event::UndoStarted { step: "a".to_owned() }])
            )
            .is_err()
        );
    }
}
