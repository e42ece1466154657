//! Alembic set up in other ways than usual, and data that it cannot go on from.

use super::support::{Rehearsal, ask};

const ENV_PY: &str = "backend/alembic/env.py";
const PLAIN: &str = "context.configure(connection=connection)";

/// A rehearsal whose version table is `service.labeler_migrations`, said by these arguments of `context.configure`.
fn renamed(name: &str, arguments: &str) -> Rehearsal {
    let rehearsal = Rehearsal::local(name);
    let workspace = &rehearsal.workspace;
    let configure = format!("context.configure(connection=connection, {arguments})");
    workspace.replace(ENV_PY, PLAIN, &configure);
    let script = "backend/scripts/init_database.py";
    workspace.replace(script, "    \"alembic_version\",\n", "");
    let source = workspace.source("labeler", &workspace.env_bytes());
    ask(
        &source,
        "labeler",
        "CREATE SCHEMA service; ALTER TABLE alembic_version RENAME TO labeler_migrations; \
         ALTER TABLE labeler_migrations SET SCHEMA service",
    );
    rehearsal
}

/// The target's database is at head, by that table and no other.
fn is_at_head(rehearsal: &Rehearsal) {
    let stands =
        "SELECT version_num, to_regclass('public.alembic_version') IS NULL FROM service.labeler_migrations";
    let found = ask(&rehearsal.workspace.target(), "labeler", stands);
    assert_eq!(found, "e5b1946c3f25|t");
}

#[test]
fn b10_a_version_table_with_a_name_and_a_schema_of_its_own_is_followed() {
    let literal = "version_table=\"labeler_migrations\", version_table_schema=\"service\"";
    let rehearsal = renamed("version-table", literal);
    let ran = rehearsal
        .workspace
        .xtask(&["migrate", "--yes", "--only", "labeler"]);
    ran.ends(0).never_says("alembic.version-table");
    is_at_head(&rehearsal);
}

#[test]
fn b10_a_version_table_that_env_py_computes_is_asked_of_env_py_before_the_upgrade() {
    let computed =
        "version_table=\"_\".join([\"labeler\", \"migrations\"]), version_table_schema=\"service\"";
    let rehearsal = renamed("computed-table", computed);
    let ran = rehearsal
        .workspace
        .xtask(&["migrate", "--yes", "--only", "labeler"]);
    ran.ends(0).says("warning[alembic.version-table]");
    is_at_head(&rehearsal);
}

#[test]
fn b11_two_rows_and_an_unknown_revision_are_told_before_anything_stops() {
    let rehearsal = Rehearsal::local("two-rows");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    let source = workspace.source("labeler", &env);
    let refused = |sql: &str| {
        ask(&source, "labeler", sql);
        let ran = workspace.xtask(&["migrate", "--yes", "--only", "labeler"]);
        ran.ends(20).says("nothing was changed");
        workspace.is_untouched(&env);
        ran
    };
    refused("INSERT INTO alembic_version VALUES ('c93e1b6f8d03')")
        .says("error[alembic.several-revisions]: the data stands at the revisions c93e1b6f8d03, d4085f2a7b14")
        .says("Requested revision d4085f2a7b14 overlaps with other requested revisions c93e1b6f8d03");
    refused("UPDATE alembic_version SET version_num = 'feedbeef0000' WHERE version_num = 'c93e1b6f8d03'")
        .says("error[alembic.unknown-revision]: the data stands at revision feedbeef0000");
}
