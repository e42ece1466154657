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
        let names = listed.iter().map(|entry| entry.name.as_str());
        // A backup's folder, with its slash or empty, and whether it is complete.
        let mut found: BTreeMap<&str, bool> = BTreeMap::new();
        let manifest = format!("{FILES}/{MANIFEST}");
        let whole = |folder: &&str| folder.is_empty() || folder.ends_with('/');
        for name in names {
            if let Some(folder) = name.strip_suffix(MARKER).filter(whole) {
                found.insert(folder, true);
            } else if let Some(folder) = name.strip_suffix(&manifest).filter(whole) {
                found.entry(folder).or_insert(false);
            }
        }
        let stored = |(folder, complete): (&str, bool)| {
            let start = format!("{folder}{FILES}/");
            let own = || listed.iter().filter(|entry| entry.name.starts_with(&start));
            Stored {
                location: match folder.trim_end_matches('/') {
                    "" => at.clone(),
                    folder => at.join(folder),
                },
                complete,
                files: own().count(),
                bytes: own().map(|entry| entry.size).sum(),
            }
        };
        Ok(found.into_iter().map(stored).collect())
    }
}
