//! Close the readers, and look once more that nothing of the old world runs.

use serde_json::{Value, json};

use super::{Failure, Probe, World, fence};
use crate::plan::action::Release;

pub(super) fn probe(action: &Release, world: &World<'_>) -> Result<Probe, Failure> {
    for fence in &action.fences {
        if fence::something_runs(fence, world)? {
            return Ok(Probe::Absent);
        }
    }
    Ok(Probe::Satisfied)
}

pub(super) fn apply(action: &Release, world: &World<'_>) -> Result<Value, Failure> {
    for fence in &action.fences {
        fence::release(fence, world)?;
    }
    Ok(json!({}))
}

pub(super) fn verify(action: &Release, world: &World<'_>) -> Result<(), Failure> {
    match probe(action, world)? {
        Probe::Satisfied => Ok(()),
        _ => Err(Failure::new("an old instance or its reader still runs")),
    }
}

/// Going back starts with the readers gone already.
pub(super) fn undo(_: &Release, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}
