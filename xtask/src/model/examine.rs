//! Whether a backup on disk is what was written: complete, unchanged, and taken by the run that says so.

use std::path::Path;

use anyhow::Context as _;
use infra::postgres::archive;

use super::backup::{BackupManifest, DatabaseBackup};
use super::{RunDir, upload};

/// What is wrong with a backup's documents and files; empty: complete and unchanged. `names` are the databases it must
/// hold beside those it says it holds.
///
/// # Errors
/// When a file cannot be read, so that nothing can be said.
pub fn examine(folder: &Path, names: &[&str]) -> anyhow::Result<Vec<String>> {
    let Some(manifest) = readable(BackupManifest::read(folder)) else {
        return Ok(vec!["manifest.json cannot be understood".to_owned()]);
    };
    let Some(manifest) = manifest? else {
        return Ok(vec![
            "there is no manifest.json: the backup is not complete".to_owned(),
        ]);
    };
    let lacks = |name: &&&str| !manifest.databases.contains_key(**name);
    let mut differences: Vec<String> = names
        .iter()
        .filter(lacks)
        .map(|name| format!("manifest.json does not name {name}"))
        .collect();
    if manifest.databases.is_empty() {
        differences.push("manifest.json names no database".to_owned());
    }
    differences.extend(unnamed(folder, &manifest)?);
    for (name, wanted) in &manifest.databases {
        let document = DatabaseBackup::path(folder, name);
        if !document.is_file() {
            differences.push(format!("{name}.json, the manifest of {name}, is missing"));
            continue;
        }
        let (found, _) = infra::files::sha256(&document)
            .with_context(|| format!("failed to read {}", document.display()))?;
        if found != *wanted {
            differences.push(format!(
                "{name}.json, the manifest of {name}, was changed after the backup"
            ));
            continue;
        }
        match readable(DatabaseBackup::read(folder, name)) {
            Some(backup) => {
                let backup = backup?.with_context(|| format!("{name}.json vanished"))?;
                differences.extend(backup.file_differences(folder)?);
            }
            None => differences.push(format!("{name}.json cannot be understood")),
        }
    }
    Ok(differences)
}

/// [`examine`], and that this run took it: a whole backup of another day is not this one.
///
/// # Errors
/// As [`examine`].
pub fn examine_own(run: &RunDir, folder: &Path, names: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut differences = examine(folder, names)?;
    if differences.is_empty() {
        let taken_by = BackupManifest::read(folder)?.map(|manifest| manifest.run);
        let foreign = taken_by.filter(|by| by != run.id.as_str());
        differences.extend(foreign.map(|by| format!("run {by} took this backup, not run {}", run.id)));
    }
    Ok(differences)
}

/// Archives and their documents that the manifest does not name: somebody changed the one or the other.
fn unnamed(folder: &Path, manifest: &BackupManifest) -> anyhow::Result<Vec<String>> {
    let context = || format!("failed to read {}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let shown = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = shown.strip_suffix(".json").unwrap_or(&shown);
        let is_document = name != shown && !upload::is_about_the_backup(&shown);
        let is_archive = path.join(archive::TOC).is_file();
        if (is_archive || is_document) && !manifest.databases.contains_key(name) {
            found.push(format!(
                "the backup holds {shown}, which manifest.json does not name"
            ));
        }
    }
    found.sort();
    Ok(found)
}

/// `None` when a document is there and makes no sense: that is damage, while a file that cannot be read says nothing.
fn readable<T>(result: anyhow::Result<T>) -> Option<anyhow::Result<T>> {
    match result {
        Err(error) if error.downcast_ref::<serde_json::Error>().is_some() => None,
        other => Some(other),
    }
}
