//! The migration's own upload is killed, meets a network that swallows everything, and a server that goes away.

use std::time::Duration;

use infra::command::{Signal, send};

use super::{DATASETS, MIGRATE, OPEN, PROFILE, Production};
use crate::storage::proxy::{Fault, Proxy};
use crate::storage::stage::{SECRET, Stage, leftovers};
use crate::support::{ask, runner};

#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn an_upload_of_a_run_that_is_killed_or_cut_off_resumes_to_the_same_end() {
    let mut production = Production::prepare("upload");
    let stage = Stage::new("run-upload");
    let proxy = Proxy::start(&stage.url, Fault::Hold(3));
    // The limits of the client, so that a silent server ends the step and not a person.
    stage.settings(&proxy.url, "attempts = 1\nread-timeout-seconds = 10");
    let storage = std::fs::read_to_string(stage.root.join(".xtask/local.toml")).unwrap();
    let storage: toml_edit::DocumentMut = storage.parse().unwrap();
    let workspace = &mut production.rehearsal.workspace;
    for (key, value) in storage["storage"].as_table().unwrap() {
        workspace.set(&format!("storage.{key}"), value.as_value().unwrap().clone());
    }
    workspace.env.extend(stage.env.iter().cloned());
    let (old, new) = (production.service("old"), production.service("new"));
    let rows = ask(&old, "labeler", DATASETS);
    // The application has its new server already; the storage holds nothing that counts as a backup.
    let still_moved = || {
        assert_eq!(ask(&new, "labeler", DATASETS), rows);
        assert_eq!(ask(&old, "postgres", OPEN), "f", "the old database is closed");
        let port = production.workspace().port("profiles.production.target.port");
        assert_eq!(production.workspace().env("LABELER_DB_PORT"), port.to_string());
        assert!(!stage.is_complete(), "{:?}", stage.objects());
    };

    // In the middle of the third object: kill -9 of the tool alone, as the system does it when memory is short.
    let workspace = production.workspace();
    let cmd = workspace.cmd(&[&PROFILE[..], &MIGRATE].concat());
    let log = workspace.root.join("upload.log");
    let child = runner().spawn_server(&cmd, &log).unwrap();
    let limit = Duration::from_secs(600);
    let held = infra::wait::until(runner().interrupt(), limit, || {
        let held = proxy.held.try_recv().ok();
        (held.is_some() || child.ended().is_some()).then_some(held)
    });
    let said = || std::fs::read_to_string(&log).unwrap();
    let held = held
        .unwrap()
        .unwrap_or_else(|| panic!("it ended before its upload:\n{}", said()));
    assert!(send(child.pid().unwrap(), Signal::Kill));
    let ended = infra::wait::until(runner().interrupt(), Duration::from_secs(60), || child.ended());
    assert_eq!(ended, Ok(None), "it was not killed:\n{}", said());
    drop(held);
    let last = production.journal().pop().unwrap();
    assert!(last.contains("upload") && last.contains("started"), "{last}");
    still_moved();

    // Every later write is taken and never answered.
    let silent = production.xtask(&["migrate", "--resume"]);
    silent
        .ends(21)
        .says("failed to upload")
        .says("the target is in use")
        .never_says(SECRET);
    still_moved();

    // Two more objects, and then nobody listens.
    proxy.becomes(Some(Fault::Stop(3)));
    let stopped = production.xtask(&["migrate", "--resume"]);
    stopped
        .ends(21)
        .says("failed to upload")
        .says("cargo xtask migrate --profile production --resume")
        .never_says(SECRET);
    still_moved();

    proxy.becomes(None);
    let resumed = production.xtask(&["migrate", "--resume", "--json"]);
    let document = resumed.ends(0).never_says(SECRET).json();
    assert!(stage.is_complete());
    assert_eq!(ask(&new, "labeler", DATASETS), rows);
    let run = production.workspace().runs().pop().unwrap();
    let id = run.file_name().unwrap().to_str().unwrap().to_owned();
    let address = format!("s3://{}/labeler/{}/{id}", stage.bucket, &id[..8]);
    assert_eq!(document["uploads"], serde_json::json!([address]));
    let status = production.xtask(&["status", "--json"]).ends(0).json();
    assert_eq!(status["runs"][0]["uploads"], serde_json::json!([address]));
    production
        .xtask(&["backup", "verify", &address, "--full"])
        .ends(0)
        .says("intact");
    assert_eq!(leftovers(&run.join("backup")), [""; 0]);
    // Nothing is restored into another team's database, and into a server that is not ours only by its name.
    let restore = ["restore", &id, "--database", "labeler", "--yes", "--into"];
    production
        .xtask(&[&restore[..], &["users", "--set-aside-existing"]].concat())
        .ends(20)
        .says("another team's");
    production
        .xtask(&[&restore[..], &["again"]].concat())
        .ends(20)
        .says("nobody named the target's host");
    let uploads = stage.aws(&["s3api", "list-multipart-uploads", "--bucket", &stage.bucket]);
    assert_eq!(uploads.ends(0).json()["Uploads"], serde_json::Value::Null);
    let audit = std::fs::read_to_string(run.join("audit.jsonl")).unwrap();
    assert!(
        audit.contains("stopped at upload") && audit.contains("finished"),
        "{audit}"
    );
    assert!(!audit.contains(SECRET), "a secret is in the audit");
    assert!(audit.lines().last().unwrap().contains(&address), "{audit}");
    production.xtask(&["migrate", "--resume"]).ends(4);
}
