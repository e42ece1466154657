//! Load a plain dump into an incoming database, and count what arrived against what the file holds.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use infra::postgres::manifest::{self, DatabaseManifest, TableKind};
use infra::postgres::{Script, facts};
use serde_json::{Value, json};

use super::backup::watch;
use super::incoming::{create_incoming, drop_incoming};
use super::restore::{self, MANIFEST_WORKERS, remember, restored_state, size};
use super::{Failure, Probe, World};
use crate::plan::action::{Locale, RestorePlain};

/// State file: the roles that the load makes and that stay.
const MADE: &str = "roles-made";

pub(super) fn probe(action: &RestorePlain, world: &World<'_>) -> Result<Probe, Failure> {
    restore::probe(&action.restore, world)
}

pub(super) fn apply(action: &RestorePlain, world: &World<'_>) -> Result<Value, Failure> {
    let restore = &action.restore;
    let Some(database) = restore.databases.first() else {
        return Err(Failure::new("the plan names no database to restore"));
    };
    let (server, incoming) = (restore.target.server(world.vault), database.incoming());
    let (sha256, _) = infra::files::sha256(&action.file)
        .with_context(|| format!("failed to read {}", action.file.display()))?;
    if sha256 != action.sha256 {
        return Err(Failure::new(format!(
            "{} was changed after it was looked at",
            action.file.display()
        )));
    }
    drop_incoming(restore, &server, &incoming, world)?;
    let create = restore.create(
        database,
        &Locale {
            encoding: &action.encoding,
            collate: &action.collate,
            ctype: &action.ctype,
            provider: "c",
            locale: None,
        },
    );
    create_incoming(restore, &server, &incoming, &create, world)?;
    // The plan may be older than a role that somebody made since.
    let made: Vec<String> = server.json(
        &world.runner,
        &incoming,
        &action.roles_to_make(),
        "look which roles are missing",
    )?;
    world.run.save(MADE, &made)?;
    let shared: String = server.json(
        &world.runner,
        &incoming,
        &action.shared_objects(),
        "look at what belongs to the whole instance",
    )?;
    let load = action.load(world.vault, &shared);
    let load = load.context("the plan names no database to restore")?;
    let finished = AtomicBool::new(false);
    let loaded = std::thread::scope(|scope| {
        scope.spawn(|| {
            watch(
                world,
                &finished,
                &format!("restore {}", database.name),
                action.bytes,
                || size(world, &server, restore, &incoming),
            );
        });
        let loaded = world.runner.run(&load);
        finished.store(true, Ordering::SeqCst);
        loaded
    });
    if loaded.is_err() {
        // It was one transaction: no role of ours is there.
        world.run.save(MADE, &Vec::<String>::new())?;
    }
    loaded?;
    let analyze = Script::new("ANALYZE;");
    server.execute(&world.runner, &incoming, &analyze, format!("analyze {incoming}"))?;
    let mut found = manifest::collect(&world.runner, &server, &incoming, None, MANIFEST_WORKERS, &|_| {})?;
    found.comment = None;
    let mut wrong = Vec::new();
    for (table, rows) in &action.rows {
        match found.tables.get(table) {
            Some(facts) if facts.rows == *rows => {}
            Some(facts) => wrong.push(format!(
                "table {table} has {} rows, the dump holds {rows}",
                facts.rows
            )),
            None => wrong.push(format!("table {table} with {rows} rows is missing")),
        }
    }
    if !wrong.is_empty() {
        return Err(Failure::new(format!(
            "the restored copy is not what the dump holds:\n  {}",
            wrong.join("\n  ")
        )));
    }
    let without = without_rows(&found, action);
    if !without.is_empty() {
        world.progress.warn(&format!(
            "the dump says nothing of the rows of {}: pg_dump was told to leave them out, or somebody took them out; the tables are \
             empty now",
            without.join(", ")
        ));
    }
    let seen = facts::database(&world.runner, &server, &incoming)?;
    let rows: u64 = found.tables.values().map(|table| table.rows).sum();
    remember(world, &database.name, seen.oid)?;
    world.run.save(&restored_state(&database.name), &found)?;
    Ok(json!({ "name": database.name, "rows": rows, "tables": found.tables.len() }))
}

/// Tables that are empty though the dump does not say so: pg_dump writes a `COPY` also for a table without rows. Rows that come by
/// `INSERT` are not counted.
fn without_rows<'a>(found: &'a DatabaseManifest, action: &RestorePlain) -> Vec<&'a str> {
    let filled = [TableKind::Ordinary, TableKind::Partition, TableKind::Unlogged];
    found
        .tables
        .iter()
        .filter(|(name, table)| {
            let told = action.rows.contains_key(*name) || action.rows.is_empty();
            filled.contains(&table.kind) && table.rows == 0 && !told
        })
        .map(|(name, _)| name.as_str())
        .collect()
}

pub(super) fn verify(action: &RestorePlain, world: &World<'_>) -> Result<(), Failure> {
    restore::verify(&action.restore, world)
}

/// Removes the incoming database, and with it the roles that were made for it: they stay where something else uses them, or
/// somebody lets them log in.
pub(super) fn undo(action: &RestorePlain, world: &World<'_>) -> Result<(), Failure> {
    let restore = &action.restore;
    restore::undo(restore, world)?;
    let server = restore.target.server(world.vault);
    let made: Vec<String> = world.run.load(MADE)?.unwrap_or_default();
    for role in &made {
        let drop = Script::new(
            "SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE rolname = :'role' AND NOT rolcanlogin \\gexec\n",
        )
        .var("role", role);
        let what = format!("drop role {role}");
        if server
            .execute(&world.runner, &restore.maintenance_database, &drop, what)
            .is_err()
        {
            world.progress.warn(&format!(
                "role {role}, made for the dump, could not be dropped and stays; nobody can log in as it"
            ));
        }
    }
    Ok(())
}
