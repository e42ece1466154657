//! A file that goes in parts: what was sent is remembered beside the backup, so that a killed upload sends only the rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use infra::s3::{Location, PartSent};
use serde::{Deserialize, Serialize};

use crate::model::run_dir::read_json;

/// What is known of one file's multipart upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sending {
    /// The server's name of the upload.
    pub(super) upload: String,
    /// Bytes of every part but the last.
    pub(super) part_bytes: u64,
    /// Parts that arrived, by number.
    pub(super) sent: BTreeMap<u32, PartSent>,
}

/// Where it is remembered: one document for each file and place.
#[derive(Debug)]
pub(super) struct Memory {
    folder: PathBuf,
}

/// Bytes of a file that make one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// From 1.
    pub(super) number: u32,
    /// First byte.
    pub(super) start: u64,
    /// Bytes.
    pub(super) length: u64,
}

/// The parts of a file of this size.
pub(super) fn ranges(size: u64, part_bytes: u64) -> Vec<Range> {
    (1_u32..)
        .zip((0..size).step_by(usize::try_from(part_bytes).unwrap_or(usize::MAX).max(1)))
        .map(|(number, start)| Range {
            number,
            start,
            length: part_bytes.min(size - start),
        })
        .collect()
}

impl Memory {
    /// The memory of a backup's uploads, in its folder. What a killed upload left half written is removed.
    pub(super) fn open(backup: &Path) -> anyhow::Result<Self> {
        let folder = backup.join(format!("{}upload", infra::files::TEMPORARY));
        infra::files::private_dir(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        for entry in std::fs::read_dir(&folder)
            .context("failed to read what an upload left")?
            .flatten()
        {
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(infra::files::TEMPORARY)
            {
                std::fs::remove_file(entry.path()).context("failed to remove what an upload left")?;
            }
        }
        Ok(Self { folder })
    }

    /// A folder for pieces.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn read(&self, at: &Location, name: &str) -> anyhow::Result<Option<Sending>> {
        read_json(&self.path(at, name))
    }

    /// Durable when this returns.
    pub(super) fn write(&self, at: &Location, name: &str, sending: &Sending) -> anyhow::Result<()> {
        let text = serde_json::to_vec(sending).context("failed to write as JSON what was sent")?;
        infra::files::write_private(&self.path(at, name), &text).context("failed to write down what was sent")
    }

    /// Forgets everything: the upload is complete.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_dir_all(&self.folder)
            .with_context(|| format!("failed to remove {}", self.folder.display()))
    }

    fn path(&self, at: &Location, name: &str) -> PathBuf {
        let id = infra::files::sha256_bytes(format!("{at}\n{name}").as_bytes());
        self.folder.join(format!("{}.json", &id[..16]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_file_without_gap_or_overlap() {
        for (size, part) in [(10, 4), (8, 4), (4, 4), (5, 4), (1, 4)] {
            let ranges = ranges(size, part);
            let mut end = 0;
            for (index, range) in ranges.iter().enumerate() {
                assert_eq!((range.start, range.number as usize), (end, index + 1));
                end += range.length;
            }
            assert_eq!(end, size);
            assert!(ranges.iter().rev().skip(1).all(|range| range.length == part));
        }
    }
}
