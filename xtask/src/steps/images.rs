//! Have images on this machine.

use infra::docker;
use serde_json::{Value, json};

use super::{Failure, Probe, World};
use crate::plan::action::Images;

pub(super) fn probe(action: &Images, world: &World<'_>) -> Result<Probe, Failure> {
    for image in &action.images {
        if docker::image_id(&world.runner, image)?.is_none() {
            return Ok(Probe::Absent);
        }
    }
    Ok(Probe::Satisfied)
}

pub(super) fn apply(action: &Images, world: &World<'_>) -> Result<Value, Failure> {
    for cmd in action.commands() {
        world
            .runner
            .stream(&cmd, |line| world.progress.note(line))
            .map_err(|error| {
                Failure::from(error)
                    .hint("check the network and the image's name, or load it with: docker load -i FILE")
            })?;
    }
    Ok(json!({}))
}

pub(super) fn verify(action: &Images, world: &World<'_>) -> Result<(), Failure> {
    match probe(action, world)? {
        Probe::Satisfied => Ok(()),
        _ => Err(Failure::new(format!(
            "{} is still not on this machine",
            action.images.join(", ")
        ))),
    }
}

/// An image that was fetched harms nobody.
pub(super) fn undo(_: &Images, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}
