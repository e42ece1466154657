//! Unlogged tables of a fenced source. PostgreSQL empties them when a server starts again that was killed, and a reader
//! can be killed like any other server. That cannot be undone; but nobody shall take an emptied table for an empty one.

use std::collections::BTreeMap;

use infra::postgres::{Server, facts};

use super::{Failure, World};

/// State file: the unlogged tables of a database with their bytes, when its reader answered first.
fn state(database: &str) -> String {
    format!("unlogged-{database}")
}

/// Remembers what the unlogged tables held when the source was fenced. Later calls change nothing.
pub(super) fn remember(
    world: &World<'_>,
    server: &Server,
    database: &str,
    source: &str,
) -> Result<(), Failure> {
    if world
        .run
        .load::<BTreeMap<String, u64>>(&state(database))?
        .is_none()
    {
        let tables = facts::unlogged_tables(&world.runner, server, source)?;
        world.run.save(&state(database), &tables)?;
    }
    Ok(())
}

/// Unlogged tables that held rows when the source was fenced.
pub(super) fn remembered(world: &World<'_>, database: &str) -> Result<Vec<String>, Failure> {
    let before: BTreeMap<String, u64> = world.run.load(&state(database))?.unwrap_or_default();
    let filled = before.into_iter().filter(|(_, bytes)| *bytes > 0);
    Ok(filled.map(|(table, _)| table).collect())
}

/// Unlogged tables that were emptied since the source was fenced.
pub(super) fn emptied(
    world: &World<'_>,
    server: &Server,
    database: &str,
    source: &str,
) -> Result<Vec<String>, Failure> {
    let now = facts::unlogged_tables(&world.runner, server, source)?;
    let mut tables = remembered(world, database)?;
    tables.retain(|table| now.get(table) == Some(&0));
    Ok(tables)
}

/// Fails when an unlogged table was emptied since the source was fenced.
pub(super) fn check(world: &World<'_>, server: &Server, database: &str, source: &str) -> Result<(), Failure> {
    let emptied = emptied(world, server, database, source)?;
    if emptied.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the server that reads {database} was killed, and PostgreSQL emptied its unlogged tables when it started again: {}\n\
         their rows are in no backup of this run; a new run takes the tables as they are now",
        emptied.join(", ")
    ))
    .hint(format!("cargo xtask rollback {}; cargo xtask migrate", world.run.id)))
}
