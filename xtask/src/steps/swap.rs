//! Put the compared databases in place.

use infra::postgres::facts::{self, ServerFacts};
use infra::postgres::{Script, Server, quote};
use serde_json::{Value, json};

use super::restore::{compared, restored_state};
use super::{Failure, Probe, World, incoming, roles};
use crate::model::Finding;
use crate::plan::action::{Swap, SwapDatabase, mark};

/// State file: names that databases had before the swap.
const EXISTING: &str = "swap-existing";

pub(super) fn probe(action: &Swap, world: &World<'_>) -> Result<Probe, Failure> {
    let server = action.target.server(world.vault);
    let seen = facts::server(&world.runner, &server, &action.maintenance_database)?;
    let mut all_there = true;
    for database in &action.databases {
        if in_place(&seen, database, world)? {
            continue;
        }
        all_there = false;
        if !action.set_aside && seen.databases.contains_key(&database.target_name) {
            let facts = facts::database(&world.runner, &server, &database.target_name)?;
            if facts.has_content() {
                return Ok(Probe::Conflict(not_empty(action, database, facts.relations)));
            }
        }
    }
    Ok(if all_there && is_tidy(action, &server, &seen, world)? {
        Probe::Satisfied
    } else {
        Probe::Absent
    })
}

/// Whether nothing of the swap is left to do: a run that stopped right after the renames has our mark on a database, or
/// an empty database under its old name's other name.
fn is_tidy(action: &Swap, server: &Server, seen: &ServerFacts, world: &World<'_>) -> Result<bool, Failure> {
    let marked = Script::new(
        "SELECT coalesce(json_agg(datname), '[]'::json) FROM pg_database \
         WHERE shobj_description(oid, 'pg_database') = :'mark';",
    )
    .var("mark", mark(&action.run));
    let what = "look for databases that carry our mark";
    let marked: Vec<String> = server.json(&world.runner, &action.maintenance_database, &marked, what)?;
    for database in &action.databases {
        let before = database.before(&action.run);
        if marked.contains(&database.target_name) || is_empty(seen, server, &before, world)? == Some(true) {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn apply(action: &Swap, world: &World<'_>) -> Result<Value, Failure> {
    let server = action.target.server(world.vault);
    let maintenance = &action.maintenance_database;
    let seen = facts::server(&world.runner, &server, maintenance)?;
    let mut renames = Vec::new();
    for database in &action.databases {
        if in_place(&seen, database, world)? {
            continue;
        }
        if !seen.databases.contains_key(&database.incoming) {
            return Err(Failure::new(format!(
                "database {} is not there",
                database.incoming
            )));
        }
        if seen.databases.contains_key(&database.target_name) {
            renames.push((database.target_name.clone(), database.before(&action.run)));
        }
        renames.push((database.incoming.clone(), database.target_name.clone()));
    }
    // Before the effect: going back makes an empty database again only where there was one.
    let mut existing: Vec<String> = world.run.load(EXISTING)?.unwrap_or_default();
    existing.extend(renames.iter().map(|(from, _)| from.clone()));
    world.run.save(EXISTING, &existing)?;
    roles::release(&server, maintenance, &mark(&action.run), world)?;
    rename(action, &server, world, &renames, "put the databases in place")?;
    for database in &action.databases {
        incoming::is_no_more(&database.incoming, world)?;
    }
    let mut kept = Vec::new();
    for database in &action.databases {
        let before = database.before(&action.run);
        clear_mark(action, &server, database, world)?;
        let seen = facts::server(&world.runner, &server, maintenance)?;
        match is_empty(&seen, &server, &before, world)? {
            // Nobody knows this name yet, so what is empty now stays empty.
            Some(true) => drop_empty(action, &server, &before, world)?,
            Some(false) => kept.push(before),
            None => {}
        }
    }
    Ok(json!({ "kept": kept }))
}

/// Whether a database holds nothing; `None` when it is not there. One whose removal was cut off held nothing: only
/// empty ones are removed.
fn is_empty(
    seen: &ServerFacts,
    server: &Server,
    name: &str,
    world: &World<'_>,
) -> Result<Option<bool>, Failure> {
    match seen.databases.get(name) {
        None => Ok(None),
        Some(entry) if entry.invalid => Ok(Some(true)),
        Some(_) => Ok(Some(facts::database(&world.runner, server, name)?.is_empty())),
    }
}

fn drop_empty(action: &Swap, server: &Server, name: &str, world: &World<'_>) -> Result<(), Failure> {
    let drop = Script::new("DROP DATABASE :\"name\";").var("name", name);
    let what = format!("drop the empty database {name}");
    server.execute(&world.runner, &action.maintenance_database, &drop, what)?;
    Ok(())
}

pub(super) fn verify(action: &Swap, world: &World<'_>) -> Result<(), Failure> {
    match probe(action, world)? {
        Probe::Satisfied => Ok(()),
        _ => Err(Failure::new("a database is not the one that compared equal")),
    }
}

/// What we put in place goes aside under its own name; what was there before comes back.
pub(super) fn undo(action: &Swap, world: &World<'_>) -> Result<(), Failure> {
    let server = action.target.server(world.vault);
    let maintenance = &action.maintenance_database;
    if server.answers(&world.runner, maintenance).is_err() {
        return Ok(());
    }
    let seen = facts::server(&world.runner, &server, maintenance)?;
    let mut renames = Vec::new();
    for database in &action.databases {
        if in_place(&seen, database, world)? {
            renames.push((database.target_name.clone(), database.undone(&action.run)));
        }
        let before = database.before(&action.run);
        match seen.databases.get(&before) {
            // Its removal was cut off; an empty one takes its place below.
            Some(entry) if entry.invalid => drop_empty(action, &server, &before, world)?,
            Some(_) => renames.push((before, database.target_name.clone())),
            None => {}
        }
    }
    rename(action, &server, world, &renames, "put the old databases back")?;
    roles::claim(&server, maintenance, &mark(&action.run), world)?;
    let seen = facts::server(&world.runner, &server, maintenance)?;
    let existing: Vec<String> = world.run.load(EXISTING)?.unwrap_or_default();
    for database in &action.databases {
        // The empty database that the swap dropped.
        let existed = existing.contains(&database.target_name);
        if existed && !seen.databases.contains_key(&database.target_name) {
            let create = Script::new("CREATE DATABASE :\"name\";").var("name", &database.target_name);
            let what = format!("create the empty database {}", database.target_name);
            server.execute(&world.runner, maintenance, &create, what)?;
        }
    }
    Ok(())
}

fn rename(
    action: &Swap,
    server: &Server,
    world: &World<'_>,
    renames: &[(String, String)],
    what: &str,
) -> Result<(), Failure> {
    if renames.is_empty() {
        return Ok(());
    }
    for (from, _) in renames {
        let end = Swap::end_sessions(from);
        let what = format!("end the sessions of database {from}");
        server.execute(&world.runner, &action.maintenance_database, &end, what)?;
    }
    server.execute(
        &world.runner,
        &action.maintenance_database,
        &action.rename(renames),
        what,
    )?;
    Ok(())
}

/// Takes our mark off; a database that carried a comment of its own got it from the archive's manifest.
fn clear_mark(
    action: &Swap,
    server: &Server,
    database: &SwapDatabase,
    world: &World<'_>,
) -> Result<(), Failure> {
    let restored = world
        .run
        .load::<infra::postgres::manifest::DatabaseManifest>(&restored_state(&database.name))?;
    let comment = restored.and_then(|manifest| manifest.comment);
    let sql = format!("COMMENT ON DATABASE {} IS ", quote::ident(&database.target_name));
    let script = match comment {
        Some(comment) => Script::new(format!("{sql}:'comment';")).var("comment", comment),
        None => Script::new(format!("{sql}NULL;")),
    };
    let what = format!("take the mark off database {}", database.target_name);
    server.execute(&world.runner, &action.maintenance_database, &script, what)?;
    Ok(())
}

/// The databases whose real name belongs to what this run put there.
///
/// # Errors
/// When the target does not answer.
pub fn in_place_now(action: &Swap, world: &World<'_>) -> Result<Vec<String>, Failure> {
    let server = action.target.server(world.vault);
    let seen = facts::server(&world.runner, &server, &action.maintenance_database)?;
    let mut names = Vec::new();
    for database in &action.databases {
        if in_place(&seen, database, world)? {
            names.push(database.name.clone());
        }
    }
    Ok(names)
}

/// Whether the real name belongs to the database that compared equal in this run.
fn in_place(seen: &ServerFacts, database: &SwapDatabase, world: &World<'_>) -> Result<bool, Failure> {
    let compared = compared(world)?;
    let entry = seen.databases.get(&database.target_name);
    Ok(entry.is_some_and(|entry| compared.get(&database.name) == Some(&entry.oid)))
}

fn not_empty(action: &Swap, database: &SwapDatabase, relations: u64) -> Finding {
    Finding::error(
        format!("target.{}.not-empty", database.name),
        format!(
            "database {} exists on the target and holds {relations} relations",
            database.target_name
        ),
    )
    .wanted(format!(
        "an empty database, or to keep it as {}",
        database.before(&action.run)
    ))
    .hint(format!(
        "cargo xtask rollback {}; cargo xtask migrate --set-aside-existing",
        action.run
    ))
}
