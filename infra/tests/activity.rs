//! What a server says about writes, on every version: what its counters hide, and what shows that they say nothing.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test; what cannot be prepared fails"
)]

#[path = "support/left_out.rs"]
mod left_out;
#[expect(dead_code, reason = "the manifest's tests use the rest")]
mod support;

use std::time::Duration;

use infra::postgres::activity::{self, Witness};
use infra::postgres::manifest::{self, CompareOptions};
use infra::postgres::{Reach, Server, facts};
use infra::{Cmd, Runner};
use support::{SUPERUSER, TestCluster, installations};

const TABLES: &str =
    "CREATE TABLE a (id int PRIMARY KEY, word text); INSERT INTO a VALUES (1, 'one'), (2, 'two');";
const HIDDEN: &str = "SET track_counts = off; UPDATE a SET word = 'changed' WHERE id = 1;";

/// Waits until sessions that ended have told what they counted: some servers take their time.
fn settle() {
    let never = || None::<()>;
    let _ = infra::wait::until(&infra::Interrupt::default(), Duration::from_millis(1500), never);
}

fn cluster() -> TestCluster {
    let newest = installations().pop().expect("installations is never empty");
    TestCluster::start(&newest, &newest)
}

#[test]
fn a_write_that_no_counter_shows_is_seen_inside_the_closed_database() {
    for installation in installations() {
        let cluster = TestCluster::start(&installation, &installation);
        let (runner, server) = (&cluster.runner, &cluster.server);
        let database = cluster.database("hidden");
        cluster.sql(&database, TABLES);
        let before = activity::activity(runner, server, &database).unwrap();
        let backup = manifest::collect(runner, server, &database, None, 1, &|_| {}).unwrap();
        let mut witness = Witness::open(runner, server, &database, 2).unwrap();
        cluster.sql(&database, HIDDEN);
        let close = activity::allow(&database, false);
        server.execute(runner, "postgres", &close, "close").unwrap();
        let after = witness.activity().unwrap();
        assert_eq!(before.until(&after), Ok(Vec::new()), "the counters do not know");
        assert!(!before.is_still(&after));
        let now = witness
            .manifest(runner, server, ("postgres", &database), &|_| {})
            .unwrap();
        let differences = manifest::compare(&backup, &now, &CompareOptions::default());
        assert_eq!(differences.len(), 1, "{differences:?}");
        assert_eq!(differences[0].class, "contents");
    }
}

#[test]
fn sessions_are_counted_whatever_the_server_is_told_about_counting() {
    for installation in installations() {
        let cluster = TestCluster::start(&installation, &installation);
        let database = cluster.database("sessions");
        cluster.sql(&database, "ALTER ROLE ALL SET track_counts = off;");
        let ever = || {
            settle();
            let seen = activity::sessions(&cluster.runner, &cluster.server, "postgres", &database);
            seen.unwrap().ever
        };
        let before = ever();
        cluster.sql(&database, "SELECT 1;");
        assert!(ever() > before, "PostgreSQL {}", installation.major);
    }
}

#[test]
fn a_database_that_was_opened_and_closed_again_does_not_look_as_if_it_stayed_closed() {
    for installation in installations() {
        let cluster = TestCluster::start(&installation, &installation);
        let database = cluster.database("door");
        let door = || {
            let seen = activity::sessions(&cluster.runner, &cluster.server, "postgres", &database);
            seen.unwrap().door
        };
        let allow = |allowed| {
            let script = activity::allow(&database, allowed);
            let (runner, server) = (&cluster.runner, &cluster.server);
            server
                .execute(runner, "postgres", &script, "open or close")
                .unwrap();
        };
        allow(false);
        let closed = door();
        cluster.sql(
            "postgres",
            "VACUUM FREEZE pg_database; CREATE TABLE IF NOT EXISTS elsewhere (id int);",
        );
        assert_eq!(door(), closed, "nobody touched it");
        allow(true);
        allow(false);
        assert_ne!(door(), closed);
    }
}

#[test]
fn where_nothing_is_counted_what_is_prepared_and_who_replicates_are_named() {
    for installation in installations() {
        let cluster = TestCluster::start(&installation, &installation);
        let database = cluster.database("named");
        let seen = || activity::sessions(&cluster.runner, &cluster.server, "postgres", &database).unwrap();
        let quiet = seen();
        assert!(quiet.uncounted.is_empty() && quiet.prepared.is_empty() && quiet.replication.is_empty());
        let quoted = infra::postgres::quote::ident(&database);
        cluster.sql(
            &database,
            &format!(
                "{TABLES} CREATE ROLE hidden; ALTER ROLE hidden SET track_counts = off;
                 ALTER DATABASE {quoted} SET track_counts = off; ALTER ROLE hidden IN DATABASE {quoted} SET track_counts = off;
                 CREATE SUBSCRIPTION fed CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE);
                 BEGIN; UPDATE a SET word = 'prepared' WHERE id = 1; PREPARE TRANSACTION 'it''s pending';"
            ),
        );
        let named = seen();
        let mut uncounted = named.uncounted;
        uncounted.sort();
        assert_eq!(
            uncounted,
            [
                format!("ALTER ROLE ALL IN DATABASE {quoted} SET track_counts=off"),
                format!("ALTER ROLE hidden IN DATABASE {quoted} SET track_counts=off"),
                "ALTER ROLE hidden SET track_counts=off".to_owned(),
            ]
        );
        assert_eq!(named.prepared[0].gid, "it's pending");
        assert_eq!(named.prepared[0].owner, SUPERUSER);
        assert_eq!(named.replication, ["subscription fed (disabled)"]);
        let inside = activity::activity(&cluster.runner, &cluster.server, &database).unwrap();
        assert!(
            inside.uncounted.contains(&"track_counts is off".to_owned()),
            "{inside:?}"
        );
        cluster.sql(
            &database,
            "ROLLBACK PREPARED 'it''s pending'; DROP SUBSCRIPTION fed;",
        );
    }
}

#[test]
fn counters_that_began_anew_are_never_a_pass() {
    for installation in installations() {
        let cluster = TestCluster::start(&installation, &installation);
        let database = cluster.database("anew");
        // What the crash takes and what is written after it are as many rows.
        cluster.sql(&database, TABLES);
        let look = || activity::activity(&cluster.runner, &cluster.server, &database).unwrap();
        settle();
        let before = look();
        assert_eq!(before.until(&look()), Ok(Vec::new()));

        cluster.sql(&database, "SELECT pg_stat_reset();");
        settle();
        let reset = look();
        assert!(before.until(&reset).unwrap_err().contains("reset"));

        let pid = cluster.sql(
            "postgres",
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer';",
        );
        cluster.runner.kill(pid.trim().parse().unwrap());
        let limit = Duration::from_secs(30);
        infra::wait::until(cluster.runner.interrupt(), limit, || {
            let started =
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'checkpointer' AND pid <> ";
            let script = infra::postgres::Script::new(format!("{started}{};", pid.trim()));
            let asked = cluster
                .server
                .execute(&cluster.runner, "postgres", &script, "wait");
            (asked.ok()?.trim() == "1").then_some(())
        })
        .unwrap();
        let why = reset.until(&look()).unwrap_err();
        assert!(why.contains("lost in a crash"), "{why}");
    }
}

/// A pooler before a server.
struct Pooler {
    _running: infra::command::Child,
    _dir: tempfile::TempDir,
    server: Server,
}

fn pooler(cluster: &TestCluster, mode: &str) -> Pooler {
    let Reach::Tcp { host, port } = &cluster.server.reach else {
        panic!("a test cluster listens on loopback")
    };
    let own = infra::ports::free(1).unwrap()[0];
    let password = cluster
        .server
        .password
        .as_ref()
        .unwrap()
        .expose()
        .replace('\'', "''");
    let dir = tempfile::Builder::new().prefix("xtask-test-").tempdir().unwrap();
    let users = dir.path().join("users");
    std::fs::write(&users, format!("\"{SUPERUSER}\" \"\"\n")).unwrap();
    let ini = dir.path().join("pgbouncer.ini");
    let text = format!(
        "[databases]\n* = host={host} port={port} user='{SUPERUSER}' password='{password}'\n[pgbouncer]\nlisten_addr = \
         127.0.0.1\nlisten_port = {own}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n\
         ignore_startup_parameters = extra_float_digits,options\n",
        users.display()
    );
    std::fs::write(&ini, text).unwrap();
    infra::postgres::cluster::give(dir.path(), None).unwrap();
    let mut cmd = Cmd::new("pgbouncer", "run a pooler").arg("-q");
    if infra::command::is_root() {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        cmd = cmd.args(["-u", "nobody"]);
    }
    let running = Runner::default()
        .spawn(&cmd.arg(&ini), Some(&dir.path().join("log")))
        .unwrap();
    let limit = Duration::from_secs(20);
    infra::wait::until(cluster.runner.interrupt(), limit, || {
        infra::ports::is_open("127.0.0.1", own, Duration::from_secs(1)).then_some(())
    })
    .unwrap_or_else(|_| {
        panic!(
            "{}",
            std::fs::read_to_string(dir.path().join("log")).unwrap_or_default()
        )
    });
    let mut server = cluster.server.clone();
    server.reach = Reach::Tcp {
        host: "127.0.0.1".to_owned(),
        port: own,
    };
    Pooler {
        _running: running,
        _dir: dir,
        server,
    }
}

#[test]
fn a_pooler_is_known_by_sessions_that_are_older_than_the_connection() {
    let cluster = cluster();
    let pooled = |server: &Server| facts::is_pooled(&cluster.runner, server, "postgres").unwrap();
    assert!(!pooled(&cluster.server), "the server itself");
    if infra::command::find_program("pgbouncer").is_none() {
        left_out::left_out("a pooler before a server: pgbouncer is not on this machine");
        return;
    }
    for mode in ["transaction", "session"] {
        let pooler = pooler(&cluster, mode);
        assert!(pooled(&pooler.server), "pool_mode {mode}");
    }
    // Whoever asks an external server hears it, with everything else.
    let pooler = pooler(&cluster, "transaction");
    let server = pooler.server.clone().with_option("PGAPPNAME", "xtask");
    assert!(
        facts::server(&cluster.runner, &server, "postgres")
            .unwrap()
            .pooled
    );
}
