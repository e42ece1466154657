//! Incoming databases: made, known again, and dropped only when they are ours.

use std::collections::BTreeSet;

use infra::postgres::{Script, Server, facts, quote};

use super::{Failure, World, orphans};
use crate::plan::action::Restore;

/// State file: databases that are about to be created. Until it carries our mark, a new one is known by this.
const CREATING: &str = "creating";

/// Creates an incoming database. `create` also puts the mark on it, but not in the same transaction: PostgreSQL has none
/// for that.
pub(super) fn create_incoming(
    action: &Restore,
    server: &Server,
    incoming: &str,
    create: &Script,
    world: &World<'_>,
) -> Result<(), Failure> {
    change(world, |creating| creating.insert(incoming.to_owned()))?;
    let what = format!("create database {incoming}");
    server.execute(&world.runner, &action.maintenance_database, create, what)?;
    Ok(())
}

/// The databases that this run made, or was about to make, and that were neither put in place nor dropped.
pub(super) fn created(world: &World<'_>) -> Result<BTreeSet<String>, Failure> {
    Ok(world.run.load(CREATING)?.unwrap_or_default())
}

/// An incoming database has another name now, or is gone.
pub(super) fn is_no_more(incoming: &str, world: &World<'_>) -> Result<(), Failure> {
    change(world, |creating| creating.remove(incoming))
}

/// Databases are created at the same time, so writers take turns. `change` says whether there is something to write.
fn change(world: &World<'_>, change: impl FnOnce(&mut BTreeSet<String>) -> bool) -> Result<(), Failure> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut creating = created(world)?;
    if change(&mut creating) {
        world.run.save(CREATING, &creating)?;
    }
    Ok(())
}

/// Whether a database without a mark is one that we were just creating when we or the server died: we said so before,
/// and nothing is in it.
fn is_unmarked_and_ours(server: &Server, incoming: &str, world: &World<'_>) -> Result<bool, Failure> {
    let announced = |creating: BTreeSet<String>| creating.contains(incoming);
    if !world.run.any_of_workspace(CREATING)?.into_iter().any(announced) {
        return Ok(false);
    }
    Ok(facts::database(&world.runner, server, incoming)?.is_empty())
}

/// Drops an incoming database, but only one that carries the mark of a run of this workspace: this one, or one that
/// was killed. Whoever holds the workspace's lock knows that no other run is at work.
pub(super) fn drop_incoming(
    action: &Restore,
    server: &Server,
    incoming: &str,
    world: &World<'_>,
) -> Result<(), Failure> {
    let ask = Script::new(
        "SELECT coalesce(json_agg(shobj_description(oid, 'pg_database')), '[]'::json) \
         FROM pg_database WHERE datname = :'incoming';",
    )
    .var("incoming", incoming);
    let what = format!("ask whose database {incoming} is");
    let marks: Vec<Option<String>> = server.json(&world.runner, &action.maintenance_database, &ask, what)?;
    let Some(mark) = marks.into_iter().next() else {
        return is_no_more(incoming, world);
    };
    let run = mark.as_deref().and_then(Restore::marked_by);
    let ours = match &mark {
        Some(_) => run.is_some_and(|run| world.run.is_known(&run)),
        None => is_unmarked_and_ours(server, incoming, world)?,
    };
    if ours {
        // A pg_restore that outlived its run must not go on in the database that takes this one's place.
        orphans::end(&world.runner, server, &action.maintenance_database, incoming)?;
        let drop = Script::new("DROP DATABASE :\"incoming\" WITH (FORCE);").var("incoming", incoming);
        let what = format!("drop the unfinished database {incoming}");
        server.execute(&world.runner, &action.maintenance_database, &drop, what)?;
        return is_no_more(incoming, world);
    }
    Err(Failure::new(format!(
        "database {incoming} exists and no run of this workspace made it ({})",
        mark.as_deref().unwrap_or("no comment")
    ))
    .hint(format!(
        "{} -c 'DROP DATABASE {}'",
        server.connect_hint(&action.maintenance_database),
        quote::ident(incoming)
    )))
}
