//! Containers that die in the middle: the new instance while it is restored to, the reader of an old one while it is
//! dumped.

use std::time::Duration;

use infra::{Interrupt, wait};

use super::containers::{V2, ask_container, prepared, status};
use super::support::{DATABASES, Ran, Workspace, docker, run};

/// Migrates, and kills a container as soon as a step has begun.
#[track_caller]
fn migrate_and_kill(workspace: &Workspace, step: &str, container: impl Fn(&str) -> String) -> Ran {
    migrate_and(workspace, step, |id| {
        docker(&["kill", &container(id)]).ends(0);
    })
}

/// Migrates, and does something to the world as soon as a step of the run has begun.
#[track_caller]
pub(super) fn migrate_and(workspace: &Workspace, step: &str, blow: impl FnOnce(&str)) -> Ran {
    let before = workspace.runs().len();
    let cmd = workspace.cmd(&["migrate", "--yes"]);
    let migration = std::thread::spawn(move || run(cmd));
    let begun = || {
        let run = workspace.runs().into_iter().nth(before)?;
        let journal = std::fs::read_to_string(run.join("journal.jsonl")).ok()?;
        let step = format!("\"step\":\"{step}\"");
        let begins = |line: &str| line.contains("\"step-started\"") && line.contains(&step);
        let id = run.file_name()?.to_string_lossy().into_owned();
        journal.lines().any(begins).then_some(id)
    };
    let (limit, every) = (Duration::from_secs(600), Duration::from_millis(20));
    let id = wait::watch(&Interrupt::default(), limit, every, begun).unwrap();
    blow(&id);
    migration.join().unwrap()
}

#[test]
#[ignore = "needs Docker"]
fn a_container_that_is_killed_in_the_middle_loses_nothing() {
    let rehearsal = prepared("killed-containers", V2, "running");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    let count = "SELECT count(*) FROM annotations";
    let old = workspace.text("databases.labeler.source.containers.0");
    let rows = ask_container(&old, "labeler_user", "labeler", count);
    let target = workspace.text("target.container");

    migrate_and_kill(workspace, "restore", |_| target.clone())
        .ends(21)
        .says("failed to restore and compare")
        .says(".env is untouched");
    assert!(workspace.env_bytes() == env);
    workspace.xtask(&["migrate", "--resume"]).ends(0);
    assert_eq!(ask_container(&target, "admin", "labeler", count), rows);
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    assert_eq!(ask_container(&old, "labeler_user", "labeler", count), rows);
    workspace.xtask(&["cleanup", "--yes"]);

    migrate_and_kill(workspace, "backup", |id| format!("xtask-reader-{id}-labeler")).ends(21);
    // Its unlogged tables are empty now. Nobody takes that for what they held, and the rest is there.
    workspace
        .xtask(&["migrate", "--resume"])
        .ends(21)
        .says("unlogged tables");
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    for database in DATABASES {
        let old = workspace.text(&format!("databases.{database}.source.containers.0"));
        assert_eq!(status(&old).as_deref(), Some("running"), "{database}");
    }
    assert_eq!(ask_container(&old, "labeler_user", "labeler", count), rows);
    assert!(workspace.env_bytes() == env);
}
