//! Upload: claim the folder, send what is missing, compare the list, and only then say that it is complete.

use std::path::{Path, PathBuf};

use anyhow::Context;
use infra::hash::{base64_of_hex, sha256_of_pieces};
use infra::s3::{Listed, Location, Reason};

use super::{Storage, Trouble, etag_differences, list_differences, object, together};
use crate::model::examine::examine;
use crate::model::upload::{Completion, Contents, FILES, MANIFEST, MARKER, StoredFile, Uploads};
use crate::model::{Finding, time};
use crate::steps::Failure;

/// Objects that are asked for at the same time.
const ASKED_TOGETHER: usize = 4;

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
        let (unchanged, listed) = together(|| intact(folder), || self.look(to));
        unchanged?;
        let listed = listed?;
        let contents = Contents::of(folder)?;
        let uploaded = |sent, before| Uploaded {
            bytes: contents.bytes(),
            files: contents.files.len(),
            sent,
            before,
        };
        if let Some(marker) = self.marker(to, &listed)? {
            self.complete_before(to, &contents, &marker, &listed)?;
            Uploads::add(folder, to, &contents)?;
            return Ok(uploaded(0, true));
        }
        free_for(&contents, &listed, to)?;
        let work = Work::open(folder)?;
        let claimed = self.claim(folder, to, &contents, &listed)?;
        let missing = self.missing(folder, to, &contents, &listed)?;
        let sent = self.send(folder, to, &contents, &missing, &work)?;
        self.mark(folder, to, &contents, &work)?;
        Uploads::add(folder, to, &contents)?;
        work.clear()?;
        Ok(uploaded(claimed + sent, false))
    }

    /// Writes `manifest.json` where there is none: from here on the folder belongs to this backup. Answers how many bytes
    /// it sent.
    fn claim(
        &self,
        folder: &Path,
        to: &Location,
        contents: &Contents,
        listed: &[Listed],
    ) -> Result<u64, Trouble> {
        let manifest = contents.files.iter().find(|file| file.name == MANIFEST);
        let manifest = manifest.ok_or_else(|| Failure::new("the backup names no manifest.json"))?;
        let name = object(manifest);
        if !listed.iter().any(|entry| entry.name == name) {
            let path = local(folder, manifest);
            let put = self
                .client
                .put_new(&self.runner, to, &name, &path, &manifest.sha256);
            match put {
                Ok(()) => return Ok(manifest.size),
                // Somebody was faster, or an answer was lost on the way: the question is whose it is.
                Err(error) if error.reason == Reason::Exists => {}
                Err(error) => return Err(self.refused(&error, to)),
            }
        }
        if self.is_there(folder, to, manifest)? {
            return Ok(0);
        }
        Err(occupied(format!(
            "{to}/{name} is not this backup's, by the SHA-256 that the service recorded: the folder holds a part of another backup"
        )))
    }

    /// The files that the storage does not hold as they must be.
    fn missing<'a>(
        &self,
        folder: &Path,
        to: &Location,
        contents: &'a Contents,
        listed: &[Listed],
    ) -> Result<Vec<&'a StoredFile>, Trouble> {
        let is_listed = |file: &StoredFile| {
            let name = object(file);
            listed
                .iter()
                .any(|entry| entry.name == name && entry.size == file.size)
        };
        let others = contents.files.iter().filter(|file| file.name != MANIFEST);
        let (listed, mut missing): (Vec<_>, Vec<_>) = others.partition(|file| is_listed(file));
        for some in listed.chunks(ASKED_TOGETHER) {
            let answers: Vec<_> = std::thread::scope(|scope| {
                let ask = |file| scope.spawn(move || self.is_there(folder, to, file));
                let asked: Vec<_> = some.iter().copied().map(ask).collect();
                asked.into_iter().map(super::joined).collect()
            });
            for (file, answer) in some.iter().zip(answers) {
                if !answer? {
                    missing.push(file);
                }
            }
        }
        Ok(missing)
    }

    /// Whether the service recorded, when it received an object, the SHA-256 that the local file has.
    fn is_there(&self, folder: &Path, to: &Location, file: &StoredFile) -> Result<bool, Trouble> {
        let name = object(file);
        let head = |first_part| {
            let head = self.client.head(&self.runner, to, &name, first_part);
            head.map_err(|error| self.failed(&error, to))
        };
        let found = head(false)?.checksum.unwrap_or_default();
        let found = found.split('-').next().unwrap_or_default();
        if found.is_empty() {
            return Ok(false);
        }
        if found == base64_of_hex(&file.sha256) {
            return Ok(true);
        }
        // In parts, whose size only the service knows: then it is the SHA-256 of theirs.
        let part = head(true)?.size;
        if part == 0 || part >= file.size {
            return Ok(false);
        }
        let path = local(folder, file);
        let wanted =
            sha256_of_pieces(&path, part).with_context(|| format!("failed to read {}", path.display()))?;
        Ok(found == base64_of_hex(&wanted))
    }

    /// Sends these files and no others. Answers their bytes.
    fn send(
        &self,
        folder: &Path,
        to: &Location,
        contents: &Contents,
        missing: &[&StoredFile],
        work: &Work,
    ) -> Result<u64, Trouble> {
        let bytes = missing.iter().map(|file| file.size).sum();
        let (all, there) = (contents.bytes(), contents.bytes() - bytes);
        self.progress.bytes("upload backup", there, all);
        if missing.is_empty() {
            return Ok(0);
        }
        let from = work.only(folder, missing)?;
        let sent = self.client.upload(&self.runner, &from, &to.join(FILES), bytes);
        sent.map_err(|error| self.failed(&error, to))?;
        self.progress.bytes("upload backup", all, all);
        Ok(bytes)
    }

    /// Compares the whole folder with what it must be, and writes the marker.
    fn mark(&self, folder: &Path, to: &Location, contents: &Contents, work: &Work) -> Result<(), Trouble> {
        let failed = |error| self.failed(&error, to);
        // The service compared what it received with what the client read; this, what the client read with the manifests.
        let list = || self.client.list(&self.runner, to).map_err(failed);
        let (unchanged, listed) = together(|| intact(folder), list);
        unchanged?;
        let listed = listed?;
        let files = contents.files.iter().map(|file| {
            let name = object(file);
            let entry = listed.iter().find(|entry| entry.name == name);
            StoredFile {
                etag: entry.map(|entry| entry.etag.clone()),
                ..file.clone()
            }
        });
        let marker = Completion {
            schema_version: 1,
            run: contents.run.clone(),
            created_at: contents.created_at.clone(),
            uploaded_at: time::now(),
            manifest_sha256: contents.manifest_sha256.clone(),
            files: files.collect(),
        };
        let mut differences = list_differences(&listed, &marker);
        let unchecked = listed.iter().filter(|entry| entry.has_sha256 == Some(false));
        differences.extend(
            unchecked.map(|entry| format!("the service recorded no SHA-256 of object {}", entry.name)),
        );
        if !differences.is_empty() {
            return Err(Trouble::Differs(differences));
        }
        let text = serde_json::to_vec_pretty(&marker).context("failed to write the marker as JSON")?;
        let path = work.0.join(MARKER);
        infra::files::write_private(&path, &text).context("failed to write the marker")?;
        let sha256 = infra::files::sha256_bytes(&text);
        match self.client.put_new(&self.runner, to, MARKER, &path, &sha256) {
            Ok(()) => return Ok(()),
            Err(error) if error.reason != Reason::Exists => return Err(failed(error)),
            Err(_) => {}
        }
        // Somebody was faster, or an answer was lost on the way: what counts is what is there.
        let listed = self.client.list(&self.runner, to).map_err(failed)?;
        match self.marker(to, &listed)? {
            Some(found) if found.is_of(contents) => Ok(()),
            _ => Err(Trouble::Differs(vec![format!(
                "object {MARKER} is not of this backup"
            )])),
        }
    }

    /// There is a marker: it is of this backup and everything is as it says, or nothing is done.
    fn complete_before(
        &self,
        to: &Location,
        contents: &Contents,
        marker: &Completion,
        listed: &[Listed],
    ) -> Result<(), Trouble> {
        if !marker.is_of(contents) {
            return Err(occupied(format!(
                "{to} holds another backup, of run {}, complete since {}",
                marker.run, marker.uploaded_at
            )));
        }
        let mut differences = list_differences(listed, marker);
        differences.extend(etag_differences(listed, marker));
        match differences.is_empty() {
            true => Ok(()),
            false => Err(Trouble::Differs(differences)),
        }
    }
}

/// What an upload needs beside the backup, in its folder; what a killed one left is removed.
struct Work(PathBuf);

impl Work {
    fn open(backup: &Path) -> anyhow::Result<Self> {
        let work = Self(backup.join(format!("{}upload", infra::files::TEMPORARY)));
        if work.0.exists() {
            work.clear()?;
        }
        infra::files::private_dir(&work.0).with_context(|| format!("failed to make {}", work.0.display()))?;
        Ok(work)
    }

    /// A folder with these files alone, under other names of the same content: the client sends whole folders, and its
    /// filters would read the names as patterns.
    fn only(&self, backup: &Path, files: &[&StoredFile]) -> anyhow::Result<PathBuf> {
        let folder = self.0.join(FILES);
        for file in files {
            let (from, to) = (local(backup, file), local(&folder, file));
            let made = to.parent().map_or(Ok(()), std::fs::create_dir_all);
            // Not every file system has hard links.
            made.and_then(|()| {
                std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(&from, &to).map(drop))
            })
            .with_context(|| format!("failed to prepare {} for the upload", from.display()))?;
        }
        Ok(folder)
    }

    fn clear(&self) -> anyhow::Result<()> {
        std::fs::remove_dir_all(&self.0).with_context(|| format!("failed to remove {}", self.0.display()))
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
    let ours = |entry: &&Listed| contents.files.iter().any(|file| object(file) == entry.name);
    match listed.iter().find(|entry| !ours(entry)) {
        None => Ok(()),
        Some(foreign) => Err(occupied(format!(
            "{to} holds {}, which is no part of this backup",
            foreign.name
        ))),
    }
}

fn occupied(found: String) -> Trouble {
    Trouble::refused(
        Finding::error("storage.occupied", found)
            .wanted("an empty folder, or a part of this backup: what is there is never overwritten")
            .hint("add another address: s3://BUCKET/FOLDER"),
    )
}

/// Where a file of a backup lies.
fn local(folder: &Path, file: &StoredFile) -> PathBuf {
    file.name
        .split('/')
        .fold(folder.to_owned(), |path, part| path.join(part))
}
