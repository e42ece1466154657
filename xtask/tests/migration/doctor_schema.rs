//! The doctor's problems with the schema and its indexes, created on a real server.

use super::doctor::{Patient, text};
use super::left_out::left_out;
use super::support::write;

/// A hint's stamp with a revision in the place of its word in capitals.
fn stamp(patient: &Patient, hint: &str, revision: &str) {
    let (_, words) = hint.split_once("python -m alembic ").unwrap();
    let words = words.split("  #").next().unwrap().replace("REVISION", revision);
    let words: Vec<&str> = words.split(' ').collect();
    patient.alembic(&words).ends(0);
}

#[test]
fn a_lost_alembic_version_is_named_with_the_stamp_to_type() {
    let patient = Patient::new("doctor-alembic");
    let revision = "e5b1946c3f25";
    patient.upgrade(revision);
    patient.sql("labeler", "DROP TABLE alembic_version");
    let found = patient.finds("alembic-version-missing");
    assert!(
        text(&found, "/finding/found").contains("no Alembic revision"),
        "{found}"
    );
    stamp(&patient, text(&found, "/finding/hints/1"), revision);
    patient.is_well();
}

#[test]
fn a13_settings_that_override_the_environment_never_lead_the_doctor_to_the_real_database() {
    let patient = Patient::new("doctor-override");
    patient.upgrade("d4085f2a7b14");
    patient.sql("labeler", "DROP TABLE alembic_version");
    let settings = patient.labeler.join("backend/app/config.py");
    let text = std::fs::read_to_string(&settings).unwrap();
    let overriding = "import pathlib\nfrom dotenv import load_dotenv\nload_dotenv(override=True)\npathlib.Path(__file__).with_name('ran').touch()\n";
    write(
        &settings,
        text.replacen("from pathlib", &format!("{overriding}from pathlib"), 1),
    );
    let holds = || {
        patient.sql(
            "labeler",
            "SELECT array_agg(oid::text || relname ORDER BY oid) FROM pg_class",
        )
    };
    let (before, databases) = (holds(), patient.oids());
    let ran = patient.xtask(&["doctor", "--fix", "--yes"]);
    ran.ends(3);
    assert!(ran.stdout.contains("alembic stamp REVISION"), "{}", ran.all());
    assert_eq!(holds(), before, "the real database was changed");
    assert_eq!(patient.oids(), databases);
    assert!(
        !settings.with_file_name("ran").exists(),
        "the application was run"
    );
}

#[test]
fn a_revision_that_the_checkout_does_not_have_is_named_with_the_stamp_to_type() {
    let patient = Patient::new("doctor-revision");
    let revision = "e5b1946c3f25";
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
    stamp(&patient, text(&found, "/finding/hints/1"), revision);
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
