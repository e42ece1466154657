//! What a role may not do, and what one that should only read can do, on a real server; and that asking changes nothing.

#[expect(dead_code, reason = "the manifest's tests use the rest")]
mod support;

use infra::Secret;
use infra::postgres::{Server, health, unprivileged};
use support::{TestCluster, installations};

const TABLES: &str = "
    CREATE TABLE mine (id serial, made text);
    CREATE TABLE identity (id int GENERATED ALWAYS AS IDENTITY);
    CREATE TABLE unreadable (id int);
    CREATE TABLE numbered (id serial);
    CREATE SCHEMA closed; CREATE TABLE closed.inside (id int);
    CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a trigger fired''; END';
    CREATE TRIGGER fires BEFORE INSERT ON mine EXECUTE FUNCTION noted();
    CREATE ROLE app LOGIN PASSWORD 'app password';
    GRANT SELECT, INSERT, UPDATE, DELETE ON mine, identity, numbered, closed.inside TO app;
    GRANT INSERT ON unreadable TO app;
    GRANT USAGE ON SEQUENCE mine_id_seq TO app;";

const SEQUENCES: &str = "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1;";

#[test]
fn missing_privileges_are_named_and_nothing_is_written() {
    let newest = installations().pop().expect("installations is never empty");
    let cluster = TestCluster::start(&newest, &newest);
    let database = cluster.database("rights");
    cluster.sql(&database, TABLES);
    let login = Server {
        user: "app".to_owned(),
        password: Some(Secret::new("app password")),
        ..cluster.server.clone()
    };
    let before = cluster.sql(&database, SEQUENCES);
    let refused =
        health::refused(&cluster.runner, &login, &database).unwrap_or_else(|error| panic!("{error}"));
    let named: Vec<String> = refused
        .iter()
        .map(|one| format!("{} on {}", one.what, one.object))
        .collect();
    assert_eq!(
        named,
        [
            "USAGE on schema closed",
            "SELECT on public.unreadable",
            "UPDATE on public.unreadable",
            "DELETE on public.unreadable",
            "USAGE on public.numbered_id_seq",
        ]
    );
    assert_eq!(cluster.sql(&database, SEQUENCES), before, "sequences moved");
}

const READERS: &str = "
    CREATE TABLE jobs (id int GENERATED ALWAYS AS IDENTITY, name text, twice text GENERATED ALWAYS AS (name || name) STORED);
    CREATE VIEW names AS SELECT name FROM jobs;
    CREATE VIEW counted AS SELECT count(*) FROM jobs;
    CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a trigger fired''; END';
    CREATE TRIGGER fires BEFORE DELETE OR INSERT OR UPDATE ON jobs FOR EACH STATEMENT EXECUTE FUNCTION noted();
    CREATE TABLE ruled (id int); CREATE RULE never AS ON UPDATE TO ruled DO INSTEAD NOTHING;
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    CREATE ROLE reader LOGIN PASSWORD 'reader password';
    ALTER ROLE reader SET default_transaction_read_only = on;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;";

#[test]
fn what_a_reader_can_change_is_found_by_trying_and_no_default_hides_it() {
    let newest = installations().pop().expect("installations is never empty");
    let cluster = TestCluster::start(&newest, &newest);
    let database = cluster.database("readers");
    cluster.sql(&database, READERS);
    let login = Server {
        user: "reader".to_owned(),
        password: Some(Secret::new("reader password")),
        ..cluster.server.clone()
    };
    let tried = || {
        unprivileged::read_only(&cluster.runner, &login, &database).unwrap_or_else(|error| panic!("{error}"))
    };
    let only_reads = tried();
    assert_eq!(only_reads.can, "");
    assert_eq!((only_reads.readable, only_reads.tables), (2, 2));

    for (right, can) in [
        (
            "UPDATE (id), INSERT (id) ON jobs",
            "insert column id of jobs, update column id of jobs",
        ),
        ("UPDATE (name) ON names", "update column name of names"),
        ("INSERT ON jobs", "write to jobs"),
        ("DELETE ON jobs", "delete from jobs, write to jobs"),
        ("TRUNCATE ON jobs", "write to jobs"),
    ] {
        cluster.sql(&database, &format!("GRANT {right} TO reader;"));
        assert_eq!(tried().can, can, "{right}");
        cluster.sql(&database, &format!("REVOKE {right} FROM reader;"));
    }
}

const READ_ONLY_ROLES: &str = "
    CREATE TABLE t (id serial, note text); CREATE VIEW v AS SELECT * FROM t;
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    CREATE ROLE writer; GRANT INSERT ON t TO writer;
    CREATE ROLE fine_readonly; GRANT SELECT ON ALL TABLES IN SCHEMA public TO fine_readonly;
    GRANT SELECT, USAGE ON SEQUENCE t_id_seq TO fine_readonly;
    CREATE ROLE all_readonly; GRANT writer TO all_readonly; GRANT TRUNCATE ON t TO all_readonly;
    CREATE ROLE column_readonly; GRANT UPDATE (note) ON t TO column_readonly;
    CREATE ROLE member_ro NOINHERIT; GRANT writer TO member_ro;
    CREATE ROLE schema_readonly; GRANT CREATE ON SCHEMA public TO schema_readonly;
    CREATE ROLE sequence_readonly; GRANT UPDATE ON SEQUENCE t_id_seq TO sequence_readonly;
    CREATE ROLE super_read_only SUPERUSER;
    CREATE ROLE view_readonly; GRANT DELETE ON v TO view_readonly;";

#[test]
fn every_way_in_which_a_read_only_role_can_write_is_named() {
    for installation in installations() {
        let cluster = TestCluster::start(&installation, &installation);
        let database = cluster.database("read only roles");
        cluster.sql(&database, READ_ONLY_ROLES);
        let seen = health::database(&cluster.runner, &cluster.server, &database)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            seen.writing_readers,
            [
                "all_readonly on public.t",
                "column_readonly on public.t",
                "member_ro as writer on public.t",
                "schema_readonly creates in schema public",
                "sequence_readonly on sequence public.t_id_seq",
                "super_read_only is a superuser",
                "view_readonly on public.v",
            ],
            "PostgreSQL {}",
            installation.major
        );
    }
}

const NUMBERS: &str = "
    CREATE TABLE right_one (id serial); INSERT INTO right_one DEFAULT VALUES;
    CREATE TABLE owned (id serial); INSERT INTO owned VALUES (7);
    CREATE SEQUENCE free; CREATE TABLE by_default (id bigint DEFAULT nextval('free')); INSERT INTO by_default VALUES (7);
    CREATE SEQUENCE down INCREMENT -1; CREATE TABLE downwards (id int DEFAULT nextval('down')); INSERT INTO downwards VALUES (-7);
    CREATE SEQUENCE exact; CREATE TABLE exact_numbers (id numeric(20, 1) DEFAULT nextval('exact'));
    INSERT INTO exact_numbers VALUES (7.5), ('NaN');
    CREATE SEQUENCE round MAXVALUE 9 CYCLE; CREATE TABLE rounds (id int DEFAULT nextval('round')); INSERT INTO rounds VALUES (9);
    CREATE SEQUENCE empty_one; CREATE TABLE nothing_yet (id int DEFAULT nextval('empty_one'));";

#[test]
fn c11_a_sequence_that_no_column_owns_or_that_counts_down_or_fills_a_numeric_column_is_seen() {
    let newest = installations().pop().expect("installations is never empty");
    let cluster = TestCluster::start(&newest, &newest);
    let database = cluster.database("numbers");
    cluster.sql(&database, NUMBERS);
    let health = health::database(&cluster.runner, &cluster.server, &database)
        .unwrap_or_else(|error| panic!("{error}"));
    let found: Vec<_> = health
        .sequences
        .iter()
        .map(|one| format!("{} {} {} {}", one.sequence, one.next, one.column, one.reached))
        .collect();
    assert_eq!(
        found,
        [
            "public.down -1 public.downwards.id -7",
            "public.exact 1 public.exact_numbers.id 7.5",
            "public.free 1 public.by_default.id 7",
            "public.owned_id_seq 1 public.owned.id 7",
        ]
    );
}
