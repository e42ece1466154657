//! Backups in object storage: upload, download, verify, list.
//!
//! An upload claims its folder with `backup/manifest.json`, sends what is not there yet with one `aws s3 cp`, compares the
//! list, and writes `complete.json` last. Until then nobody takes the folder for a backup; afterwards nothing in it is
//! written again.

mod download;
mod list;
mod trouble;
mod upload;
mod verify;

use std::path::Path;
use std::thread::ScopedJoinHandle;

use infra::Runner;
use infra::s3::{Client, Listed, Location, S3Error};

use super::Progress;
use crate::config;
use crate::model::Finding;
use crate::model::upload::{Completion, Contents, FILES, MANIFEST, MARKER, StoredFile};

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
        let client =
            Client::find(settings.options()).ok_or_else(|| Trouble::refused(trouble::no_client()))?;
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
        let Some(entry) = marker_entry(listed)? else {
            return Ok(None);
        };
        let bytes = self.client.read(&self.runner, at, MARKER, entry.size);
        let bytes = bytes.map_err(|error| self.refused(&error, at))?;
        read_marker(&bytes, at).map(Some)
    }

    /// An error before anything was changed.
    fn refused(&self, error: &S3Error, at: &Location) -> Trouble {
        trouble::before(error, at, self)
    }

    /// An error after something was changed: the same command goes on.
    fn failed(&self, error: &S3Error, at: &Location) -> Trouble {
        trouble::after(error, at, self)
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

/// Does both at the same time: the client starts slowly.
fn together<A: Send, B>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (joined(one), other)
    })
}

/// What a thread answered.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(answer) => answer,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The completion marker in a list.
fn marker_entry(listed: &[Listed]) -> Result<Option<&Listed>, Trouble> {
    match listed.iter().find(|entry| entry.name == MARKER) {
        Some(entry) if entry.size > MARKER_LIMIT => Err(Trouble::Differs(vec![format!(
            "{MARKER} cannot be understood: it has {} bytes",
            entry.size
        )])),
        entry => Ok(entry),
    }
}

fn read_marker(bytes: &[u8], at: &Location) -> Result<Completion, Trouble> {
    let marker = serde_json::from_slice::<Completion>(bytes)
        .map_err(|error| Trouble::Differs(vec![format!("{at}/{MARKER} cannot be understood: {error}")]))?;
    if marker.schema_version != 1 {
        let found = format!("{at}/{MARKER} has version {}", marker.schema_version);
        return Err(Trouble::refused(
            Finding::error("storage.marker", found).wanted("version 1, which this program reads"),
        ));
    }
    let manifest = marker.files.iter().find(|file| file.name == MANIFEST);
    if manifest.is_none_or(|file| file.sha256 != marker.manifest_sha256) {
        return Err(Trouble::Differs(vec![format!(
            "{at}/{MARKER} names files that a backup cannot have"
        )]));
    }
    Ok(marker)
}

/// Names and sizes of a list against a marker: what is missing, what has another size, what nobody named.
fn list_differences(listed: &[Listed], marker: &Completion) -> Vec<String> {
    let mut differences = Vec::new();
    for (name, file, entry) in paired(listed, marker) {
        match entry {
            None => differences.push(format!("object {name} is missing")),
            Some(entry) if entry.size != file.size => differences.push(format!(
                "object {name} has {} bytes instead of {}",
                entry.size, file.size
            )),
            Some(_) => {}
        }
    }
    let names: Vec<String> = marker.files.iter().map(object).collect();
    let extra = listed
        .iter()
        .filter(|entry| entry.name != MARKER && !names.contains(&entry.name));
    differences.extend(extra.map(|entry| format!("object {} is not named by {MARKER}", entry.name)));
    differences
}

/// Objects that were written again after the marker.
fn etag_differences(listed: &[Listed], marker: &Completion) -> Vec<String> {
    let changed = |(name, file, entry): (String, &StoredFile, Option<&Listed>)| {
        let (wanted, found) = (file.etag.as_ref()?, &entry?.etag);
        (wanted != found).then(|| {
            format!(
                "object {name} was written again after the upload: its ETag is {found} instead of {wanted}"
            )
        })
    };
    paired(listed, marker).filter_map(changed).collect()
}

/// Every file of a marker with its object's name, and the object.
fn paired<'a>(
    listed: &'a [Listed],
    marker: &'a Completion,
) -> impl Iterator<Item = (String, &'a StoredFile, Option<&'a Listed>)> {
    marker.files.iter().map(move |file| {
        let name = object(file);
        let entry = listed.iter().find(|entry| entry.name == name);
        (name, file, entry)
    })
}

/// The object that a file of a backup becomes.
fn object(file: &StoredFile) -> String {
    format!("{FILES}/{}", file.name)
}

#[cfg(test)]
mod tests;
