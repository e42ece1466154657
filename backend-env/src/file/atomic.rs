//! Replaces a file as a whole: a temporary file beside it, synced, renamed over it, and the directory synced.
//!
//! Where the system refuses the rename - a single file that is mounted into a container is busy, an overlay may
//! be another device - the file is written in place, with a copy of the old content beside it until that is done.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::Error;

/// Who may read and write the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// As the file is now, with its owner; a new file is [`Permissions::Private`].
    Keep,
    /// Read and written by its owner alone (0600).
    Private,
    /// These Unix mode bits; elsewhere [`Permissions::Keep`].
    Mode(u32),
}

/// How a file was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Whether the rename was refused and the file was written in place.
    pub in_place: bool,
    /// Whether the file still has the owner and group it had; `true` for a new file.
    pub owner_kept: bool,
    /// Whether the directory was synced, so that the new file survives a power cut. `false` where it cannot be
    /// opened or synced: a directory without read permission, some network file systems. Always `false` on Windows.
    pub directory_synced: bool,
}

/// Writes a file so that a reader sees the old content or the new, and a crash leaves one of them.
///
/// A symbolic link is followed, also one whose file does not exist yet. The directory must exist.
///
/// # Errors
///
/// [`Error::Io`] when the system refuses; the file is as it was. [`Error::Torn`] only where it had to be written in
/// place.
pub fn write_atomic(
    path: impl AsRef<Path>,
    bytes: &[u8],
    permissions: Permissions,
) -> Result<Written, Error> {
    replace(path.as_ref(), bytes, permissions, None)
}

/// `expected` is what the file must hold.
pub(super) fn replace(
    path: &Path,
    bytes: &[u8],
    permissions: Permissions,
    expected: Option<&[u8]>,
) -> Result<Written, Error> {
    replace_with(path, bytes, permissions, expected, rename)
}

pub(super) type Rename = fn(NamedTempFile, &Path) -> Result<(), (NamedTempFile, io::Error)>;

fn rename(file: NamedTempFile, target: &Path) -> Result<(), (NamedTempFile, io::Error)> {
    file.persist(target)
        .map(drop)
        .map_err(|refused| (refused.file, refused.error))
}

pub(super) fn replace_with(
    path: &Path,
    bytes: &[u8],
    permissions: Permissions,
    expected: Option<&[u8]>,
    rename: Rename,
) -> Result<Written, Error> {
    let failed = |doing| {
        move |source| Error::Io {
            path: path.to_owned(),
            doing,
            source,
        }
    };
    let target = follow(path).map_err(failed("follow the link"))?;
    let old = match fs::metadata(&target) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(failed("look at")(source)),
    };
    if old.as_ref().is_some_and(|metadata| !metadata.is_file()) {
        return Err(failed("replace")(io::Error::other("it is not a regular file")));
    }
    let directory = directory_of(&target);
    let temporary = beside(&target, bytes).map_err(failed("write a new file beside"))?;
    let owner_kept =
        system::dress(&temporary, old.as_ref(), permissions).map_err(failed("set the mode of"))?;
    temporary
        .as_file()
        .sync_all()
        .map_err(failed("write a new file beside"))?;
    if let Some(expected) = expected {
        let now = match fs::read(&target) {
            Ok(now) => now,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(changed(path)),
            Err(source) => return Err(failed("read")(source)),
        };
        if now != expected {
            return Err(changed(path));
        }
    }
    match rename(temporary, &target) {
        Ok(()) => {
            let directory_synced = system::sync_directory(&directory).is_ok();
            Ok(Written {
                in_place: false,
                owner_kept,
                directory_synced,
            })
        }
        Err((temporary, error)) if old.is_some() && is_refused_rename(&error) => {
            drop(temporary);
            write_in_place(path, &target, bytes)?;
            system::dress_in_place(&target, permissions).map_err(failed("set the mode of"))?;
            Ok(Written {
                in_place: true,
                owner_kept: true,
                directory_synced: true,
            })
        }
        Err((_, source)) => Err(failed("replace")(source)),
    }
}

fn changed(path: &Path) -> Error {
    Error::Changed {
        path: path.to_owned(),
    }
}

/// EBUSY: the file is a mount point. EXDEV: it lives on another device than its directory.
fn is_refused_rename(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices
    )
}

/// The path behind all symbolic links, whether there is a file or not.
fn follow(path: &Path) -> io::Result<PathBuf> {
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let link = fs::read_link(&path)?;
                path = directory_of(&path).join(link);
            }
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A private temporary file with this content, next to `target`. It is removed when it is dropped.
fn beside(target: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let name = target.file_name().unwrap_or_default();
    let mut prefix = std::ffi::OsString::from(if name.as_encoded_bytes().starts_with(b".") {
        ""
    } else {
        "."
    });
    prefix.push(name);
    prefix.push(".");
    let mut file = Builder::new()
        .prefix(&prefix)
        .suffix(".tmp")
        .tempfile_in(directory_of(target))?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Not atomic, which is why the old content lies beside the file until the new one is safe.
fn write_in_place(path: &Path, target: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::Io {
        path: path.to_owned(),
        doing: "write in place",
        source,
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(target)
        .map_err(failed)?;
    let mut old = Vec::new();
    file.read_to_end(&mut old).map_err(failed)?;
    let backup = beside(target, &old).map_err(failed)?;
    backup.as_file().sync_all().map_err(failed)?;
    let Err(error) = overwrite(&mut file, bytes) else {
        return Ok(());
    };
    match overwrite(&mut file, &old) {
        Ok(()) => Err(failed(error)),
        Err(_) => {
            let kept = backup.keep().map_err(|refused| failed(refused.error))?;
            Err(Error::Torn {
                path: path.to_owned(),
                backup: kept.1,
                source: error,
            })
        }
    }
}

fn overwrite(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()
}

#[cfg(unix)]
mod system {
    use std::fs::{self, File, Metadata};
    use std::io;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    use std::path::Path;

    use tempfile::NamedTempFile;

    use super::Permissions;

    /// Gives the new file the owner and the mode it is to have. Whether the owner could be kept.
    pub(super) fn dress(
        file: &NamedTempFile,
        old: Option<&Metadata>,
        wanted: Permissions,
    ) -> io::Result<bool> {
        let file = file.as_file();
        let mut kept = true;
        if let Some(old) = old {
            let new = file.metadata()?;
            if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
                // Only root gives files away; a group we are in can be kept by anyone.
                kept = fchown(file, Some(old.uid()), Some(old.gid())).is_ok();
                if !kept {
                    let _ = fchown(file, None, Some(old.gid()));
                }
            }
        }
        let mode = match (wanted, old) {
            (Permissions::Keep, Some(old)) => old.mode() & 0o7777,
            (Permissions::Keep, None) | (Permissions::Private, _) => 0o600,
            (Permissions::Mode(mode), _) => mode & 0o7777,
        };
        // After the owner: a change of owner clears bits of the mode.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        Ok(kept)
    }

    pub(super) fn dress_in_place(target: &Path, wanted: Permissions) -> io::Result<()> {
        let mode = match wanted {
            Permissions::Keep => return Ok(()),
            Permissions::Private => 0o600,
            Permissions::Mode(mode) => mode & 0o7777,
        };
        fs::set_permissions(target, fs::Permissions::from_mode(mode))
    }

    /// Makes the rename survive a power cut.
    pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::Metadata;
    use std::io;
    use std::path::Path;

    use tempfile::NamedTempFile;

    use super::Permissions;

    /// Windows has no mode: a new file inherits the access list of its directory, as the old one did. A file
    /// marked read-only stays so (and Windows then refuses to replace it).
    pub(super) fn dress(file: &NamedTempFile, old: Option<&Metadata>, _: Permissions) -> io::Result<bool> {
        if let Some(old) = old {
            file.as_file().set_permissions(old.permissions())?;
        }
        Ok(true)
    }

    pub(super) fn dress_in_place(_: &Path, _: Permissions) -> io::Result<()> {
        Ok(())
    }

    /// A directory cannot be opened as a file here; the journal of the file system orders the rename.
    pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
