//! Bring the schema to head, and look where it really stands: the project's script exits 0 on "no" too.

use infra::postgres::facts;
use serde_json::{Value, json};

use super::{Failure, Probe, World};
use crate::plan::action::UpgradeSchema;

pub(super) fn probe(action: &UpgradeSchema, world: &World<'_>) -> Result<Probe, Failure> {
    Ok(if revisions(action, world)? == [action.head.clone()] {
        Probe::Satisfied
    } else {
        Probe::Absent
    })
}

pub(super) fn apply(action: &UpgradeSchema, world: &World<'_>) -> Result<Value, Failure> {
    let before = revisions(action, world)?;
    let run = world.runner.stream(&action.command(world.vault), |_| {});
    run.map_err(|error| {
        let log = world.run.logs().join("schema.log");
        Failure::from(error).hint(format!("read {}", log.display()))
    })?;
    Ok(json!({ "from": before, "to": revisions(action, world)? }))
}

pub(super) fn verify(action: &UpgradeSchema, world: &World<'_>) -> Result<(), Failure> {
    let found = revisions(action, world)?;
    if found == [action.head.clone()] {
        return Ok(());
    }
    let found = if found.is_empty() {
        "no revision".to_owned()
    } else {
        found.join(", ")
    };
    Err(Failure::new(format!(
        "{} stands at {found} instead of head {}",
        action.database, action.head
    )))
}

/// The schema changed only in the target's copy; the swap's undo puts that aside as a whole.
pub(super) fn undo(_: &UpgradeSchema, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}

fn revisions(action: &UpgradeSchema, world: &World<'_>) -> Result<Vec<String>, Failure> {
    let server = action.target.server(world.vault);
    let database = facts::database(&world.runner, &server, &action.database)?;
    Ok(facts::alembic_revisions(&world.runner, &server, &database)?)
}
