//! Sends the files of a backup that the storage does not hold yet, large ones in parts, and looks at every object.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use infra::s3::{Body, Listed, Location, PartSent, Reason, S3Error};

use super::parts::{Memory, Range, Sending, ranges};
use super::{Storage, Trouble, workers};
use crate::config::Encryption;
use crate::model::upload::{FILES, StoredFile};

/// One request that moves content.
enum Piece<'a> {
    /// A file in one request; `listed` when something of that name is there.
    Whole { file: &'a StoredFile, listed: bool },
    /// A part of a file.
    Part { large: &'a Large<'a>, range: Range },
}

/// A file that goes in parts.
struct Large<'a> {
    file: &'a StoredFile,
    /// `None`: it is there already.
    sending: Option<Mutex<Sending>>,
}

/// One upload of a backup's files.
pub(super) struct Sender<'a> {
    pub(super) storage: &'a Storage<'a>,
    folder: &'a Path,
    pub(super) to: &'a Location,
    files: &'a [StoredFile],
    /// What was there at the beginning.
    listed: &'a [Listed],
    pub(super) memory: Memory,
    bytes: u64,
    /// Bytes that are there.
    done: AtomicU64,
    /// Bytes that were sent.
    sent: AtomicU64,
}

impl<'a> Sender<'a> {
    pub(super) fn new(
        storage: &'a Storage<'a>,
        folder: &'a Path,
        to: &'a Location,
        files: &'a [StoredFile],
        listed: &'a [Listed],
        memory: Memory,
    ) -> Self {
        Self {
            storage,
            folder,
            to,
            files,
            listed,
            memory,
            bytes: files.iter().map(|file| file.size).sum(),
            done: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }

    /// Sends everything that is not there, and looks at every object.
    pub(super) fn send(&self) -> Result<(), Trouble> {
        let files = self.files;
        let is_large = |file: &StoredFile| file.size > self.storage.settings.part_bytes(file.size);
        let parallel = self.storage.settings.parallel;
        let large: Vec<&StoredFile> = files.iter().filter(|file| is_large(file)).collect();
        let large = workers::each(&large, parallel, |file| self.prepare(file))?;
        let small = files.iter().filter(|file| !is_large(file));
        let mut pieces: Vec<Piece<'_>> = Vec::new();
        // The large ones first: a single long part at the end would keep all but one worker idle.
        for large in &large {
            let Some(sending) = &large.sending else { continue };
            let sending = lock(sending);
            let missing = ranges(large.file.size, sending.part_bytes)
                .into_iter()
                .filter(|range| !sending.sent.contains_key(&range.number));
            pieces.extend(missing.map(|range| Piece::Part { large, range }));
        }
        pieces.extend(small.map(|file| Piece::Whole {
            file,
            listed: self.is_listed(file),
        }));
        workers::each(&pieces, parallel, |piece| match piece {
            Piece::Whole { file, listed } => self.whole(file, *listed),
            Piece::Part { large, range } => self.part(large, *range),
        })?;
        workers::each(&large, parallel, |large| self.put_together(large)).map(drop)
    }

    /// A file in one request, unless the storage holds it as it must be.
    fn whole(&self, file: &StoredFile, listed: bool) -> Result<(), Trouble> {
        if listed && self.is_there(file)? {
            self.progress(file.size, 0);
            return Ok(());
        }
        match self.put(file, !listed) {
            Ok(()) => self.progress(file.size, file.size),
            // Somebody was faster, or an answer was lost on the way: what counts is what is there.
            Err(error) if error.reason == Reason::Exists => self.progress(file.size, 0),
            Err(error) => return Err(self.storage.failed(&error, self.to)),
        }
        self.check(file)
    }

    /// Looks how much of a large file is there.
    fn prepare(&self, file: &'a StoredFile) -> Result<Large<'a>, Trouble> {
        if self.is_listed(file) && self.is_there(file)? {
            self.progress(file.size, 0);
            return Ok(Large { file, sending: None });
        }
        let (storage, name) = (self.storage, object(file));
        let failed = |error| storage.failed(&error, self.to);
        let part_bytes = storage.settings.part_bytes(file.size);
        if let Some(mut sending) = self.memory.read(self.to, &name)? {
            let seen = storage
                .client
                .parts(&storage.runner, self.to, &name, &sending.upload)
                .map_err(failed)?;
            match seen {
                Some(seen) if sending.part_bytes == part_bytes => {
                    let ranges = ranges(file.size, part_bytes);
                    sending.sent.retain(|number, part| {
                        let length = ranges
                            .iter()
                            .find(|range| range.number == *number)
                            .map(|range| range.length);
                        seen.iter().any(|seen| {
                            seen.number == *number && seen.etag == part.etag && Some(seen.size) == length
                        })
                    });
                    let arrived = ranges
                        .iter()
                        .filter(|range| sending.sent.contains_key(&range.number));
                    self.progress(arrived.map(|range| range.length).sum(), 0);
                    return Ok(Large {
                        file,
                        sending: Some(Mutex::new(sending)),
                    });
                }
                // Cut in other pieces: what was sent cannot be used.
                Some(_) => storage
                    .client
                    .abort(&storage.runner, self.to, &name, &sending.upload)
                    .map_err(failed)?,
                None => {}
            }
        }
        let begun = storage
            .client
            .begin(&storage.runner, self.to, &name, &file.sha256);
        let sending = Sending {
            upload: begun.map_err(failed)?,
            part_bytes,
            sent: BTreeMap::new(),
        };
        self.memory.write(self.to, &name, &sending)?;
        Ok(Large {
            file,
            sending: Some(Mutex::new(sending)),
        })
    }

    /// One part. It is cut out into a file of its own, because the client sends whole files.
    fn part(&self, large: &Large<'_>, range: Range) -> Result<(), Trouble> {
        let Some(sending) = &large.sending else {
            return Ok(());
        };
        let (storage, name) = (self.storage, object(large.file));
        let from = local(self.folder, large.file);
        let piece = infra::hash::cut_piece(&from, range.start, range.length, self.memory.folder())
            .with_context(|| format!("failed to cut part {} out of {}", range.number, large.file.name))?;
        let upload = lock(sending).upload.clone();
        let body = Body {
            path: piece.path(),
            size: range.length,
            sha256: &piece.sha256,
        };
        let sent = storage
            .client
            .send_part(&storage.runner, self.to, &name, &upload, range.number, body)
            .map_err(|error| storage.failed(&error, self.to))?;
        let mut sending = lock(sending);
        sending.sent.insert(range.number, sent);
        self.memory.write(self.to, &name, &sending)?;
        self.progress(range.length, range.length);
        Ok(())
    }

    /// Puts the parts of a large file together and looks at the object.
    fn put_together(&self, large: &Large<'_>) -> Result<(), Trouble> {
        let Some(sending) = &large.sending else {
            return Ok(());
        };
        let (storage, name) = (self.storage, object(large.file));
        let sending = lock(sending);
        let parts: Vec<PartSent> = sending.sent.values().cloned().collect();
        let absent = !self.is_listed(large.file);
        let put = storage.client.complete(
            &storage.runner,
            self.to,
            &name,
            &sending.upload,
            &parts,
            (self.memory.folder(), absent),
        );
        match put {
            Ok(()) => {}
            // An answer was lost on the way, or somebody was faster: what counts is what is there.
            Err(error) if matches!(error.reason, Reason::NoUpload | Reason::Exists) => {}
            Err(error) => return Err(storage.failed(&error, self.to)),
        }
        drop(sending);
        self.check(large.file)
    }

    pub(super) fn put(&self, file: &StoredFile, if_absent: bool) -> Result<(), S3Error> {
        let storage = self.storage;
        let path = local(self.folder, file);
        let body = Body {
            path: &path,
            size: file.size,
            sha256: &file.sha256,
        };
        storage
            .client
            .put(&storage.runner, self.to, &object(file), body, if_absent)
    }

    /// Whether the storage holds a file as it must be.
    fn is_there(&self, file: &StoredFile) -> Result<bool, Trouble> {
        match self.check(file) {
            Ok(()) => Ok(true),
            Err(Trouble::Differs(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Asks for an object: size, our attribute, the server's own checksum, encryption.
    pub(super) fn check(&self, file: &StoredFile) -> Result<(), Trouble> {
        let (storage, name) = (self.storage, object(file));
        let head = storage.client.head(&storage.runner, self.to, &name);
        let head = head.map_err(|error| storage.failed(&error, self.to))?;
        let mut differences = storage.object_differences(&name, file, &head);
        let wanted = match storage.settings.encryption {
            Encryption::Bucket => None,
            Encryption::Aes256 => Some("AES256"),
            Encryption::Kms => Some("aws:kms"),
        };
        if let Some(wanted) = wanted.filter(|wanted| head.encryption.as_deref() != Some(wanted)) {
            let found = head.encryption.as_deref().unwrap_or("none");
            differences.push(format!(
                "object {name} has encryption {found} instead of {wanted}"
            ));
        }
        if differences.is_empty() {
            return Ok(());
        }
        Err(Trouble::Differs(differences))
    }

    /// Whether something of that name was there at the beginning.
    pub(super) fn is_listed(&self, file: &StoredFile) -> bool {
        let name = object(file);
        self.listed.iter().any(|entry| entry.name == name)
    }

    /// Bytes that had to be sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    fn progress(&self, done: u64, sent: u64) {
        self.sent.fetch_add(sent, Ordering::SeqCst);
        let done = self.done.fetch_add(done, Ordering::SeqCst) + done;
        self.storage.progress.bytes("upload backup", done, self.bytes);
    }
}

/// Where a file of a backup lies.
pub(super) fn local(folder: &Path, file: &StoredFile) -> PathBuf {
    file.name
        .split('/')
        .fold(folder.to_owned(), |path, part| path.join(part))
}

fn object(file: &StoredFile) -> String {
    format!("{FILES}/{}", file.name)
}

fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
