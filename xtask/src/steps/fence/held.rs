//! Whether a source of ours is still what its backup holds. A fence keeps an old instance stopped, not a person from starting
//! it again; as long as the very reader runs that the backup was read from, nobody did.

use std::path::Path;

use infra::postgres::manifest::{self, CompareOptions, Difference};
use infra::postgres::{Server, facts};

use crate::model::Finding;
use crate::model::backup::DatabaseBackup;
use crate::plan::action::{BackupDatabase, Fence};
use crate::steps::restore::MANIFEST_WORKERS;
use crate::steps::{Failure, Probe, World, unlogged};

/// How many differences a finding names.
const SHOWN: usize = 5;

/// State file: when a later reader started, under which the source was found to be what the backup holds.
fn state(database: &str) -> String {
    format!("reader-{database}")
}

/// The reader under which the source was last known to be what the backup holds.
fn known(name: &str, backup: &DatabaseBackup, world: &World<'_>) -> Result<Option<String>, Failure> {
    let later: Option<String> = world.run.load(&state(name))?;
    Ok(later.or_else(|| backup.reader_started.clone()))
}

/// When the server started, as a number that no other start has.
pub(in crate::steps) fn started(
    database: &BackupDatabase,
    server: &Server,
    world: &World<'_>,
) -> Result<String, Failure> {
    let seen = facts::server(&world.runner, server, &database.source_database)?;
    seen.started.ok_or_else(|| {
        Failure::new(format!(
            "the reader of {} does not say when it started",
            database.name
        ))
    })
}

/// What makes a source other than its backup: nothing where the same reader ran all the time, else what a comparison finds.
///
/// # Errors
/// When it cannot be told.
pub(in crate::steps) fn changed(
    database: &BackupDatabase,
    backup: &DatabaseBackup,
    world: &World<'_>,
) -> Result<Option<Finding>, Failure> {
    let name = &database.name;
    let server = database.reader.server(world.vault);
    let now = started(database, &server, world)?;
    if known(name, backup, world)?.as_ref() == Some(&now) {
        return Ok(None);
    }
    world.progress.note(&format!(
        "the reader of {name} was started again: comparing the old data with the backup"
    ));
    backup.manifest.comparable().map_err(Failure::new)?;
    let source = &database.source_database;
    let found = manifest::collect(&world.runner, &server, source, None, MANIFEST_WORKERS, &|_| {})?;
    // A reader that was killed lost their rows; the backup holds them.
    let emptied = unlogged::emptied(world, &server, name, source)?;
    let differences: Vec<Difference> =
        manifest::compare(&backup.manifest, &found, &CompareOptions::default())
            .into_iter()
            .filter(|difference| !emptied.contains(&difference.object))
            .collect();
    if differences.is_empty() {
        world.run.save(&state(name), &now)?;
        return Ok(None);
    }
    let mut text = format!("the old instance of {name} was written to after its backup was taken:");
    for difference in differences.iter().take(SHOWN) {
        text.push_str(&format!("\n  {difference}"));
    }
    if differences.len() > SHOWN {
        text.push_str(&format!("\n  and {} more", differences.len() - SHOWN));
    }
    Ok(Some(
        Finding::error(format!("source.{name}.written"), text)
            .wanted("what the backup holds; a new run takes the old data as they are now")
            .hint(format!(
                "cargo xtask rollback {}; cargo xtask migrate",
                world.run.id
            )),
    ))
}

/// Whether a fence still holds in the moment before `.env` names the target: what was stopped is down, and the reader that the
/// backup in `folder` was read from runs.
///
/// # Errors
/// When it does not, or cannot be told.
pub(in crate::steps) fn holds(fence: &Fence, folder: &Path, world: &World<'_>) -> Result<(), Failure> {
    let broken = || {
        Failure::new(format!(
            "the old instance of {} was started, or its reader ended, after its backup was taken; --resume stops it again and \
             compares what it holds",
            fence.database
        ))
    };
    if !matches!(super::probe(fence, world)?, Probe::Satisfied) {
        return Err(broken());
    }
    let database = BackupDatabase {
        name: fence.database.clone(),
        source_database: fence.source_database.clone(),
        reader: fence.reader(),
        watched: false,
    };
    let Some(backup) = DatabaseBackup::read(folder, &fence.database)? else {
        return Err(broken());
    };
    let now = started(&database, &database.reader.server(world.vault), world)?;
    match known(&fence.database, &backup, world)? {
        Some(known) if known == now => Ok(()),
        _ => Err(broken()),
    }
}
