//! The catalogue as a whole.

mod old_instances;

use super::*;

#[test]
fn the_page_of_problems_is_fresh() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/troubleshooting.md");
    let text = std::fs::read_to_string(file).unwrap().replace("\r\n", "\n");
    assert!(
        text == page(),
        "run: cargo xtask doctor --list --markdown > docs/troubleshooting.md"
    );
}

#[test]
fn every_problem_has_a_name_of_its_own_a_heading_and_words() {
    let mut ids: Vec<&str> = PROBLEMS.iter().map(|problem| problem.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), PROBLEMS.len());
    let page = page();
    for problem in PROBLEMS {
        assert!(
            page.contains(&format!("## Problem: {}\n", problem.title)),
            "{}",
            problem.id
        );
        assert!(!problem.symptoms.is_empty(), "{}", problem.id);
        let said = problem.symptoms[0].replace('*', "anything");
        let known = recognise(&said);
        assert!(known.iter().any(|known| known.id == problem.id), "{said}");
    }
}

#[test]
fn the_guides_problems_keep_their_names() {
    let page = page();
    for heading in [
        "\"Database 'labeler' does not exist\"",
        "\"Connection refused\" on port 5432",
        "\"Too many connections\"",
        "\"Permission denied for database labeler\"",
        "Migration fails with \"alembic_version does not exist\"",
    ] {
        assert!(page.contains(&format!("## Problem: {heading}\n")), "{heading}");
    }
}

#[test]
fn messages_of_real_programs_are_recognised() {
    let cases = [
        (
            "psql: error: connection to server at \"localhost\" (127.0.0.1), port 5432 failed: FATAL:  database \"labeler\" does not exist",
            "database-missing",
        ),
        (
            "(psycopg2.OperationalError) connection to server at \"localhost\" (127.0.0.1), port 5432 failed: Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
            "connection-refused",
        ),
        (
            "FATAL:  password authentication failed for user \"labeler_user\"",
            "wrong-password",
        ),
        ("ERROR:  role \"labeler_user\" does not exist", "role-missing"),
        (
            "Error response from daemon: driver failed programming external connectivity on endpoint platform-postgres: Bind for 127.0.0.1:5432 failed: port is already allocated",
            "port-conflict",
        ),
        ("FATAL:  sorry, too many clients already", "too-many-connections"),
        (
            "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
            "too-many-connections",
        ),
        (
            "ERROR:  permission denied for table datasets",
            "permission-denied",
        ),
        ("ERROR:  must be owner of table datasets", "wrong-owner"),
        (
            "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) relation \"alembic_version\" does not exist",
            "alembic-version-missing",
        ),
        (
            "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.DuplicateObject) type \"dataset_source\" already exists",
            "alembic-version-missing",
        ),
        (
            "psycopg2.errors.DuplicateObject: type \"dataset_source\" already exists",
            "alembic-version-missing",
        ),
        (
            "WARNING:  database \"labeler\" has a collation version mismatch",
            "collation-mismatch",
        ),
        (
            "psql:backup.sql:5: error: invalid command \\restrict",
            "version-skew",
        ),
        (
            "pg_dump: error: aborting because of server version mismatch",
            "version-skew",
        ),
        (
            "WARNING: Found orphan containers (labeler-postgres-user) for this project.",
            "stale-compose-project",
        ),
        (
            "Bind for 0.0.0.0:6379 failed: port is already allocated",
            "redis-conflict",
        ),
        (
            "PANIC:  could not write to file \"pg_wal/xlogtemp.31\": No space left on device",
            "disk-nearly-full",
        ),
    ];
    for (text, id) in cases {
        let known = recognise(text);
        assert!(known.iter().any(|problem| problem.id == id), "{id}: {text}");
    }
    assert!(recognise("all is well").is_empty());
}
