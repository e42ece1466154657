//! What is wrong with an external server or with what is said of it, and what a person reads then.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use infra::Cmd;

use super::{MIGRATE, PROFILE, Production};
use crate::support::{ask, run};

/// More than any time limit of these settings, and less than a person waits.
const BOUND: Duration = Duration::from_secs(120);

#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn every_bad_input_is_refused_with_a_finding_and_nothing_changed() {
    let production = Production::prepare("bad-input");
    let workspace = production.workspace();
    let (old, new) = (production.service("old"), production.service("new"));
    let env = workspace.env_bytes();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let foreign = workspace.root.join("foreign.crt");
    let made = Cmd::new("openssl", "make another authority")
        .args([
            "req",
            "-x509",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-subj", "/CN=somebody else", "-days", "1", "-keyout"])
        .arg(workspace.root.join("foreign.key"))
        .arg("-out")
        .arg(&foreign);
    run(made).ends(0);

    let with = |sets: &[&str], variables: &[(&str, &str)]| {
        let cmd = workspace.cmd(&[&PROFILE[..], &MIGRATE].concat());
        let cmd = sets.iter().fold(cmd, |cmd, set| cmd.args(["--set", set]));
        let cmd = variables
            .iter()
            .fold(cmd, |cmd, (name, value)| cmd.env(*name, value));
        let started = Instant::now();
        let ran = run(cmd);
        assert!(started.elapsed() < BOUND, "{sets:?} took {:?}", started.elapsed());
        ran.ends(20);
        ran
    };
    let refused = |sets: &[&str], words: &[&str]| {
        let ran = with(sets, &[]);
        words.iter().for_each(|words| {
            ran.says(words);
        });
    };
    let other_authority = format!("target.connection.sslrootcert={}", foreign.display());
    refused(
        &[&other_authority],
        &[
            "target.unreachable",
            "certificate verify failed",
            "hint: openssl s_client -starttls postgres -connect localhost:",
            "hint: cargo xtask production check --profile production --set target.connection.sslrootcert=FILE",
        ],
    );
    // The certificate names localhost.
    refused(
        &["target.host=127.0.0.1"],
        &[
            "target.unreachable",
            "does not match host name",
            "--set target.host=NAME",
        ],
    );
    refused(
        &["target.connection.sslmode=prefer"],
        &["target.tls", "may go unencrypted"],
    );
    refused(
        &["target.host=db.xxxxx.rds.amazonaws.com"],
        &["target.host.placeholder"],
    );
    refused(&["target.host="], &["no setting says which server"]);
    let deaf = format!("target.port={silent_port}");
    refused(
        &[&deaf, "target.connection.connect-timeout-seconds=2"],
        &["target.unreachable", "timeout expired"],
    );
    // The same server under another spelling.
    let port = crate::support::read_env(&env, "LABELER_DB_PORT");
    let onto_itself = format!("target.port={port}");
    let password = crate::support::read_env(&env, "LABELER_DB_PASSWORD");
    let ran = with(
        &["target.host=LOCALHOST", &onto_itself],
        &[("XTASK_TARGET_PASSWORD", password.as_str())],
    );
    ran.says("source.labeler.is-target").never_says(&password);
    // And exactly as `.env` spells it: that looks like a migration which is done.
    let ran = with(&[&onto_itself], &[("XTASK_TARGET_PASSWORD", password.as_str())]);
    ran.says("source.labeler.is-target")
        .never_says("nothing to do")
        .never_says(&password);
    with(&[], &[("XTASK_TARGET_PASSWORD", "wrong-s3cret")])
        .says("password authentication failed")
        .never_says("wrong-s3cret");
    with(&[], &[("XTASK_TARGET_PASSWORD", "devpass")]).says("is a development password");
    with(&[], &[("XTASK_LOGIN_USERS_PASSWORD", "change_me")]).says("template's placeholder");

    // A wrong name of the target, and none.
    let named = [
        &PROFILE[..],
        &["migrate", "--yes", "--confirm-target", "localhost.evil"],
    ]
    .concat();
    run(workspace.cmd(&named))
        .ends(20)
        .says("the target is localhost, not localhost.evil");
    let unnamed = [&PROFILE[..], &["migrate", "--yes"]].concat();
    run(workspace.cmd(&unnamed))
        .ends(20)
        .says("hint: cargo xtask migrate --profile production --yes --confirm-target HOST");
    let unasked = [&PROFILE[..], &["migrate"]].concat();
    run(workspace.cmd(&unasked))
        .ends(20)
        .says("(cargo xtask migrate --profile production --dry-run shows every command)")
        .says("hint: cargo xtask migrate --profile production --yes --confirm-target HOST");

    // Rights and extensions.
    ask(&old, "labeler", "REVOKE SELECT ON datasets FROM labeler_user");
    refused(&[], &["source.labeler.unreadable", "public.datasets"]);
    ask(&old, "labeler", "GRANT SELECT ON datasets TO labeler_user");
    ask(
        &old,
        "labeler",
        "CREATE VIEW cached AS SELECT * FROM pg_buffercache",
    );
    refused(&[], &["extension pg_buffercache", "view cached"]);
    // With the extension in the empty database it comes over; without the view nobody needs it.
    ask(&new, "labeler", "CREATE EXTENSION pg_buffercache");
    ask(&old, "labeler", "ALTER VIEW cached OWNER TO labeler_user");
    let dry = [&PROFILE[..], &["migrate", "--dry-run"]].concat();
    run(workspace.cmd(&dry))
        .ends(0)
        .never_says("pg_buffercache of labeler is left out");

    assert_eq!(workspace.env_bytes(), env);
    assert_eq!(workspace.runs(), [] as [std::path::PathBuf; 0]);

    // TLS is really on: the same server without it is refused.
    let cluster = production.cluster("new");
    let runner = crate::support::runner();
    runner.run(&cluster.stop()).unwrap();
    let log = cluster.data.with_extension("test.log");
    runner.run(&cluster.start(&[("ssl", "off")], &log)).unwrap();
    refused(&[], &["target.unreachable", "server does not support SSL"]);
    runner.run(&cluster.stop()).unwrap();
    runner.run(&cluster.start(&[], &log)).unwrap();

    // And with everything right it runs, with the extension from the other team's database.
    production.migrate().ends(0);
    let there = "SELECT count(*) FROM pg_extension WHERE extname = 'pg_buffercache'";
    assert_eq!(ask(&new, "labeler", there), "1");
}

#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn the_other_teams_file_may_run_twice_and_then_nothing_is_missing() {
    let production = Production::prepare("handover");
    let workspace = production.workspace();
    let (new, master) = (production.service("new"), production.master());
    ask(&new, "postgres", "ALTER ROLE labeler_user NOCREATEDB");
    ask(
        &new,
        "platform",
        "REVOKE SELECT ON training_jobs FROM platform_readonly",
    );
    // A right on a column, and an object that the administrator may grant nothing of.
    ask(
        &new,
        "users",
        "GRANT INSERT ON users TO users_readonly; GRANT UPDATE (id) ON users TO users_readonly; \
         CREATE VIEW v_users AS SELECT 1 AS one",
    );
    ask(&new, "postgres", "ALTER ROLE labeler_user NOBYPASSRLS");
    let file = workspace.root.join("handover.sql");
    let path = file.display().to_string();
    let check = |args: &[&str]| production.xtask(&[&["production", "check"], args].concat());
    // What somebody keeps is not written over, whoever's name was mistyped.
    let env = workspace.env_file().to_string_lossy().into_owned();
    let kept = workspace.env_bytes();
    check(&["--sql", &env]).ends(2).says("nothing was done");
    assert!(workspace.env_bytes() == kept);
    let missing = check(&["--sql", &path]);
    missing.ends(3);
    for words in [
        "target.createdb",
        "hint: ALTER ROLE \"labeler_user\" BYPASSRLS; (as the target's superuser",
        "platform_readonly may read",
        "users_readonly is to read users only, and can write to users",
    ] {
        assert!(missing.stdout.contains(words), "{words}:\n{}", missing.all());
    }
    ask(&new, "users", "GRANT pg_write_all_data TO users_readonly");
    let text = std::fs::read_to_string(&file).unwrap();
    for _ in 0..2 {
        let script = infra::postgres::Script::new(&text);
        let cmd = master.psql("postgres", &script, "run the other team's file");
        let told = crate::support::runner().run(&cmd).unwrap().stderr;
        for words in [
            "not done: ALTER ROLE \"labeler_user\" BYPASSRLS;",
            "not done: GRANT SELECT ON public.v_users TO users_readonly;",
            "service or a superuser can run it",
        ] {
            assert!(told.contains(words), "{words}:\n{told}");
        }
    }
    // As a superuser does it, once he was told.
    ask(&new, "postgres", "ALTER ROLE labeler_user BYPASSRLS");
    // Only the missing bucket is left to warn of, and what stays behind.
    let green = check(&[]);
    assert_eq!(green.code, 10, "{}", green.all());
    assert!(!green.stdout.contains("error["), "{}", green.all());
}
