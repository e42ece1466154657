//! The doctor's problems with the schema and its indexes, created on a real server.

use infra::postgres::facts;

use super::doctor::{Patient, text};
use super::left_out::left_out;
use super::support::runner;

#[test]
fn a_lost_alembic_version_is_found_by_comparing_every_revision() {
    let patient = Patient::new("doctor-alembic");
    let revision = "d4085f2a7b14";
    patient.upgrade(revision);
    patient.sql("labeler", "DROP TABLE alembic_version");
    let databases = patient.oids();
    let found = patient.finds("alembic-version-missing");
    assert!(
        text(&found, "/finding/found").contains("no Alembic revision"),
        "{found}"
    );
    assert_eq!(patient.oids(), databases, "looking made a database");

    patient.repairs("alembic-version-missing");
    let stands = || {
        facts::alembic_revisions(
            &runner(),
            &patient.target(),
            &facts::database(&runner(), &patient.target(), "labeler").unwrap(),
        )
    };
    assert_eq!(stands().unwrap(), [revision], "not head");
    assert_eq!(
        patient.oids(),
        databases,
        "the throw-away database is left, or another is gone"
    );
    patient.goes_back();
    let seen = facts::database(&runner(), &patient.target(), "labeler").unwrap();
    assert!(!seen.has_alembic_version);

    // One column more: nothing is stamped by guessing.
    patient.sql("labeler", "ALTER TABLE datasets ADD COLUMN by_hand integer");
    let ran = patient.xtask(&["doctor", "--fix", "--yes", "--only", "alembic-version-missing"]);
    ran.ends(3)
        .says(&format!("the nearest is {revision} with 1 difference"))
        .says("datasets.by_hand is not expected to be there")
        .says("nothing was stamped")
        .says("hint: cargo xtask doctor --fix --only alembic-version-missing")
        .says(&format!("hint: cargo xtask doctor --fix --stamp {revision}"));
    // It changed nothing, so nothing of it is left to take back.
    patient.xtask(&["doctor", "--undo", "--yes"]).ends(4);
    assert_eq!(stands().unwrap(), [] as [String; 0]);
    assert_eq!(patient.oids(), databases);

    // By name, and only a name that the checkout knows.
    let unknown = patient.xtask(&["doctor", "--fix", "--yes", "--stamp", "0123456789ab"]);
    unknown.ends(3);
    assert!(
        unknown.stdout.contains("revision 0123456789ab is none of them"),
        "{}",
        unknown.all()
    );
    assert_eq!(stands().unwrap(), [] as [String; 0]);
    patient
        .xtask(&["doctor", "--fix", "--yes", "--stamp", revision])
        .ends(0);
    assert_eq!(stands().unwrap(), [revision]);
    patient.is_well();
}

#[test]
fn a_revision_that_the_checkout_does_not_have_is_named_and_replaced_by_name_only() {
    let patient = Patient::new("doctor-revision");
    let revision = "d4085f2a7b14";
    patient.upgrade(revision);
    patient.sql(
        "labeler",
        "UPDATE alembic_version SET version_num = 'feedbeef0000'",
    );
    let found = patient.finds("alembic-version-missing");
    let said = text(&found, "/finding/found");
    assert!(said.contains("stands at revision feedbeef0000"), "{found}");
    assert!(text(&found, "/finding/hints/0").ends_with(" pull"), "{found}");
    assert_eq!(found["fix"], serde_json::Value::Null, "{found}");
    let error = "Can't locate revision identified by 'feedbeef0000'";
    patient.xtask(&["doctor", "--error", error]).ends(3);

    let stands = || patient.sql("labeler", "SELECT version_num FROM alembic_version");
    patient.xtask(&["doctor", "--fix", "--yes"]).ends(3);
    assert_eq!(stands(), "feedbeef0000", "only a person's word replaces it");
    let stamp = ["doctor", "--fix", "--yes", "--stamp", revision];
    patient.xtask(&stamp).ends(0);
    assert_eq!(stands(), revision);
    patient.goes_back();
    assert_eq!(stands(), "feedbeef0000");
    patient.xtask(&stamp).ends(0);
    patient.is_well();
}

#[test]
fn a_collation_mismatch_is_reindexed_and_recorded() {
    let patient = Patient::new("doctor-collation");
    // A build without ICU lists collations of ICU too; it knows no version of them.
    let icu = "SELECT count(*) FROM pg_collation WHERE collprovider = 'i' AND collversion IS NOT NULL";
    if patient.sql("postgres", icu) == "0" {
        left_out(
            "a collation mismatch: this PostgreSQL was built without ICU, so no collation has a version",
        );
        return;
    }
    patient.sql("postgres", "DROP DATABASE users");
    patient.sql(
        "postgres",
        "CREATE DATABASE users TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'",
    );
    patient.sql("users", "CREATE TABLE names (name text PRIMARY KEY)");
    let right = patient.sql(
        "postgres",
        "SELECT datcollversion FROM pg_database WHERE datname = 'users'",
    );
    patient.sql(
        "postgres",
        "UPDATE pg_database SET datcollversion = '1.2' WHERE datname = 'users'",
    );
    let index = "SELECT relfilenode FROM pg_class WHERE relname = 'names_pkey'";
    let before = patient.sql("users", index);
    let found = patient.finds("collation-mismatch");
    let wanted = format!("built with collation version 1.2, and the machine has {right}");
    assert!(text(&found, "/finding/found").ends_with(&wanted), "{found}");
    patient.repairs("collation-mismatch");
    assert_ne!(patient.sql("users", index), before, "the index was not rebuilt");
    // Nothing to go back to: that is no failure, and not in the way of what was repaired before.
    patient.xtask(&["doctor", "--undo", "--yes"]).ends(4);
}
