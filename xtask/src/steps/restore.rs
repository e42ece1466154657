//! Restore into incoming databases, compare each with its manifest, and remember which ones compared equal.

mod expected;
mod given_over;
mod jobs;
mod mappings;
mod privileges;
mod settings;
mod template;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use infra::postgres::facts::{self, ServerFacts};
use infra::postgres::manifest::{self, CompareOptions, DatabaseManifest, Difference};
use infra::postgres::unprivileged::LeftOut;
use infra::postgres::{Script, Server};
use serde_json::{Value, json};

use self::expected::{expected, forget};
use self::mappings::hand_over;
use self::privileges::apply_privileges;
use self::settings::apply_settings;
use self::template::Lacking;
use super::backup::watch;
use super::incoming::{create_incoming, drop_incoming};
use super::{Failure, Probe, World, incoming, parallel, roles, target};
use crate::model::backup::DatabaseBackup;
use crate::plan::Roles;
use crate::plan::action::{Locale, Restore, RestoreDatabase};

/// State file: the object ids of databases that compared equal. An id survives the rename of the swap.
pub(super) const COMPARED: &str = "compared";

/// How many differences an error shows.
const SHOWN: usize = 10;

/// Sessions that compute one manifest.
pub(super) const MANIFEST_WORKERS: usize = 2;

pub(super) fn probe(action: &Restore, world: &World<'_>) -> Result<Probe, Failure> {
    let server = action.target.server(world.vault);
    let seen = facts::server(&world.runner, &server, &action.maintenance_database)?;
    let compared = compared(world)?;
    let all = action
        .databases
        .iter()
        .all(|database| is_there(&seen, &compared, database));
    Ok(if all { Probe::Satisfied } else { Probe::Absent })
}

pub(super) fn apply(action: &Restore, world: &World<'_>) -> Result<Value, Failure> {
    let server = action.target.server(world.vault);
    let seen = facts::server(&world.runner, &server, &action.maintenance_database)?;
    let compared = compared(world)?;
    let backups = action
        .databases
        .iter()
        .map(|database| Ok((database, archive_of(action, database)?)));
    roles::make(action, &backups.collect::<Result<Vec<_>, Failure>>()?, world)?;
    let open: Vec<&RestoreDatabase> = action
        .databases
        .iter()
        .filter(|database| !is_there(&seen, &compared, database))
        .collect();
    let done = parallel(&open, |database| one(action, database, &seen, world))?;
    Ok(json!({ "databases": done }))
}

pub(super) fn verify(action: &Restore, world: &World<'_>) -> Result<(), Failure> {
    match probe(action, world)? {
        Probe::Satisfied => Ok(()),
        _ => Err(Failure::new("a restored database has vanished from the target")),
    }
}

/// Removes incoming databases that carry this run's mark.
pub(super) fn undo(action: &Restore, world: &World<'_>) -> Result<(), Failure> {
    let server = action.target.server(world.vault);
    let drop = || {
        for database in &action.databases {
            drop_incoming(action, &server, &database.incoming(), world)?;
        }
        Ok(())
    };
    let maintenance = &action.maintenance_database;
    if server.answers(&world.runner, maintenance).is_ok() {
        return drop();
    }
    let left = incoming::created(world)?;
    if left.is_empty() {
        // This run made nothing there, or what it made is in place and the swap's to undo.
        return Ok(());
    }
    let left = left.into_iter().collect::<Vec<_>>().join(", ");
    let ran = target::while_it_runs(world, drop).map_err(|failure| Failure {
        message: format!(
            "cannot tell whether {left} is left on the target: {}",
            failure.message
        ),
        ..failure
    })?;
    if !ran {
        // The next run knows it by its mark and drops it.
        world.progress.warn(&format!(
            "the target does not answer; what may be left there: {left}"
        ));
    }
    Ok(())
}

fn one(
    action: &Restore,
    database: &RestoreDatabase,
    seen: &ServerFacts,
    world: &World<'_>,
) -> Result<Value, Failure> {
    let server = action.target.server(world.vault);
    let (runner, incoming) = (&world.runner, database.incoming());
    let backup = archive_of(action, database)?;
    backup.check_files(&action.folder)?;
    let database = &without_subscriptions(database, &backup, world);
    if seen.databases.contains_key(&incoming) {
        drop_incoming(action, &server, &incoming, world)?;
    }
    let mut wanted = expected(action, database, &backup);
    wanted.comparable().map_err(Failure::new)?;
    let create = action.create(
        database,
        &Locale {
            encoding: &wanted.encoding,
            collate: &wanted.collate,
            ctype: &wanted.ctype,
            provider: &wanted.locale_provider,
            locale: wanted.locale.as_deref(),
        },
    );
    let lacking = Lacking::of(&wanted, action.unprivileged, seen);
    let create = || {
        create_incoming(action, &server, &incoming, &create, world)?;
        lacking.drop(action, &server, database, world)
    };
    create()?;
    let restored = restore_watched(action, database, action.jobs, wanted.bytes, world);
    match jobs::in_each_others_way(action, database, &wanted, &restored, world)? {
        None => restored?,
        Some(why) => {
            world
                .progress
                .warn(&format!("{why}; {} is restored again by one job", database.name));
            drop_incoming(action, &server, &incoming, world)?;
            create()?;
            restore_watched(action, database, 1, wanted.bytes, world)?;
        }
    }
    apply_settings(action, &server, database, &backup, world)?;
    given_over::give(action, &server, database, world)?;
    hand_over(action, &server, database, world)?;
    apply_privileges(action, &server, database, &backup, world)?;
    let analyze = Script::new("ANALYZE;");
    let analyzed = std::thread::scope(|scope| {
        // Statistics and comparison both only read; the slower one hides the faster.
        let analyzed =
            scope.spawn(|| server.execute(runner, &incoming, &analyze, format!("analyze {incoming}")));
        let found = manifest::collect(runner, &server, &incoming, None, MANIFEST_WORKERS, &|_| {});
        (analyzed.join(), found)
    });
    let mut found = analyzed.1?;
    for extension in &database.extensions_there {
        let known = |manifest: &DatabaseManifest| manifest.extension_versions.contains_key(extension);
        if !known(&wanted) {
            // The copied database brought more than the source had.
            forget(&mut found, "extension", extension);
        }
    }
    lacking.overlook(&mut found);
    // Our own mark; the swap puts the source's comment in its place.
    if found.comment.as_deref() == Some(action.mark().as_str()) {
        found.comment.clone_from(&wanted.comment);
    }
    analyzed
        .0
        .map_err(|_| Failure::new("the analyze thread ended unexpectedly"))??;
    mappings::spell(database, &mut wanted, &found);
    let same_owners = action.roles == Roles::Preserve;
    let options = CompareOptions {
        owners: same_owners,
        privileges: same_owners,
        ..CompareOptions::default()
    };
    let differences = manifest::compare(&wanted, &found, &options);
    for note in manifest::options_not_compared(&wanted, &found) {
        world.progress.remark(&format!("{}: {note}", database.name));
    }
    if !differences.is_empty() {
        return Err(differ(database, &differences));
    }
    let seen = facts::database(runner, &server, &incoming)?;
    let rows = found.rows();
    remember(world, &database.name, seen.oid)?;
    world.run.save(&restored_state(&database.name), &found)?;
    Ok(json!({ "name": database.name, "rows": rows, "tables": found.tables.len(), "bytes": seen.bytes }))
}

/// Subscriptions stay behind; those that nobody was told of, because the source was not running, are told now.
fn without_subscriptions(
    database: &RestoreDatabase,
    backup: &DatabaseBackup,
    world: &World<'_>,
) -> RestoreDatabase {
    let mut database = database.clone();
    for name in &backup.access.subscriptions {
        let object = LeftOut::subscription(name);
        if !database.left_out.contains(&object) {
            world.progress.warn(&format!(
                "{object} of {} is left out: a copy must not receive changes beside the original",
                database.name
            ));
            database.left_out.push(object);
        }
    }
    database
}

/// [`restore`], telling how far it is.
fn restore_watched(
    action: &Restore,
    database: &RestoreDatabase,
    jobs: u32,
    bytes: u64,
    world: &World<'_>,
) -> Result<(), Failure> {
    let (server, incoming) = (action.target.server(world.vault), database.incoming());
    let title = format!("restore {}", database.name);
    let finished = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            watch(world, &finished, &title, bytes, || {
                size(world, &server, action, &incoming)
            });
        });
        let restored = restore(action, database, jobs, world);
        finished.store(true, Ordering::SeqCst);
        restored
    })
}

/// pg_restore, of everything or without the entries that a role without superuser may not make.
fn restore(
    action: &Restore,
    database: &RestoreDatabase,
    jobs: u32,
    world: &World<'_>,
) -> Result<(), Failure> {
    let list = match database.left_out.is_empty() && database.extensions_there.is_empty() {
        true => None,
        false => {
            let entries = world.runner.run(&action.list(database))?.stdout_text();
            let kept: Vec<&str> = entries
                .lines()
                .filter(|entry| Restore::keeps(database, entry))
                .collect();
            let path = world.run.path().join(format!("restore-{}.list", database.name));
            infra::files::write_private(&path, kept.join("\n").as_bytes())
                .context("failed to write the list of what is restored")?;
            Some(path)
        }
    };
    world
        .runner
        .run(&action.restore(database, world.vault, list.as_deref(), jobs))?;
    Ok(())
}

fn archive_of(action: &Restore, database: &RestoreDatabase) -> Result<DatabaseBackup, Failure> {
    let backup = DatabaseBackup::read(&action.folder, &database.name)?;
    Ok(backup.with_context(|| format!("there is no archive of {}", database.name))?)
}

fn differ(database: &RestoreDatabase, differences: &[Difference]) -> Failure {
    let mut message = format!(
        "the restored copy of {} differs from its manifest in {} places",
        database.name,
        differences.len()
    );
    for difference in differences.iter().take(SHOWN) {
        message.push_str(&format!("\n  {difference}"));
    }
    Failure::new(message)
}

pub(super) fn size(world: &World<'_>, server: &Server, action: &Restore, database: &str) -> u64 {
    let ask = Script::new("SELECT pg_database_size(:'database');").var("database", database);
    server
        .json(
            &world.runner,
            &action.maintenance_database,
            &ask,
            "measure progress",
        )
        .unwrap_or(0)
}

pub(super) fn compared(world: &World<'_>) -> Result<BTreeMap<String, u64>, Failure> {
    Ok(world.run.load(COMPARED)?.unwrap_or_default())
}

/// State file: the manifest of a database as it was restored.
pub fn restored_state(name: &str) -> String {
    format!("restored-{name}")
}

/// Adds one database to the state file. Databases finish at the same time, so writers take turns.
pub(super) fn remember(world: &World<'_>, name: &str, oid: u64) -> Result<(), Failure> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut all = compared(world)?;
    all.insert(name.to_owned(), oid);
    world.run.save(COMPARED, &all)?;
    Ok(())
}

/// Whether the database that compared equal is still there, as incoming or already in place.
pub(super) fn is_there(
    seen: &ServerFacts,
    compared: &BTreeMap<String, u64>,
    database: &RestoreDatabase,
) -> bool {
    let names = [database.incoming(), database.target_name.clone()];
    compared.get(&database.name).is_some_and(|oid| {
        names
            .iter()
            .any(|name| seen.databases.get(name).is_some_and(|entry| entry.oid == *oid))
    })
}
