//! `--only`, `--roles preserve`, and databases that exist already.

use infra::postgres::facts;

use super::support::{Rehearsal, ask, read_env, runner};

#[test]
fn preserve_brings_the_role_with_its_password_and_only_leaves_the_others_alone() {
    let rehearsal = Rehearsal::local("preserve");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    let password = read_env(&env, "LABELER_DB_PASSWORD");
    let arguments = [
        "migrate", "--yes", "--only", "labeler", "--roles", "preserve", "--json",
    ];
    let document = workspace.xtask(&arguments).ends(0).json();
    assert_eq!(document["verified"], true);

    let seen = workspace.target_facts();
    let role = &seen.roles["labeler_user"];
    assert!(!role.superuser && !role.createrole, "{role:?}");
    assert!(role.login);
    assert_eq!(seen.databases["labeler"].owner, "labeler_user");
    // With the password it had: the target was given the verifier, nobody typed anything.
    let port = workspace.port("target.port");
    let as_application = workspace.server("target", port, "labeler_user", &password);
    assert_eq!(
        ask(&as_application, "labeler", "SELECT current_user"),
        "labeler_user"
    );
    let timeout = || ask(&as_application, "labeler", "SHOW lock_timeout");
    assert_eq!(timeout(), "11s", "what ALTER ROLE .. SET gave it");
    // As the next revision would: what it owns, it may change.
    ask(
        &as_application,
        "labeler",
        "BEGIN; CREATE TABLE probe (); ALTER TABLE datasets ADD COLUMN probe int; ROLLBACK;",
    );
    let wrong = workspace.server("target", port, "labeler_user", "not-the-password");
    let refused = wrong.answers(&runner(), "labeler").unwrap_err();
    assert!(
        refused.tail().contains("password authentication failed"),
        "{refused}"
    );
    let relations = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
                     WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND relowner <> 'labeler_user'::regrole \
                     AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')";
    assert_eq!(
        ask(&workspace.target(), "labeler", relations),
        "0",
        "relations of others"
    );

    // Login and password stay, the place changes, and the other two databases keep theirs.
    let after = workspace.env_bytes();
    assert_eq!(read_env(&after, "LABELER_DB_USER"), "labeler_user");
    assert_eq!(read_env(&after, "LABELER_DB_PASSWORD"), password);
    assert_eq!(read_env(&after, "LABELER_DB_PORT"), port.to_string());
    let old_port = format!("LABELER_DB_PORT = {}", read_env(&env, "LABELER_DB_PORT"));
    let new_port = format!("LABELER_DB_PORT = {port}");
    let expected = String::from_utf8(env.clone())
        .unwrap()
        .replace(&old_port, &new_port);
    assert_eq!(
        String::from_utf8(after).unwrap(),
        expected,
        "one value of .env changes"
    );
    for database in ["platform", "users"] {
        assert!(
            workspace.runs_now(database),
            "the old instance of {database} was stopped"
        );
        let seen = facts::database(&runner(), &workspace.target(), database).unwrap();
        assert!(seen.is_empty(), "{database} was moved");
    }
    assert!(!workspace.runs_now("labeler"));
}

#[test]
fn existing_content_is_refused_and_with_the_flag_kept_under_another_name() {
    let rehearsal = Rehearsal::local("set-aside");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    workspace.start("target");
    ask(
        &workspace.target(),
        "labeler",
        "CREATE TABLE precious AS SELECT 42 AS answer",
    );
    let oids = workspace.oids();
    let only = ["migrate", "--yes", "--only", "labeler"];

    workspace
        .xtask(&only)
        .ends(20)
        .says("error[target.labeler.not-empty]: database labeler exists on the target and holds 1 relation")
        .says("hint: cargo xtask migrate --set-aside-existing");
    // Neither is what somebody else's run left.
    ask(
        &workspace.target(),
        "postgres",
        "CREATE DATABASE labeler__incoming",
    );
    workspace
        .xtask(&only)
        .ends(20)
        .says("error[target.labeler.incoming]: database labeler__incoming exists on the target")
        .says("DROP DATABASE");
    ask(&workspace.target(), "postgres", "DROP DATABASE labeler__incoming");
    assert_eq!(workspace.oids(), oids);
    assert!(workspace.runs_now("labeler") && workspace.env_bytes() == env && workspace.runs().is_empty());

    let ran = workspace.xtask(&[&only[..], &["--set-aside-existing", "--json"]].concat());
    let document = ran.ends(0).json();
    let kept = format!("labeler__before_{}", document["run"].as_str().unwrap());
    assert_eq!(workspace.oids()[&kept], oids["labeler"]);
    assert_eq!(
        ask(&workspace.target(), &kept, "SELECT answer FROM precious"),
        "42"
    );
    assert_ne!(
        ask(&workspace.target(), "labeler", "SELECT count(*) FROM datasets"),
        "0"
    );
}
