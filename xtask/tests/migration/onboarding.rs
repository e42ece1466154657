//! A machine that holds nothing but the checkouts, and the command that makes it ready.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::support::{DATABASES, Rehearsal, Workspace, ask, docker, read_env, runner, write};

/// A person's own words in `local.toml`.
const COMMENT: &str = "# mine: the usual port is taken\n";

/// Every file below a folder with its content's sum. The lock and what Python keeps for itself say nothing.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let ours = name.to_string_lossy().starts_with("lock") || name == "__pycache__";
            match entry.file_type().unwrap() {
                _ if ours => {}
                kind if kind.is_dir() => open.push(path),
                kind if kind.is_symlink() => {}
                _ => {
                    let sum = infra::files::sha256(&path).unwrap().0;
                    found.insert(path, sum);
                }
            }
        }
    }
    found
}

/// Takes away what a new machine does not have: the old instances, the databases, `.env`, the virtual environment.
fn strip(workspace: &mut Workspace) {
    for database in DATABASES {
        workspace.stop(database);
        workspace.set(&format!("databases.{database}.source.data"), "/nowhere");
    }
    workspace.start("target");
    for database in DATABASES {
        ask(
            &workspace.target(),
            "postgres",
            &format!("DROP DATABASE {database}"),
        );
    }
    workspace.stop("target");
    std::fs::remove_file(workspace.env_file()).unwrap();
    let mut environments = toml_edit::Array::new();
    environments.push("backend/.venv");
    workspace.set("labeler.virtual-environments", environments);
    let file = workspace.root.join(".xtask/local.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    infra::files::write_private(&file, format!("{COMMENT}{text}").as_bytes()).unwrap();
}

#[test]
fn a_bare_machine_is_made_ready_and_the_second_run_changes_nothing() {
    let mut rehearsal = Rehearsal::local("onboard");
    let workspace = &mut rehearsal.workspace;
    strip(workspace);

    // Without a terminal nobody is asked, and nothing is done.
    let before = files(&workspace.root);
    workspace
        .xtask(&["onboard"])
        .ends(20)
        .says("nobody confirmed")
        .says("cargo xtask onboard --yes");
    assert!(!workspace.env_file().exists());
    let dry = workspace.xtask(&["onboard", "--dry-run"]);
    dry.ends(0);
    for words in [
        "-m venv",
        "init_database.py",
        "CREATE DATABASE",
        "+PLATFORM_DB_PORT=",
    ] {
        assert!(dry.stdout.contains(words), "{words}: {}", dry.all());
    }
    assert_eq!(files(&workspace.root), before);
    assert!(!workspace.runs_now("target"));

    let password = workspace.text("target.password");
    let ran = workspace.xtask(&["onboard", "--yes", "--json", "--set", "limits.keep-runs=2"]);
    let document = ran.ends(0).json();
    ran.never_says(&password);
    assert_eq!(document["ready"], true, "{document:#}");
    assert_eq!(document["changed"], true);
    assert_eq!(document["checks"]["failed"], 0);
    let findings = document["findings"].to_string();
    assert!(
        findings.contains("hold nothing yet: platform, users"),
        "{findings}"
    );
    let done: Vec<&str> = document["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["name"].as_str().unwrap())
        .collect();
    let wanted = [
        "settings",
        "environment",
        "env",
        "target",
        "databases",
        "schema",
        "application",
    ];
    assert_eq!(done, wanted);

    // The machine's own settings, with the person's words where they were.
    let local = std::fs::read_to_string(workspace.root.join(".xtask/local.toml")).unwrap();
    assert!(
        local.starts_with(COMMENT) && local.contains("keep-runs = 2"),
        "{local}"
    );

    let env = workspace.env_bytes();
    let template = std::fs::read(workspace.labeler.join("backend/.env.example")).unwrap();
    let lines = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').count();
    assert_eq!(lines(&env), lines(&template), "the template's lines stay");
    assert_eq!(read_env(&env, "LABELER_DB_PASSWORD"), password);
    let port = workspace.port("target.port").to_string();
    for prefix in ["PLATFORM_DB", "USER_DB", "LABELER_DB"] {
        assert_eq!(read_env(&env, &format!("{prefix}_PORT")), port);
    }
    let secret = read_env(&env, "SECRET_KEY");
    assert!(secret.len() > 30, "{secret}");
    ran.never_says(&secret);
    for (path, _) in files(&workspace.root) {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains(&secret), "{}", path.display());
    }

    let databases = workspace.target_facts().databases;
    for database in DATABASES {
        assert_eq!(databases[database].owner, "admin");
        assert_eq!(databases[database].encoding, "UTF8");
    }
    let head = ask(
        &workspace.target(),
        "labeler",
        "SELECT version_num FROM alembic_version",
    );
    assert_eq!(head, "e5b1946c3f25");

    // Once more: not a byte, in the workspace or in the checkout.
    let (root, labeler) = (files(&workspace.root), files(&workspace.labeler));
    let again = workspace.xtask(&["onboard", "--yes", "--json", "--set", "limits.keep-runs=2"]);
    assert_eq!(again.ends(4).json()["changed"], false);
    assert_eq!(files(&workspace.root), root);
    assert_eq!(files(&workspace.labeler), labeler);

    what_breaks_is_mended_and_nothing_else(workspace);
}

/// Parts of the test above, on the same machine: making one takes long.
fn what_breaks_is_mended_and_nothing_else(workspace: &Workspace) {
    let steps = |document: &serde_json::Value| -> Vec<String> {
        let steps = document["steps"].as_array().unwrap();
        steps
            .iter()
            .map(|step| step["name"].as_str().unwrap().to_owned())
            .collect()
    };
    // A database is gone, and one requirement is missing.
    ask(&workspace.target(), "postgres", "DROP DATABASE users");
    let python = infra::python::in_environment(&workspace.labeler.join("backend/.venv"));
    let remove =
        infra::Cmd::new(python, "remove a package").args(["-m", "pip", "uninstall", "-qy", "uvicorn"]);
    runner().run(&remove).unwrap();
    let oid = workspace.oids()["labeler"];
    let document = workspace.xtask(&["onboard", "--yes", "--json"]).ends(0).json();
    assert_eq!(steps(&document), ["environment", "databases", "application"]);
    assert_eq!(workspace.oids()["labeler"], oid);

    // A file that a person wrote keeps every line; only what names another instance changes, and is kept.
    let own = "# mine\nEXTRA=1 # stays\nPLATFORM_DB_PORT=1\n";
    let env = workspace.env_bytes();
    let text = String::from_utf8(env).unwrap();
    let port = format!("PLATFORM_DB_PORT={}\n", workspace.port("target.port"));
    assert!(text.contains(&port));
    let edited = text.replace(&port, own);
    write(&workspace.env_file(), &edited);
    let document = workspace.xtask(&["onboard", "--yes", "--json"]).ends(0).json();
    assert_eq!(steps(&document), ["env", "application"]);
    let wanted = edited.replace("PLATFORM_DB_PORT=1\n", &port);
    assert_eq!(String::from_utf8(workspace.env_bytes()).unwrap(), wanted);

    // A step that fails says so; the next run goes on there and asks the application, although nothing else is missing.
    workspace.replace("backend/app/main.py", "\"healthy\"", "\"unwell\"");
    ask(&workspace.target(), "postgres", "DROP DATABASE users");
    workspace
        .xtask(&["onboard", "--yes"])
        .ends(21)
        .says("GET /health")
        .says("cargo xtask onboard");
    workspace.replace("backend/app/main.py", "\"unwell\"", "\"healthy\"");
    let document = workspace.xtask(&["onboard", "--yes", "--json"]).ends(0).json();
    assert_eq!(steps(&document), ["application"]);
    workspace.xtask(&["onboard"]).ends(4).says("nothing to do");

    // Five set-ups, of which the settings keep two.
    let set_ups = || {
        std::fs::read_dir(workspace.root.join(".xtask/onboarding"))
            .unwrap()
            .count()
    };
    assert_eq!(set_ups(), 5);
    workspace
        .xtask(&["cleanup"])
        .ends(20)
        .says("of this machine: its plan, journal, logs");
    assert_eq!(set_ups(), 5);
    workspace.xtask(&["cleanup", "--yes"]).ends(0);
    assert_eq!(set_ups(), 2);
    workspace.xtask(&["onboard"]).ends(4).says("nothing to do");
}

#[test]
fn what_only_a_person_can_give_is_told_at_once_with_what_to_type() {
    let folder = super::support::folder("onboard-bare");
    let ran = super::support::run(super::support::xtask(&folder).args([
        "onboard",
        "--yes",
        "--set",
        "target.control=external",
        "--set",
        "target.bin=/nowhere",
        "--set",
        "databases.platform.source.control=none",
        "--set",
        "databases.users.source.control=none",
        "--set",
        "databases.labeler.source.control=none",
    ]));
    ran.ends(20)
        .says("error[labeler.repository]")
        .says("git clone ")
        .says("../mvp-vision-ai-labeler");
    assert!(!folder.join(".xtask/local.toml").exists());
    let ran = super::support::run(super::support::xtask(&folder).args(["onboard", "--labeler", "/nowhere"]));
    ran.ends(20).says("no such folder: /nowhere");
    let ran = super::support::run(super::support::xtask(&folder).args([
        "onboard",
        "--set",
        "target.password=hunter2",
    ]));
    ran.ends(2).says(".xtask/secrets.env").never_says("hunter2");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_machine_with_the_old_instances_is_sent_to_migrate() {
    let rehearsal = Rehearsal::local("onboard-old");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    workspace
        .xtask(&["onboard", "--yes"])
        .ends(20)
        .says("error[sources.present]")
        .says("users (data directory ")
        .says("hint: cargo xtask migrate");
    workspace.is_untouched(&env);
}

#[cfg(unix)]
#[test]
fn half_an_environment_is_made_again_when_it_is_ours_and_left_alone_when_it_is_not() {
    let mut rehearsal = Rehearsal::local("onboard-venv");
    let workspace = &mut rehearsal.workspace;
    strip(workspace);
    let folder = workspace.labeler.join("backend/.venv");
    let python = infra::python::in_environment(&folder);

    // Somebody's own, without pip: it is told, and not a file of it changes.
    let machine = infra::python::find(&runner()).unwrap();
    let bare = infra::python::create_environment(&machine, &folder).arg("--without-pip");
    runner().run(&bare).unwrap();
    let before = files(&folder);
    workspace
        .xtask(&["onboard", "--yes"])
        .ends(20)
        .says("has no pip")
        .says("-m ensurepip --upgrade");
    assert_eq!(files(&folder), before);
    std::fs::remove_dir_all(&folder).unwrap();

    // Ours: killed as soon as the environment has a Python, while its pip is being unpacked.
    let child = runner()
        .spawn(&workspace.cmd(&["onboard", "--yes"]), None)
        .unwrap();
    let there = || python.exists().then_some(());
    let limit = std::time::Duration::from_secs(300);
    infra::wait::until(&infra::Interrupt::default(), limit, there).unwrap();
    assert!(infra::command::send(
        child.pid().unwrap(),
        infra::command::Signal::Kill
    ));
    child.finish(limit);
    // What it started ends with it, although nobody could tell it to.
    let needle = folder.to_string_lossy().into_owned();
    let quiet = || {
        let list = super::support::run(infra::Cmd::new("ps", "list processes").args(["-A", "-o", "args="]));
        let mut lines = list.stdout.lines();
        lines.all(|line| !line.contains(&needle)).then_some(())
    };
    infra::wait::until(&infra::Interrupt::default(), limit, quiet).unwrap();
    // On a slow machine pip may have been there already.
    for entry in std::fs::read_dir(folder.join("lib")).unwrap().flatten() {
        let _ = std::fs::remove_dir_all(entry.path().join("site-packages/pip"));
    }
    assert!(!infra::python::has_pip(&runner(), &python));
    let document = workspace.xtask(&["onboard", "--yes", "--json"]).ends(0).json();
    assert_eq!(document["ready"], true, "{document:#}");
    assert!(infra::python::has_pip(&runner(), &python));
}

#[test]
fn a_database_that_a_backup_holds_is_not_made_empty_and_what_brings_it_back_is_told() {
    let rehearsal = Rehearsal::local("onboard-held");
    let workspace = &rehearsal.workspace;
    workspace.xtask(&["migrate", "--yes"]).ends(0);
    let run = workspace.runs()[0]
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let restore = format!("cargo xtask restore {run} --database users");
    ask(&workspace.target(), "postgres", "DROP DATABASE users");

    workspace
        .xtask(&["onboard", "--yes"])
        .ends(20)
        .says("error[databases.users]")
        .says(&restore);
    assert!(!workspace.oids().contains_key("users"));
    let ran = workspace.xtask(&["verify", "--scope", "databases", "--only", "databases.exist"]);
    assert!(ran.ends(3).stdout.contains(&restore), "{}", ran.all());
    // A backup whose last document is damaged is no reason to believe that there is none.
    let manifest = workspace.runs()[0].join("backup/manifest.json");
    let whole = std::fs::read(&manifest).unwrap();
    super::support::write(&manifest, &whole[..whole.len() / 2]);
    workspace.xtask(&["onboard", "--yes"]).ends(20).says(&restore);
    super::support::write(&manifest, whole);
    // Without any backup the old instance, which is still there, may hold the rows.
    let runs = workspace.root.join(".xtask/runs");
    std::fs::rename(&runs, runs.with_extension("away")).unwrap();
    workspace
        .xtask(&["onboard", "--yes"])
        .ends(20)
        .says("its old instance is still on this machine (data directory")
        .says("hint: cargo xtask migrate");
    assert!(!workspace.oids().contains_key("users"));
    std::fs::rename(runs.with_extension("away"), &runs).unwrap();
    // The same where the server must be started first, before anybody can know.
    workspace.stop("target");
    workspace.xtask(&["onboard", "--yes"]).ends(21).says(&restore);
    assert!(!workspace.oids().contains_key("users"));

    // Somebody made it empty: the end names what helps, and that helps.
    ask(
        &workspace.target(),
        "postgres",
        "CREATE DATABASE users OWNER admin",
    );
    let ran = workspace.xtask(&["onboard", "--yes"]);
    ran.ends(3);
    let end = ran.stderr.split("What helps:").nth(1).unwrap_or_default();
    assert!(end.contains(&restore), "{}", ran.all());
    workspace
        .xtask(&["restore", &run, "--database", "users", "--yes"])
        .ends(0);
    let verify = ["verify", "--scope", "databases", "--only", "data.matches-backup"];
    workspace.xtask(&verify).ends(0);
    ask(&workspace.target(), "users", "TRUNCATE users CASCADE");
    let line = format!("{restore} --set-aside-existing");
    let ran = workspace.xtask(&verify);
    assert!(ran.ends(3).stdout.contains(&line), "{}", ran.all());
}

#[test]
#[ignore = "needs Docker"]
fn a_machine_with_an_empty_engine_gets_its_containers_and_databases() {
    let rehearsal = super::containers::prepared("onboard-docker", "docker-compose", "running");
    let workspace = &rehearsal.workspace;
    for database in DATABASES {
        let name = workspace.text(&format!("databases.{database}.source.containers.0"));
        let volume = workspace.text(&format!("databases.{database}.source.volumes.0"));
        docker(&["rm", "-f", &name]).ends(0);
        docker(&["volume", "rm", &volume]).ends(0);
    }
    std::fs::remove_file(workspace.env_file()).unwrap();

    let document = workspace.xtask(&["onboard", "--yes", "--json"]).ends(0).json();
    let results: BTreeMap<&str, &str> = document["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["name"].as_str().unwrap(), step["result"].as_str().unwrap()))
        .collect();
    for step in ["env", "target", "schema", "application"] {
        assert_eq!(results.get(step), Some(&"done"), "{step}: {results:?}");
    }
    // The platform's own script made them when its volume was new.
    assert_eq!(results["databases"], "skipped");
    assert_eq!(document["checks"]["failed"], 0, "{document:#}");
    workspace.xtask(&["onboard"]).ends(4).says("nothing to do");

    // Stopped as after a restart of the machine: only what is needed is done.
    let target = workspace.text("target.container");
    docker(&["stop", &target]).ends(0);
    let document = workspace.xtask(&["onboard", "--yes", "--json"]).ends(0).json();
    assert_eq!(document["ready"], true);
    let facts = ask_in(&target, "SELECT version_num FROM alembic_version");
    assert_eq!(facts, "e5b1946c3f25");
}

fn ask_in(container: &str, sql: &str) -> String {
    let ran = docker(&[
        "exec",
        container,
        "psql",
        "-h",
        "127.0.0.1",
        "-U",
        "admin",
        "-d",
        "labeler",
        "-XAtc",
        sql,
    ]);
    ran.ends(0).stdout.trim().to_owned()
}
