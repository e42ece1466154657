//! Pull the platform's checkout, and notice when the plan no longer fits what came.

use serde_json::{Value, json};

use super::{Failure, Probe, World};
use crate::observe::compose_sums;
use crate::plan::action::Pull;

/// Whether something is there to pull is only known by pulling.
pub(super) fn probe(_: &Pull, _: &World<'_>) -> Result<Probe, Failure> {
    Ok(Probe::Absent)
}

pub(super) fn apply(action: &Pull, world: &World<'_>) -> Result<Value, Failure> {
    let pulled = world
        .runner
        .stream(&action.command(), |line| world.progress.note(line));
    pulled.map_err(|error| Failure::from(error).hint(format!("git -C {:?} status", action.checkout)))?;
    Ok(json!({}))
}

/// The Compose files are those that the plan was made on.
pub(super) fn verify(action: &Pull, _: &World<'_>) -> Result<(), Failure> {
    let now = compose_sums(action.compose_file.as_deref());
    let planned = &action.compose_sha256;
    let mut files = now.keys().chain(planned.keys());
    match files.find(|file| now.get(*file) != planned.get(*file)) {
        None => Ok(()),
        Some(file) => Err(Failure::new(format!(
            "{} is not as it was when the plan was made: the pull brought another one",
            file.display()
        ))
        .hint("cargo xtask migrate")),
    }
}

/// What was pulled stays: commits are nobody's data.
pub(super) fn undo(_: &Pull, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}
