//! What stops an upload in the middle: the same command ends it the same.

use std::net::TcpListener;
use std::time::Duration;

use super::proxy::{Fault, Proxy};
use super::stage::{LARGE, Stage, leftovers, tree};
use crate::support::runner;

const RUN: &str = "20261209_141502_3fa9";

/// Nothing counts as complete, and the same command, on the server itself, sends the rest only.
#[track_caller]
fn the_same_command_goes_on(stage: &Stage) {
    assert!(!stage.is_complete(), "{:?}", stage.objects());
    stage.settings(&stage.url, "");
    let address = format!("s3://{}/labeler/20261209/{RUN}", stage.bucket);
    let down = stage.root.join("down").display().to_string();
    stage
        .xtask(&["backup", "download", &address, &down])
        .ends(20)
        .says("its upload was never complete");
    let list = stage.xtask(&["backup", "list", "s3://"]);
    assert!(list.ends(0).stdout.contains("not complete"), "{}", list.all());
    let there = stage.objects();
    let is_missing = |name: &&String| {
        !name.starts_with(infra::files::TEMPORARY)
            && !there.contains_key(&format!("labeler/20261209/{RUN}/backup/{name}"))
    };
    let files = tree(&stage.root.join(".xtask/backups").join(RUN));
    let missing: Vec<&String> = files.keys().filter(is_missing).collect();
    let [missing] = missing[..] else {
        panic!("not one file is missing, but {missing:?}");
    };
    let document = stage.xtask(&["backup", "upload", RUN, "--json"]).ends(0).json();
    assert_eq!(document["bytes_sent"], files[missing].len(), "{document}");
    stage.xtask(&["backup", "verify", &address, "--full"]).ends(0);
    assert_eq!(leftovers(&stage.root.join(".xtask/backups").join(RUN)), [""; 0]);
}

#[test]
fn a_server_that_stops_during_an_upload_leaves_nothing_complete_and_the_upload_goes_on() {
    let stage = Stage::new("stops");
    stage.backup(RUN);
    // Of manifest, document, two parts, what puts them together and the small file, the last finds nobody.
    let proxy = Proxy::start(&stage.url, Fault::Stop(6));
    stage.settings(&proxy.url, "attempts = 1");
    stage
        .xtask(&["backup", "upload", RUN])
        .ends(21)
        .says("hint: cargo xtask backup upload");
    the_same_command_goes_on(&stage);
}

#[cfg(unix)]
#[test]
fn an_upload_that_was_killed_goes_on_and_ends_the_same() {
    let stage = Stage::new("killed");
    stage.backup(RUN);
    let proxy = Proxy::start(&stage.url, Fault::Hold(6));
    stage.settings(&proxy.url, "attempts = 1");
    let child = runner()
        .spawn(&stage.cmd(&["backup", "upload", RUN]), None)
        .unwrap();
    let held = proxy.held.recv_timeout(Duration::from_secs(300)).unwrap();
    // Kills it at once: SIGKILL to its process group.
    drop(child);
    drop(held);
    the_same_command_goes_on(&stage);
}

/// Bytes that an upload sends when its manifest is there, and a large file that was cut into parts of another size than
/// the client's usual one; with `damage`, one byte of it differs.
#[track_caller]
fn sent_beside_a_large_file(name: &str, damage: bool) -> (u64, u64) {
    let stage = Stage::new(name);
    let backup = stage.backup(RUN);
    let key = |name: &str| format!("labeler/20261209/{RUN}/backup/{name}");
    let sha256 = ["--checksum-algorithm", "SHA256"];
    let manifest = std::fs::read(backup.join("manifest.json")).unwrap();
    stage.put(&key("manifest.json"), &manifest, &sha256);
    let mut bytes = std::fs::read(backup.join("labeler/3001.dat")).unwrap();
    bytes[6 << 20] ^= u8::from(damage);
    let file = stage.root.join("large");
    crate::support::write(&file, &bytes);
    stage.configure("multipart_chunksize = 5MB");
    let to = format!("s3://{}/{}", stage.bucket, key("labeler/3001.dat"));
    let copy = ["s3", "cp", &file.display().to_string(), &to];
    stage.aws(&[&copy[..], &sha256[..]].concat()).ends(0);
    let document = stage.xtask(&["backup", "upload", RUN, "--json"]).ends(0).json();
    let rest = ["labeler.json", "labeler/3002.dat"].map(|name| backup.join(name).metadata().unwrap().len());
    (document["bytes_sent"].as_u64().unwrap(), rest.iter().sum())
}

#[test]
fn a_large_file_that_arrived_in_parts_of_any_size_is_not_sent_again() {
    let (sent, rest) = sent_beside_a_large_file("parts", false);
    assert_eq!(sent, rest);
}

#[test]
fn a_large_file_that_arrived_with_other_bytes_is_sent_again() {
    let (sent, rest) = sent_beside_a_large_file("other-parts", true);
    assert_eq!(sent, rest + LARGE as u64);
}

/// A server that takes connections and says nothing: the client's time limits end it.
#[test]
fn a_server_that_never_answers_is_given_up_in_bounded_time() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stage = Stage::at("silent", &url);
    stage.backup(RUN);
    stage.settings(&url, "attempts = 1\nread-timeout-seconds = 1");
    stage
        .xtask(&["backup", "upload", RUN])
        .ends(20)
        .says("error[storage.unreachable]")
        .says("does not answer");
    stage
        .xtask(&["backup", "verify", "s3://bucket/labeler/x"])
        .ends(20)
        .says("error[storage.unreachable]");
    drop(listener);
    // Now nobody listens.
    stage
        .xtask(&["backup", "list", "s3://"])
        .ends(20)
        .says("error[storage.unreachable]");
}
