//! Free space, as the preflight needs it.

use std::path::Path;

/// Free bytes that an ordinary user may still write in the file system of `path`; `None` where it cannot be told
/// (on Windows there is no such call without unsafe code or another crate).
pub fn free_bytes(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        // The path may not exist yet: its nearest existing ancestor is on the same file system.
        let existing = path.ancestors().find(|p| p.exists())?;
        let stat = rustix::fs::statvfs(existing).ok()?;
        Some(stat.f_bavail * stat.f_frsize)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
