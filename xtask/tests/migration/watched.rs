//! Old containers that something else starts while a migration runs, and what a server that exits says.

use std::time::Duration;

use infra::{Interrupt, wait};

use super::containers::{Temporary, V2, ask_container, prepared, rehearsal_image, status};
use super::killed_containers::migrate_and;
use super::support::{Rehearsal, Workspace, docker, run, runner, write};

const COUNT: &str = "SELECT count(*) FROM annotations";

/// A migration during whose restore something else starts the old container of the labeler.
#[track_caller]
fn started_in_the_middle(name: &str) -> (Rehearsal, String, String) {
    let rehearsal = prepared(name, V2, "running");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    let old = workspace.text("databases.labeler.source.containers.0");
    let rows = ask_container(&old, "labeler_user", "labeler", COUNT);
    let failed = migrate_and(workspace, "restore", |_| {
        docker(&["start", &old]).ends(0);
    });
    failed
        .ends(21)
        .says(&format!(
            "container {old}, which uses the old data of labeler, was started by something else"
        ))
        .says("hint: cargo xtask migrate --resume");
    assert_eq!(
        status(&old).as_deref(),
        Some("exited"),
        "the old container runs on"
    );
    assert!(workspace.env_bytes() == env, ".env is untouched");
    (rehearsal, old, rows)
}

#[test]
#[ignore = "needs Docker"]
fn an_old_container_that_starts_during_the_run_is_stopped_and_the_untouched_run_resumes() {
    let (rehearsal, old, rows) = started_in_the_middle("started-untouched");
    let workspace = &rehearsal.workspace;
    workspace.xtask(&["migrate", "--resume"]).ends(0);
    let target = workspace.text("target.container");
    assert_eq!(ask_container(&target, "admin", "labeler", COUNT), rows);
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(22)
        .says("the old database of labeler answers and holds what its backup holds");
    assert_eq!(ask_container(&old, "labeler_user", "labeler", COUNT), rows);
}

#[test]
#[ignore = "needs Docker"]
fn a_row_written_to_an_old_container_during_the_run_is_never_left_behind() {
    let (rehearsal, old, rows) = started_in_the_middle("started-written");
    let workspace = &rehearsal.workspace;
    docker(&["start", &old]).ends(0);
    let more = "CREATE TABLE written_in_between AS SELECT 7 AS n; SELECT count(*) FROM written_in_between";
    ask_container(&old, "labeler_user", "labeler", more);
    workspace
        .xtask(&["migrate", "--resume"])
        .ends(21)
        .says("the old instance of labeler was written to after its backup was taken");
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(22)
        .says("written_in_between");
    assert_eq!(ask_container(&old, "labeler_user", "labeler", COUNT), rows);
    let kept = "SELECT n FROM written_in_between";
    assert_eq!(ask_container(&old, "labeler_user", "labeler", kept), "7");
}

/// Runs a command on the files of the old instance of the users.
#[track_caller]
fn in_the_old_volume(workspace: &Workspace, command: &str) {
    let volume = workspace.text("databases.users.source.volumes.0");
    let mount = format!("type=volume,source={volume},target=/old");
    let image = workspace.text("target.image");
    let args = [
        "run",
        "--rm",
        "--mount",
        &mount,
        "--entrypoint",
        "sh",
        &image,
        "-c",
        command,
    ];
    docker(&args).ends(0);
}

#[test]
#[ignore = "needs Docker"]
fn an_old_container_that_exits_after_its_start_makes_the_rollback_incomplete_with_its_log() {
    let rehearsal = prepared("exits-again", V2, "running");
    let workspace = &rehearsal.workspace;
    let old = workspace.text("databases.users.source.containers.0");
    workspace.xtask(&["migrate", "--yes"]).ends(0);
    // What the server needs to start is gone meanwhile; the data are there.
    let volume = workspace.text("databases.users.source.volumes.0");
    let mount = format!("type=volume,source={volume},target=/old");
    let image = workspace.text("target.image");
    let with = |command: &str| {
        docker(&[
            "run",
            "--rm",
            "--mount",
            &mount,
            "--entrypoint",
            "sh",
            &image,
            "-c",
            command,
        ])
        .ends(0);
    };
    with("mv /old/postgresql.conf /old/kept");
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(23)
        .says(&format!(
            "the old instance of users cannot answer: container {old}"
        ))
        .says("could not access the server configuration file")
        .says(&format!("docker logs --tail 50 {old}"))
        .never_says("hint: cargo xtask rollback")
        .never_says("rolled back");
    in_the_old_volume(workspace, "mv /old/kept /old/postgresql.conf");
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    let count = "SELECT count(*) > 0 FROM users";
    assert_eq!(ask_container(&old, "admin", "users", count), "t");
}

#[test]
fn a_run_in_the_middle_is_the_only_diagnosis_of_the_doctor() {
    let rehearsal = Rehearsal::local("doctor-open-run");
    let workspace = &rehearsal.workspace;
    // Dies when the backup begins: the old instances are stopped.
    run(workspace.cmd(&["migrate", "--yes"]).env("XTASK_CRASH_AFTER", "8"));
    assert!(!workspace.runs().is_empty(), "no run began");
    let ran = workspace.xtask(&["doctor", "--json"]);
    let document = ran.ends(3).json();
    let hints = &document["problems"][0]["diagnoses"][0]["finding"]["hints"];
    let run = workspace.runs().pop().unwrap();
    let run = run.file_name().unwrap().to_string_lossy();
    let lines = [
        format!("cargo xtask migrate --resume {run}"),
        format!("cargo xtask rollback {run}"),
    ];
    assert_eq!(*hints, serde_json::json!(lines));
    let found: Vec<&str> = document["problems"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|problem| problem["result"] != "absent")
        .map(|problem| problem["id"].as_str().unwrap())
        .collect();
    assert_eq!(found, ["run-unfinished"], "{}", ran.all());
    // While a process works on it, there is nothing to decide.
    let held = std::fs::File::options()
        .write(true)
        .open(workspace.root.join(".xtask/lock"))
        .unwrap();
    held.lock().unwrap();
    let busy = workspace.xtask(&["doctor"]);
    assert!(busy.all().contains("is being worked on"), "{}", busy.all());
    busy.never_says("--resume");
    drop(held);
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    workspace.xtask(&["doctor"]).never_says("run-unfinished");
}

#[test]
#[ignore = "needs Docker"]
fn a_reader_that_exits_at_once_is_noticed_and_reported_with_its_log() {
    let rehearsal = prepared("reader-exits", V2, "running");
    let workspace = &rehearsal.workspace;
    let old = workspace.text("databases.users.source.containers.0");
    // A server that runs does not read it again; one that starts on the same files needs it.
    in_the_old_volume(workspace, "mv /old/postgresql.conf /old/kept");
    workspace
        .xtask(&["migrate", "--yes"])
        .ends(21)
        .says("has exited")
        .says("postgresql.conf")
        .never_says("answers no query within");
    in_the_old_volume(workspace, "mv /old/kept /old/postgresql.conf");
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    let count = "SELECT count(*) > 0 FROM users";
    assert_eq!(ask_container(&old, "admin", "users", count), "t");
}

#[test]
#[ignore = "needs Docker"]
fn a_rollback_waits_for_a_target_in_the_middle_of_its_first_start() {
    let rehearsal = prepared("first-start", V2, "running");
    let workspace = &rehearsal.workspace;
    let platform = std::path::PathBuf::from(workspace.text("platform.repository.0"));
    let scripts = platform.join("platform/infrastructure/init-scripts");
    // It runs before the script that makes the databases.
    let slow = "until [ -e /docker-entrypoint-initdb.d/go ]; do sleep 0.2; done\n";
    write(&scripts.join("00-slow.sh"), slow);
    workspace
        .xtask(&["migrate", "--yes", "--set", "limits.target-start-seconds=15"])
        .ends(21)
        .says("answers no query within 15s");
    let journal = workspace.runs().pop().unwrap().join("journal.jsonl");
    let cmd = workspace.cmd(&["rollback", "--yes"]);
    let rollback = std::thread::spawn(move || run(cmd));
    let begun = || {
        let text = std::fs::read_to_string(&journal).ok()?;
        let undoes = |line: &str| line.contains("\"undo-started\"") && line.contains("\"step\":\"target\"");
        text.lines().any(undoes).then_some(())
    };
    wait::until(&Interrupt::default(), Duration::from_secs(120), begun).unwrap();
    write(&scripts.join("go"), "");
    rollback.join().unwrap().ends(22);
    // Stopped in the middle it would never get them: a folder that is not empty is not prepared again.
    let target = workspace.text("target.container");
    let same_port = workspace.text("databases.platform.source.containers.0");
    docker(&["stop", &same_port]).ends(0);
    docker(&["start", &target]).ends(0);
    assert_eq!(ask_container(&target, "admin", "users", "SELECT 1"), "1");
}

#[test]
#[ignore = "needs Docker"]
fn a_server_that_is_still_in_its_entrypoint_hears_of_its_shutdown() {
    // The first process of a container that is a shell ignores the signal of `docker stop`, and would be killed in the end.
    let script = "sleep 2; exec docker-entrypoint.sh postgres";
    let image = rehearsal_image();
    let password = "POSTGRES_PASSWORD=devpass";
    let starting = Temporary::start(
        "entrypoint",
        &["-e", password, "--entrypoint", "bash", &image, "-c", script],
    );
    let limit = Duration::from_secs(60);
    infra::docker::stop_starting(&runner(), &starting.0, limit).unwrap();
    let state = docker(&[
        "inspect",
        "--format",
        "{{.State.Status}} {{.State.ExitCode}}",
        &starting.0,
    ]);
    let code = state.ends(0).stdout.trim();
    assert!(code.starts_with("exited") && code != "exited 137", "{code}");
}
