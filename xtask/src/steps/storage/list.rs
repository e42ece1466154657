//! What lies in the storage.

use std::collections::BTreeMap;

use infra::s3::Location;

use super::{Storage, Trouble};
use crate::model::upload::{FILES, MANIFEST, MARKER};

/// One backup in the storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its folder.
    pub location: Location,
    /// Whether its upload was completed.
    pub complete: bool,
    /// Its files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Storage<'_> {
    /// Every backup below a folder, by name: whatever has a marker or a manifest.
    ///
    /// # Errors
    /// When the list cannot be had.
    pub fn list(&self, at: &Location) -> Result<Vec<Stored>, Trouble> {
        let listed = self.look(at)?;
        let manifest = format!("{FILES}/{MANIFEST}");
        let folder = |name: &str, end: &str| {
            let rest = name.strip_suffix(end)?;
            rest.is_empty()
                .then(String::new)
                .or_else(|| rest.strip_suffix('/').map(str::to_owned))
        };
        let mut found: BTreeMap<String, Stored> = BTreeMap::new();
        for entry in &listed {
            let complete = folder(&entry.name, MARKER);
            let Some(name) = complete.clone().or_else(|| folder(&entry.name, &manifest)) else {
                continue;
            };
            let location = if name.is_empty() {
                at.clone()
            } else {
                at.join(&name)
            };
            let stored = found.entry(name).or_insert(Stored {
                location,
                complete: false,
                files: 0,
                bytes: 0,
            });
            stored.complete |= complete.is_some();
        }
        for (name, stored) in &mut found {
            let start = if name.is_empty() {
                format!("{FILES}/")
            } else {
                format!("{name}/{FILES}/")
            };
            for entry in listed.iter().filter(|entry| entry.name.starts_with(&start)) {
                stored.files += 1;
                stored.bytes += entry.size;
            }
        }
        Ok(found.into_values().collect())
    }
}
