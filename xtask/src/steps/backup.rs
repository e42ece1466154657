//! Back up all databases at once, each under one snapshot, and read every archive back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use infra::postgres::manifest::{self, DatabaseManifest};
use infra::postgres::snapshot::Snapshot;
use serde_json::{Value, json};

use super::fence::held;
use super::{Failure, Probe, Progress, World, orphans, parallel, unlogged};
use crate::model::backup::{BackupManifest, DatabaseBackup, archive_files};
use crate::model::examine;
use crate::model::time;
use crate::plan::action::{Backup, BackupDatabase};

/// Sessions that compute one manifest beside its pg_dump.
const MANIFEST_WORKERS: usize = 2;

/// A verified backup is a resume point: complete and unchanged on disk, it is never taken again. It must still be what the
/// source holds: somebody may have started the old instance in between.
pub(super) fn probe(action: &Backup, world: &World<'_>) -> Result<Probe, Failure> {
    // Damage is not a conflict: what is not intact is taken again from the fenced source.
    if check(action, world).is_err() {
        return Ok(Probe::Absent);
    }
    let ours = action.databases.iter().filter(|database| !database.watched);
    for database in ours {
        let Some(backup) = DatabaseBackup::read(&action.folder, &database.name)? else {
            return Ok(Probe::Absent);
        };
        if let Some(finding) = held::changed(database, &backup, world)? {
            return Ok(Probe::Conflict(finding));
        }
    }
    Ok(Probe::Satisfied)
}

pub(super) fn apply(action: &Backup, world: &World<'_>) -> Result<Value, Failure> {
    infra::files::private_dir(&action.folder).context("failed to make the backup's folder")?;
    let done = parallel(&action.databases, |database| one(action, database, world))?;
    let mut databases = BTreeMap::new();
    for backup in &done {
        let (sha256, _) = infra::files::sha256(&DatabaseBackup::path(&action.folder, &backup.name))
            .context("failed to read a manifest back")?;
        databases.insert(backup.name.clone(), sha256);
    }
    let manifest = BackupManifest {
        schema_version: 1,
        run: world.run.id.to_string(),
        created_at: time::now(),
        databases,
    };
    let text = serde_json::to_vec_pretty(&manifest).context("failed to write the manifest as JSON")?;
    infra::files::write_private(&BackupManifest::path(&action.folder), &text)
        .context("failed to write the backup's manifest")?;
    let bytes: u64 = done.iter().map(DatabaseBackup::bytes).sum();
    Ok(json!({ "bytes": bytes, "path": action.folder }))
}

pub(super) fn verify(action: &Backup, world: &World<'_>) -> Result<(), Failure> {
    check(action, world).map_err(Failure::from)
}

/// A backup harms nobody, and going back is when one wants it most.
pub(super) fn undo(_: &Backup, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}

fn check(action: &Backup, world: &World<'_>) -> anyhow::Result<()> {
    let names: Vec<&str> = action.databases.iter().map(|d| d.name.as_str()).collect();
    match examine::examine_own(&world.run, &action.folder, &names)?.first() {
        None => Ok(()),
        Some(difference) => anyhow::bail!("{difference}"),
    }
}

/// Reads every archive of a backup to its end; the answer is what pg_restore complained about.
///
/// # Errors
/// When pg_restore could not be asked, or is too old for the archive.
pub fn read_back(
    folder: &Path,
    names: &[String],
    clients: &infra::postgres::Clients,
    runner: &infra::Runner,
) -> Result<Vec<String>, Failure> {
    let mut complaints = Vec::new();
    for name in names {
        let cmd = infra::postgres::archive::read_back(clients, folder, name);
        match runner.run(&cmd) {
            Ok(_) => {}
            // 125 to 127: docker itself, or the program is not there.
            Err(error @ infra::CommandError::Failed { code: Some(code), .. }) if code < 125 => {
                if error.tail().contains("unsupported version") {
                    return Err(error.into());
                }
                let said = error.tail().lines().last().unwrap_or_default();
                complaints.push(format!("archive {name} cannot be read back: {said}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(complaints)
}

fn one(action: &Backup, database: &BackupDatabase, world: &World<'_>) -> Result<DatabaseBackup, Failure> {
    let name = &database.name;
    if let Ok(Some(done)) = DatabaseBackup::read(&action.folder, name)
        && done.run == world.run.id.as_str()
        && done.check_files(&action.folder).is_ok()
        && (database.watched || held::changed(database, &done, world)?.is_none())
    {
        return Ok(done);
    }
    let archive = action.folder.join(name);
    remove_partial(&archive, &DatabaseBackup::path(&action.folder, name))?;
    let server = database.reader.server(world.vault);
    let source = &database.source_database;
    // A pg_dump that outlived its run would go on writing into the folder that ours makes.
    orphans::end(&world.runner, &server, source, source)?;
    unlogged::check(world, &server, name, source)?;
    let reader_started = match database.watched {
        true => None,
        false => Some(held::started(database, &server, world)?),
    };
    let taken_at = time::now();
    // Before the snapshot: what is written in between is in the backup and a false alarm, never lost.
    let activity = match database.watched {
        true => Some(infra::postgres::activity::activity(
            &world.runner,
            &server,
            source,
        )?),
        false => None,
    };
    let mut snapshot = Snapshot::open(&world.runner, &server, source)?;
    let facts = infra::postgres::facts::database(&world.runner, &server, source)?;
    // Its rows would be in no archive. An external source is still open: what is prepared from here on, its seal finds.
    if let Some(gid) = facts.prepared_transactions.first() {
        return Err(
            Failure::new(format!("transaction {gid:?} of {name} is prepared and not ended"))
                .hint("cargo xtask rollback, then end it with COMMIT PREPARED or ROLLBACK PREPARED"),
        );
    }
    let size = facts.bytes;
    let dump = action.dump(database, world.vault, Some(snapshot.id()));
    let finished = AtomicBool::new(false);
    let (manifest, dumped) = std::thread::scope(|scope| {
        let manifest = scope.spawn(|| {
            manifest::collect(
                &world.runner,
                &server,
                source,
                Some(snapshot.id()),
                MANIFEST_WORKERS,
                &|_| {},
            )
        });
        scope.spawn(|| {
            watch(world, &finished, &format!("dump {name}"), size, || {
                infra::files::dir_size(&archive).unwrap_or(0)
            });
        });
        let dumped = world.runner.run(&dump);
        finished.store(true, Ordering::SeqCst);
        (manifest.join(), dumped)
    });
    dumped?;
    let manifest: DatabaseManifest =
        manifest.map_err(|_| Failure::new("the manifest's thread ended unexpectedly"))??;
    if !snapshot.is_alive() {
        return Err(Failure::new(format!(
            "the snapshot of {name} was lost while it was being dumped"
        )));
    }
    snapshot.close();
    make_private(&archive).context("failed to make the archive private")?;
    world.runner.run(&action.read_back(database))?;
    let backup = DatabaseBackup {
        schema_version: 1,
        run: world.run.id.to_string(),
        name: name.clone(),
        source_database: source.clone(),
        taken_at,
        reader_started,
        manifest,
        settings: infra::postgres::facts::settings(&world.runner, &server, source)?,
        connection_limit: facts.connection_limit,
        access: facts.access,
        policy_roles: infra::postgres::facts::policy_roles(&world.runner, &server, source)?,
        unprivileged: Some(infra::postgres::unprivileged::unprivileged(
            &world.runner,
            &server,
            source,
        )?),
        activity,
        files: archive_files(&archive)?,
    };
    sync(&archive).context("failed to write the archive to disk")?;
    backup.write(&action.folder)?;
    Ok(backup)
}

/// Reports a growing number until the work is finished.
pub(super) fn watch(world: &World<'_>, finished: &AtomicBool, task: &str, total: u64, now: impl Fn() -> u64) {
    report_growth(&world.runner, world.progress, finished, (task, total), now);
}

/// Reports a growing number of bytes of a task until the work is finished.
pub(super) fn report_growth(
    runner: &infra::Runner,
    progress: &dyn Progress,
    finished: &AtomicBool,
    (task, total): (&str, u64),
    now: impl Fn() -> u64,
) {
    let ticks = infra::wait::until(runner.interrupt(), Duration::from_secs(86_400), || {
        progress.bytes(task, now(), total);
        finished.load(Ordering::SeqCst).then_some(())
    });
    // Interrupted or not, the work itself tells how it ended.
    let _ = ticks;
}

fn remove_partial(archive: &Path, document: &Path) -> Result<(), Failure> {
    let gone = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    gone(std::fs::remove_file(document)).context("failed to remove an unusable manifest")?;
    gone(std::fs::remove_dir_all(archive)).context("failed to remove a partial archive")?;
    Ok(())
}

/// pg_dump and the aws client leave files as the umask says; data is for its owner only.
pub(super) fn make_private(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                make_private(&entry.path())?;
            } else {
                std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o600))?;
            }
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Neither pg_dump (`--no-sync`, so that reading back need not wait) nor the aws client waits for the disk; data must be
/// on it before it counts.
pub(super) fn sync(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync(&entry.path())?;
        } else {
            // Write access, because Windows flushes only files that are open for writing.
            let file = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(entry.path())?;
            file.sync_all()?;
        }
    }
    infra::files::sync_dir(folder)
}
