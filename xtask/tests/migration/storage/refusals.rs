//! What is missing or in the way is said before anything is changed.

use super::stage::{Stage, make_backup};

const RUN: &str = "20261209_141502_3fa9";

#[test]
fn what_an_upload_needs_is_asked_for_before_anything_is_sent() {
    let stage = Stage::new("needs");
    let backup = stage.backup(RUN);
    let upload = ["backup", "upload", RUN];
    let with = |set: &str| stage.xtask(&[&upload[..], &["--set", set]].concat());
    with("storage.bucket=no-such-bucket")
        .ends(20)
        .says("error[storage.bucket]: An error occurred (NoSuchBucket)")
        .says("there is no bucket no-such-bucket");
    // A bucket that was typed is no setting's.
    let typed = stage.xtask(&["backup", "list", "s3://no-such-bucket/"]);
    typed
        .ends(20)
        .says("an address with a bucket that is there")
        .says("hint: aws s3 ls --endpoint-url ")
        .never_says("storage.bucket=NAME");
    with("storage.bucket=")
        .ends(20)
        .says("error[storage.bucket]: no bucket is set");
    with("storage.profile=nobody")
        .ends(20)
        .says("error[storage.credentials]");
    with("storage.endpoint-url=https://id:hidden@example.org")
        .ends(2)
        .says("holds a login")
        .never_says("hidden");
    with("storage.endpoint-url=http://example.org")
        .ends(2)
        .says("not encrypted on its way");
    stage
        .xtask(&["backup", "upload", RUN, "https://x"])
        .ends(2)
        .says("is no address");

    // No client: what to install, on this system.
    let bare = stage
        .cmd(&[&upload[..], &["--set", "storage.program="]].concat())
        .env("PATH", stage.root.join("nothing"));
    crate::support::run(bare)
        .ends(20)
        .says("error[storage.client]: the aws client is not on this machine")
        .says("hint: https://aws.amazon.com/cli")
        .says("hint: python3 -m pip install");

    // A client that is too old: which one, and which would do.
    #[cfg(unix)]
    for version in ["2.9.19", "1.22.97"] {
        use std::os::unix::fs::PermissionsExt;
        let old = stage.root.join("aws");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in\n--version) echo aws-cli/{version} Python/3.11.2;;\n*list-objects*) ;;\n\
             *) echo 'Unknown options: --if-none-match,*' >&2; exit 252;;\nesac\n"
        );
        crate::support::write(&old, script);
        std::fs::set_permissions(&old, PermissionsExt::from_mode(0o755)).unwrap();
        with(&format!("storage.program={}", old.display()))
            .ends(20)
            .says("error[storage.client]: Unknown options: --if-none-match,*")
            .says(&format!(
                "is aws-cli/{version}; aws-cli/1.35.0, aws-cli/2.18.0 or newer is needed"
            ))
            .says("hint: python3 -m pip install");
    }

    // A backup that is not what its manifests say is not sent.
    crate::support::write(&backup.join("labeler").join("3002.dat"), "ROWS");
    stage
        .xtask(&upload)
        .ends(3)
        .says("file 3002.dat of archive labeler has 4 bytes");
    std::fs::remove_file(backup.join("manifest.json")).unwrap();
    stage.xtask(&upload).ends(20).says("is no complete backup");
    assert!(stage.objects().is_empty(), "{:?}", stage.objects());
}

#[test]
fn what_is_there_is_never_overwritten() {
    let stage = Stage::new("occupied");
    stage.backup(RUN);
    let address = format!("s3://{}/labeler/20261209/{RUN}", stage.bucket);
    let other = stage.root.join("other");
    make_backup(&other, "20261208_000000_aaaa");
    let other = other.display().to_string();

    // Somebody's file.
    stage.put("notes/todo.txt", b"mine", &[]);
    let notes = format!("s3://{}/notes", stage.bucket);
    stage
        .xtask(&["backup", "upload", RUN, &notes])
        .ends(20)
        .says("todo.txt, which is no part of this backup");
    // A part of another backup: its manifest has claimed the folder.
    let claimed = format!("s3://{}/claimed", stage.bucket);
    let manifest = std::fs::read(stage.root.join("other/manifest.json")).unwrap();
    stage.put("claimed/backup/manifest.json", &manifest, &[]);
    stage
        .xtask(&["backup", "upload", RUN, &claimed])
        .ends(20)
        .says("holds a part of another backup");
    // A complete other one.
    stage.xtask(&["backup", "upload", &other, &address]).ends(0);
    let before = stage.objects();
    stage
        .xtask(&["backup", "upload", RUN, &address])
        .ends(20)
        .says("holds another backup, of run 20261208_000000_aaaa");
    assert_eq!(stage.objects(), before);
}
