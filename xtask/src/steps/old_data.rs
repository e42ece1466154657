//! The last look at an old instance before its data go: they must be what the backup holds.

use infra::docker;
use infra::postgres::container::{self, Start};
use infra::postgres::facts::{self, DatabaseFacts};
use infra::postgres::manifest::{self, CompareOptions, Difference};

use super::restore::MANIFEST_WORKERS;
use super::{Failure, World, fence};
use crate::model::backup::DatabaseBackup;
use crate::plan::action::{Fence, Fenced};

/// Reads the old data of a finished run once more, in isolation, and compares them with the run's backup: somebody may
/// have started the old instance since, and written to it. Other databases of the instance are in no backup at all.
///
/// # Errors
/// When it cannot be told.
pub fn differs_from_backup(old: &Fence, world: &World<'_>) -> Result<Vec<Difference>, Failure> {
    let Some(backup) = DatabaseBackup::read(&world.run.backup(), &old.database)? else {
        return Err(Failure::new(format!(
            "the backup holds no archive of {}",
            old.database
        )));
    };
    backup.manifest.comparable().map_err(Failure::new)?;
    let old = readable(old, world)?;
    let found = fence::apply(&old, world)
        .and_then(|_| fence::reads(&old, world))
        .and_then(|instance| {
            let server = old.reader().server(world.vault);
            let source = &old.source_database;
            let found = manifest::collect(&world.runner, &server, source, None, MANIFEST_WORKERS, &|_| {})?;
            let beside = facts::with_content(&world.runner, &server, &instance, source)?;
            Ok((found, beside))
        });
    fence::release(&old, world)?;
    let (found, beside) = found?;
    let mut differences = manifest::compare(&backup.manifest, &found, &CompareOptions::default());
    differences.extend(beside.iter().map(unsaved));
    Ok(differences)
}

/// A database that was never moved: nothing but the old data holds it.
fn unsaved(database: &DatabaseFacts) -> Difference {
    let what = database.in_words();
    Difference {
        class: "database".to_owned(),
        object: database.name.clone(),
        expected: None,
        sentence: format!("{what} was not moved and is in no backup; dump it, or drop it"),
        actual: Some(what),
        keys: Vec::new(),
    }
}

/// A container may be gone by now; its volume is read without it.
fn readable(old: &Fence, world: &World<'_>) -> Result<Fence, Failure> {
    let mut old = old.clone();
    if let Fenced::Container {
        name,
        start,
        data: Some(volume),
        ..
    } = &old.fenced
        && docker::container(&world.runner, name)?.is_none()
    {
        let found = container::data_folders(&world.runner, volume, &start.image)?;
        let [found] = found.as_slice() else {
            let many = found.len();
            return Err(Failure::new(format!(
                "volume {volume} holds {many} data folders; one was expected"
            )));
        };
        old.fenced = Fenced::Volume {
            volume: volume.clone(),
            start: Start::on_volume(&start.image, found),
        };
    }
    Ok(old)
}
