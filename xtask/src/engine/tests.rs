//! The engine on an in-memory world: every step failed, crashed after, repeated, undone twice.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value;

use super::*;

/// The whole world is a set of marks.
#[derive(Default)]
struct Marks {
    set: BTreeSet<String>,
    applied: Vec<String>,
    fail: Option<String>,
    fail_undo: Option<String>,
    corrupt: Option<String>,
}

type Shared = Rc<RefCell<Marks>>;

struct Mark(&'static str);

impl Step for Mark {
    type World = Shared;

    fn id(&self) -> &str {
        self.0
    }

    fn title(&self) -> &str {
        self.0
    }

    fn probe(&self, world: &Shared) -> Result<Probe, Failure> {
        Ok(if world.borrow().set.contains(self.0) {
            Probe::Satisfied
        } else {
            Probe::Absent
        })
    }

    fn apply(&self, world: &Shared) -> Result<Value, Failure> {
        let mut world = world.borrow_mut();
        if world.fail.as_deref() == Some(self.0) {
            return Err(Failure::new("made to fail"));
        }
        world.applied.push(self.0.to_owned());
        if world.corrupt.as_deref() != Some(self.0) {
            world.set.insert(self.0.to_owned());
        }
        Ok(Value::Null)
    }

    fn verify(&self, world: &Shared) -> Result<(), Failure> {
        if world.borrow().set.contains(self.0) {
            Ok(())
        } else {
            Err(Failure::new("not there"))
        }
    }

    fn undo(&self, world: &Shared) -> Result<(), Failure> {
        let mut world = world.borrow_mut();
        if world.fail_undo.as_deref() == Some(self.0) {
            return Err(Failure::new("made to fail"));
        }
        world.set.remove(self.0);
        Ok(())
    }
}

const STEPS: [Mark; 3] = [Mark("a"), Mark("b"), Mark("c")];

fn go(world: &Shared, journal: &mut Journal) -> Outcome {
    run(&STEPS, |_| Ok(Rc::clone(world)), journal, |_| {}).unwrap()
}

fn back(world: &Shared, journal: &mut Journal) -> Vec<(String, Failure)> {
    undo(&STEPS, |_| Ok(Rc::clone(world)), journal, |_| {}).unwrap()
}

#[test]
fn every_step_failed_once_and_resumed_ends_as_an_uninterrupted_run() {
    for failing in ["a", "b", "c"] {
        let (world, mut journal) = (Shared::default(), Journal::in_memory());
        world.borrow_mut().fail = Some(failing.to_owned());
        assert!(matches!(go(&world, &mut journal), Outcome::Stopped { step, .. } if step == failing));
        world.borrow_mut().fail = None;
        journal.append(JournalEvent::RunResumed {}).unwrap();
        assert!(matches!(go(&world, &mut journal), Outcome::Finished));
        assert_eq!(world.borrow().applied, ["a", "b", "c"], "nothing is done twice");
    }
}

#[test]
fn killed_after_every_journal_line_a_resumed_run_ends_as_an_uninterrupted_one() {
    let (world, mut whole) = (Shared::default(), Journal::in_memory());
    go(&world, &mut whole);
    for line in 0..whole.entries().len() {
        // What was applied before the kill: every step whose success was written, and the one that had begun.
        let mut journal = Journal::in_memory();
        let world = Shared::default();
        for entry in &whole.entries()[..line] {
            if let JournalEvent::StepStarted { step } = &entry.event {
                world.borrow_mut().set.insert(step.clone());
            }
            journal.append(entry.event.clone()).unwrap();
        }
        assert!(
            matches!(go(&world, &mut journal), Outcome::Finished),
            "killed after line {line}"
        );
        assert_eq!(world.borrow().set.len(), 3);
    }
}

#[test]
fn what_is_announced_and_not_there_is_not_called_done() {
    let (world, mut journal) = (Shared::default(), Journal::in_memory());
    world.borrow_mut().corrupt = Some("b".to_owned());
    assert!(matches!(go(&world, &mut journal), Outcome::Stopped { step, .. } if step == "b"));
}

#[test]
fn a_step_that_is_done_in_the_journal_and_gone_in_the_world_is_done_again() {
    let (world, mut journal) = (Shared::default(), Journal::in_memory());
    world.borrow_mut().fail = Some("c".to_owned());
    go(&world, &mut journal);
    world.borrow_mut().set.remove("a");
    world.borrow_mut().fail = None;
    assert!(matches!(go(&world, &mut journal), Outcome::Finished));
    assert_eq!(world.borrow().applied, ["a", "b", "a", "c"]);
}

#[test]
fn undo_goes_backwards_twice_without_harm_and_leaves_out_what_never_began() {
    let (world, mut journal) = (Shared::default(), Journal::in_memory());
    world.borrow_mut().fail = Some("c".to_owned());
    go(&world, &mut journal);
    assert!(back(&world, &mut journal).is_empty());
    assert!(world.borrow().set.is_empty());
    assert!(back(&world, &mut journal).is_empty());
    let undone = |e: &&journal::Entry| matches!(e.event, JournalEvent::StepUndone { .. });
    assert_eq!(journal.entries().iter().filter(undone).count(), 3);
}

#[test]
fn an_undo_that_fails_does_not_keep_the_others_and_can_be_tried_again() {
    let (world, mut journal) = (Shared::default(), Journal::in_memory());
    go(&world, &mut journal);
    world.borrow_mut().fail_undo = Some("b".to_owned());
    assert_eq!(back(&world, &mut journal).len(), 1);
    assert_eq!(world.borrow().set.iter().collect::<Vec<_>>(), ["b"]);
    world.borrow_mut().fail_undo = None;
    assert!(back(&world, &mut journal).is_empty());
    assert!(world.borrow().set.is_empty());
}

#[test]
fn intent_before_effect() {
    let (world, mut journal) = (Shared::default(), Journal::in_memory());
    world.borrow_mut().fail = Some("a".to_owned());
    go(&world, &mut journal);
    assert!(matches!(
        journal.entries()[0].event,
        JournalEvent::StepStarted { .. }
    ));
}
