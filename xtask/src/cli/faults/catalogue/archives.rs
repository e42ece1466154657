//! Damages of a backup, after it was taken and before it is restored.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use infra::postgres::archive::TOC;

use super::changes::{cut, digit, empty, flip, remove};
use super::{Act, Damage, Fault, Needs};

/// A backup, and one database in it.
pub(in crate::cli::faults) struct Place<'a> {
    /// The backup's folder.
    pub(in crate::cli::faults) folder: &'a Path,
    /// The database that suffers.
    pub(in crate::cli::faults) database: &'a str,
}

impl Place<'_> {
    fn archive(&self) -> PathBuf {
        self.folder.join(self.database)
    }

    pub(in crate::cli::faults) fn toc(&self) -> PathBuf {
        self.archive().join(TOC)
    }

    fn document(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.database))
    }

    fn manifest(&self) -> PathBuf {
        self.folder.join("manifest.json")
    }

    /// The largest file of rows.
    pub(in crate::cli::faults) fn rows(&self) -> anyhow::Result<PathBuf> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.archive()).context("failed to read an archive")? {
            let entry = entry?;
            if entry.file_name() != TOC {
                files.push((entry.metadata()?.len(), entry.path()));
            }
        }
        files.sort();
        files
            .pop()
            .map(|(_, path)| path)
            .context("the archive holds no rows")
    }
}

const fn damage(name: &'static str, what: &'static str, short: bool, damage: Damage) -> Fault {
    Fault {
        name,
        what,
        needs: Needs::Nothing,
        short,
        act: Act::Damage(damage),
    }
}

pub(super) const FAULTS: [Fault; 12] = [
    damage(
        "rows-cut",
        "a data file of the archive is cut to 60 %",
        false,
        |at| cut(&at.rows()?),
    ),
    damage(
        "rows-empty",
        "a data file of the archive is emptied",
        true,
        |at| empty(&at.rows()?),
    ),
    damage("rows-bit", "one bit of a data file is flipped", false, |at| {
        flip(&at.rows()?)
    }),
    damage(
        "rows-missing",
        "a data file of the archive is gone",
        false,
        |at| remove(&at.rows()?),
    ),
    damage("toc-cut", "the archive's table of contents is cut", false, |at| {
        cut(&at.toc())
    }),
    damage(
        "toc-bit",
        "one bit of the table of contents is flipped",
        false,
        |at| flip(&at.toc()),
    ),
    damage("toc-missing", "the table of contents is gone", false, |at| {
        remove(&at.toc())
    }),
    damage("extra-file", "the archive holds a file too many", false, |at| {
        let path = at.archive().join("9999.dat.gz");
        infra::files::write_private(&path, b"rows of somebody else")?;
        Ok(format!("made {}", path.display()))
    }),
    damage(
        "facts-changed",
        "a number in the facts of a database is changed",
        false,
        |at| digit(&at.document()),
    ),
    damage("facts-missing", "the facts of a database are gone", false, |at| {
        remove(&at.document())
    }),
    damage(
        "manifest-changed",
        "a digit of the backup's manifest is changed",
        false,
        |at| digit(&at.manifest()),
    ),
    damage("manifest-missing", "the backup's manifest is gone", false, |at| {
        remove(&at.manifest())
    }),
];
