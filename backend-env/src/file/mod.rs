//! The file layer: the only part of this crate that touches the disk.
//!
//! A file is replaced as a whole or not at all. Symbolic links are followed, the mode and (where the system
//! allows it) the owner stay, and a file that changed since it was read is not overwritten.

mod atomic;
#[cfg(all(test, unix))]
mod tests;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use self::atomic::{Permissions, Written, write_atomic};

use crate::document::Document;

/// A file that was read, and what it held then.
pub struct File {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// What went wrong with a file. Names the path, never a value.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file.
    NotFound {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The file holds something else than when it was read.
    Changed {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The system refused.
    Io {
        /// The path as it was given.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why the system refused.
        source: io::Error,
    },
    /// Writing in place failed half-way and the old content could not be put back. It is in `backup`.
    Torn {
        /// The path as it was given.
        path: PathBuf,
        /// A file with the content from before.
        backup: PathBuf,
        /// Why the system refused.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound { path } => write!(f, "there is no file {}", path.display()),
            Error::Changed { path } => {
                write!(
                    f,
                    "{} changed since it was read; it is left as it is",
                    path.display()
                )
            }
            Error::Io { path, doing, .. } => write!(f, "cannot {doing} {}", path.display()),
            Error::Torn { path, backup, .. } => {
                let (path, backup) = (path.display(), backup.display());
                write!(
                    f,
                    "{path} is damaged: it could not be written to the end; its old content is in {backup}"
                )
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::NotFound { .. } | Error::Changed { .. } => None,
            Error::Io { source, .. } | Error::Torn { source, .. } => Some(source),
        }
    }
}

/// Reads a file. Symbolic links are followed.
///
/// # Errors
///
/// [`Error::NotFound`], or [`Error::Io`] when the file cannot be read.
pub fn open(path: impl AsRef<Path>) -> Result<File, Error> {
    let path = path.as_ref().to_owned();
    match fs::read(&path) {
        Ok(bytes) => Ok(File { path, bytes }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NotFound { path }),
        Err(source) => Err(Error::Io {
            path,
            doing: "read",
            source,
        }),
    }
}

impl File {
    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes that were read, or saved last.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The content as a document.
    pub fn document(&self) -> Document {
        Document::parse(self.bytes.clone())
    }

    /// Replaces the content, keeping mode and owner. Nothing is written when nothing changed (`None`).
    ///
    /// # Errors
    ///
    /// [`Error::Changed`] when the file no longer holds what was read; else as [`write_atomic`]. The file is intact
    /// after every error but [`Error::Torn`].
    pub fn save(&mut self, document: &Document) -> Result<Option<Written>, Error> {
        if document.as_bytes() == self.bytes {
            return Ok(None);
        }
        let written = atomic::replace(
            &self.path,
            document.as_bytes(),
            Permissions::Keep,
            Some(&self.bytes),
        )?;
        self.bytes = document.as_bytes().to_vec();
        Ok(Some(written))
    }
}

/// The path only.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("File").field(&self.path).finish()
    }
}
