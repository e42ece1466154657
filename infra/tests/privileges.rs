//! What `verify` says a role may not do, on a real server; and that asking changes nothing.

#[expect(dead_code, reason = "the manifest's tests use the rest")]
mod support;

use infra::Secret;
use infra::postgres::{Server, health};
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
