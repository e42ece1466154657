//! A backup in object storage, and what its local copy remembers of that.
//!
//! A backup lies in one folder: its files below `backup/`, `manifest.json` first, because it says whose folder it is; and
//! `complete.json` beside them, last. A folder without that is not a backup.

use std::path::{Path, PathBuf};

use anyhow::Context;
use infra::s3::Location;
use serde::{Deserialize, Serialize};

use super::backup::{BackupManifest, DatabaseBackup};
use super::run_dir::read_json;
use super::{RunId, time};

/// The completion marker.
pub const MARKER: &str = "complete.json";
/// Folder of the backup's own files.
pub const FILES: &str = "backup";
/// The document that a backup cannot be without.
pub const MANIFEST: &str = "manifest.json";
/// What a local backup remembers of its uploads.
const RECORD: &str = "uploads.json";

/// Whether a file of a backup's folder tells of the backup as a whole, and not of one database.
pub fn is_about_the_backup(file: &str) -> bool {
    [MANIFEST, RECORD, MARKER].contains(&file)
}

/// `complete.json`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// Version of this document.
    pub schema_version: u32,
    /// The run that took the backup.
    pub run: String,
    /// When the backup was complete, UTC.
    pub created_at: String,
    /// When its upload was complete, UTC.
    pub uploaded_at: String,
    /// SHA-256 of its `manifest.json`, which names all others.
    pub manifest_sha256: String,
    /// Every file of the backup.
    pub files: Vec<StoredFile>,
}

/// One file of a backup, by its name in the backup's folder, with `/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content, lower-case hex.
    pub sha256: String,
    /// The service's own mark of the content, as it listed it after the upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl Completion {
    /// Whether it stands for the same files with the same content.
    pub fn is_of(&self, contents: &Contents) -> bool {
        let same = |(ours, theirs): (&StoredFile, &StoredFile)| {
            (&ours.name, ours.size, &ours.sha256) == (&theirs.name, theirs.size, &theirs.sha256)
        };
        self.manifest_sha256 == contents.manifest_sha256
            && self.files.len() == contents.files.len()
            && self.files.iter().zip(&contents.files).all(same)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// What a complete local backup holds, by what its manifests say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The run that took it.
    pub run: String,
    /// When it was complete, UTC.
    pub created_at: String,
    /// SHA-256 of its `manifest.json`.
    pub manifest_sha256: String,
    /// Its files by name.
    pub files: Vec<StoredFile>,
}

impl Contents {
    /// Reads the manifests of a folder; the archives are taken at their word.
    ///
    /// # Errors
    /// When the backup is not complete or a document cannot be read.
    pub fn of(folder: &Path) -> anyhow::Result<Self> {
        let manifest = BackupManifest::read(folder)?.context("the backup is not complete")?;
        let document = |name: &str| {
            let path = folder.join(name);
            let (sha256, size) =
                infra::files::sha256(&path).with_context(|| format!("failed to read {}", path.display()))?;
            anyhow::Ok(StoredFile {
                name: name.to_owned(),
                size,
                sha256,
                etag: None,
            })
        };
        let own = document(MANIFEST)?;
        let manifest_sha256 = own.sha256.clone();
        let mut files = vec![own];
        for (name, wanted) in &manifest.databases {
            let found = document(&format!("{name}.json"))?;
            anyhow::ensure!(
                found.sha256 == *wanted,
                "{name}.json is not what manifest.json says"
            );
            files.push(found);
            let backup = DatabaseBackup::read(folder, name)?.context("a manifest vanished")?;
            files.extend(backup.files.into_iter().map(|file| StoredFile {
                name: format!("{name}/{}", file.name),
                size: file.size,
                sha256: file.sha256,
                etag: None,
            }));
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            run: manifest.run,
            created_at: manifest.created_at,
            manifest_sha256,
            files,
        })
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Where this backup belongs below the storage's folder: `YYYYMMDD/RUN`. The date is the run's, never today's: asked
    /// again tomorrow, the answer is the same. A run's other backups carry the name of their folder as well.
    pub fn place(&self, folder: &Path) -> String {
        let digits = |text: &str| {
            text.chars()
                .filter(char::is_ascii_digit)
                .take(8)
                .collect::<String>()
        };
        let date = match RunId::parse(&self.run) {
            Some(run) => digits(run.as_str()),
            None => digits(&self.created_at),
        };
        let leaf = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        match leaf.strip_prefix("before-") {
            Some(_) => format!("{date}/{}-{leaf}", self.run),
            None => format!("{date}/{}", self.run),
        }
    }
}

/// `uploads.json` beside a local backup.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Uploads {
    /// Version of this document.
    pub schema_version: u32,
    /// The complete ones, the oldest first.
    pub uploads: Vec<Upload>,
}

/// A complete upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// `s3://...`
    pub location: String,
    /// When it was seen complete, UTC.
    pub at: String,
    /// SHA-256 of the `manifest.json` that was uploaded.
    pub manifest_sha256: String,
}

impl Uploads {
    /// What a backup's folder remembers; empty when nothing.
    ///
    /// # Errors
    /// When the record is there and cannot be read.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        Ok(read_json(&Self::path(folder))?.unwrap_or_default())
    }

    /// Remembers a complete upload.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn add(folder: &Path, location: &Location, contents: &Contents) -> anyhow::Result<()> {
        let mut all = Self::read(folder)?;
        let location = location.to_string();
        all.schema_version = 1;
        all.uploads.retain(|upload| upload.location != location);
        all.uploads.push(Upload {
            location,
            at: time::now(),
            manifest_sha256: contents.manifest_sha256.clone(),
        });
        let text = serde_json::to_vec_pretty(&all).context("failed to write a record as JSON")?;
        let path = Self::path(folder);
        infra::files::write_private(&path, &text)
            .with_context(|| format!("failed to write {}", path.display()))
    }

    /// Where the backup was uploaded to.
    pub fn locations(self) -> Vec<String> {
        self.uploads.into_iter().map(|upload| upload.location).collect()
    }

    /// Whether a copy is elsewhere, for whoever is about to remove this one.
    pub fn words(folder: &Path) -> String {
        match Self::read(folder) {
            Ok(uploads) if uploads.uploads.is_empty() => "its backup was not uploaded".to_owned(),
            Ok(uploads) => format!("its backup was uploaded to {}", uploads.locations().join(", ")),
            Err(_) => "whether its backup was uploaded cannot be told".to_owned(),
        }
    }

    fn path(folder: &Path) -> PathBuf {
        folder.join(RECORD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(run: &str) -> Contents {
        Contents {
            run: run.to_owned(),
            created_at: "2026-12-10T00:00:01.000Z".to_owned(),
            manifest_sha256: String::new(),
            files: Vec::new(),
        }
    }

    /// A date that is evaluated again does not find its file past midnight.
    #[test]
    fn a_backup_has_the_same_place_on_every_day() {
        let run = "20261209_235902_3fa9";
        let place = contents(run).place(Path::new("/x/.xtask/runs/20261209_235902_3fa9/backup"));
        assert_eq!(place, format!("20261209/{run}"));
        let other = contents(run).place(Path::new("/x/before-rollback-20261211_000000"));
        assert_eq!(other, format!("20261209/{run}-before-rollback-20261211_000000"));
        assert_eq!(contents("by hand").place(Path::new("/x")), "20261210/by hand");
    }

    #[test]
    fn a_backup_remembers_each_place_once_and_an_unreadable_record_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Uploads::words(dir.path()), "its backup was not uploaded");
        let contents = contents("20261209_235902_3fa9");
        for place in ["s3://one/x", "s3://two/x", "s3://one/x"] {
            Uploads::add(dir.path(), &Location::parse(place).unwrap(), &contents).unwrap();
        }
        assert_eq!(
            Uploads::words(dir.path()),
            "its backup was uploaded to s3://two/x, s3://one/x"
        );
        infra::files::write_private(&Uploads::path(dir.path()), b"{").unwrap();
        assert!(Uploads::words(dir.path()).contains("cannot be told"));
    }
}
