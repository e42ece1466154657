//! Verify: the marker, the list, every object by what the server says of it, and its content when asked for.

use infra::hash::Sha256Sink;
use infra::s3::{Listed, Location, Reason};

use super::{Storage, Trouble, list_differences, workers};
use crate::model::Finding;
use crate::model::upload::{Completion, FILES, MANIFEST, MARKER, StoredFile};

impl Storage<'_> {
    /// What is wrong with a backup in the storage; empty: nothing. With `full`, every byte is read.
    ///
    /// # Errors
    /// When there is no complete backup, or it cannot be told.
    pub fn verify(&self, at: &Location, full: bool) -> Result<Vec<String>, Trouble> {
        let (marker, listed) = self.complete(at)?;
        let differences = self.verify_listed(at, &marker, &listed)?;
        if !full || !differences.is_empty() {
            return Ok(differences);
        }
        let done = std::sync::atomic::AtomicU64::new(0);
        let read = |file: &StoredFile| {
            let found = self.read_through(at, file);
            let done = done.fetch_add(file.size, std::sync::atomic::Ordering::SeqCst) + file.size;
            self.progress.bytes("read backup", done, marker.bytes());
            found
        };
        let found = workers::each(&marker.files, self.settings.parallel, read)?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The marker of a complete backup, and the list of its folder.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn complete(&self, at: &Location) -> Result<(Completion, Vec<Listed>), Trouble> {
        let listed = self.look(at)?;
        if listed.is_empty() {
            return Err(Trouble::refused(
                Finding::error("storage.missing", format!("there is nothing in {at}"))
                    .hint(format!("cargo xtask backup list s3://{}", at.bucket)),
            ));
        }
        match self.marker(at, &listed)? {
            Some(marker) if is_sound(&marker) => Ok((marker, listed)),
            Some(_) => Err(Trouble::Differs(vec![format!(
                "object {MARKER} names files that a backup cannot have"
            )])),
            None => Err(Trouble::refused(
                Finding::error(
                    "storage.incomplete",
                    format!("{at} has no {MARKER}: its upload was never complete"),
                )
                .wanted("the folder of a complete upload: s3://BUCKET/PREFIX/YYYYMMDD/RUN")
                .hint(format!("cargo xtask backup list {at}")),
            )),
        }
    }

    /// The list and every object's attributes against the marker.
    pub(super) fn verify_listed(
        &self,
        at: &Location,
        marker: &Completion,
        listed: &[Listed],
    ) -> Result<Vec<String>, Trouble> {
        let mut differences = list_differences(listed, marker);
        let there = |file: &&StoredFile| {
            let name = format!("{FILES}/{}", file.name);
            listed
                .iter()
                .any(|entry| entry.name == name && entry.size == file.size)
        };
        let files: Vec<&StoredFile> = marker.files.iter().filter(there).collect();
        let found = workers::each(&files, self.settings.parallel, |file| {
            let name = format!("{FILES}/{}", file.name);
            match self.client.head(&self.runner, at, &name) {
                Ok(head) => Ok(self.object_differences(&name, file, &head)),
                Err(error) if error.reason == Reason::NoObject => {
                    Ok(vec![format!("object {name} is missing")])
                }
                Err(error) => Err(self.refused(&error, at)),
            }
        })?;
        differences.extend(found.into_iter().flatten());
        Ok(differences)
    }

    /// Reads an object to its end.
    fn read_through(&self, at: &Location, file: &StoredFile) -> Result<Option<String>, Trouble> {
        let name = format!("{FILES}/{}", file.name);
        let mut sink = Sha256Sink::default();
        let read = self.client.copy_to(&self.runner, at, &name, file.size, &mut sink);
        let bytes = read.map_err(|error| self.failed(&error, at))?;
        Ok(if bytes != file.size {
            Some(format!(
                "object {name} has {bytes} bytes instead of {}",
                file.size
            ))
        } else if sink.finish() != file.sha256 {
            Some(format!("the content of object {name} has another SHA-256"))
        } else {
            None
        })
    }
}

/// Whether a marker may be followed: every name stays in its folder and comes once, and the manifest is among them.
fn is_sound(marker: &Completion) -> bool {
    let names: std::collections::BTreeSet<&str> =
        marker.files.iter().map(|file| file.name.as_str()).collect();
    let manifest = marker.files.iter().find(|file| file.name == MANIFEST);
    names.len() == marker.files.len()
        && names.iter().all(|name| infra::s3::is_plain(name))
        && manifest.is_some_and(|file| file.sha256 == marker.manifest_sha256)
}
