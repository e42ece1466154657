//! Which backup holds the rows of a database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use infra::postgres::archive;

use crate::config::Workspace;
use crate::model::RunId;
use crate::model::backup::{BackupManifest, DatabaseBackup};

/// For each database with rows in its newest complete backup: the run or backup that holds them.
pub fn held(workspace: &Workspace) -> BTreeMap<String, String> {
    let newest = newest(workspace).into_iter();
    newest
        .filter(|(name, (_, folder))| has_rows(folder, name))
        .map(|(name, (id, _))| (name, id.to_string()))
        .collect()
}

/// The newest backup of each database: its id and its folder.
pub(super) fn newest(workspace: &Workspace) -> BTreeMap<String, (RunId, PathBuf)> {
    let mut newest = BTreeMap::new();
    for (id, folder) in backups(workspace).into_iter().rev() {
        for name in databases_of(&folder) {
            newest.entry(name).or_insert_with(|| (id.clone(), folder.clone()));
        }
    }
    newest
}

/// What a backup holds. A folder without its last document is no backup. One whose last document is damaged was complete
/// once: what lies in it counts, because "nothing is there" must be known and not assumed.
fn databases_of(folder: &Path) -> Vec<String> {
    match BackupManifest::read(folder) {
        Ok(Some(manifest)) => manifest.databases.into_keys().collect(),
        Ok(None) => Vec::new(),
        Err(_) => {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let archives = entries.filter(|entry| entry.path().join(archive::TOC).is_file());
            archives
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect()
        }
    }
}

/// Every folder that may be one, the oldest first.
fn backups(workspace: &Workspace) -> BTreeMap<RunId, PathBuf> {
    let ids = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some((RunId::parse(entry.file_name().to_str()?)?, entry.path())))
    };
    let runs = ids(workspace.runs()).map(|(id, folder)| (id, folder.join("backup")));
    runs.chain(ids(workspace.backups())).collect()
}

/// What cannot be read is not taken for empty.
fn has_rows(folder: &Path, name: &str) -> bool {
    match DatabaseBackup::read(folder, name) {
        Ok(Some(backup)) => {
            let mut tables = backup.manifest.tables.values();
            tables.any(|table| table.rows > 0 || table.not_counted.is_some())
        }
        _ => true,
    }
}
