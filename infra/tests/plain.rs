//! What psql runs of a dump, and whether looking at the dump said so before.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

use std::path::Path;

use infra::Cmd;
use infra::postgres::plain::{self, PlainDump};

#[expect(dead_code, reason = "shared with tests that need more")]
mod support;

use support::{TestCluster, installations};

/// Pieces whose order decides what psql takes for a string, a comment or a command.
const PIECES: [&str; 44] = [
    "'",
    "'",
    "'",
    "\"",
    "$$",
    "$a$",
    "$",
    "\\'",
    "\\\\'",
    "''",
    " ",
    "\n",
    "\n",
    ";",
    ";\n",
    "--",
    "/*",
    "*/",
    "e",
    "E'",
    "e'",
    "U&'",
    "b'",
    "x'",
    "n'",
    "name",
    "_e'",
    "1",
    "1e",
    "$1",
    "1.",
    ":",
    ":e",
    "::",
    ":'x'",
    ":{?x}",
    "(",
    ")",
    "+",
    "&",
    "a$b",
    "SELECT",
    "\r",
    "\n\\! touch $MARK\n",
];

fn looked_at(text: &str) -> PlainDump {
    plain::inspect(text.as_bytes()).unwrap()
}

fn would_be_refused(dump: &PlainDump) -> bool {
    !dump.foreign.is_empty() || dump.crlf || dump.zero
}

/// Whether psql runs a command of the shell while it reads this.
fn runs(cluster: &TestCluster, folder: &Path, text: &str) -> bool {
    let (file, mark) = (folder.join("dump.sql"), folder.join("mark"));
    infra::files::write_private(&file, text.as_bytes()).unwrap();
    let _ = std::fs::remove_file(&mark);
    let psql = cluster.server.client("psql", "postgres", "read a dump");
    let psql = psql.args(["-Xqw", "-f"]).arg(&file).env("MARK", &mark);
    // Its complaints about the SQL do not matter.
    let _ = cluster.runner.run(&psql);
    mark.exists()
}

#[test]
fn what_psql_runs_is_seen_before() {
    let installations = installations();
    let newest = installations.last().unwrap();
    let cluster = TestCluster::start(newest, newest);
    let folder = tempfile::tempdir().unwrap();
    // What hid a command once, and what runs none.
    for (text, runs_it) in [
        ("SELECT name'\\'; \\! touch $MARK\n-- '\n;", true),
        ("SELECT :e'\\'; \\! touch $MARK\n-- '\n;", true),
        ("SELECT 1$$ ' $$; \\! touch $MARK\n-- '\n;", true),
        ("SELECT E'a'\n'b\\'; \\! touch $MARK\n-- '\n;", true),
        ("-- a\r\\! touch $MARK\n", true),
        ("\\restrict `touch $MARK`\n", true),
        ("\\restrict a\n\\unrestrict a \\! touch $MARK\n", true),
        (
            "CREATE TEMP TABLE t (a text);\ncopy t from stdin;\n'\n\\.\n\\! touch $MARK\n';\n",
            true,
        ),
        (
            "SELECT set_config('standard_conforming_strings', 'off', false);\nSELECT '\\' ' \\! touch $MARK\n';",
            true,
        ),
        ("SELECT E'\\' \\! touch $MARK\n';", false),
        ("SELECT $a$ \\! touch $MARK\n$$ $a$;", false),
        ("SELECT /* /* */ \n\\! touch $MARK\n */ 1;", false),
    ] {
        assert_eq!(runs(&cluster, folder.path(), text), runs_it, "{text:?}");
        assert!(!runs_it || would_be_refused(&looked_at(text)), "{text:?}");
    }
    let mut state = 20_261_126_u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut ran = 0;
    for _ in 0..150 {
        let mut text = String::from("SELECT ");
        for _ in 0..3 + next(12) {
            text.push_str(PIECES[next(PIECES.len())]);
        }
        text.push_str("\\! touch $MARK\n");
        if runs(&cluster, folder.path(), &text) {
            ran += 1;
            assert!(
                would_be_refused(&looked_at(&text)),
                "psql runs a command of {text:?}"
            );
        }
    }
    assert!(ran > 20, "the pieces ran a command only {ran} times");
}

#[test]
fn a_restricted_psql_runs_none_of_its_commands_whatever_was_seen() {
    let installations = installations();
    let newest = installations.last().unwrap();
    let cluster = TestCluster::start(newest, newest);
    let folder = tempfile::tempdir().unwrap();
    let version = plain::psql_version(&cluster.runner, &cluster.server.clients).unwrap();
    let (file, mark) = (folder.path().join("dump.sql"), folder.path().join("mark"));
    infra::files::write_private(&file, b"SELECT 1;\n\\! touch $MARK\n").unwrap();
    let load = |restrict: Option<&str>| {
        plain::load(&cluster.server, "postgres", &file, restrict, "", "").env("MARK", &mark)
    };
    let run = |cmd: Cmd| cluster.runner.run(&cmd);
    run(load(None)).unwrap();
    assert!(mark.exists(), "nothing else would have kept it");
    std::fs::remove_file(&mark).unwrap();
    // One that does not know it fails on it, which is no less safe.
    assert!(run(load(Some("abc"))).is_err(), "psql {version:?}");
    assert!(!mark.exists());
    infra::files::write_private(&file, b"CREATE TABLE t (a int);\n").unwrap();
    if plain::knows_restrict(version) {
        run(load(Some("abc"))).unwrap();
    }
}

#[test]
fn what_a_dump_changes_outside_its_database_is_taken_back() {
    let installations = installations();
    let newest = installations.last().unwrap();
    let cluster = TestCluster::start(newest, newest);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.sql");
    let but = ["ghost".to_owned()];
    // More names than a command line holds.
    cluster.sql(
        "postgres",
        "DO $$ BEGIN FOR i IN 1..3000 LOOP EXECUTE format('CREATE ROLE %I', repeat('r', 50) || i); END LOOP; END $$;",
    );
    let shared = |superuser| -> String {
        let ask = plain::shared_objects(superuser, &but);
        cluster
            .server
            .json(&cluster.runner, "postgres", &ask, "look")
            .unwrap()
    };
    let load = |text: &str, superuser: bool| {
        infra::files::write_private(&file, text.as_bytes()).unwrap();
        let before = plain::remember_shared(superuser, &but);
        let after = plain::unchanged(superuser, &but, &shared(superuser));
        let load = plain::load(&cluster.server, "postgres", &file, None, &before, &after);
        cluster.runner.run(&load)
    };
    for superuser in [true, false] {
        let as_it_was = shared(superuser);
        load(
            "CREATE TABLE IF NOT EXISTS t (a int); CREATE ROLE ghost; DROP ROLE ghost;",
            superuser,
        )
        .unwrap();
        for (text, named) in [
            ("DO $$ BEGIN CREATE ROLE evil SUPERUSER; END $$;", "role evil"),
            (
                "REVOKE CONNECT ON DATABASE template1 FROM PUBLIC;",
                "database template1",
            ),
            (
                "COMMENT ON DATABASE template1 IS 'other';",
                "comment on pg_database",
            ),
            (
                "ALTER DATABASE template1 SET work_mem = '1GB';",
                "settings of role",
            ),
        ] {
            let error = load(text, superuser).unwrap_err();
            assert!(error.tail().contains(named), "{text}: {}", error.tail());
            let again = load("SELECT 1;", superuser);
            assert!(again.is_ok(), "it was not taken back: {text}");
        }
        assert_eq!(shared(superuser), as_it_was);
    }
}
