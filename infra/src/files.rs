//! Files of a run: private from the first byte, durable when it matters.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// How the names of files start that are being written; one that is left belongs to a program that was killed.
pub const TEMPORARY: &str = ".xtask-";

/// Creates a directory and its missing parents, readable by the owner only (0700; on Windows the profile's ACL).
///
/// # Errors
/// Any I/O error; an existing directory is not one.
pub fn private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Creates a directory that others may enter but not change, in a place where anybody may create things. One that is
/// there already must be ours: what lies in somebody else's directory, programs above all, is theirs to choose.
///
/// # Errors
/// When it cannot be created, or belongs to somebody else, or others may write to it.
pub fn own_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    // The link itself: one that leads elsewhere is not ours either.
    let found = fs::symlink_metadata(path)?;
    #[cfg(unix)]
    let foreign = {
        use std::os::unix::fs::MetadataExt;
        found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o022 != 0
    };
    #[cfg(not(unix))]
    let foreign = false;
    if foreign || !found.is_dir() {
        let why = "it is there already and others may change it; look at it, and remove it";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(())
}

/// Opens a file for appending, created 0600.
///
/// # Errors
/// Any I/O error.
pub fn append_private(path: &Path) -> io::Result<File> {
    private_options().append(true).create(true).open(path)
}

/// Writes a whole file: temporary file beside it (0600), fsync, rename, fsync of the directory.
/// A reader sees the old bytes or the new ones, never a part.
///
/// # Errors
/// Any I/O error; the old file is then intact.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_dir(dir)
}

/// Writes a file that others may read, for containers and other accounts. Not atomic: only for throw-away files.
///
/// # Errors
/// Any I/O error.
pub fn write_shared(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    options.open(path)?.write_all(bytes)
}

/// Whether a file can be replaced as a whole: its folder takes a new one. A link is followed.
///
/// # Errors
/// Why not.
pub fn replaceable(path: &Path) -> io::Result<()> {
    let target = fs::canonicalize(path)?;
    let dir = target.parent().unwrap_or(Path::new("."));
    #[cfg(unix)]
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?;
    // Windows replaces no file that is marked read-only.
    #[cfg(not(unix))]
    if fs::metadata(&target)?.permissions().readonly() || fs::metadata(dir)?.permissions().readonly() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

/// Makes a rename or a new file in `dir` durable. Windows has no such call; NTFS journals renames itself.
///
/// # Errors
/// Any I/O error.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(dir)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

/// Opens a file for reading. What is no regular file, or link to one, is refused before: opening a pipe waits for somebody
/// to write to it, and reading a device may never end.
///
/// # Errors
/// Any I/O error.
pub fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        let why = "it is not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    File::open(path)
}

/// The bytes of a regular file, as [`open_regular`] opens it.
///
/// # Errors
/// Any I/O error.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file that stands for a lock: created 0600, never cut.
///
/// # Errors
/// Any I/O error.
pub fn lock_file(path: &Path) -> io::Result<File> {
    private_options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// SHA-256 of a file as lower-case hex, and its size in bytes. Streams: memory does not grow with the file.
///
/// # Errors
/// Any I/O error.
pub fn sha256(path: &Path) -> io::Result<(String, u64)> {
    use sha2::Digest;
    let mut file = open_regular(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    let mut size = 0;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
        size += n as u64;
    }
    Ok((hex(&hasher.finalize()), size))
}

/// SHA-256 of bytes in memory as lower-case hex.
pub fn sha256_bytes(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex(&sha2::Sha256::digest(bytes))
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            // Writing to a String cannot fail.
            let _ = write!(out, "{byte:02x}");
            out
        })
}

/// Bytes of all regular files under a directory.
///
/// # Errors
/// Any I/O error.
pub fn dir_size(path: &Path) -> io::Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        total += if meta.is_dir() {
            dir_size(&entry.path())?
        } else {
            meta.len()
        };
    }
    Ok(total)
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let pipe = dir.path().join("manifest.json");
        let made = crate::Runner::default().run(&crate::Cmd::new("mkfifo", "make a pipe").arg(&pipe));
        made.expect("a pipe");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).expect("a link");
        for path in [&pipe, &link, &dir.path().to_owned()] {
            assert_eq!(
                read_regular(path).expect_err("no file").kind(),
                io::ErrorKind::InvalidInput
            );
            assert!(sha256(path).is_err());
        }
    }

    #[test]
    fn a_directory_that_others_may_change_is_not_ours() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = home.path().join("cache");
        own_dir(&path).expect("it is made");
        own_dir(&path).expect("it is ours, so it serves again");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("its mode changes");
        assert!(own_dir(&path).is_err());
        let link = home.path().join("link");
        std::os::unix::fs::symlink(home.path(), &link).expect("a link");
        assert!(own_dir(&link).is_err());
    }
}
