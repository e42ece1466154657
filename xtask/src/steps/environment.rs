//! Have the labeler's virtual environment with everything its requirements name.

use infra::python;
use serde_json::{Value, json};

use super::{Failure, Probe, World};
use crate::plan::action::Environment;

pub(super) fn probe(action: &Environment, world: &World<'_>) -> Result<Probe, Failure> {
    if !action.python().is_file() {
        return Ok(Probe::Absent);
    }
    Ok(if missing(action, world)?.is_empty() {
        Probe::Satisfied
    } else {
        Probe::Absent
    })
}

pub(super) fn apply(action: &Environment, world: &World<'_>) -> Result<Value, Failure> {
    let note = |line: &str| world.progress.note(line);
    // A killed run must not leave a child behind that goes on filling the folder.
    if let (Some(create), Some(python)) = (action.create(), &action.create_with) {
        world
            .runner
            .stream(&create.guarded_by(python), note)
            .map_err(|error| Failure::from(error).hint("sudo apt-get install python3-venv"))?;
    }
    if let Some(install) = action.install() {
        let guarded = install.clone().guarded_by(action.python());
        world.runner.stream(&guarded, note).map_err(|error| {
            Failure::from(error).hint(format!("{install}  # the same, to see what pip says"))
        })?;
    }
    Ok(json!({ "python": action.python() }))
}

pub(super) fn verify(action: &Environment, world: &World<'_>) -> Result<(), Failure> {
    let missing = missing(action, world)?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} still lacks {}",
        action.folder.display(),
        missing.join(", ")
    )))
}

/// An environment that was made harms nobody, and one that was there is not ours to remove.
pub(super) fn undo(_: &Environment, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}

fn missing(action: &Environment, world: &World<'_>) -> Result<Vec<String>, Failure> {
    match &action.requirements {
        Some(file) => Ok(python::missing_requirements(
            &world.runner,
            &action.python(),
            file,
        )?),
        None => Ok(Vec::new()),
    }
}
