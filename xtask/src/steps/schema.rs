//! Bring the schema to head, and look where it really stands: the project's script exits 0 on "no" too.

use infra::postgres::{facts, manifest};
use serde_json::{Value, json};

use super::restore::MANIFEST_WORKERS;
use super::since::baseline_state;
use super::{Failure, Probe, World};
use crate::plan::action::UpgradeSchema;

/// State file: Alembic was started. Until the manifest after it is there, it may have done half of its work.
const BEGUN: &str = "schema-begun";

pub(super) fn probe(action: &UpgradeSchema, world: &World<'_>) -> Result<Probe, Failure> {
    let at_head = revisions(action, world)? == [action.head.clone()];
    Ok(if at_head && !was_cut_short(action, world)? {
        Probe::Satisfied
    } else {
        Probe::Absent
    })
}

pub(super) fn apply(action: &UpgradeSchema, world: &World<'_>) -> Result<Value, Failure> {
    let server = action.target.server(world.vault);
    if was_cut_short(action, world)? {
        // An Alembic that outlived its run; before the cutover nobody else knows this database.
        let end = crate::plan::action::Swap::end_sessions(&action.database);
        let what = format!("end the sessions of database {}", action.database);
        server.execute(&world.runner, &action.database, &end, what)?;
    }
    let before = revisions(action, world)?;
    world.run.save(BEGUN, &true)?;
    let run = world.runner.stream(&action.command(world.vault), |_| {});
    run?;
    let after = revisions(action, world)?;
    // What the target holds before anybody writes to it: going back compares with it.
    let manifest = manifest::collect(
        &world.runner,
        &server,
        &action.database,
        None,
        MANIFEST_WORKERS,
        &|_| {},
    )?;
    world.run.save(&baseline_state(&action.name), &manifest)?;
    Ok(json!({ "from": before, "to": after }))
}

fn was_cut_short(action: &UpgradeSchema, world: &World<'_>) -> anyhow::Result<bool> {
    let begun = world.run.load::<bool>(BEGUN)?.unwrap_or_default();
    let baseline: Option<serde::de::IgnoredAny> = world.run.load(&baseline_state(&action.name))?;
    Ok(begun && baseline.is_none())
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
