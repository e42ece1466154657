//! What a machine lacks, and the line to type for it.

use infra::programs::{Manager, Program};

use super::*;
use crate::observe::MachineSeen;

/// A machine with every program.
fn machine() -> MachineSeen {
    MachineSeen {
        programs: Program::ALL.map(|program| (program, Some("1".to_owned()))).into(),
        manager: Some(Manager::Apt),
        origin: Some("https://host.example/team/migration.git".to_owned()),
        python: Some("/usr/bin/python3".into()),
        ..MachineSeen::default()
    }
}

/// The world of a machine that never had the old instances, with one change.
fn findings(machine: &MachineSeen, change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut world = world();
    for name in ["platform", "users", "labeler"] {
        world["sources"][name] = json!({
            "state": "absent", "running": false, "server": null, "database": null, "revisions": null,
            "login_problem": null, "problem": null,
        });
    }
    world["target"]["port_holder"] = Value::Null;
    change(&mut world);
    onboarding(&seen(world), machine, &settings(), &request())
}

/// The hints of the one finding with this id.
fn hints(findings: &[Finding], id: &str) -> Vec<String> {
    let mut found = findings.iter().filter(|finding| finding.id == id);
    let finding = found.next().unwrap_or_else(|| panic!("no {id} in {findings:?}"));
    assert!(found.next().is_none(), "{id} twice");
    finding.hints.clone()
}

#[test]
fn a_machine_with_everything_has_no_finding() {
    assert_eq!(findings(&machine(), |_| {}), []);
}

#[test]
fn a_checkout_that_is_missing_is_told_with_the_line_that_clones_it() {
    let found = findings(&machine(), |world| {
        world["labeler"] = Value::Null;
        world["platform"] = Value::Null;
    });
    assert_eq!(
        hints(&found, "labeler.repository")[0],
        "git clone https://host.example/team/mvp-vision-ai-labeler.git ../mvp-vision-ai-labeler"
    );
    let platform = found
        .iter()
        .find(|finding| finding.id == "platform.repository")
        .unwrap();
    assert_eq!(platform.severity, Severity::Warning);
    assert!(platform.hints[0].ends_with("mvp-vision-ai-platform.git ../mvp-vision-ai-platform"));
}

#[test]
fn a_program_that_is_missing_is_told_with_the_line_that_installs_it_here() {
    let mut bare = machine();
    bare.programs = vec![(Program::Git, None)];
    bare.python = None;
    let no_docker = |world: &mut Value| {
        world["docker"]["engine"] = Value::Null;
        world["docker"]["problem"] = json!("program `docker` is not on this machine");
    };
    for (manager, word) in [
        (Some(Manager::Apt), "sudo apt-get install"),
        (Some(Manager::Brew), "brew install"),
        (Some(Manager::Winget), "winget install"),
        (None, "https://"),
    ] {
        bare.manager = manager;
        let found = findings(&bare, no_docker);
        for id in ["git.missing", "python.missing", "docker.missing"] {
            assert!(hints(&found, id)[0].starts_with(word), "{id} {manager:?}");
        }
    }
}

#[test]
fn an_environment_is_only_wanted_from_a_python_that_can_make_one() {
    let mut machine = machine();
    machine.venv_problem = Some("No module named 'ensurepip'".to_owned());
    let mut environment = crate::observe::EnvironmentSeen {
        folder: "backend/.venv".into(),
        exists: true,
        requirements: Some("requirements.txt".into()),
        missing: Ok(Vec::new()),
        without_pip: false,
        ours: false,
    };
    machine.environment = Some(environment.clone());
    assert_eq!(findings(&machine, |_| {}), []);
    environment.exists = false;
    machine.environment = Some(environment);
    assert!(hints(&findings(&machine, |_| {}), "python.venv")[0].contains("python3-venv"));
}

#[test]
fn an_environment_without_pip_is_somebody_s_to_mend_unless_we_were_making_it() {
    let mut machine = machine();
    let mut environment = crate::observe::EnvironmentSeen {
        folder: "backend/.venv".into(),
        exists: true,
        requirements: Some("requirements.txt".into()),
        missing: Ok(vec!["uvicorn".to_owned()]),
        without_pip: true,
        ours: false,
    };
    machine.environment = Some(environment.clone());
    let lines = hints(&findings(&machine, |_| {}), "labeler.environment");
    assert!(lines[0].ends_with("-m ensurepip --upgrade"), "{lines:?}");
    assert!(lines[1].contains("backend/.venv"), "{lines:?}");
    environment.ours = true;
    machine.environment = Some(environment);
    assert_eq!(findings(&machine, |_| {}), []);
}

#[test]
fn old_instances_with_data_are_never_passed_over() {
    let present =
        |world: &mut Value| world["sources"]["labeler"] = source("labeler-postgres-labeler", "labeler");
    assert_eq!(
        hints(&findings(&machine(), present), "sources.present"),
        ["cargo xtask migrate"]
    );
    let found = findings(&machine(), present);
    let told = found
        .iter()
        .find(|finding| finding.id == "sources.present")
        .unwrap();
    let words = "labeler (container labeler-postgres-labeler, running)";
    assert!(told.found.contains(words), "{told}");
    // After a migration they are still there, stopped, and that is as it should be.
    let moved = findings(&machine(), |world| {
        present(world);
        world["env_files"][0]["mappings"]["labeler"] = mapping("LABELER_DB", "5432", "labeler", 30);
    });
    assert_eq!(moved, []);
}

#[test]
fn a_database_whose_rows_a_backup_holds_is_not_made_empty() {
    let mut machine = machine();
    machine.held = [("users".to_owned(), "20261123T150501-a3f9".to_owned())].into();
    let gone = |world: &mut Value| {
        world["target"]["server"] = server(160_000, &["platform", "labeler"]);
    };
    assert_eq!(
        hints(&findings(&machine, gone), "databases.users")[0],
        "cargo xtask restore 20261123T150501-a3f9 --database users"
    );
    let there = |world: &mut Value| {
        world["target"]["server"] = server(160_000, &["platform", "users", "labeler"]);
    };
    assert_eq!(findings(&machine, there), []);
}

#[test]
fn a_refused_password_is_told_with_what_sets_it() {
    let found = findings(&machine(), |world| {
        world["target"]["server"] = Value::Null;
        world["target"]["problem"] =
            json!("failed to ask: FATAL:  password authentication failed for user \"admin\"");
    });
    let finding = found.iter().find(|one| one.id == "target.unreachable").unwrap();
    assert!(finding.wanted.contains("XTASK_TARGET_PASSWORD"), "{finding}");
    assert!(finding.hints[0].contains("XTASK_TARGET_PASSWORD"), "{finding}");
}

#[test]
fn without_env_and_template_there_is_nothing_to_start_from() {
    let found = findings(&machine(), |world| {
        let file = &mut world["env_files"][0];
        file["exists"] = json!(false);
        file["problem"] = json!("no such file");
        file["mappings"] = json!({});
    });
    let hints = hints(&found, "env.template");
    assert!(hints[0].starts_with("git -C "), "{hints:?}");
    assert!(hints[1].contains("--set labeler.env-example="), "{hints:?}");
}
