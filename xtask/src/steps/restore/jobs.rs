//! Jobs of one pg_restore that were in each other's way, where indexes of partitions are attached to that of their table
//! (`ALTER INDEX .. ATTACH PARTITION`). One job alone cannot be.

use std::collections::BTreeMap;

use infra::postgres::facts;
use infra::postgres::manifest::{DatabaseManifest, ObjectFacts};

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
    Ok(unseen(&invalid, wanted.schema.get("indexes")).map(|index| {
        format!("two jobs attached the last parts of index {index} at once, and neither saw the other's: it is invalid")
    }))
}

/// Whether one holds a parent that the next one needs, and the server ended one of them.
fn deadlocked(failure: &Failure) -> bool {
    failure.message.contains("deadlock detected")
}

/// An index that is invalid here and is not on the source.
fn unseen<'a>(invalid: &'a [String], indexes: Option<&BTreeMap<String, ObjectFacts>>) -> Option<&'a String> {
    invalid.iter().find(|name| {
        let facts = indexes.and_then(|indexes| indexes.get(*name));
        facts.is_some_and(|facts| !facts.contains_key("partition_invalid"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_is_invalid_on_the_source_too_is_no_reason_to_restore_again() {
        let facts = |aspect: &str| ObjectFacts::from([(aspect.to_owned(), "true".to_owned())]);
        let source = BTreeMap::from([
            ("public.whole".to_owned(), facts("definition")),
            ("public.half".to_owned(), facts("partition_invalid")),
        ]);
        let invalid = ["public.half", "public.unknown", "public.whole"].map(str::to_owned);
        assert_eq!(unseen(&invalid, Some(&source)), Some(&invalid[2]));
        assert_eq!(unseen(&invalid[..2], Some(&source)), None);
        assert_eq!(unseen(&invalid, None), None);
    }
}
