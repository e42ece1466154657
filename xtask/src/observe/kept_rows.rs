//! The newest complete backup of each database, and whether the target still has what it holds.

use std::collections::BTreeMap;

use infra::postgres::health;

use super::{Eyes, LabelerSeen, Observed, held, servers};
use crate::config::Vault;
use crate::model::backup::DatabaseBackup;

/// What a backup holds of a database.
pub struct Held {
    /// The run that took it, or its own id.
    pub backup: String,
    /// Every table that has rows in the backup, and whether it has some on the target: `None`, the table is not there. Why
    /// that cannot be told; `None` where the target does not have the database.
    pub now: Option<Result<BTreeMap<String, Option<bool>>, String>>,
}

impl Held {
    /// Tables with rows in the backup and none on the target.
    pub fn lacking(tables: &BTreeMap<String, Option<bool>>) -> Vec<&str> {
        let lacking = tables.iter().filter(|(_, filled)| **filled != Some(true));
        lacking.map(|(table, _)| table.as_str()).collect()
    }

    /// Tables of the data that had rows and are there without any, and of how many; none where that is not known.
    pub fn emptied(&self) -> (Vec<&str>, usize) {
        let Some(Ok(tables)) = &self.now else {
            return (Vec::new(), 0);
        };
        let data = tables
            .iter()
            .filter(|(table, _)| !table.ends_with("alembic_version"));
        let emptied = data.clone().filter(|(_, filled)| **filled == Some(false));
        (emptied.map(|(table, _)| table.as_str()).collect(), data.count())
    }

    /// Whether the target's database was seen to have lost every row. Alembic's own table says nothing about the data.
    pub fn is_emptied(&self) -> bool {
        let Some(Ok(tables)) = &self.now else {
            return false;
        };
        let mut data = tables
            .iter()
            .filter(|(table, _)| !table.ends_with("alembic_version"))
            .peekable();
        data.peek().is_some() && data.all(|(_, filled)| *filled != Some(true))
    }
}

pub(super) fn look(eyes: &Eyes<'_>, seen: &Observed, vault: &Vault) -> BTreeMap<String, Held> {
    let newest = held::newest(eyes.workspace).into_iter();
    newest
        .map(|(name, (id, folder))| {
            let now = compare(eyes, seen, vault, &folder, &name);
            let backup = id.to_string();
            (name, Held { backup, now })
        })
        .collect()
}

fn compare(
    eyes: &Eyes<'_>,
    seen: &Observed,
    vault: &Vault,
    folder: &std::path::Path,
    name: &str,
) -> Option<Result<BTreeMap<String, Option<bool>>, String>> {
    let database = seen.target.databases.get(name)?;
    let backup = match DatabaseBackup::read(folder, name) {
        Ok(Some(backup)) => backup,
        Ok(None) => return Some(Err(format!("the backup has lost the manifest of {name}"))),
        Err(error) => return Some(Err(format!("{error:#}"))),
    };
    let tables = backup.manifest.tables.iter();
    let filled = tables.filter(|(_, facts)| facts.not_counted.is_none() && facts.rows > 0);
    // A version table of another name says as little about the data as `alembic_version`.
    let own = seen.labeler.as_ref().and_then(LabelerSeen::version_table);
    let own = own.filter(|_| name == eyes.settings.schema.database);
    let is_own =
        |table: &str| own.is_some_and(|own| table.replace('"', "").ends_with(&format!(".{}", own.name)));
    let names = filled.map(|(table, _)| table.as_str());
    let names: Vec<&str> = names.filter(|table| !is_own(table)).collect();
    let server = servers::target(eyes.settings, vault, "");
    Some(
        health::filled(eyes.runner, &server, &database.facts.name, &names).map_err(|error| error.to_string()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(tables: &[(&str, Option<bool>)]) -> Held {
        let tables = tables
            .iter()
            .map(|(table, filled)| ((*table).to_owned(), *filled));
        Held {
            backup: String::new(),
            now: Some(Ok(tables.collect())),
        }
    }

    #[test]
    fn a_database_is_emptied_when_no_row_is_left_and_alembics_own_does_not_count() {
        let alembic = ("public.alembic_version", Some(true));
        assert!(held(&[alembic, ("public.datasets", None), ("public.images", Some(false))]).is_emptied());
        assert!(!held(&[alembic, ("public.datasets", None), ("public.images", Some(true))]).is_emptied());
        // A backup without rows tells nothing, and neither does one that could not be compared.
        assert!(!held(&[alembic]).is_emptied());
        let unknown = Held {
            now: Some(Err("no answer".to_owned())),
            ..held(&[])
        };
        assert!(!unknown.is_emptied());
    }
}
