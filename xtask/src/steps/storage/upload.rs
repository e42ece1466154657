//! Upload: claim, send what is missing, look at everything again, and only then say that it is complete.

use std::path::Path;

use anyhow::Context;
use infra::hash::base64_of_hex;
use infra::s3::{Body, Listed, Location, Reason};

use super::parts::Memory;
use super::send::{Sender, local};
use super::{Storage, Trouble, list_differences, workers};
use crate::model::examine::examine;
use crate::model::upload::{Completion, Contents, FILES, MANIFEST, MARKER, StoredFile, Uploads};
use crate::model::{Finding, time};
use crate::steps::Failure;

/// How an upload ended.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// Bytes of the backup.
    pub bytes: u64,
    /// Its files.
    pub files: usize,
    /// Bytes that had to be sent.
    pub sent: u64,
    /// Whether the storage held it already, complete.
    pub before: bool,
}

impl Storage<'_> {
    /// Uploads a complete backup. Killed anywhere and called again, it ends the same.
    ///
    /// # Errors
    /// [`Trouble`] says whether something is in the way, damaged, or stopped.
    pub fn upload(&self, folder: &Path, to: &Location) -> Result<Uploaded, Trouble> {
        intact(folder)?;
        let contents = Contents::of(folder)?;
        let listed = self.look(to)?;
        if let Some(marker) = self.marker(to, &listed)? {
            return self.complete_before(folder, to, &contents, &marker, &listed);
        }
        free_for(&contents, &listed, to)?;
        let files = self.expected(folder, &contents)?;
        let sender = Sender::new(self, folder, to, &files, &listed, Memory::open(folder)?);
        claim(&sender, &files)?;
        sender.send()?;
        if !self.client.has_checksums() {
            // The server took whatever it was given: at least it was given what the manifests say.
            intact(folder)?;
        }
        let sent = sender.sent();
        self.mark(&sender, &contents, &files)?;
        Uploads::add(folder, to, &contents)?;
        sender.memory.remove()?;
        Ok(Uploaded {
            bytes: contents.bytes(),
            files: files.len(),
            sent,
            before: false,
        })
    }

    /// The files with the checksum that a server that computes one must find.
    fn expected(&self, folder: &Path, contents: &Contents) -> Result<Vec<StoredFile>, Trouble> {
        workers::each(&contents.files, self.settings.parallel, |file| {
            let part = self.settings.part_bytes(file.size);
            let hash = if !self.client.has_checksums() {
                None
            } else if file.size > part {
                let hash = infra::hash::sha256_of_pieces(&local(folder, file), part);
                Some(hash.with_context(|| format!("failed to read {}", file.name))?)
            } else {
                Some(file.sha256.clone())
            };
            Ok(StoredFile {
                checksum: hash.map(|hash| base64_of_hex(&hash)),
                ..file.clone()
            })
        })
    }

    /// Compares the whole folder with what it must be, and writes the marker.
    fn mark(&self, sender: &Sender<'_>, contents: &Contents, files: &[StoredFile]) -> Result<(), Trouble> {
        let marker = Completion {
            schema_version: 1,
            run: contents.run.clone(),
            created_at: contents.created_at.clone(),
            uploaded_at: time::now(),
            manifest_sha256: contents.manifest_sha256.clone(),
            files: files.to_vec(),
        };
        let to = sender.to;
        let failed = |error| self.failed(&error, to);
        let listed = self.client.list(&self.runner, to).map_err(failed)?;
        let differences = list_differences(&listed, &marker);
        if !differences.is_empty() {
            return Err(Trouble::Differs(differences));
        }
        let text = serde_json::to_vec_pretty(&marker).context("failed to write the marker as JSON")?;
        let path = sender.memory.folder().join(MARKER);
        infra::files::write_private(&path, &text).context("failed to write the marker")?;
        let body = Body {
            path: &path,
            size: text.len() as u64,
            sha256: &infra::files::sha256_bytes(&text),
        };
        match self.client.put(&self.runner, to, MARKER, body, true) {
            Err(error) if error.reason != Reason::Exists => return Err(failed(error)),
            _ => {}
        }
        let read = self
            .client
            .read(&self.runner, to, MARKER, body.size)
            .map_err(failed)?;
        let found: Option<Completion> = serde_json::from_slice(&read).ok();
        if found.is_some_and(|found| found.is_of(contents)) {
            return Ok(());
        }
        Err(Trouble::Differs(vec![format!(
            "object {MARKER} is not what was written"
        )]))
    }

    /// There is a marker: it is of this backup and everything is as it says, or nothing is done.
    fn complete_before(
        &self,
        folder: &Path,
        to: &Location,
        contents: &Contents,
        marker: &Completion,
        listed: &[Listed],
    ) -> Result<Uploaded, Trouble> {
        if !marker.is_of(contents) {
            return Err(Trouble::refused(
                Finding::error(
                    "storage.occupied",
                    format!(
                        "{to} holds another backup, of run {}, complete since {}",
                        marker.run, marker.uploaded_at
                    ),
                )
                .wanted("an empty folder: what is there is never overwritten")
                .hint("add another address: s3://BUCKET/FOLDER"),
            ));
        }
        let differences = self.verify_listed(to, marker, listed)?;
        if !differences.is_empty() {
            return Err(Trouble::Differs(differences));
        }
        Uploads::add(folder, to, contents)?;
        Ok(Uploaded {
            bytes: contents.bytes(),
            files: contents.files.len(),
            sent: 0,
            before: true,
        })
    }
}

/// Writes `manifest.json`: from here on the folder belongs to this backup.
fn claim(sender: &Sender<'_>, files: &[StoredFile]) -> Result<(), Trouble> {
    let Some(manifest) = files.iter().find(|file| file.name == MANIFEST) else {
        return Err(Failure::new("the backup names no manifest.json").into());
    };
    if !sender.is_listed(manifest) {
        match sender.put(manifest, true) {
            Ok(()) => return sender.check(manifest),
            // Somebody was faster; the question is who.
            Err(error) if error.reason == Reason::Exists => {}
            Err(error) => return Err(sender.storage.refused(&error, sender.to)),
        }
    }
    match sender.check(manifest) {
        Err(Trouble::Differs(_)) => Err(Trouble::refused(
            Finding::error(
                "storage.occupied",
                format!("{} holds a part of another backup", sender.to),
            )
            .wanted("an empty folder, or a part of this backup")
            .hint("add another address: s3://BUCKET/FOLDER"),
        )),
        other => other,
    }
}

/// Every file of a backup against its manifests.
fn intact(folder: &Path) -> Result<(), Trouble> {
    let differences = examine(folder, &[]).context("cannot tell whether the backup is intact")?;
    if differences.is_empty() {
        return Ok(());
    }
    Err(Trouble::Differs(differences))
}

/// A folder without a marker may hold a part of this backup, and nothing else.
fn free_for(contents: &Contents, listed: &[Listed], to: &Location) -> Result<(), Trouble> {
    let ours = |entry: &&Listed| {
        let name = entry
            .name
            .strip_prefix(FILES)
            .and_then(|rest| rest.strip_prefix('/'));
        name.is_some_and(|name| contents.files.iter().any(|file| file.name == name))
    };
    let Some(foreign) = listed.iter().find(|entry| !ours(entry)) else {
        return Ok(());
    };
    Err(Trouble::refused(
        Finding::error(
            "storage.occupied",
            format!("{to} holds {}, which is no part of this backup", foreign.name),
        )
        .wanted("an empty folder, or a part of this backup")
        .hint("add another address: s3://BUCKET/FOLDER"),
    ))
}
