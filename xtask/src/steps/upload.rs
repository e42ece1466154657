//! Upload the backup of the run.

use serde_json::{Value, json};

use super::storage::{self, Storage};
use super::{Failure, Probe, World};
use crate::plan::action::Upload;

/// Asked anew each time: an upload knows by itself what is there already.
pub(super) fn probe(_: &Upload, _: &World<'_>) -> Result<Probe, Failure> {
    Ok(Probe::Absent)
}

pub(super) fn apply(action: &Upload, world: &World<'_>) -> Result<Value, Failure> {
    storage::learn_credentials(&world.runner);
    let to = storage::place(&action.storage, &action.folder)?;
    let uploaded = storage(action, world)?.upload(&action.folder, &to)?;
    Ok(json!({ "location": to.to_string(), "bytes": uploaded.bytes, "sent": uploaded.sent }))
}

/// The upload has looked at every object before it said that it is complete.
pub(super) fn verify(_: &Upload, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}

/// A copy elsewhere harms nobody.
pub(super) fn undo(_: &Upload, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}

fn storage<'a>(action: &'a Upload, world: &'a World<'_>) -> Result<Storage<'a>, Failure> {
    Ok(Storage::new(&action.storage, &world.runner, world.progress)?)
}
