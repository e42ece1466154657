//! Backups in object storage: upload, download, verify, list.
//!
//! An upload claims its folder with `backup/manifest.json`, sends what is not there yet, looks at every object again, and
//! writes `complete.json` last. Until then nobody takes the folder for a backup; afterwards nothing in it is written again.

mod download;
mod list;
mod parts;
mod send;
mod trouble;
mod upload;
mod verify;
mod workers;

use std::path::Path;

use infra::Runner;
use infra::s3::{Client, Head, Listed, Location, S3Error};

use super::Progress;
use crate::config;
use crate::model::Finding;
use crate::model::upload::{Completion, Contents, FILES, MARKER, StoredFile};

pub use trouble::Trouble;

/// The most bytes that a completion marker may have: a larger one is none of ours.
const MARKER_LIMIT: u64 = 64 << 20;

/// The storage, ready to be asked.
pub struct Storage<'a> {
    client: Client,
    runner: Runner,
    settings: &'a config::Storage,
    progress: &'a dyn Progress,
}

impl<'a> Storage<'a> {
    /// Finds the client. Nothing is asked of the storage yet.
    ///
    /// # Errors
    /// When there is no client.
    pub fn new(
        settings: &'a config::Storage,
        runner: &Runner,
        progress: &'a dyn Progress,
    ) -> Result<Self, Trouble> {
        let client = Client::find(runner, settings.options()).map_err(|error| trouble::no_client(&error))?;
        Ok(Self {
            client,
            runner: runner.clone(),
            settings,
            progress,
        })
    }

    /// The objects of a folder, the completion marker's name among them.
    fn look(&self, at: &Location) -> Result<Vec<Listed>, Trouble> {
        let listed = self.client.list(&self.runner, at);
        listed.map_err(|error| self.refused(&error, at))
    }

    /// The completion marker of a folder; `None` when the list has none.
    fn marker(&self, at: &Location, listed: &[Listed]) -> Result<Option<Completion>, Trouble> {
        let Some(entry) = listed.iter().find(|entry| entry.name == MARKER) else {
            return Ok(None);
        };
        let bytes = if entry.size > MARKER_LIMIT {
            Vec::new()
        } else {
            let read = self.client.read(&self.runner, at, MARKER, entry.size);
            read.map_err(|error| self.refused(&error, at))?
        };
        match serde_json::from_slice::<Completion>(&bytes) {
            Ok(marker) if marker.schema_version == 1 => Ok(Some(marker)),
            Ok(marker) => Err(Trouble::refused(
                Finding::error(
                    "storage.marker",
                    format!("{at}/{MARKER} has version {}", marker.schema_version),
                )
                .wanted("version 1, which this program reads"),
            )),
            Err(error) => Err(Trouble::Differs(vec![format!(
                "{at}/{MARKER} cannot be understood: {error}"
            )])),
        }
    }

    /// An error before anything was changed.
    fn refused(&self, error: &S3Error, at: &Location) -> Trouble {
        trouble::before(error, at, self.settings)
    }

    /// An error after something was changed: the same command goes on.
    fn failed(&self, error: &S3Error, at: &Location) -> Trouble {
        trouble::after(error, at, self.settings)
    }

    /// What the server says of an object, against what it must be.
    fn object_differences(&self, name: &str, wanted: &StoredFile, head: &Head) -> Vec<String> {
        let mut differences = Vec::new();
        if head.size != wanted.size {
            differences.push(format!(
                "object {name} has {} bytes instead of {}",
                head.size, wanted.size
            ));
        }
        match &head.sha256 {
            None => differences.push(format!("object {name} has no attribute sha256")),
            Some(found) if *found != wanted.sha256 => {
                differences.push(format!("object {name} has another SHA-256 in its attribute"));
            }
            Some(_) => {}
        }
        if let Some(checksum) = wanted.checksum.as_ref().filter(|_| self.client.has_checksums()) {
            match &head.checksum {
                None => differences.push(format!(
                    "the server has computed no SHA-256 of object {name} (storage.checksum = \"never\" does without)"
                )),
                Some(found) if found != checksum => {
                    differences.push(format!("object {name} has another SHA-256 by the server's count"));
                }
                Some(_) => {}
            }
        }
        differences
    }
}

/// The client takes its credentials by itself; here they are only learnt, so that no message can repeat them.
pub fn learn_credentials(runner: &Runner) {
    for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        if let Ok(value) = std::env::var(name) {
            runner.learn(&infra::Secret::new(value));
        }
    }
}

/// Where a backup belongs by the settings.
///
/// # Errors
/// When no bucket is set.
pub fn place(settings: &config::Storage, folder: &Path) -> Result<Location, Trouble> {
    let contents = Contents::of(folder)?;
    Ok(root(settings)?.join(&contents.place(folder)))
}

/// The folder of all backups.
///
/// # Errors
/// When no bucket is set.
pub fn root(settings: &config::Storage) -> Result<Location, Trouble> {
    if settings.bucket.is_empty() {
        return Err(Trouble::refused(
            Finding::error("storage.bucket", "no bucket is set")
                .wanted("storage.bucket, or an s3:// address on the command line")
                .hint("add --set storage.bucket=NAME"),
        ));
    }
    Location::new(&settings.bucket, &settings.prefix)
        .map_err(|why| Trouble::refused(Finding::error("storage.bucket", why)))
}

/// Names and sizes of a list against a marker: what is missing, what has another size, what nobody named.
fn list_differences(listed: &[Listed], marker: &Completion) -> Vec<String> {
    let name = |file: &StoredFile| format!("{FILES}/{}", file.name);
    let mut differences = Vec::new();
    for file in &marker.files {
        let name = name(file);
        match listed.iter().find(|entry| entry.name == name) {
            None => differences.push(format!("object {name} is missing")),
            Some(entry) if entry.size != file.size => differences.push(format!(
                "object {name} has {} bytes instead of {}",
                entry.size, file.size
            )),
            Some(_) => {}
        }
    }
    let named =
        |entry: &&Listed| entry.name == MARKER || marker.files.iter().any(|file| name(file) == entry.name);
    let extra = listed.iter().filter(|entry| !named(entry));
    differences.extend(extra.map(|entry| format!("object {} is not named by {MARKER}", entry.name)));
    differences
}

#[cfg(test)]
mod tests;
