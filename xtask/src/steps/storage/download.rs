//! Download: into a folder beside the wanted one, compared with marker and manifests, and only then under its name.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use infra::s3::{Listed, Location, Reason, is_plain};

use super::{Storage, Trouble, list_differences, marker_entry, read_marker};
use crate::model::examine::examine;
use crate::model::upload::{Completion, Contents, FILES, MARKER};
use crate::model::{Finding, time};
use crate::steps::{make_private, report_growth, sync};

impl Storage<'_> {
    /// Downloads a complete backup to a folder that is not there yet.
    ///
    /// # Errors
    /// When there is no complete backup, something differs, or it stopped; the wanted folder is then not there.
    pub fn download(&self, at: &Location, to: &Path) -> Result<Completion, Trouble> {
        if to.exists() {
            return Err(Trouble::refused(
                Finding::error("storage.exists", format!("{} is there already", to.display()))
                    .wanted("a folder that is not there yet")
                    .hint("name another folder after the address"),
            ));
        }
        let parent = to.parent().context("a backup cannot be the root folder")?;
        let leaf = to
            .file_name()
            .map(|name| name.to_string_lossy())
            .unwrap_or_default();
        let beside = parent.join(format!("{}download-{leaf}", infra::files::TEMPORARY));
        self.fetch(at, &beside, |files| {
            sync(files).context("failed to write the backup to disk")?;
            std::fs::rename(files, to)
                .and_then(|()| infra::files::sync_dir(parent))
                .with_context(|| format!("failed to name {}", to.display()))
        })
    }

    /// Downloads a complete backup into `beside`, compares it, and hands the folder of its files to `done`. Whatever is left
    /// in `beside` is removed.
    pub(super) fn fetch(
        &self,
        at: &Location,
        beside: &Path,
        done: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> Result<Completion, Trouble> {
        let listed = self.complete(at)?;
        may_be_written(&listed, beside)?;
        clear(beside)?;
        std::fs::create_dir_all(beside.parent().unwrap_or(beside))
            .and_then(|()| infra::files::private_dir(beside))
            .with_context(|| format!("failed to make {}", beside.display()))?;
        let result = self
            .compared(at, &listed, beside)
            .and_then(|marker| Ok(done(&beside.join(FILES)).map(|()| marker)?));
        clear(beside)?;
        result
    }

    /// Downloads everything into `beside` and compares it.
    fn compared(&self, at: &Location, listed: &[Listed], beside: &Path) -> Result<Completion, Trouble> {
        let finished = AtomicBool::new(false);
        let bytes = bytes(listed);
        let downloaded = std::thread::scope(|scope| {
            scope.spawn(|| {
                let now = || infra::files::dir_size(beside).unwrap_or(0);
                let task = ("download backup", bytes);
                report_growth(&self.runner, self.progress, &finished, task, now);
            });
            let downloaded = self.client.download(&self.runner, at, beside, bytes);
            finished.store(true, Ordering::SeqCst);
            downloaded
        });
        downloaded.map_err(|error| match error.reason {
            Reason::OldClient => self.refused(&error, at),
            _ => self.failed(&error, at),
        })?;
        make_private(beside).context("failed to make the backup private")?;
        let marker = beside.join(MARKER);
        let marker =
            std::fs::read(&marker).with_context(|| format!("failed to read {}", marker.display()))?;
        let marker = read_marker(&marker, at)?;
        let mut differences = list_differences(listed, &marker);
        if differences.is_empty() {
            // Manifest by marker, documents by manifest, archives by documents: each by its SHA-256, and no file besides.
            let files = beside.join(FILES);
            differences = examine(&files, &[])?;
            if differences.is_empty() && !marker.is_of(&Contents::of(&files)?) {
                differences.push(format!("what was downloaded is not what {MARKER} names"));
            }
        }
        match differences.is_empty() {
            true => Ok(marker),
            false => Err(Trouble::Differs(differences)),
        }
    }
}

/// Whether every name stays in the folder, and there is room.
fn may_be_written(listed: &[Listed], beside: &Path) -> Result<(), Trouble> {
    marker_entry(listed)?;
    let outside: Vec<String> = listed
        .iter()
        .filter(|entry| !is_plain(&entry.name))
        .map(|entry| format!("object {:?} has a name that no backup has", entry.name))
        .collect();
    if !outside.is_empty() {
        return Err(Trouble::Differs(outside));
    }
    match infra::disk::free_bytes(beside) {
        Some(free) if free < bytes(listed) => Err(Trouble::refused(
            Finding::error(
                "storage.space",
                format!("{} are free for {}", time::bytes(free), beside.display()),
            )
            .wanted(time::bytes(bytes(listed))),
        )),
        _ => Ok(()),
    }
}

fn bytes(listed: &[Listed]) -> u64 {
    listed.iter().map(|entry| entry.size).sum()
}

/// Removes what a download left.
fn clear(beside: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", beside.display()))
        }
        _ => Ok(()),
    }
}
