//! The file layer on a real disk: whatever happens, the old file or the new one is there, whole.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a helper of a test panics when the test fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests make files by other means, and run this program again as another user"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use backend_env::file::{self, Error, Permissions};
use backend_env::{Document, Reader};

const OLD: &str = "A=old\nB=2\n";
const NEW: &str = "A=new\nB=2\n";

/// A directory with a `.env` of this mode.
fn env_file(mode: u32) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".env");
    fs::write(&path, OLD).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (directory, path)
}

fn edited(file: &file::File) -> Document {
    let mut doc = file.document();
    doc.set("A", "new", Reader::ALL).unwrap();
    doc
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn names(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_with_its_mode_and_nothing_is_left_behind() {
    for wanted in [0o600, 0o640, 0o644, 0o664, 0o400] {
        let (directory, path) = env_file(wanted);
        let before = fs::metadata(&path).unwrap();
        let mut file = file::open(&path).unwrap();
        let doc = edited(&file);
        let written = file.save(&doc).unwrap().unwrap();
        assert!(!written.in_place && written.owner_kept && written.directory_synced);
        assert_eq!(fs::read_to_string(&path).unwrap(), NEW);
        assert_eq!(mode(&path), wanted);
        assert_ne!(
            fs::metadata(&path).unwrap().ino(),
            before.ino(),
            "replaced as a whole"
        );
        assert_eq!(names(directory.path()), [".env"]);
        // Saved once, it can be saved again; and a save without a change writes nothing.
        assert_eq!(file.save(&doc).unwrap(), None);
        assert!(file.save(&Document::parse(OLD)).unwrap().is_some());
    }
}

#[test]
fn symbolic_links_are_followed_and_stay() {
    let (directory, path) = env_file(0o640);
    fs::create_dir(directory.path().join("links")).unwrap();
    let first = directory.path().join("links/first");
    let second = directory.path().join("second");
    symlink("../.env", &first).unwrap();
    symlink("links/first", &second).unwrap();
    let mut file = file::open(&second).unwrap();
    file.save(&edited(&file)).unwrap();
    assert!(
        fs::symlink_metadata(&second).unwrap().is_symlink()
            && fs::symlink_metadata(&first).unwrap().is_symlink()
    );
    assert_eq!(
        (fs::read_to_string(&path).unwrap().as_str(), mode(&path)),
        (NEW, 0o640)
    );
    assert_eq!(names(&directory.path().join("links")), ["first"]);
}

#[test]
fn a_link_to_nothing_gets_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("link");
    symlink("target", &link).unwrap();
    file::write_atomic(&link, b"A=1\n", Permissions::Keep).unwrap();
    let target = directory.path().join("target");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(
        (fs::read(&target).unwrap().as_slice(), mode(&target)),
        (&b"A=1\n"[..], 0o600)
    );
}

#[test]
fn a_new_file_is_private_unless_told_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    for (permissions, wanted) in [
        (Permissions::Keep, 0o600),
        (Permissions::Private, 0o600),
        (Permissions::Mode(0o644), 0o644),
    ] {
        let path = directory.path().join(format!("{wanted:o}"));
        file::write_atomic(&path, b"x", permissions).unwrap();
        assert_eq!(mode(&path), wanted);
    }
}

#[test]
fn a_file_that_changed_is_not_overwritten() {
    let (directory, path) = env_file(0o600);
    let mut file = file::open(&path).unwrap();
    fs::write(&path, "A=theirs\n").unwrap();
    let error = file.save(&edited(&file)).unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "A=theirs\n");
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        file.save(&edited(&file)).unwrap_err(),
        Error::Changed { .. }
    ));
    assert_eq!(names(directory.path()), Vec::<String>::new());
}

#[test]
fn errors_name_the_path_and_no_value() {
    let (directory, path) = env_file(0o600);
    let missing = directory.path().join("missing");
    let error = file::open(&missing).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }));
    assert_eq!(
        error.to_string(),
        format!("there is no file {}", missing.display())
    );
    assert!(matches!(
        file::open(directory.path()).unwrap_err(),
        Error::Io { doing: "read", .. }
    ));
    let error = file::write_atomic(directory.path(), b"x", Permissions::Keep).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot replace {}", directory.path().display())
    );
    assert_eq!(
        format!("{:?}", file::open(&path).unwrap()),
        format!("File({path:?})")
    );
}

/// Runs one test of this program that is ignored otherwise, in `directory`, through `wrapper` and as `user`.
fn run_again(test: &str, directory: &Path, wrapper: &[&str], user: Option<u32>) -> Output {
    let program = std::env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(&program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(&program);
            command
        }
    };
    command
        .args(["--exact", "--ignored", "--nocapture", test])
        .current_dir(directory)
        .stdin(Stdio::null());
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command.output().unwrap()
}

fn assert_ran(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn is_root() -> bool {
    let probe = tempfile::tempfile().unwrap();
    probe.metadata().unwrap().uid() == 0
}

/// A user that may not do everything: this one, or `nobody` when this is root.
fn some_user(path: &Path, directory: &Path) -> Option<u32> {
    const NOBODY: u32 = 65534;
    if !is_root() {
        return None;
    }
    for path in [path, directory] {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    Some(NOBODY)
}

#[test]
fn in_a_read_only_directory_the_file_is_left_alone() {
    let (directory, path) = env_file(0o600);
    let user = some_user(&path, directory.path());
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o500)).unwrap();
    assert_ran(&run_again("refused_save", directory.path(), &[], user));
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(
        (fs::read_to_string(&path).unwrap().as_str(), mode(&path)),
        (OLD, 0o600)
    );
    assert_eq!(names(directory.path()), [".env"]);
}

#[test]
fn on_a_full_disk_the_file_is_left_alone() {
    let (directory, path) = env_file(0o640);
    // A limit on the size of files fails the write as a full disk does.
    let limit = ["bash", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "bash"];
    assert_ran(&run_again("refused_save", directory.path(), &limit, None));
    assert_eq!(
        (fs::read_to_string(&path).unwrap().as_str(), mode(&path)),
        (OLD, 0o640)
    );
    assert_eq!(names(directory.path()), [".env"]);
}

#[test]
#[ignore = "run by other tests, in a directory where it must fail"]
fn refused_save() {
    let mut file = file::open(".env").unwrap();
    let error = file.save(&edited(&file)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Io {
                doing: "write a new file beside",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(fs::read_to_string(".env").unwrap(), OLD);
}

/// Runs a test behind a script with mounts of its own, which root may always have and others often may.
fn with_mounts(script: &str, test: &str, directory: &Path) -> Option<Output> {
    let mut wrapper = vec!["unshare", "--mount"];
    if !is_root() {
        wrapper.push("--map-root-user");
    }
    let mut probe = Command::new(wrapper[0]);
    probe
        .args(&wrapper[1..])
        .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
    if !probe.output().is_ok_and(|output| output.status.success()) {
        eprintln!("NOT RUN with {test}: this machine gives no mounts of one's own (unshare --mount)");
        return None;
    }
    wrapper.extend(["bash", "-ec", script, "bash"]);
    Some(run_again(test, directory, &wrapper, None))
}

#[test]
fn a_mounted_file_is_written_in_place() {
    let (directory, path) = env_file(0o640);
    fs::write(directory.path().join("source"), OLD).unwrap();
    fs::set_permissions(directory.path().join("source"), fs::Permissions::from_mode(0o604)).unwrap();
    let Some(output) = with_mounts(
        "mount --bind source .env; exec \"$@\"",
        "save_in_place",
        directory.path(),
    ) else {
        return;
    };
    assert_ran(&output);
    assert_eq!(fs::read_to_string(directory.path().join("source")).unwrap(), NEW);
    assert_eq!(mode(&directory.path().join("source")), 0o604);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        OLD,
        "the file under the mount is another one"
    );
    assert_eq!(names(directory.path()), [".env", "source"]);
}

#[test]
#[ignore = "run by another test, with the file being a mount"]
fn save_in_place() {
    let mut file = file::open(".env").unwrap();
    assert!(file.save(&edited(&file)).unwrap().unwrap().in_place);
    // Shorter than before: nothing of the old content stays behind.
    let shorter = Document::parse("A=1\n");
    assert!(file.save(&shorter).unwrap().unwrap().in_place);
    assert_eq!(fs::read_to_string(".env").unwrap(), "A=1\n");
    file.save(&Document::parse(NEW)).unwrap();
}

#[test]
fn on_a_disk_that_is_really_full_the_file_is_left_alone() {
    let (directory, _) = env_file(0o600);
    let script = "mount -t tmpfs -o size=16k tmpfs . && cd \"$PWD\"
        printf 'A=old\\nB=2\\n' >.env
        dd if=/dev/zero of=fill bs=1k count=64 2>errors || true
        exec \"$@\"";
    if let Some(output) = with_mounts(script, "refused_save", directory.path()) {
        assert_ran(&output);
    }
}

#[test]
fn a_mounted_file_on_a_full_disk_gets_its_old_content_back() {
    let (directory, _) = env_file(0o600);
    let script = "mkdir full; mount -t tmpfs -o size=16k tmpfs full
        printf 'A=old\\nB=2\\n' >full/env
        dd if=/dev/zero of=full/fill bs=1k count=64 2>errors || true
        mount --bind full/env .env; exec \"$@\"";
    if let Some(output) = with_mounts(script, "refused_in_place", directory.path()) {
        assert_ran(&output);
        assert_eq!(names(directory.path()), [".env", "errors", "full"]);
    }
}

#[test]
#[ignore = "run by another test, with the file being a mount of a full disk"]
fn refused_in_place() {
    let mut file = file::open(".env").unwrap();
    let mut doc = file.document();
    doc.set("A", "new".repeat(5_000), Reader::ALL).unwrap();
    let error = file.save(&doc).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Io {
                doing: "write in place",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(fs::read_to_string(".env").unwrap(), OLD);
}
