//! The application that runs while somebody migrates.

use std::time::Duration;

use infra::{Cmd, http, ports, wait};

use super::support::{Rehearsal, Workspace, runner};

/// The sample application from this folder, on a free port that the settings name. Ends with the value.
fn start(workspace: &mut Workspace, backend: &std::path::Path) -> (infra::command::Child, u16) {
    let port = ports::free(1).unwrap()[0];
    let mut looked_at = toml_edit::Array::new();
    looked_at.push(i64::from(port));
    workspace.set("application.ports", looked_at);
    let environment = std::path::PathBuf::from(workspace.text("labeler.virtual-environments.0"));
    let python = environment.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    let cmd = Cmd::new(python, "start the application")
        .cwd(backend)
        .args(["-m", "uvicorn", "app.main:app", "--host", "127.0.0.1", "--port"])
        .arg(port.to_string());
    let log = workspace.root.join("application.log");
    let child = runner().spawn_server(&cmd, &log).unwrap();
    let url = format!("http://127.0.0.1:{port}/health");
    wait::until(&infra::Interrupt::default(), Duration::from_secs(120), || {
        http::get(&url, 2).ok()
    })
    .unwrap();
    (child, port)
}

#[test]
fn the_application_is_stopped_before_its_databases_are_taken_and_everybody_is_told() {
    let mut rehearsal = Rehearsal::local("running-application");
    let backend = rehearsal.workspace.labeler.join("backend");
    let (child, port) = start(&mut rehearsal.workspace, &backend);
    let workspace = &rehearsal.workspace;

    let dry = workspace.xtask(&["migrate", "--dry-run"]);
    dry.ends(0).says("stopped first");
    assert!(dry.stdout.contains("stop the application"), "{}", dry.all());
    assert_eq!(child.ended(), None, "a dry run stops nothing");

    let ran = workspace.xtask(&["migrate", "--yes"]);
    ran.ends(0).says("start it again");
    assert!(ports::is_free(port));
    wait::until(&infra::Interrupt::default(), Duration::from_secs(60), || {
        child.ended()
    })
    .unwrap();
}

#[test]
fn what_was_started_from_elsewhere_is_not_ours_to_stop() {
    let mut rehearsal = Rehearsal::local("foreign-application");
    let elsewhere = rehearsal.workspace.root.join("another checkout");
    super::support::copy_tree(&rehearsal.workspace.labeler.join("backend"), &elsewhere);
    let (child, _) = start(&mut rehearsal.workspace, &elsewhere);
    let ran = rehearsal.workspace.xtask(&["migrate", "--yes"]);
    ran.ends(0)
        .says("warning[application.running]")
        .never_says("stop the application");
    assert_eq!(child.ended(), None, "it serves on");
    child.stop(Duration::from_secs(20));
}

#[test]
fn databases_that_are_left_out_may_be_down() {
    let rehearsal = Rehearsal::local("left-out");
    let workspace = &rehearsal.workspace;
    for database in ["platform", "users"] {
        workspace.stop(database);
    }
    workspace
        .xtask(&["migrate", "--yes", "--only", "labeler"])
        .ends(0)
        .says("the application says that platform_db is")
        .says("that database took no part in this run");
}
