//! Jobs of one pg_restore that were in each other's way, where indexes of partitions are attached to that of their table
//! (`ALTER INDEX .. ATTACH PARTITION`). One job alone cannot be.

use infra::postgres::facts;
use infra::postgres::manifest::DatabaseManifest;

use crate::plan::action::{Restore, RestoreDatabase};
use crate::steps::{Failure, World};

/// What went wrong, when one job would do better.
///
/// # Errors
/// When the restored database does not answer.
pub(super) fn in_each_others_way(
    action: &Restore,
    database: &RestoreDatabase,
    wanted: &DatabaseManifest,
    restored: &Result<(), Failure>,
    world: &World<'_>,
) -> Result<Option<String>, Failure> {
    if action.jobs < 2 {
        return Ok(None);
    }
    if let Err(failure) = restored {
        return Ok(deadlocked(failure)
            .then(|| format!("the jobs that restored {} waited for each other", database.name)));
    }
    let server = action.target.server(world.vault);
    let invalid = facts::invalid_partitioned_indexes(&world.runner, &server, &database.incoming())?;
    Ok(unseen(&invalid, wanted).map(|index| {
        format!("two jobs attached the last parts of index {index} at once, and neither saw the other's: it is invalid")
    }))
}

/// Whether one holds a parent that the next one needs, and the server ended one of them.
fn deadlocked(failure: &Failure) -> bool {
    failure.message.contains("deadlock detected")
}

/// An index that is invalid here and is not on the source.
fn unseen<'a>(invalid: &'a [String], wanted: &DatabaseManifest) -> Option<&'a String> {
    let indexes = wanted.schema.get("indexes");
    invalid.iter().find(|name| {
        let facts = indexes.and_then(|indexes| indexes.get(*name));
        facts.is_some_and(|facts| !facts.contains_key("partition_invalid"))
    })
}
