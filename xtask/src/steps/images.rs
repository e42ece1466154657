//! Have images on this machine.

use infra::docker;
use infra::postgres::{Clients, programs, release, version_text};
use serde_json::{Value, json};

use super::{Failure, Probe, World};
use crate::model::Finding;
use crate::plan::action::Images;

pub(super) fn probe(action: &Images, world: &World<'_>) -> Result<Probe, Failure> {
    for image in &action.images {
        if docker::image_id(&world.runner, image)?.is_none() {
            return Ok(Probe::Absent);
        }
    }
    Ok(match too_old(action, world)? {
        Some(finding) => Probe::Conflict(finding),
        None => Probe::Satisfied,
    })
}

/// Why the programs of an image that was not here when the plan was made cannot move a database.
fn too_old(action: &Images, world: &World<'_>) -> Result<Option<Finding>, Failure> {
    for image in &action.images {
        if action.sources.is_empty() {
            break;
        }
        let clients = Clients::Image {
            image: image.clone(),
            run: String::new(),
        };
        let pulled = programs::version(&world.runner, &clients, "pg_dump")?;
        for (name, source) in &action.sources {
            if release::serves(pulled, *source, pulled) == Some(true) {
                continue;
            }
            let found = format!(
                "image {image} has the programs of PostgreSQL {}, which cannot move {name} from {}: they must be a release at \
                 least as new, of the same or a later major version",
                version_text(pulled),
                version_text(*source)
            );
            return Ok(Some(
                Finding::error("images.clients", found)
                    .wanted("an image at least as new, or the old server's own programs")
                    .hint("cargo xtask migrate  # plans again, and looks at the old server's programs too"),
            ));
        }
    }
    Ok(None)
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
        Probe::Conflict(finding) => Err(finding.into()),
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
