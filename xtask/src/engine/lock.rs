//! One migration at a time per workspace.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::Context;

use crate::model::time;

/// The lock; dropping it, or dying, releases it: the operating system holds it, not the file's existence.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing the file would do, were it not for a child that another thread is just starting: until it runs its own
    /// program it holds a copy of the open file, and with it the lock.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Who holds the lock.
#[derive(Debug, PartialEq, Eq)]
pub struct Held(
    /// The holder's own words.
    pub String,
);

impl Lock {
    /// Who is at work, if anybody is. Looks, writes nothing.
    pub fn holder(private: &Path) -> Option<Held> {
        let file = File::open(private.join("lock")).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                let who = std::fs::read_to_string(private.join("lock.holder"));
                Some(Held(who.unwrap_or_else(|_| "another process".to_owned())))
            }
            _ => None,
        }
    }

    /// Takes the lock, or says who holds it.
    ///
    /// # Errors
    /// When the lock file cannot be used.
    pub fn take(private: &Path, purpose: &str) -> anyhow::Result<Result<Self, Held>> {
        infra::files::private_dir(private)
            .with_context(|| format!("failed to make {}", private.display()))?;
        let path = private.join("lock");
        let who = private.join("lock.holder");
        let context = || format!("failed to lock {}", path.display());
        let file = infra::files::lock_file(&path).with_context(context)?;
        match file.try_lock() {
            Ok(()) => {
                // Beside the lock: on Windows a locked file cannot be read by others.
                let text = format!("{purpose}, process {}, since {}", std::process::id(), time::now());
                infra::files::write_private(&who, text.as_bytes()).with_context(context)?;
                Ok(Ok(Self { file }))
            }
            Err(TryLockError::WouldBlock) => {
                let text = std::fs::read_to_string(&who).unwrap_or_else(|_| "another process".to_owned());
                Ok(Err(Held(text)))
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_migration_at_a_time_and_the_second_learns_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path(), "migrate run x").unwrap().unwrap();
        let Err(Held(who)) = Lock::take(dir.path(), "migrate").unwrap() else {
            panic!("two locks")
        };
        assert!(
            who.contains("migrate run x") && who.contains(&std::process::id().to_string()),
            "{who}"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let found = std::fs::metadata(dir.path().join("lock")).unwrap();
            assert_eq!(found.permissions().mode() & 0o777, 0o600);
        }
        drop(first);
        // A child that another test starts right now holds every open file until it has become its own program.
        let limit = std::time::Duration::from_secs(30);
        let free = || Lock::take(dir.path(), "migrate").unwrap().ok();
        let again = infra::wait::until(&infra::Interrupt::default(), limit, free);
        assert!(again.is_ok(), "the lock is not released");
    }
}
