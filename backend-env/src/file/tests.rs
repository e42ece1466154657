//! Failures that no test can bring about from outside.

#![expect(clippy::unwrap_used, reason = "a helper of a test panics when the test fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a crash needs a process of its own, and a file to begin with"
)]

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use tempfile::NamedTempFile;

use super::atomic::{Permissions, Rename, replace_with};

type Refused = Result<(), (NamedTempFile, io::Error)>;

fn busy(file: NamedTempFile, _: &Path) -> Refused {
    Err((file, io::ErrorKind::ResourceBusy.into()))
}

fn other_device(file: NamedTempFile, _: &Path) -> Refused {
    Err((file, io::ErrorKind::CrossesDevices.into()))
}

fn denied(file: NamedTempFile, _: &Path) -> Refused {
    Err((file, io::ErrorKind::PermissionDenied.into()))
}

fn crash(_: NamedTempFile, _: &Path) -> Refused {
    std::process::abort()
}

fn check(rename: Rename, wanted: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".env");
    fs::write(&path, "A=a long old value\n").unwrap();
    let result = replace_with(
        &path,
        b"A=new\n",
        Permissions::Keep,
        Some(b"A=a long old value\n"),
        rename,
    );
    assert_eq!(result.is_ok_and(|written| written.in_place), wanted == "A=new\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), wanted);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_busy_file_and_one_on_another_device_are_written_in_place() {
    check(busy, "A=new\n");
    check(other_device, "A=new\n");
    check(denied, "A=a long old value\n");
}

#[test]
fn a_crash_before_the_rename_leaves_the_old_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".env");
    fs::write(&path, "A=old\n").unwrap();
    let program = std::env::current_exe().unwrap();
    let test = "file::tests::crash_in_this_directory";
    let mut again = Command::new(program);
    again
        .args(["--exact", "--ignored", "--nocapture", test])
        .current_dir(directory.path());
    let output = again.output().unwrap();
    assert!(!output.status.success());
    assert_eq!(fs::read_to_string(&path).unwrap(), "A=old\n");
    // The new content was complete and private beside it.
    let other = |entry: io::Result<fs::DirEntry>| {
        entry
            .ok()
            .map(|entry| entry.path())
            .filter(|other| *other != path)
    };
    let left: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .filter_map(other)
        .collect();
    assert_eq!(left.len(), 1);
    assert_eq!(fs::read_to_string(&left[0]).unwrap(), "A=new\n");
    assert!(
        left[0]
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with(".env.")
    );
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn crash_in_this_directory() {
    let _ = replace_with(Path::new(".env"), b"A=new\n", Permissions::Keep, None, crash);
}
