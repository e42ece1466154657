//! Bad input is refused before anything stops, with what was found, what was wanted and what to type.
//!
//! All of these look at one prepared rehearsal; each spoils only its own copy of the checkout and the settings.

use std::net::TcpListener;
use std::sync::Arc;

use infra::Cmd;

use super::support::{Copy, Ran, Rehearsal, Shared, folder, run, write, xtask};

static PREPARED: Shared<Rehearsal> = Shared::new();

fn prepared() -> Arc<Rehearsal> {
    PREPARED.get(|| Rehearsal::local("refusals"))
}

/// Spoils a copy, migrates, and finds the world as it was.
#[track_caller]
fn refused(spoil: impl FnOnce(&mut Copy), args: &[&str]) -> Ran {
    let rehearsal = prepared();
    let mut copy = rehearsal.copy();
    spoil(&mut copy);
    let before = copy.env_file().exists().then(|| copy.env_bytes());
    let ran = copy.xtask(&[&["migrate", "--yes"], args].concat());
    if let Some(before) = before {
        copy.is_untouched(&before);
    }
    ran
}

const ENV: &str = "backend/.env";

/// The line of a key in the sample `.env`, from 1.
fn line_of(copy: &Copy, start: &str) -> usize {
    let text = String::from_utf8(copy.env_bytes()).unwrap();
    text.lines().position(|line| line.starts_with(start)).unwrap() + 1
}

#[test]
fn a_missing_virtual_environment_is_named_with_the_commands_that_make_it() {
    refused(
        |copy| copy.set("labeler.virtual-environments", toml_edit::Array::new()),
        &[],
    )
    .ends(20)
    .says("error[labeler.python]: the labeler has no virtual environment")
    .says("to run Alembic and to start the application")
    .says("pip install -r requirements.txt")
    .says("nothing was changed");
}

#[test]
fn a_virtual_environment_without_alembic_is_named() {
    refused(
        |copy| {
            let python = if cfg!(windows) {
                "Scripts/python.exe"
            } else {
                "bin/python"
            };
            write(&copy.labeler.join("backend/.venv").join(python), b"");
            let mut list = toml_edit::Array::new();
            list.push("backend/.venv");
            copy.set("labeler.virtual-environments", list);
        },
        &[],
    )
    .ends(20)
    .says("error[labeler.alembic]")
    .says("has no Alembic")
    .says("pip install -r requirements.txt");
}

#[test]
fn a_key_in_another_case_that_the_application_would_read_is_refused() {
    let ran = refused(
        |copy| {
            let mut text = copy.env_bytes();
            text.extend_from_slice(b"\nlabeler_db_port=5435\n");
            write(&copy.env_file(), text);
        },
        &[],
    );
    ran.ends(20)
        .says("error[env.key-case]: labeler_db_port is set beside LABELER_DB_PORT")
        .says("labeler_db_port\n");
}

#[test]
fn a_taken_target_port_is_refused_and_the_process_named() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let ran = refused(|copy| copy.set("target.port", i64::from(port)), &[]);
    ran.ends(20)
        .says(&format!("error[target.port]: port {port} is taken by"))
        .says("hint: cargo xtask migrate --set target.port=PORT");
    if cfg!(target_os = "linux") {
        ran.says(&format!("(pid {})", std::process::id()));
    }
}

#[test]
fn a_redis_port_that_something_else_holds_is_refused_and_the_process_named() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let ran = refused(
        |copy| {
            copy.set("redis.control", "external");
            copy.set("redis.port", i64::from(port));
        },
        &[],
    );
    ran.ends(20)
        .says(&format!("error[redis.port]: port {port} is taken by"))
        .says("which is not Redis")
        .says("hint: cargo xtask migrate --set redis.port=PORT");
    if cfg!(target_os = "linux") {
        ran.says(&format!("(pid {})", std::process::id()));
    }
}

#[test]
fn a_wrong_password_is_refused_before_anything_stops() {
    let ran = refused(
        |copy| {
            let password = copy.env("LABELER_DB_PASSWORD");
            copy.replace(ENV, &password, "not-the-password");
        },
        &[],
    );
    ran.ends(20)
        .says("error[source.labeler.login]: the login that .env names fails")
        .says("password authentication failed for user \"labeler_user\"")
        .never_says("not-the-password");
    assert_eq!(
        ran.stderr.matches("password authentication failed").count(),
        1,
        "said once:\n{}",
        ran.stderr
    );
}

#[test]
fn a_missing_role_is_refused_before_anything_stops() {
    refused(
        |copy| copy.replace(ENV, "LABELER_DB_USER=labeler_user", "LABELER_DB_USER=gone_role"),
        &[],
    )
    .ends(20)
    .says("error[source.labeler.login]")
    .says("\"gone_role\"");
}

#[test]
fn a_database_that_the_source_does_not_have_is_refused_with_those_it_has() {
    refused(|copy| copy.set("databases.labeler.source.database", "gone"), &[])
        .ends(20)
        .says("error[source.labeler.database]: the instance has no database gone; it has labeler, postgres")
        .says("hint: cargo xtask migrate --set databases.labeler.source.database=NAME");
}

#[test]
fn a_database_that_env_names_and_the_source_does_not_have_is_refused() {
    refused(
        |copy| copy.replace(ENV, "LABELER_DB_NAME=labeler", "LABELER_DB_NAME=gone"),
        &[],
    )
    .ends(20)
    .says("error[source.labeler.login]")
    .says("database \"gone\" does not exist");
}

#[test]
fn an_old_instance_that_is_nowhere_is_refused_with_where_it_was_looked_for() {
    refused(|_| {}, &["--set", "databases.labeler.source.data=nowhere"])
        .ends(20)
        .says("error[source.labeler.absent]: there is no old instance for labeler: looked for")
        .says("nowhere");
}

#[test]
fn another_place_in_env_than_where_the_old_instance_serves_is_refused() {
    let rehearsal = prepared();
    let port = |database: &str| rehearsal.workspace.cluster(database).configured_port().unwrap();
    let (own, other) = (port("labeler"), port("users"));
    let line = format!("LABELER_DB_PORT = {own}");
    refused(
        |copy| copy.replace(ENV, &line, &format!("LABELER_DB_PORT = {other}")),
        &[],
    )
    .ends(20)
    .says(&format!(
        "error[source.labeler.elsewhere]: .env names localhost:{other} for labeler"
    ))
    .says(&format!("LABELER_DB_HOST=localhost LABELER_DB_PORT={own}"));
    // The last line of a key counts, wherever it stands.
    refused(
        |copy| {
            let text = String::from_utf8(copy.env_bytes()).unwrap();
            write(
                &copy.env_file(),
                format!("{text}\r\nLABELER_DB_HOST=db.prod.example.com\r\n"),
            );
        },
        &[],
    )
    .ends(20)
    .says("warning[env.key-twice]")
    .says(&format!(
        "error[source.labeler.elsewhere]: .env names db.prod.example.com:{own} for labeler"
    ));
}

#[test]
fn a_missing_env_is_refused_and_the_example_is_taken_only_by_the_person() {
    let rehearsal = prepared();
    let copy = rehearsal.copy();
    std::fs::remove_file(copy.env_file()).unwrap();
    copy.xtask(&["migrate", "--yes"])
        .ends(20)
        .says("error[env.missing]: cannot read ")
        .says(".env.example");
    assert!(
        !copy.env_file().exists(),
        "nobody asked for a file from the example"
    );
    assert!(copy.runs_now("labeler"));
}

#[test]
fn a_missing_key_is_refused_with_the_file() {
    let mut file = String::new();
    refused(
        |copy| {
            copy.replace(ENV, "USER_DB_NAME=users", "# nothing here");
            file = copy.env_file().display().to_string();
        },
        &[],
    )
    .ends(20)
    .says("error[env.key-missing]: USER_DB_NAME is not set")
    .says(&format!("at {file}"));
}

#[test]
fn placeholders_are_refused_with_file_and_line() {
    let mut places = Vec::new();
    let ran = refused(
        |copy| {
            copy.replace(ENV, "PLATFORM_DB_USER=admin", "PLATFORM_DB_USER=change_me");
            let password = copy.env("LABELER_DB_PASSWORD");
            copy.replace(ENV, &password, "<ask-the-team>");
            for key in ["PLATFORM_DB_USER", "export LABELER_DB_PASSWORD"] {
                places.push(format!("{}:{}", copy.env_file().display(), line_of(copy, key)));
            }
        },
        &[],
    );
    ran.ends(20)
        .says("error[env.placeholder]: PLATFORM_DB_USER still has the template's value")
        .says("error[env.placeholder]: LABELER_DB_PASSWORD still has the template's value");
    for place in places {
        ran.says(&format!("at {place}"));
    }
}

#[test]
fn a_key_that_is_set_twice_is_told_with_file_and_lines() {
    let rehearsal = prepared();
    let copy = rehearsal.copy();
    copy.replace(
        ENV,
        "USER_DB_NAME=users",
        "USER_DB_NAME=other\r\nUSER_DB_NAME=users",
    );
    let line = line_of(&copy, "USER_DB_NAME=other");
    let place = format!("{}:{}", copy.env_file().display(), line + 1);
    let env = copy.env_bytes();
    copy.xtask(&["migrate", "--dry-run"])
        .ends(0)
        .says(&format!(
            "warning[env.key-twice]: USER_DB_NAME is set on lines {line}, {}; the last one counts",
            line + 1
        ))
        .says(&format!("at {place}"));
    copy.is_untouched(&env);
}

#[test]
fn a_broken_settings_file_is_a_usage_error_with_a_caret_under_the_place() {
    for (text, place, words) in [
        ("[target]\nport = \n", "line 2, column 8", "^"),
        (
            "[target]\nprot = 5432\n",
            "line 2, column 1",
            "unknown field `prot`",
        ),
        ("[target]\nport = \"many\"\n", "line 2, column 8", "^"),
    ] {
        refused(|copy| write(&copy.root.join("infra/migration.toml"), text), &[])
            .ends(2)
            .says("infra/migration.toml")
            .says(place)
            .says("^")
            .says(words);
    }
}

const VERSIONS: &str = "backend/alembic/versions";

#[test]
fn a_checkout_older_than_the_data_is_refused_with_both_revisions() {
    refused(
        |copy| {
            for file in ["d4085f2a7b14_exports.py", "e5b1946c3f25_project_milestones.py"] {
                std::fs::remove_file(copy.labeler.join(VERSIONS).join(file)).unwrap();
            }
        },
        &[],
    )
    .ends(20)
    .says("error[alembic.unknown-revision]")
    .says("the data stands at revision d4085f2a7b14")
    .says("head c93e1b6f8d03");
}

#[test]
fn several_heads_are_refused_and_all_named() {
    refused(
        |copy| {
            let text = "revision = \"f00dfeed0001\"\ndown_revision = \"d4085f2a7b14\"\n";
            write(&copy.labeler.join(VERSIONS).join("f00dfeed0001_other.py"), text);
        },
        &[],
    )
    .ends(20)
    .says("error[alembic.heads]")
    .says("e5b1946c3f25")
    .says("f00dfeed0001")
    .says("alembic merge heads");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    refused(
        |copy| {
            copy.set("labeler.virtual-environments", toml_edit::Array::new());
            copy.replace(ENV, "USER_DB_NAME=users", "USER_DB_NAME=change_me");
            copy.set("databases.platform.source.database", "gone");
        },
        &[],
    )
    .ends(20)
    .says("error[labeler.python]")
    .says("error[env.placeholder]")
    .says("error[source.platform.database]")
    .says("findings forbid going on; nothing was changed");
}

#[test]
fn an_unknown_database_or_setting_on_the_command_line_is_a_usage_error() {
    refused(|_| {}, &["--only", "labeller"])
        .ends(2)
        .says("--only labeller: no such database; there is labeler, platform, users");
    refused(|_| {}, &["--set", "target.prot=1"]).ends(2).says("prot");
    refused(|_| {}, &["--profile", "nowhere"]).ends(2).says("nowhere");
}

#[test]
fn nothing_happens_without_a_confirmation() {
    let rehearsal = prepared();
    let copy = rehearsal.copy();
    let env = copy.env_bytes();
    copy.xtask(&["migrate"])
        .ends(20)
        .says("nobody confirmed; nothing was changed")
        .says("hint: cargo xtask migrate --yes");
    copy.is_untouched(&env);
}

#[test]
fn a_dry_run_shows_steps_reasons_commands_and_the_env_diff_without_secrets_and_changes_nothing() {
    let rehearsal = prepared();
    let copy = rehearsal.copy();
    let env = copy.env_bytes();
    let ran = copy.xtask(&["migrate", "--dry-run"]);
    // Whatever the sample holds comes over, but for what its other roles were granted: `unify` has one role.
    let all = ran.ends(0).all();
    let stays: Vec<&str> = all.lines().filter(|line| line.contains("stay behind")).collect();
    let of_roles = |line: &&&str| line.contains(".roles]: roles of ") && line.contains("labeler_readonly");
    assert_eq!(stays.iter().filter(of_roles).count(), stays.len(), "{stays:#?}");
    assert_eq!(stays.len(), 3, "{stays:#?}");
    for words in [
        "pg_dump",
        "pg_restore",
        "scripts/init_database.py",
        "nothing may write from here on",
        "LABELER_DB_PORT",
    ] {
        assert!(ran.stdout.contains(words), "{words:?} is not in:\n{}", ran.all());
    }
    let prefixes = ["PLATFORM_DB", "USER_DB", "LABELER_DB"];
    for prefix in prefixes {
        ran.never_says(&copy.env(&format!("{prefix}_PASSWORD")));
    }
    ran.never_says(&copy.text("target.password"));
    copy.is_untouched(&env);
}

/// The guide's own world, containers and all, on a machine that has none of it.
fn bare(name: &str) -> std::path::PathBuf {
    let root = folder(name);
    infra::rehearsal::write("labeler", &root.join("mvp-vision-ai-labeler")).unwrap();
    let workspace = root.join("workspace");
    std::fs::create_dir_all(&workspace).unwrap();
    std::fs::create_dir_all(&workspace).unwrap();
    workspace
}

fn without_docker(workspace: &std::path::Path) -> Cmd {
    let empty = workspace.join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    xtask(workspace).args(["migrate", "--yes"]).env("PATH", empty)
}

#[test]
fn a_machine_without_docker_is_told_what_is_missing_and_how_to_install_it() {
    let workspace = bare("without-docker");
    let ran = run(without_docker(&workspace));
    ran.ends(20)
        .says("error[docker.missing]: program `docker` is not on this machine")
        .says("the old and the new instances are containers")
        .says("sudo apt-get install docker.io docker-compose")
        // Everything at once: the rest of the look goes on without Docker.
        .says("error[labeler.python]")
        .says("error[env.missing]");
    assert!(!workspace.join(".xtask/runs").exists(), "no run was begun");
    std::fs::remove_dir_all(workspace.parent().unwrap()).unwrap();
}
