//! Verify: the list against the marker, and every byte when asked for.

use std::path::Path;

use infra::s3::{Listed, Location};

use super::{Storage, Trouble, etag_differences, list_differences};
use crate::model::Finding;
use crate::model::upload::MARKER;

impl Storage<'_> {
    /// What is wrong with a backup in the storage; empty: nothing. With `scratch`, a folder with room for it, the backup is
    /// downloaded there, compared and removed.
    ///
    /// # Errors
    /// When there is no complete backup, or it cannot be told.
    pub fn verify(&self, at: &Location, scratch: Option<&Path>) -> Result<Vec<String>, Trouble> {
        if let Some(scratch) = scratch {
            let beside = scratch.join(format!("{}verify", infra::files::TEMPORARY));
            return match self.fetch(at, &beside, |_| Ok(())) {
                Ok(_) => Ok(Vec::new()),
                Err(Trouble::Differs(differences)) => Ok(differences),
                Err(other) => Err(other),
            };
        }
        let listed = self.complete(at)?;
        let Some(marker) = self.marker(at, &listed)? else {
            return Ok(vec![format!("object {MARKER} vanished")]);
        };
        if marker.files.iter().any(|file| file.etag.is_none()) {
            return Err(Trouble::refused(
                Finding::error(
                    "storage.marker",
                    format!(
                        "{at}/{MARKER} records no ETags: an older version of this program wrote it, and the list tells names and \
                         sizes only"
                    ),
                )
                .hint(format!("cargo xtask backup verify {at} --full")),
            ));
        }
        let mut differences = list_differences(&listed, &marker);
        differences.extend(etag_differences(&listed, &marker));
        Ok(differences)
    }

    /// The list of a complete backup's folder.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn complete(&self, at: &Location) -> Result<Vec<Listed>, Trouble> {
        let listed = self.look(at)?;
        if listed.is_empty() {
            return Err(Trouble::refused(
                Finding::error("storage.missing", format!("there is nothing in {at}"))
                    .hint(format!("cargo xtask backup list s3://{}", at.bucket)),
            ));
        }
        if listed.iter().any(|entry| entry.name == MARKER) {
            return Ok(listed);
        }
        Err(Trouble::refused(
            Finding::error(
                "storage.incomplete",
                format!("{at} has no {MARKER}: its upload was never complete"),
            )
            .wanted("the folder of a complete upload: s3://BUCKET/PREFIX/YYYYMMDD/RUN")
            .hint(format!("cargo xtask backup list {at}")),
        ))
    }
}
