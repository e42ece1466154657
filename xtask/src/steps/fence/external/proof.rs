//! Proof that a source still holds what its backup does: nothing prepared, nothing counted, and the same content when all
//! of it is read again, which no setting of the server can hide.

use std::path::Path;

use anyhow::Context;
use infra::postgres::activity::{self, Activity, Prepared, SessionSeen};
use infra::postgres::manifest::{self, CompareOptions, DatabaseManifest, TableProgress};
use infra::postgres::quote;

use super::{SHOWN, look};
use crate::model::backup::DatabaseBackup;
use crate::plan::action::{External, Fence};
use crate::steps::{Failure, World};

/// Sessions that read a database again.
pub(super) const WORKERS: usize = 2;

/// What a person does about a source that is not what its backup says.
const AGAIN: &str = "stop who writes, then: cargo xtask rollback, and migrate again";

/// The backup of a source, with what the counters said just before its snapshot.
pub(super) fn backup(fence: &Fence, folder: &Path) -> Result<DatabaseBackup, Failure> {
    let backup = DatabaseBackup::read(folder, &fence.database)?;
    Ok(backup.with_context(|| format!("there is no backup of {}", fence.database))?)
}

/// The proof for a source that cannot be closed. It holds for the moment of the last look.
pub(super) fn while_open(
    fence: &Fence,
    external: &External,
    backup: &DatabaseBackup,
    world: &World<'_>,
) -> Result<(), Failure> {
    let (server, database) = (external.instance.server(world.vault), &fence.source_database);
    let after = quiet(fence, external, backup, world)?;
    if backup
        .activity
        .as_ref()
        .is_some_and(|before| before.is_still(&after))
    {
        return Ok(());
    }
    let shown = progress(fence, world);
    let now = manifest::collect(&world.runner, &server, database, None, WORKERS, &shown)?;
    same_content(fence, backup, &now)?;
    // Of what was written while it was read.
    quiet(fence, external, backup, world).map(|_| ())
}

/// Nobody is about to write, and the counters say that nobody did.
pub(super) fn quiet(
    fence: &Fence,
    external: &External,
    backup: &DatabaseBackup,
    world: &World<'_>,
) -> Result<Activity, Failure> {
    let seen = look(fence, external, world)?;
    nothing_open(fence, &seen.others)?;
    nothing_prepared(fence, &seen.prepared)?;
    let server = external.instance.server(world.vault);
    let now = activity::activity(&world.runner, &server, &fence.source_database)?;
    judge(fence, backup, &now)?;
    Ok(now)
}

/// Shows how far reading it again is.
pub(super) fn progress(fence: &Fence, world: &World<'_>) -> impl Fn(&TableProgress<'_>) + Sync {
    let task = format!("read {} again", fence.database);
    let progress = world.progress;
    move |table| progress.bytes(&task, table.bytes.0, table.bytes.1)
}

/// No counter knows what a transaction will have written when it commits.
fn nothing_open(fence: &Fence, others: &[SessionSeen]) -> Result<(), Failure> {
    let open: Vec<String> = others
        .iter()
        .filter(|session| session.in_transaction != Some(false))
        .take(SHOWN)
        .map(|session| format!("\n  {session}"))
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "sessions of database {} of the source are in a transaction, or may be; what they commit later would be lost:{}",
        fence.source_database,
        open.concat()
    ))
    .hint("end them, then resume")
    .hint("where only monitoring is connected: GRANT pg_read_all_stats TO ROLE, so that what it does can be seen"))
}

/// Neither does one know what a prepared transaction writes, and no session need be there to end it.
pub(super) fn nothing_prepared(fence: &Fence, prepared: &[Prepared]) -> Result<(), Failure> {
    let Some(first) = prepared.first() else {
        return Ok(());
    };
    let database = &fence.source_database;
    let lines = prepared.iter().take(SHOWN).map(|transaction| {
        let Prepared { gid, owner, at } = transaction;
        format!("\n  {gid:?} of {owner} in {database}, since {at}")
    });
    let gid = quote::literal(&first.gid);
    Err(Failure::new(format!(
        "{} transactions of database {database} of the source are prepared and not ended; what they commit later would be \
         lost:{}",
        prepared.len(),
        lines.collect::<String>()
    ))
    .hint(format!(
        "COMMIT PREPARED {gid}; or ROLLBACK PREPARED {gid}; (in database {database} of the old server, as {})",
        first.owner
    ))
    .hint("then: cargo xtask rollback, and migrate again")
    .for_good())
}

/// What the counters say of the time since the snapshot of the backup.
pub(super) fn judge(fence: &Fence, backup: &DatabaseBackup, after: &Activity) -> Result<(), Failure> {
    let database = &fence.source_database;
    let before = backup
        .activity
        .as_ref()
        .with_context(|| format!("the backup of {} holds no counters of writes", fence.database))?;
    match before.until(after) {
        Ok(grown) => unwritten(fence, &before.taken_at, &grown),
        Err(why) => Err(Failure::new(format!(
            "whether database {database} of the source was written to after its backup of {} cannot be told: {why}",
            before.taken_at
        ))
        .hint(AGAIN)
        .for_good()),
    }
}

/// What reading everything again says: on one server nothing at all may differ.
pub(super) fn same_content(
    fence: &Fence,
    backup: &DatabaseBackup,
    now: &DatabaseManifest,
) -> Result<(), Failure> {
    let options = CompareOptions {
        extension_versions: true,
        database_access: true,
        matview_contents: true,
        ..CompareOptions::default()
    };
    let differences = manifest::compare(&backup.manifest, now, &options);
    let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
    unwritten(fence, &backup.taken_at, &differences)
}

fn unwritten(fence: &Fence, since: &str, grown: &[String]) -> Result<(), Failure> {
    if grown.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = grown
        .iter()
        .take(SHOWN)
        .map(|line| format!("\n  {line}"))
        .collect();
    Err(Failure::new(format!(
        "database {} of the source was written to after its backup of {since}:{}\nthe copy lacks that",
        fence.source_database,
        shown.concat()
    ))
    .hint(AGAIN)
    .for_good())
}
