//! Up and down again.

use super::stage::{LARGE, Stage, leftovers, tree};
use crate::support::Rehearsal;

const RUN: &str = "20261209_141502_3fa9";

#[test]
fn a_backup_comes_back_from_the_storage_with_the_same_bytes() {
    let stage = Stage::new("round");
    stage.settings(&stage.url, "encryption = \"aes256\"");
    let backup = stage.backup(RUN);
    let before = tree(&backup);
    let address = format!("s3://{}/labeler/20261209/{RUN}", stage.bucket);

    let up = stage.xtask(&["backup", "upload", RUN]);
    up.ends(0).says("the list was compared");
    assert_eq!(up.stdout.trim(), address);
    let objects = stage.objects();
    let names: Vec<&str> = objects
        .keys()
        .map(|key| key.rsplit(RUN).next().unwrap())
        .collect();
    let wanted = [
        "/backup/labeler.json",
        "/backup/labeler/3001.dat",
        "/backup/labeler/3002.dat",
        "/backup/manifest.json",
        "/complete.json",
    ];
    assert_eq!(names, wanted);
    let key = format!("labeler/20261209/{RUN}/backup/labeler/3001.dat");
    assert_eq!(objects[&key].0, LARGE as u64);
    let head = ["s3api", "head-object", "--bucket", &stage.bucket, "--key", &key];
    let head = stage.aws(&[&head[..], &["--checksum-mode", "ENABLED"]].concat());
    assert!(
        head.ends(0).json()["ChecksumSHA256"].is_string(),
        "{}",
        head.all()
    );
    assert_eq!(head.json()["ServerSideEncryption"], "AES256");
    assert_eq!(leftovers(&backup), [""; 0]);

    // Once more: nothing is sent, nothing changes.
    let again = stage.xtask(&["backup", "upload", RUN, &address, "--json"]);
    assert_eq!(again.ends(4).json()["bytes_sent"], 0);
    assert_eq!(stage.objects(), objects);

    let list = stage.xtask(&["backup", "list", "s3://", "--json"]).ends(0).json();
    assert_eq!(list["backups"][0]["location"], *address);
    assert_eq!(list["backups"][0]["complete"], true);
    let local = stage.xtask(&["backup", "list", "--json"]).ends(0).json();
    assert_eq!(local["backups"][0]["uploads"][0], *address);
    stage
        .xtask(&["backup", "verify", &address])
        .ends(0)
        .says("names, sizes and ETags are those of the upload");
    stage
        .xtask(&["backup", "verify", &address, "--full"])
        .ends(0)
        .says("intact");

    let down = stage.root.join("down");
    let target = down.display().to_string();
    stage.xtask(&["backup", "download", &address, &target]).ends(0);
    assert!(tree(&down) == before, "other bytes came back");
    assert_eq!(leftovers(&stage.root), [""; 0]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name: &str| std::fs::metadata(down.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(""), mode("labeler"), mode("labeler/3002.dat")),
            (0o700, 0o700, 0o600)
        );
    }
    stage
        .xtask(&["backup", "download", &address, &target])
        .ends(20)
        .says("is there already");
}

/// What came down is a backup like any other: verified, restored, compared table by table.
#[test]
fn a_downloaded_backup_restores_and_compares_equal() {
    let stage = Stage::new("restore");
    let rehearsal = Rehearsal::local("storage");
    let workspace = &rehearsal.workspace;
    let own = std::fs::read_to_string(workspace.root.join(".xtask/local.toml")).unwrap();
    let storage = std::fs::read_to_string(stage.root.join(".xtask/local.toml")).unwrap();
    let both = format!("{own}\n{storage}");
    infra::files::write_private(&workspace.root.join(".xtask/local.toml"), both.as_bytes()).unwrap();
    let xtask = |args: &[&str]| {
        let cmd = crate::support::with_env(workspace.cmd(args), &stage.env);
        crate::support::run(cmd)
    };
    xtask(&["backup", "create", "--only", "labeler", "--json"]).ends(0);
    let list = xtask(&["backup", "list", "--json"]).ends(0).json();
    let run = list["backups"][0]["id"].as_str().unwrap().to_owned();
    let address = xtask(&["backup", "upload", &run])
        .ends(0)
        .stdout
        .trim()
        .to_owned();
    // As on another machine: the local copy is gone.
    std::fs::remove_dir_all(workspace.root.join(".xtask/backups").join(&run)).unwrap();
    xtask(&["backup", "download", &address]).ends(0);
    xtask(&["backup", "verify", &run]).ends(0).says("intact");
    workspace.start("target");
    xtask(&["restore", &run, "--database", "labeler", "--yes"]).ends(0);
    let password = workspace.text("target.password");
    xtask(&["status"]).ends(0).never_says(&password);
}
