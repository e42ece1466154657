//! Download: into a folder beside the wanted one, compared with marker and manifests, and only then under its name.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use infra::s3::Location;

use super::{Storage, Trouble, list_differences};
use crate::model::examine::examine;
use crate::model::upload::{Completion, Contents, FILES};
use crate::model::{Finding, time};
use crate::steps::{make_private, report_growth, sync};

impl Storage<'_> {
    /// Downloads a complete backup to a folder that is not there yet.
    ///
    /// # Errors
    /// When there is no complete backup, something differs, or it stopped; the wanted folder is then not there.
    pub fn download(&self, at: &Location, to: &Path) -> Result<Completion, Trouble> {
        let (marker, listed) = self.complete(at)?;
        let differences = list_differences(&listed, &marker);
        if !differences.is_empty() {
            return Err(Trouble::Differs(differences));
        }
        self.has_room(to, &marker)?;
        let parent = to.parent().context("a backup cannot be the root folder")?;
        std::fs::create_dir_all(parent).with_context(|| format!("failed to make {}", parent.display()))?;
        let leaf = to
            .file_name()
            .map(|name| name.to_string_lossy())
            .unwrap_or_default();
        let beside = parent.join(format!("{}download-{leaf}", infra::files::TEMPORARY));
        clear(&beside)?;
        infra::files::private_dir(&beside).with_context(|| format!("failed to make {}", beside.display()))?;
        let result = self.fetch(at, &marker, &beside).and_then(|()| {
            std::fs::rename(&beside, to)
                .and_then(|()| infra::files::sync_dir(parent))
                .with_context(|| format!("failed to name {}", to.display()))
                .map_err(Trouble::from)
        });
        if result.is_err() {
            clear(&beside)?;
        }
        result.map(|()| marker)
    }

    /// Everything into `beside`, compared.
    fn fetch(&self, at: &Location, marker: &Completion, beside: &Path) -> Result<(), Trouble> {
        let finished = AtomicBool::new(false);
        let fetched = std::thread::scope(|scope| {
            scope.spawn(|| {
                let now = || infra::files::dir_size(beside).unwrap_or(0);
                report_growth(
                    &self.runner,
                    self.progress,
                    &finished,
                    ("download backup", marker.bytes()),
                    now,
                );
            });
            let files = at.join(FILES);
            let fetched = self.client.download(&self.runner, &files, beside, marker.bytes());
            finished.store(true, Ordering::SeqCst);
            fetched
        });
        fetched.map_err(|error| self.failed(&error, at))?;
        make_private(beside).context("failed to make the backup private")?;
        // Manifest by marker, documents by manifest, archives by documents: each by its SHA-256, and no file besides.
        let differences = examine(beside, &[])?;
        if !differences.is_empty() {
            return Err(Trouble::Differs(differences));
        }
        if !marker.is_of(&Contents::of(beside)?) {
            return Err(Trouble::Differs(vec![
                "what was downloaded is not what the marker names".to_owned(),
            ]));
        }
        sync(beside).context("failed to write the backup to disk")?;
        Ok(())
    }

    fn has_room(&self, to: &Path, marker: &Completion) -> Result<(), Trouble> {
        if to.exists() {
            return Err(Trouble::refused(
                Finding::error("storage.exists", format!("{} is there already", to.display()))
                    .wanted("a folder that is not there yet")
                    .hint("name another folder after the address"),
            ));
        }
        match infra::disk::free_bytes(to) {
            Some(free) if free < marker.bytes() => Err(Trouble::refused(
                Finding::error(
                    "storage.space",
                    format!("{} are free for {}", time::bytes(free), to.display()),
                )
                .wanted(time::bytes(marker.bytes())),
            )),
            _ => Ok(()),
        }
    }
}

/// Removes what a download left that did not end well.
fn clear(beside: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", beside.display()))
        }
        _ => Ok(()),
    }
}
