//! What no counter of the old server shows is found all the same, and what stays open is not taken for closed.

use super::{DATASETS, MIGRATE, OPEN, PROFILE, Production, WRITE};
use crate::address::{Application, Says};
use crate::support::{Ran, ask, run, runner};

/// Ends `rollback`, so that the next run may begin.
fn back(production: &Production) {
    production.xtask(&["rollback", "--yes"]).ends(22);
}

#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn writes_that_nobody_counts_and_prepared_transactions_end_the_run_and_open_the_old_database_again() {
    let production = Production::prepare("proof");
    let old = production.service("old");
    let env = production.workspace().env_bytes();
    ask(&old, "postgres", "ALTER SYSTEM SET track_counts = off");
    ask(&old, "postgres", "ALTER SYSTEM SET max_prepared_transactions = 5");
    let cluster = production.cluster("old");
    let log = cluster.data.with_extension("log");
    runner().run(&cluster.stop()).unwrap();
    runner().run(&cluster.start(&[], &log)).unwrap();

    // Between the backup and the seal.
    production.crash_after(5, &MIGRATE);
    ask(&old, "labeler", "UPDATE datasets SET name = 'late' WHERE id = 1");
    let resumed = production.xtask(&["migrate", "--resume"]);
    resumed
        .ends(21)
        .says("was written to after its backup")
        .says("datasets")
        .says("the old server stays in use");
    assert_eq!(ask(&old, "postgres", OPEN), "t");
    assert_eq!(production.workspace().env_bytes(), env);
    back(&production);

    // Behind the seal, opened and closed again by somebody.
    production.crash_after(7, &MIGRATE);
    assert_eq!(ask(&old, "postgres", OPEN), "f");
    ask(&old, "postgres", "ALTER DATABASE labeler ALLOW_CONNECTIONS true");
    ask(&old, "labeler", "UPDATE datasets SET name = 'later' WHERE id = 1");
    ask(&old, "postgres", "ALTER DATABASE labeler ALLOW_CONNECTIONS false");
    production
        .xtask(&["migrate", "--resume"])
        .ends(21)
        .says("datasets");
    assert_eq!(production.workspace().env_bytes(), env);
    back(&production);

    // A transaction that somebody may still commit, and no session is there.
    production.crash_after(5, &MIGRATE);
    ask(
        &old,
        "labeler",
        "BEGIN; UPDATE datasets SET name = 'pending' WHERE id = 1; PREPARE TRANSACTION 'xa2'",
    );
    production
        .xtask(&["migrate", "--resume"])
        .ends(21)
        .says("\"xa2\" of service in labeler")
        .says("ROLLBACK PREPARED 'xa2'")
        .says("the old server stays in use");
    assert_eq!(ask(&old, "postgres", OPEN), "t");
    ask(&old, "labeler", "COMMIT PREPARED 'xa2'");
    back(&production);

    production.migrate().ends(0).says("track_counts is off");
    let name = "SELECT name FROM datasets WHERE id = 1";
    assert_eq!(ask(&production.service("new"), "labeler", name), "pending");
    // What was moved has no source that could lack something.
    let checked = production.xtask(&["production", "check"]);
    assert!(checked.stdout.contains("labeler was moved"), "{}", checked.all());
    assert_ne!(checked.never_says("is-target").code, 3, "{}", checked.all());
}

#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn an_application_that_stays_on_an_open_old_database_is_not_restarted() {
    let mut production = Production::prepare("left-open");
    let application = Application::start(Says::Content);
    let url = format!("http://127.0.0.1:{}/base", application.port);
    let workspace = &mut production.rehearsal.workspace;
    workspace.set("profiles.production.application.url", url.as_str());
    workspace.set("profiles.production.application.url-timeout-seconds", 20);
    let old = production.service("old");
    ask(
        &old,
        "labeler",
        "CREATE ROLE reader LOGIN BYPASSRLS PASSWORD 'reader-s3cret'; GRANT pg_read_all_data TO reader; \
         GRANT pg_read_all_stats TO reader",
    );
    ask(
        &old,
        "labeler",
        "SELECT format('GRANT SELECT ON LARGE OBJECT %s TO reader', oid) FROM pg_largeobject_metadata \\gexec",
    );
    let with = |args: &[&str]| -> Ran {
        let cmd = production.workspace().cmd(&[&PROFILE[..], args].concat());
        let cmd = cmd.args(["--set", "databases.labeler.source.user=reader"]);
        run(cmd.env("XTASK_SOURCE_LABELER_PASSWORD", "reader-s3cret"))
    };
    let rows = ask(&old, "labeler", DATASETS);
    let session = old.clone().with_option("PGAPPNAME", "old labeler");
    let mut running = runner()
        .spawn(&session.psql_session("labeler", "stay connected"), None)
        .unwrap();
    running.write_line("SELECT 1;").unwrap();
    running.read_line().unwrap();

    with(&[&MIGRATE[..], &["--accept-unfenced-source"]].concat())
        .ends(21)
        .says("check that nothing was written to the external sources, which stay open")
        .never_says("close the external sources")
        .says("still in the old database labeler")
        .says("old labeler as service");
    let audit = production.workspace().runs().pop().unwrap().join("audit.jsonl");
    let audit = std::fs::read_to_string(audit).unwrap();
    assert!(
        audit.contains("--accept-unfenced-source") && audit.contains("\"vouched\":true"),
        "{audit}"
    );
    assert!(audit.contains("\"closed\":false"), "{audit}");

    // It goes at last, but writes something first.
    let asking = || {
        let journal = production.journal();
        let begun = journal
            .iter()
            .filter(|line| line.contains("\"application\"") && line.contains("started"));
        begun.count()
    };
    let before = asking();
    std::thread::scope(|scope| {
        let resumed = scope.spawn(|| with(&["migrate", "--resume"]));
        let limit = std::time::Duration::from_secs(300);
        infra::wait::until(runner().interrupt(), limit, || (asking() > before).then_some(())).unwrap();
        running.write_line(&format!("{WRITE}; SELECT 2;")).unwrap();
        running.read_line().unwrap();
        drop(running);
        resumed
            .join()
            .unwrap()
            .ends(21)
            .says("after the cutover somebody still works with the old database labeler")
            .says("table public.datasets: 1 rows inserted")
            .says("the target is in use")
            .never_says("stays in use");
    });
    with(&["migrate", "--resume"])
        .ends(21)
        .says("table public.datasets: 1 rows inserted")
        .never_says("stays in use");
    assert_eq!(ask(&production.service("new"), "labeler", DATASETS), rows);
}
