//! Ways back that nobody takes gladly: over an edited `.env`, over new rows, from a target that is dead, with something
//! in the way; and what people restore by hand.

use std::net::TcpListener;

use infra::postgres::plain;

use super::support::{DATABASES, Rehearsal, Workspace, ask, read_env, run, runner, write};

/// A row that the old instance of the labeler does not have.
const NEW_ROW: &str = "CREATE TABLE written_since AS SELECT 1 AS id";

fn newest(workspace: &Workspace) -> std::path::PathBuf {
    workspace.runs().pop().unwrap()
}

/// The old instances run, and `.env` names them.
#[track_caller]
fn old_world(workspace: &Workspace, env: &[u8]) {
    assert!(workspace.env_bytes() == env, ".env is not as it was");
    for database in DATABASES {
        assert!(
            workspace.runs_now(database),
            "the old instance of {database} does not run"
        );
        ask(&workspace.source(database, env), database, "SELECT 1");
    }
}

#[test]
fn an_edited_env_is_shown_without_values_and_with_the_flag_kept_beside() {
    let rehearsal = Rehearsal::local("edited");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    workspace.xtask(&["migrate", "--yes"]).ends(0);
    let edited = [workspace.env_bytes(), b"MINE=do-not-show-this\r\n".to_vec()].concat();
    write(&workspace.env_file(), &edited);
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(20)
        .says("was edited after the cutover")
        .says("MINE")
        .never_says("do-not-show-this")
        .says("--discard-env-edits");
    assert!(workspace.env_bytes() == edited, "a refusal changes nothing");
    ask(&workspace.target(), "postgres", "CREATE DATABASE guest");
    ask(&workspace.target(), "guest", NEW_ROW);
    workspace
        .xtask(&["rollback", "--yes", "--discard-env-edits"])
        .ends(22)
        .says("the target is stopped, and with it database guest");
    old_world(workspace, &env);
    let kept = newest(workspace).join("env").join("0.edited");
    assert!(std::fs::read(kept).unwrap() == edited, "the edited file is kept");
    let silent = workspace.xtask(&["cleanup", "--yes"]);
    silent.ends(20).says("the target does not").says("pg_ctl");
}

#[test]
fn a_dead_target_is_left_only_with_the_flag_and_keeps_its_rows() {
    let rehearsal = Rehearsal::local("dead-target");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    workspace.xtask(&["migrate", "--yes"]).ends(0);
    ask(&workspace.target(), "labeler", NEW_ROW);
    differing_rows_are_named(workspace);
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(20)
        .says("table public.written_since with 1 rows is not expected to be there")
        .says("--discard-new-writes");
    // It cannot even be started.
    workspace.stop("target");
    let conf = workspace.cluster("target").data.join("postgresql.conf");
    let works = std::fs::read(&conf).unwrap();
    write(&conf, [works.as_slice(), b"no_such_setting = on\n"].concat());
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(20)
        .says("cannot tell what was written on the target since the cutover")
        .says("--discard-new-writes");
    workspace
        .xtask(&["rollback", "--yes", "--discard-new-writes"])
        .ends(22)
        .says("what is on it keeps its names");
    old_world(workspace, &env);
    write(&conf, works);
    workspace.start("target");
    assert_eq!(
        ask(&workspace.target(), "labeler", "SELECT id FROM written_since"),
        "1"
    );

    // Gone for good, it is no reason to stay halfway.
    workspace
        .xtask(&["migrate", "--yes", "--set-aside-existing"])
        .ends(0);
    workspace.stop("target");
    let data = workspace.cluster("target").data;
    let away = data.with_extension("away");
    std::fs::rename(&data, &away).unwrap();
    workspace
        .xtask(&["rollback", "--yes", "--discard-new-writes"])
        .ends(22);
    old_world(workspace, &env);
    std::fs::rename(away, data).unwrap();
}

/// The old instances are down: which rows differ comes out of the archive.
fn differing_rows_are_named(workspace: &Workspace) {
    let change = "SET session_replication_role = replica; \
                  DELETE FROM annotations WHERE id = 3; UPDATE annotations SET note = 'mine' WHERE id = 5; \
                  INSERT INTO annotations SELECT 900000 + id, project_id, image_id, annotator_id, class_code, geometry \
                  FROM annotations WHERE id = 7; \
                  DELETE FROM upload_sessions;";
    let columns =
        "INSERT INTO annotations (id, project_id, image_id, annotator_id, class_code, geometry) SELECT";
    let change = change.replace("INSERT INTO annotations SELECT", columns);
    ask(&workspace.target(), "labeler", &change);
    let id = newest(workspace)
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let against = ["backup", "verify", &id, "--against", "labeler"];
    let ran = workspace.xtask(&[&against[..], &["--examples", "9"]].concat());
    ran.ends(3);
    for line in [
        "(id) = 3 missing",
        "(id) = 5 changed",
        "(id) = 900007 not expected",
    ] {
        let line = format!("  public.annotations {line}\n");
        assert!(ran.stdout.contains(&line), "{line}{}", ran.all());
    }
    // Keys that are no numbers are scattered: the whole table is looked at.
    assert!(
        ran.stdout.contains("  public.upload_sessions (token) = "),
        "{}",
        ran.all()
    );
    // Alembic may have added a column since that must not be empty: the archive says nothing about it.
    let grown = "ALTER TABLE annotations ADD COLUMN priority integer NOT NULL DEFAULT 1;";
    ask(&workspace.target(), "labeler", grown);
    let ran = workspace.xtask(&[&against[..], &["--examples", "9", "--json"]].concat());
    let document: serde_json::Value = serde_json::from_str(&ran.ends(3).stdout).unwrap();
    let details = document["details"].as_array().unwrap();
    let annotations = details
        .iter()
        .find(|found| found["object"] == "public.annotations" && found["examples"].is_object())
        .unwrap_or_else(|| panic!("{document:#}"));
    assert_eq!(annotations["database"], "labeler");
    let rows = annotations["examples"]["rows"].as_array().unwrap();
    let states: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {}", row["key"][0], row["state"]))
        .collect();
    assert_eq!(states.len(), 3, "{states:?}");
    assert!(annotations["ranges"][0]["keys"].is_array(), "{annotations:#}");
    ask(
        &workspace.target(),
        "labeler",
        "ALTER TABLE annotations DROP COLUMN priority;",
    );
    let ran = workspace.xtask(&[&against[..], &["--examples", "0"]].concat());
    assert!(!ran.ends(3).stdout.contains("(id) ="), "{}", ran.all());
}

#[test]
fn an_incomplete_rollback_ends_with_23_and_the_list_and_goes_on_when_the_cause_is_gone() {
    let rehearsal = Rehearsal::local("incomplete");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    workspace.xtask(&["migrate", "--yes"]).ends(0);
    // Somebody took the old instance's port meanwhile.
    let port: u16 = read_env(&env, "LABELER_DB_PORT").parse().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(23)
        .says("rollback is incomplete; a person must look at:")
        .says("- fence the source of labeler: failed to start the server labeler")
        .says("hint: cargo xtask rollback ");
    assert!(
        workspace.env_bytes() == env,
        "what can be brought back is brought back"
    );
    assert!(workspace.runs_now("users") && workspace.runs_now("platform") && !workspace.runs_now("labeler"));
    workspace
        .xtask(&["migrate", "--resume"])
        .ends(20)
        .says("on its way back");
    workspace
        .xtask(&["migrate", "--yes"])
        .ends(20)
        .says("on its way back")
        .never_says("--resume");
    drop(taken);
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    old_world(workspace, &env);
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(4)
        .says("nothing to do");
}

#[test]
fn a_later_restore_counts_as_written_since_and_stays_where_it_is() {
    let rehearsal = Rehearsal::local("later-restore");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    workspace.xtask(&["migrate", "--yes"]).ends(0);
    let id = newest(workspace)
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    // Written between the cutover and the restore.
    ask(&workspace.target(), "labeler", NEW_ROW);
    let restore = ["restore", &id, "--database", "labeler", "--yes"];
    workspace.xtask(&restore).ends(20).says("--set-aside-existing");
    workspace
        .xtask(&[&restore[..], &["--set-aside-existing"]].concat())
        .ends(0);
    let restored = workspace.oids()["labeler"];
    let names = workspace.oids().into_keys();
    let aside = names
        .into_iter()
        .find(|name| name.starts_with("labeler__before_"))
        .unwrap();
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(20)
        .says("the target holds what the old instances do not have")
        .says(&format!(
            "labeler: set aside since the cutover with what was written until then, database {aside}, "
        ))
        .says(&format!("-d {aside}"))
        .says("--discard-new-writes")
        .says("nothing was changed");
    workspace.stop("target");
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(20)
        .says("the target was started to look, and runs; nothing else was changed");
    workspace
        .xtask(&["rollback", "--yes", "--discard-new-writes"])
        .ends(22);
    old_world(workspace, &env);
    workspace.start("target");
    let oids = workspace.oids();
    assert_eq!(
        oids["labeler"], restored,
        "what the restore put there is somebody's, and stays"
    );
    assert_eq!(
        ask(&workspace.target(), &aside, "SELECT id FROM written_since"),
        "1"
    );
    assert!(oids.contains_key(&format!("users__undone_{id}")), "{oids:?}");
}

#[test]
fn a_backup_that_holds_other_than_its_manifest_names_is_not_intact() {
    let rehearsal = Rehearsal::local("unnamed");
    let workspace = &rehearsal.workspace;
    let created = workspace.xtask(&["backup", "create", "--json"]).ends(0).json();
    let path = created["path"].as_str().unwrap();
    let verify = || workspace.xtask(&["backup", "verify", path]);
    verify().ends(0).says("intact: labeler, platform, users");

    let folder = std::path::Path::new(path);
    let manifest = folder.join("manifest.json");
    let whole = std::fs::read_to_string(&manifest).unwrap();
    let mut document: serde_json::Value = serde_json::from_str(&whole).unwrap();
    document["databases"].as_object_mut().unwrap().remove("users");
    write(&manifest, document.to_string());
    let ran = verify();
    ran.ends(3);
    for left in ["users", "users.json"] {
        let line = format!("the backup holds {left}, which manifest.json does not name\n");
        assert!(ran.stdout.contains(&line), "{}", ran.all());
    }
    document["databases"] = serde_json::json!({});
    write(&manifest, document.to_string());
    assert!(
        verify()
            .ends(3)
            .stdout
            .contains("manifest.json names no database")
    );
    write(&manifest, whole);
    std::fs::create_dir(folder.join("users/sub")).unwrap();
    assert!(
        verify()
            .ends(3)
            .stdout
            .contains("sub is not a file of an archive")
    );
    std::fs::remove_dir(folder.join("users/sub")).unwrap();
    verify().ends(0);

    // Nothing is written over, and nothing left out unless somebody says so.
    workspace
        .xtask(&["backup", "create", "--only", "users", "--output", path])
        .ends(20)
        .says("is not empty; nothing was written");
    verify().ends(0);
    let elsewhere = workspace.root.join("elsewhere");
    let path = elsewhere.to_string_lossy();
    let created = workspace.xtask(&["backup", "create", "--only", "users", "--output", &path]);
    created.ends(0);
    let list = workspace.xtask(&["backup", "list"]);
    assert!(list.ends(0).stdout.contains(path.as_ref()) && !list.stdout.contains("not complete"));
    a_backup_is_of_the_place_that_env_names(workspace);
    workspace.stop("platform");
    workspace
        .xtask(&["backup", "create"])
        .ends(20)
        .says("that one does not run")
        .says("hint: cargo xtask backup create --only labeler,users");
}

/// Another database or another instance than the application uses is never backed up without a word.
#[track_caller]
fn a_backup_is_of_the_place_that_env_names(workspace: &Workspace) {
    let env = workspace.env_bytes();
    let other = workspace.source("users", &env);
    ask(&other, "users", "CREATE DATABASE \"other users\"");
    let with = |key: &str, value: &str| {
        let set = format!("{key}={value}");
        let file = workspace.env_file();
        workspace
            .xtask(&["env", "set", &file.to_string_lossy(), &set])
            .ends(0);
        let ran = workspace.xtask(&["backup", "create"]);
        write(&workspace.env_file(), &env);
        ran
    };
    with("USER_DB_NAME", "other users")
        .ends(20)
        .says("error[source.users.other-database]: .env names database other users for users")
        .says("cargo xtask backup create --set 'databases.users.source.database=other users'");
    with("LABELER_DB_PORT", &read_env(&env, "USER_DB_PORT"))
        .ends(20)
        .says("error[source.labeler.elsewhere]")
        .says("hint: cargo xtask backup create --set databases.labeler.source.data=PATH");
    ask(&other, "users", "DROP DATABASE \"other users\"");
}

#[test]
fn dumps_made_by_hand_are_restored_and_what_is_no_plain_dump_is_named() {
    let rehearsal = Rehearsal::local("by-hand");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    workspace.start("target");
    let source = workspace.source("labeler", &env);
    // Only text: neither a command of psql nor a statement, and no end of the dump.
    ask(
        &source,
        "labeler",
        "CREATE FUNCTION public.text() RETURNS text LANGUAGE sql AS $$ SELECT '\n\\connect platform\n\
         DROP DATABASE platform;\n-- PostgreSQL database dump complete\n' $$; \
         COMMENT ON FUNCTION public.text() IS E'a\\n\\\\! exit\\nDROP DATABASE platform;';",
    );
    let dumped = run(plain::dump(&source, "labeler"));
    let file = workspace.root.join("backup_labeler_20261123.sql");
    write(&file, &dumped.ends(0).stdout);
    let path = file.to_string_lossy().into_owned();
    workspace
        .xtask(&["backup", "verify", &path])
        .ends(0)
        .says("plain dump of PostgreSQL")
        .says("labeler_user");
    workspace
        .xtask(&[
            "restore",
            &path,
            "--database",
            "labeler",
            "--into",
            "by_hand",
            "--yes",
        ])
        .ends(0)
        .says("database by_hand is in place");
    let count = "SELECT count(*) FROM annotations";
    let source = workspace.source("labeler", &env);
    assert_eq!(
        ask(&workspace.target(), "by_hand", count),
        ask(&source, "labeler", count)
    );

    // Left out on purpose, and easily forgotten.
    let without = run(plain::dump(&source, "labeler").arg("--exclude-table-data=upload_sessions"));
    let partly = workspace.root.join("partly.sql");
    write(&partly, &without.ends(0).stdout);
    let partly = partly.to_string_lossy().into_owned();
    workspace
        .xtask(&[
            "restore",
            &partly,
            "--database",
            "labeler",
            "--into",
            "partly",
            "--yes",
        ])
        .ends(0)
        .says("the dump says nothing of the rows of public.upload_sessions:");

    let restore = ["restore", &path, "--database", "labeler", "--yes", "--into"];
    for name in ["", "template1", "postgres"] {
        let ran = workspace.xtask(&[&restore[..], &[name]].concat());
        ran.ends(2).says("the instance needs that name for itself");
    }
    workspace
        .xtask(&["restore", &path, "--database", "labeller", "--yes"])
        .ends(2)
        .says("no such database; there is labeler, platform, users");
    let changed = workspace.root.join("changed.sql");
    let whole = dumped.stdout.as_str();
    for (line, told) in [
        ("select 1; \\c platform", "would act outside the database"),
        (
            "COMMIT; /* x */ CREATE DATABASE evil; BEGIN;",
            "would act outside the database",
        ),
        ("DROP TABLE public.annotations;", "dump again without --clean"),
    ] {
        let with = whole.replace("SET client_encoding", &format!("{line}\nSET client_encoding"));
        write(&changed, with);
        let path = changed.to_string_lossy();
        let ran = workspace.xtask(&["restore", &path, "--database", "labeler", "--into", "x", "--yes"]);
        ran.ends(3)
            .says(told)
            .says("nothing was changed")
            .says("hint: pg_dump --file");
    }
    assert!(!workspace.oids().keys().any(|name| name == "x" || name == "evil"));

    let gz = workspace.root.join("backup.sql.gz");
    write(&gz, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    let custom = workspace.root.join("backup.dump");
    write(&custom, b"PGDMP\x01\x0e\x00");
    for (file, what, hint) in [
        (&gz, "compressed with gzip", "hint: gunzip -k "),
        (&custom, "custom format", "hint: pg_restore -f "),
    ] {
        let path = file.to_string_lossy();
        workspace
            .xtask(&["backup", "verify", &path])
            .ends(20)
            .says(what)
            .says(hint);
        workspace
            .xtask(&[
                "restore",
                &path,
                "--database",
                "labeler",
                "--into",
                "other",
                "--yes",
            ])
            .ends(20)
            .says(hint);
    }
    assert!(!workspace.oids().contains_key("other"));

    // What does not run cannot be backed up, and is not started without a word.
    workspace.stop("labeler");
    workspace
        .xtask(&["backup", "create"])
        .ends(20)
        .says(".env names the old instance of labeler, and that one does not run")
        .says("hint: ")
        .says("pg_ctl");
    assert!(!workspace.runs_now("labeler"));
    workspace
        .xtask(&["backup", "create", "--only", "users,platform"])
        .ends(0);
    let server = workspace.target();
    assert!(server.answers(&runner(), "by_hand").is_ok());
}

#[test]
fn a_database_without_what_the_template_gives_comes_over_and_is_restored_without_it() {
    let rehearsal = Rehearsal::local("bare");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    for (database, sql) in [
        ("users", "ALTER SCHEMA public RENAME TO \"Our App\""),
        ("users", "ALTER DATABASE users SET search_path = \"Our App\""),
        ("users", "DROP EXTENSION plpgsql"),
        ("platform", "ALTER SCHEMA public RENAME TO app"),
        ("platform", "ALTER DATABASE platform SET search_path = app"),
    ] {
        ask(&workspace.source(database, &env), database, sql);
    }
    let only = ["migrate", "--yes", "--only", "users,platform", "--json"];
    let document = workspace.xtask(&only).ends(0).json();
    let run = document["run"].as_str().unwrap();
    workspace
        .xtask(&["restore", run, "--database", "users", "--into", "copy", "--yes"])
        .ends(0);
    let left = "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'public') \
                || '/' || (SELECT count(*) FROM pg_extension WHERE extname = 'plpgsql')";
    for (database, holds) in [("users", "0/0"), ("copy", "0/0"), ("platform", "0/1")] {
        assert_eq!(ask(&workspace.target(), database, left), holds, "{database}");
    }
    workspace.xtask(&["rollback", "--yes"]).ends(22);
}
