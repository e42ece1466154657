//! Create databases that are not there. One that is there is never touched.

use infra::postgres::{Script, facts};
use serde_json::{Value, json};

use super::{Failure, Probe, World};
use crate::plan::action::CreateDatabases;

/// State file: the databases that were missing before, so that going back leaves the others alone.
const CREATED: &str = "created-databases";

pub(super) fn probe(action: &CreateDatabases, world: &World<'_>) -> Result<Probe, Failure> {
    Ok(if missing(action, world)?.is_empty() {
        Probe::Satisfied
    } else {
        Probe::Absent
    })
}

pub(super) fn apply(action: &CreateDatabases, world: &World<'_>) -> Result<Value, Failure> {
    let missing = missing(action, world)?;
    if let Some(held) = action.held.iter().find(|held| missing.contains(&held.name)) {
        return Err(held.missing(&action.owner).into());
    }
    let mut created: Vec<String> = world.run.load(CREATED)?.unwrap_or_default();
    created.extend(missing);
    created.dedup();
    world.run.save(CREATED, &created)?;
    world.runner.run(&action.command(world.vault))?;
    Ok(json!({ "created": created }))
}

pub(super) fn verify(action: &CreateDatabases, world: &World<'_>) -> Result<(), Failure> {
    let missing = missing(action, world)?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("still missing: {}", missing.join(", "))))
}

/// Drops those that this run created and that nobody has put anything into.
pub(super) fn undo(action: &CreateDatabases, world: &World<'_>) -> Result<(), Failure> {
    let created: Vec<String> = world.run.load(CREATED)?.unwrap_or_default();
    let missing = missing(action, world)?;
    let server = action.target.server(world.vault);
    for name in created.iter().filter(|name| !missing.contains(name)) {
        if !facts::database(&world.runner, &server, name)?.is_empty() {
            continue;
        }
        let drop = Script::new("DROP DATABASE :\"name\";").var("name", name);
        let what = format!("drop the empty database {name}");
        server.execute(&world.runner, &action.maintenance_database, &drop, what)?;
    }
    Ok(())
}

fn missing(action: &CreateDatabases, world: &World<'_>) -> Result<Vec<String>, Failure> {
    let server = action.target.server(world.vault);
    let seen = facts::server(&world.runner, &server, &action.maintenance_database)?;
    let missing = action
        .names
        .iter()
        .filter(|name| !seen.databases.contains_key(*name));
    Ok(missing.cloned().collect())
}
