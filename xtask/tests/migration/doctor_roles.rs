//! The doctor's problems with logins, connections, privileges and owners, created on a real server.

use infra::Runner;

use super::doctor::{Patient, evidence, text};
use super::support::{ask, read_env, runner};

#[test]
fn with_only_the_ports_changed_the_role_of_env_is_missing_and_env_follows_the_owner() {
    let patient = Patient::new("doctor-role");
    patient.set_env("users", "USER", "users_old");
    let before = patient.env_bytes();
    let found = patient.finds("role-missing");
    // What the server says is about the password; what is true is about the role.
    assert!(
        text(&found, "/said").contains("password authentication failed"),
        "{found}"
    );
    assert!(
        text(&found, "/finding/found").contains("role users_old is not on the target"),
        "{found}"
    );
    patient.repairs("role-missing");
    let after = patient.env_bytes();
    assert_eq!(read_env(&after, "USER_DB_USER"), "admin");
    let expected = String::from_utf8(before.clone())
        .unwrap()
        .replace("users_old", "admin");
    assert_eq!(
        String::from_utf8(after).unwrap(),
        expected,
        "no other byte changes"
    );
    patient.goes_back();
    assert!(patient.env_bytes() == before);

    // A database of another role: the role itself is made, with the password of `.env`.
    patient.sql(
        "postgres",
        "CREATE ROLE somebody; ALTER DATABASE users OWNER TO somebody",
    );
    let found = patient.finds("role-missing");
    assert!(
        text(&found, "/fix/title").starts_with("make role users_old"),
        "{found}"
    );
    assert!(
        !found.to_string().contains(&patient.text("target.password")),
        "{found}"
    );
    patient.repairs("role-missing");
    assert!(patient.target_facts().roles["users_old"].login);
    patient.goes_back();
    assert!(!patient.target_facts().roles.contains_key("users_old"));
}

#[test]
fn a_wrong_password_of_the_targets_own_role_is_corrected_in_env() {
    let patient = Patient::new("doctor-password");
    patient.set_env("labeler", "PASSWORD", "not-the-password");
    let before = patient.env_bytes();
    let found = patient.finds("wrong-password");
    assert!(
        text(&found, "/said").contains("password authentication failed for user \"admin\""),
        "{found}"
    );
    assert!(!found.to_string().contains("not-the-password"), "{found}");
    patient.repairs("wrong-password");
    assert_eq!(
        patient.env("LABELER_DB_PASSWORD"),
        patient.text("target.password")
    );
    patient.goes_back();
    assert!(patient.env_bytes() == before);
}

#[test]
fn a_wrong_password_of_another_role_is_set_on_the_server_and_going_back_brings_the_old_one() {
    let patient = Patient::new("doctor-verifier");
    patient.sql(
        "labeler",
        "CREATE ROLE labeler_app LOGIN PASSWORD 'the-old-one'; ALTER DATABASE labeler OWNER TO labeler_app; \
         ALTER TABLE alembic_version OWNER TO labeler_app",
    );
    patient.set_env("labeler", "USER", "labeler_app");
    patient.set_env("labeler", "PASSWORD", "the-new-one");
    let found = patient.finds("wrong-password");
    assert!(text(&found, "/finding/found").contains("labeler_app"), "{found}");
    patient.repairs("wrong-password");
    let port = patient.port("target.port");
    let login = |password: &str| patient.server("app", port, "labeler_app", password);
    assert!(login("the-new-one").answers(&runner(), "labeler").is_ok());
    patient.goes_back();
    assert!(login("the-new-one").answers(&runner(), "labeler").is_err());
    assert!(login("the-old-one").answers(&runner(), "labeler").is_ok());
    // Neither password nor what the server made of it is in a journal, a log or a repair.
    for file in files(&patient.root.join(".xtask/repairs")) {
        if file.ends_with("state/verifier.json") {
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        for secret in ["the-new-one", "the-old-one", "SCRAM-SHA-256$"] {
            assert!(!text.contains(secret), "{secret} is in {}", file.display());
        }
    }
}

/// Every file below a folder.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

/// Sessions that do nothing, until they are dropped.
struct Sessions(#[expect(dead_code, reason = "held until dropped")] Vec<infra::command::Child>);

impl Sessions {
    /// Opens so many. A session that has just ended keeps its slot for a moment, so a refused one is tried again.
    #[track_caller]
    fn open(runner: &Runner, server: &infra::postgres::Server, count: usize) -> Self {
        let open = || {
            let mut child = runner
                .spawn(&server.psql_session("labeler", "hold a connection"), None)
                .ok()?;
            child.write_line("SELECT 1;").ok()?;
            let answer = child.read_line().ok()??;
            assert_eq!(answer, "1");
            Some(child)
        };
        let limit = std::time::Duration::from_secs(60);
        let patiently = |_| infra::wait::until(runner.interrupt(), limit, open).unwrap();
        Self((0..count).map(patiently).collect())
    }
}

#[test]
fn too_many_connections_are_counted_and_the_limit_is_raised_and_lowered_again() {
    let patient = Patient::new("doctor-connections");
    // Seven are for everybody. The doctor's own sessions find room among those kept for superusers, also while some that
    // have ended still hold their slots.
    patient.sql("postgres", "ALTER SYSTEM SET max_connections = 17");
    patient.sql("postgres", "ALTER SYSTEM SET superuser_reserved_connections = 10");
    patient.stop("target");
    patient.start("target");
    patient.sql(
        "labeler",
        "CREATE ROLE labeler_app LOGIN PASSWORD 'a-password'; ALTER DATABASE labeler OWNER TO labeler_app; \
         ALTER TABLE alembic_version OWNER TO labeler_app",
    );
    patient.set_env("labeler", "USER", "labeler_app");
    patient.set_env("labeler", "PASSWORD", "a-password");
    let application = patient.server("app", patient.port("target.port"), "labeler_app", "a-password");
    let held = Sessions::open(&runner(), &application, 7);

    let found = patient.finds("too-many-connections");
    let said = text(&found, "/said");
    assert!(
        said.contains("connection slots are reserved") || said.contains("too many clients"),
        "{found}"
    );
    let who = "7 sessions: database labeler, role labeler_app, application xtask; 7 of them do nothing";
    assert!(evidence(&found).contains(who), "{found}");
    assert!(text(&found, "/fix/disturbs").contains("restarts"), "{found}");
    patient.repairs("too-many-connections");
    assert_eq!(patient.sql("postgres", "SHOW max_connections"), "200");
    drop(held);
    patient.goes_back();
    assert_eq!(patient.sql("postgres", "SHOW max_connections"), "17");

    // Also those kept for superusers are taken: nobody gets in, and the processes tell who has them.
    let held = Sessions::open(&runner(), &patient.target(), 17);
    let document = patient.xtask(&["doctor", "--json", "--only", "too-many-connections"]);
    let document = document.ends(3).json();
    let found = &document["problems"][0]["diagnoses"][0];
    assert!(
        text(found, "/said").contains("too many clients already"),
        "{found}"
    );
    assert!(
        evidence(found).contains("17 sessions: role admin, database labeler"),
        "{found}"
    );
    // Pasted in this order they work: without the restart nobody gets in to say anything.
    let command = |n: usize| text(found, &format!("/fix/commands/{n}"));
    assert!(
        command(0).contains(" stop") && command(1).contains(" start"),
        "{found}"
    );
    assert!(
        command(2).contains("ALTER SYSTEM") && command(4).contains(" start"),
        "{found}"
    );
    patient.repairs("too-many-connections");
    drop(held);
    assert_eq!(patient.sql("postgres", "SHOW max_connections"), "200");
}

#[test]
fn a_limit_of_one_role_is_lifted_without_a_restart() {
    let patient = Patient::new("doctor-limit");
    patient.sql(
        "labeler",
        "CREATE ROLE labeler_app LOGIN PASSWORD 'a-password' CONNECTION LIMIT 0; ALTER DATABASE labeler OWNER TO labeler_app; \
         ALTER TABLE alembic_version OWNER TO labeler_app",
    );
    patient.set_env("labeler", "USER", "labeler_app");
    patient.set_env("labeler", "PASSWORD", "a-password");
    let began = "SELECT pg_postmaster_start_time()";
    let before = patient.sql("postgres", began);
    let found = patient.finds("too-many-connections");
    assert!(
        text(&found, "/said").contains("too many connections for role \"labeler_app\""),
        "{found}"
    );
    patient.repairs("too-many-connections");
    assert_eq!(patient.sql("postgres", began), before);
    let limit = "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'labeler_app'";
    assert_eq!(patient.sql("postgres", limit), "-1");
    patient.goes_back();
    assert_eq!(patient.sql("postgres", limit), "0");
}

#[test]
fn missing_privileges_are_granted_and_revoked_again() {
    let patient = Patient::new("doctor-grants");
    patient.sql(
        "users",
        "CREATE ROLE users_app LOGIN PASSWORD 'a-password'; CREATE SCHEMA \"Odd name\"; \
         CREATE TABLE people (id serial, name text); CREATE TABLE \"Odd name\".\"it's\" (id int)",
    );
    patient.set_env("users", "USER", "users_app");
    patient.set_env("users", "PASSWORD", "a-password");
    let found = patient.finds("permission-denied");
    let seen = evidence(&found);
    for refused in [
        "USAGE on schema \"Odd name\"",
        "SELECT, INSERT, UPDATE, DELETE on table public.people",
        "USAGE on sequence public.people_id_seq",
        "SELECT, INSERT, UPDATE, DELETE on table \"Odd name\".\"it's\"",
    ] {
        assert!(seen.contains(refused), "{refused}\n{seen}");
    }
    let access = "SELECT coalesce(string_agg(relacl::text, ' ' ORDER BY relname), '') || (SELECT count(*) FROM pg_default_acl) \
                  FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relacl IS NOT NULL";
    let before = patient.sql("users", access);
    patient.repairs("permission-denied");
    let application = patient.server("app", patient.port("target.port"), "users_app", "a-password");
    let insert = "INSERT INTO people (name) VALUES ('a'); SELECT count(*) FROM people";
    assert_eq!(ask(&application, "users", insert), "1");
    // What the owner makes later is granted by default.
    patient.sql("users", "CREATE TABLE later (id serial)");
    assert_eq!(
        ask(
            &application,
            "users",
            "INSERT INTO later DEFAULT VALUES; SELECT count(*) FROM later"
        ),
        "1"
    );
    patient.is_well();
    patient.sql("users", "DROP TABLE later");
    patient.goes_back();
    let after = patient.sql("users", access).replace("{admin=arwdDxt/admin} ", "");
    assert!(
        !after.contains("users_app") && after.ends_with('0'),
        "{before}\n{after}"
    );

    // The database as a whole.
    patient.repairs("permission-denied");
    patient.sql("postgres", "REVOKE CONNECT ON DATABASE users FROM PUBLIC");
    let found = patient.finds("permission-denied");
    assert!(
        text(&found, "/said").contains("permission denied for database \"users\""),
        "{found}"
    );
    patient.repairs("permission-denied");
    assert_eq!(ask(&application, "users", "SELECT 1"), "1");
}

#[test]
fn a_role_that_owns_nothing_gets_nothing_and_env_is_corrected() {
    let patient = Patient::new("doctor-stray");
    patient.sql(
        "labeler",
        "CREATE ROLE other_service LOGIN PASSWORD 'a-password'; CREATE TABLE datasets (id int)",
    );
    let owners = "SELECT string_agg(relowner::regrole::text, ',' ORDER BY oid) FROM pg_class WHERE relkind = 'r' AND oid >= 16384";
    let before = patient.sql("labeler", owners);
    let verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = 'other_service'";
    let kept = patient.sql("postgres", verifier);
    // An empty password is nobody's wish.
    patient.set_env("labeler", "USER", "other_service");
    patient.set_env("labeler", "PASSWORD", "");
    let ran = patient.xtask(&["doctor", "--fix", "--yes", "--json", "--only", "wrong-password"]);
    assert_eq!(ran.ends(3).json()["repaired"].as_array().unwrap().len(), 0);
    assert!(ran.stdout.contains("cargo xtask env set"), "{}", ran.all());
    assert_eq!(patient.sql("postgres", verifier), kept);

    patient.set_env("labeler", "PASSWORD", "a-password");
    let only = ["doctor", "--json", "--only", "wrong-owner"];
    let found = patient.xtask(&only);
    assert!(
        found.ends(3).stdout.contains("as other_service"),
        "{}",
        found.all()
    );
    patient.xtask(&[&only[..], &["--fix", "--yes"]].concat()).ends(0);
    assert_eq!(patient.env("LABELER_DB_USER"), "admin");
    assert_eq!(patient.sql("labeler", owners), before);
    patient.is_well();
    patient.xtask(&["doctor", "--undo", "--yes"]).ends(0);
    assert_eq!(patient.env("LABELER_DB_USER"), "other_service");
}

#[test]
fn what_belongs_to_another_role_is_given_over_and_back() {
    let patient = Patient::new("doctor-owner");
    patient.sql(
        "postgres",
        "CREATE ROLE labeler_app LOGIN PASSWORD 'a-password'; ALTER DATABASE labeler OWNER TO labeler_app",
    );
    patient.set_env("labeler", "USER", "labeler_app");
    patient.set_env("labeler", "PASSWORD", "a-password");
    // The first four revisions as the administrator, because they make extensions; the last is the application's own.
    let revision = "d4085f2a7b14";
    patient.set_env("labeler", "USER", "admin");
    patient.set_env("labeler", "PASSWORD", &patient.text("target.password"));
    patient.upgrade(revision);
    patient.set_env("labeler", "USER", "labeler_app");
    patient.set_env("labeler", "PASSWORD", "a-password");
    let grants = patient.xtask(&[
        "doctor",
        "--fix",
        "--yes",
        "--json",
        "--only",
        "permission-denied",
    ]);
    let older = text(&grants.ends(0).json(), "/repaired/0/repair").to_owned();
    let refused = patient.alembic(&["upgrade", "head"]);
    assert_ne!(refused.code, 0, "{}", refused.all());
    refused.says("must be owner of table");

    let owners = "SELECT string_agg(format('%s %s', oid::regclass, relowner::regrole), ',' ORDER BY oid) FROM pg_class \
                  WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'pg_toast'::regnamespace)";
    let granted = "SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE grantee = 'labeler_app'::regrole";
    let (before, grants) = (patient.sql("labeler", owners), patient.sql("labeler", granted));
    let found = patient.finds("wrong-owner");
    assert!(evidence(&found).contains("belongs to admin"), "{found}");
    let repaired = patient.repairs("wrong-owner");
    let after = patient.sql("labeler", owners);
    assert!(!after.contains(" admin"), "{after}");
    // Out of order, grants would be taken from what belongs to the role by now.
    let newer = text(&repaired[0], "/repair");
    patient
        .xtask(&["doctor", "--undo", &older, "--yes"])
        .ends(20)
        .says(&format!(
            "repair {newer} is newer, still stands, and changed the same"
        ))
        .says(&format!("hint: cargo xtask doctor --undo {newer}"));
    assert_eq!(patient.sql("labeler", owners), after);
    patient.goes_back();
    assert_eq!(patient.sql("labeler", owners), before);
    assert_eq!(patient.sql("labeler", granted), grants);
    patient.repairs("wrong-owner");
    patient.alembic(&["upgrade", "head"]).ends(0);
}
