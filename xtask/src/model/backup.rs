//! What a backup's folder holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use infra::postgres::access::Access;
use infra::postgres::activity::Activity;
use infra::postgres::facts::DatabaseSetting;
use infra::postgres::manifest::DatabaseManifest;
use infra::postgres::unprivileged::Unprivileged;
use serde::{Deserialize, Serialize};

use super::run_dir::read_json;

/// `manifest.json`: written last. A folder without it is not a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackupManifest {
    /// Version of this document.
    pub schema_version: u32,
    /// The run that took it.
    pub run: String,
    /// When it was complete, UTC.
    pub created_at: String,
    /// SHA-256 of each database's document, by database.
    pub databases: BTreeMap<String, String>,
}

/// `<database>.json`: one archive and what must be true of its data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatabaseBackup {
    /// Version of this document.
    pub schema_version: u32,
    /// The run that took it.
    #[serde(default)]
    pub run: String,
    /// The database, by the name people use; also the archive's folder.
    pub name: String,
    /// Its name in the old instance.
    pub source_database: String,
    /// When its snapshot was taken, UTC.
    pub taken_at: String,
    /// When the server started that it was read from, as seconds since 1970; not of external sources.
    #[serde(default)]
    pub reader_started: Option<String>,
    /// The data, under the snapshot that pg_dump used.
    pub manifest: DatabaseManifest,
    /// Settings of the database, which an archive does not hold.
    pub settings: Vec<DatabaseSetting>,
    /// `CONNECTION LIMIT` of the database; an archive does not hold it.
    #[serde(default = "no_limit")]
    pub connection_limit: i32,
    /// Who may do what in it.
    #[serde(default)]
    pub access: Access,
    /// Roles that its row-level security policies and user mappings name: they must exist where it is restored.
    #[serde(default)]
    pub policy_roles: Vec<String>,
    /// What a role without superuser could not make of it elsewhere.
    #[serde(default)]
    pub unprivileged: Option<Unprivileged>,
    /// What counts writes in the source, read just before the snapshot; of external sources only.
    #[serde(default)]
    pub activity: Option<Activity>,
    /// The archive's files.
    pub files: Vec<ArchiveFile>,
}

fn no_limit() -> i32 {
    -1
}

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveFile {
    /// Name in the archive's folder.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

impl DatabaseBackup {
    /// Where its document lies.
    pub fn path(folder: &Path, name: &str) -> PathBuf {
        folder.join(format!("{name}.json"))
    }

    /// Reads it; `None` when the archive was never completed.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(folder: &Path, name: &str) -> anyhow::Result<Option<Self>> {
        let mut read: Option<Self> = read_json(&Self::path(folder, name))?;
        if let Some(backup) = &mut read {
            backup.manifest.keep_known_options();
        }
        Ok(read)
    }

    /// Writes it, durably: from here on the archive counts.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = Self::path(folder, &self.name);
        let text = serde_json::to_vec_pretty(self).context("failed to write a manifest as JSON")?;
        infra::files::write_private(&path, &text)
            .with_context(|| format!("failed to write {}", path.display()))
    }

    /// Bytes of the archive.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Compares the files on disk with what was written: every file there, the same size and SHA-256, and no other.
    /// Empty when they are the same.
    ///
    /// # Errors
    /// When a file cannot be read, so that nothing can be said.
    pub fn file_differences(&self, folder: &Path) -> anyhow::Result<Vec<String>> {
        let archive = folder.join(&self.name);
        if !archive.is_dir() {
            return Ok(vec![format!("archive {} is missing", self.name)]);
        }
        let mut differences = other_than_files(&archive)?;
        if !differences.is_empty() {
            return Ok(differences);
        }
        let found = archive_files(&archive)?;
        for wanted in &self.files {
            let what = format!("file {} of archive {}", wanted.name, self.name);
            match found.iter().find(|file| file.name == wanted.name) {
                None => differences.push(format!("{what} is missing")),
                Some(file) if file.size != wanted.size => differences.push(format!(
                    "{what} has {} bytes instead of {}",
                    file.size, wanted.size
                )),
                Some(file) if file.sha256 != wanted.sha256 => {
                    differences.push(format!("{what} has another SHA-256"));
                }
                Some(_) => {}
            }
        }
        let known = |file: &&ArchiveFile| self.files.iter().any(|wanted| wanted.name == file.name);
        let extra = found.iter().filter(|file| !known(file));
        differences.extend(extra.map(|file| {
            format!(
                "archive {} holds file {}, which its manifest does not name",
                self.name, file.name
            )
        }));
        Ok(differences)
    }

    /// [`DatabaseBackup::file_differences`] as an error.
    ///
    /// # Errors
    /// The first difference, in words, or why nothing can be said.
    pub fn check_files(&self, folder: &Path) -> anyhow::Result<()> {
        match self.file_differences(folder)?.first() {
            None => Ok(()),
            Some(difference) => anyhow::bail!("{difference}"),
        }
    }
}

impl BackupManifest {
    /// Where it lies.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("manifest.json")
    }

    /// Reads it; `None` when the backup is not complete.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        read_json(&Self::path(folder))
    }
}

/// What an archive's folder holds beside plain files, in words: pg_dump makes nothing else, and a link leads elsewhere.
fn other_than_files(dir: &Path) -> anyhow::Result<Vec<String>> {
    let context = || format!("failed to read archive {}", dir.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(context)? {
        let entry = entry.with_context(context)?;
        if !entry.file_type().with_context(context)?.is_file() {
            found.push(format!("{} is not a file of an archive", entry.path().display()));
        }
    }
    Ok(found)
}

/// The files of an archive's folder with size and SHA-256, by name.
///
/// # Errors
/// Any I/O error.
pub fn archive_files(dir: &Path) -> anyhow::Result<Vec<ArchiveFile>> {
    let context = || format!("failed to read archive {}", dir.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let (sha256, size) = infra::files::sha256(&path).with_context(context)?;
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        files.push(ArchiveFile { name, size, sha256 });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}
