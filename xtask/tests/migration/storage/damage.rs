//! What happens to objects after an upload is found, and never downloaded.

use super::stage::{Stage, leftovers};

const RUN: &str = "20261209_141502_3fa9";

#[test]
fn damage_in_the_storage_is_found_and_nothing_of_it_is_downloaded() {
    let stage = Stage::new("damage");
    let backup = stage.backup(RUN);
    let address = format!("s3://{}/labeler/20261209/{RUN}", stage.bucket);
    let key = |name: &str| format!("labeler/20261209/{RUN}/{name}");
    stage.xtask(&["backup", "upload", RUN]).ends(0);
    let name = key("backup/labeler/3002.dat");
    let good = std::fs::read(backup.join("labeler/3002.dat")).unwrap();
    let other: Vec<u8> = good.iter().map(|byte| byte ^ 1).collect();
    let found = |what: &str| {
        let verify = stage.xtask(&["backup", "verify", &address]);
        assert!(
            verify.ends(3).stdout.contains(what),
            "{what:?} is not in {}",
            verify.all()
        );
    };
    let nothing_comes = |code: i32| {
        let target = stage.root.join("down");
        let ran = stage.xtask(&["backup", "download", &address, &target.display().to_string()]);
        ran.ends(code);
        assert!(!target.exists(), "a damaged backup shows under its name");
        assert_eq!(leftovers(&stage.root), [""; 0]);
        ran
    };

    // Other bytes of the same length.
    stage.put(&name, &other, &[]);
    found("object backup/labeler/3002.dat was written again after the upload");
    nothing_comes(3).says("file 3002.dat of archive labeler has another SHA-256");
    let full = stage.xtask(&["backup", "verify", &address, "--full"]);
    assert!(
        full.ends(3)
            .stdout
            .contains("file 3002.dat of archive labeler has another SHA-256")
    );
    assert_eq!(leftovers(&stage.root.join(".xtask")), [""; 0]);
    // A marker without ETags: what a list cannot tell is not called intact.
    stage.put(&name, &good, &[]);
    let marker = std::fs::read_to_string(stage.read(&key("complete.json"))).unwrap();
    let mut old: serde_json::Value = serde_json::from_str(&marker).unwrap();
    for file in old["files"].as_array_mut().unwrap() {
        file.as_object_mut().unwrap().remove("etag");
    }
    stage.put(&key("complete.json"), old.to_string().as_bytes(), &[]);
    stage
        .xtask(&["backup", "verify", &address])
        .ends(20)
        .says("records no ETags");
    stage.xtask(&["backup", "verify", &address, "--full"]).ends(0);
    stage.put(&key("complete.json"), marker.as_bytes(), &[]);
    // Cut short.
    stage.put(&name, &good[1..], &[]);
    found("object backup/labeler/3002.dat has");
    nothing_comes(3).says("bytes instead of");
    // Not repaired either: what is complete is never written again.
    let objects = stage.objects();
    stage
        .xtask(&["backup", "upload", RUN])
        .ends(3)
        .says("object backup/labeler/3002.dat has");
    assert_eq!(stage.objects(), objects);
    // Gone; and something that was never part of it.
    stage
        .aws(&[
            "s3api",
            "delete-object",
            "--bucket",
            &stage.bucket,
            "--key",
            &name,
        ])
        .ends(0);
    stage.put(&key("backup/labeler/../../evil"), b"x", &[]);
    found("object backup/labeler/3002.dat is missing");
    found("evil is not named by complete.json");
    nothing_comes(3).says("has a name that no backup has");
    // A marker that makes no sense, and none at all.
    stage.put(&key("complete.json"), b"{", &[]);
    found("complete.json cannot be understood");
    nothing_comes(3);
    let marker = key("complete.json");
    stage
        .aws(&[
            "s3api",
            "delete-object",
            "--bucket",
            &stage.bucket,
            "--key",
            &marker,
        ])
        .ends(0);
    stage
        .xtask(&["backup", "verify", &address])
        .ends(20)
        .says("its upload was never complete");
    nothing_comes(20);
}
