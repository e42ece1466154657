//! What stops an upload in the middle: the same command ends it the same.

use std::net::TcpListener;
use std::time::Duration;

use super::proxy::{Fault, Proxy};
use super::stage::{LARGE, Stage, leftovers};
use crate::support::runner;

const RUN: &str = "20261209_141502_3fa9";

/// Nothing counts as complete, and the same command, on the server itself, sends the rest only.
#[track_caller]
fn the_same_command_goes_on(stage: &Stage) {
    assert!(!stage.is_complete(), "{:?}", stage.objects());
    stage.settings(&stage.url, "parallel = 1");
    let address = format!("s3://{}/labeler/20261209/{RUN}", stage.bucket);
    let down = stage.root.join("down").display().to_string();
    stage
        .xtask(&["backup", "download", &address, &down])
        .ends(20)
        .says("its upload was never complete");
    let list = stage.xtask(&["backup", "list", "s3://"]);
    assert!(list.ends(0).stdout.contains("not complete"), "{}", list.all());
    let document = stage.xtask(&["backup", "upload", RUN, "--json"]).ends(0).json();
    let sent = document["bytes_sent"].as_u64().unwrap();
    // One part of the large file had arrived.
    assert!(sent > 0 && sent < LARGE as u64, "{document}");
    stage.xtask(&["backup", "verify", &address, "--full"]).ends(0);
    assert_eq!(leftovers(&stage.root.join(".xtask/backups").join(RUN)), [""; 0]);
    let uploads = stage.aws(&["s3api", "list-multipart-uploads", "--bucket", &stage.bucket]);
    assert_eq!(uploads.ends(0).json()["Uploads"], serde_json::Value::Null);
}

#[test]
fn a_server_that_stops_during_an_upload_leaves_nothing_complete_and_the_upload_goes_on() {
    let stage = Stage::new("stops");
    stage.backup(RUN);
    // The manifest, two parts; the third and everything after it finds nobody.
    let proxy = Proxy::start(&stage.url, Fault::Stop(3));
    stage.settings(&proxy.url, "parallel = 1\nattempts = 1");
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
    let proxy = Proxy::start(&stage.url, Fault::Hold(3));
    stage.settings(&proxy.url, "parallel = 1\nattempts = 1");
    let child = runner()
        .spawn(&stage.cmd(&["backup", "upload", RUN]), None)
        .unwrap();
    let held = proxy.held.recv_timeout(Duration::from_secs(300)).unwrap();
    // Kills it at once: SIGKILL to its process group.
    drop(child);
    drop(held);
    the_same_command_goes_on(&stage);
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
