//! Close the external sources, and prove that nothing was written since the backup.

use serde_json::{Value, json};

use super::fence::external;
use super::{Failure, Probe, World};
use crate::plan::action::Seal;

pub(super) fn probe(action: &Seal, world: &World<'_>) -> Result<Probe, Failure> {
    for fence in &action.fences {
        if !external::is_sealed(fence, world)? {
            return Ok(Probe::Absent);
        }
    }
    Ok(Probe::Satisfied)
}

pub(super) fn apply(action: &Seal, world: &World<'_>) -> Result<Value, Failure> {
    let mut sealed = Vec::new();
    for fence in &action.fences {
        if !external::is_sealed(fence, world)? {
            external::seal(fence, &action.folder, world)?;
        }
        sealed.push(&fence.source_database);
    }
    Ok(json!({ "databases": sealed }))
}

pub(super) fn verify(_: &Seal, _: &World<'_>) -> Result<(), Failure> {
    // Looking is the step itself, and the cutover looks again.
    Ok(())
}

/// The undo of the fence opens what was closed.
pub(super) fn undo(_: &Seal, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}
