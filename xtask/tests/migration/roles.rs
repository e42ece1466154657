//! `--only`, `--roles preserve`, and databases that exist already.

use infra::postgres::{Server, facts};

use super::support::{Rehearsal, Workspace, ask, read_env, runner};

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
    let run = document["run"].as_str().unwrap();
    a_restored_database_belongs_to_whom_the_one_before_it_belonged(workspace, &as_application, run);
}

/// What takes the place of a database that the application's login owns is its own as well, and the login is told where it
/// is shut out.
#[track_caller]
fn a_restored_database_belongs_to_whom_the_one_before_it_belonged(
    workspace: &Workspace,
    application: &Server,
    run: &str,
) {
    let flags = ["--database", "labeler", "--set-aside-existing", "--yes"];
    let restore = |backup: &str| workspace.xtask(&[&["restore", backup], &flags[..]].concat());
    let alter =
        "BEGIN; ALTER TABLE datasets ADD COLUMN probe int; ROLLBACK; SELECT count(*) > 0 FROM datasets";
    let is_its_own = || {
        assert_eq!(
            workspace.target_facts().databases["labeler"].owner,
            "labeler_user"
        );
        assert!(ask(application, "labeler", alter).ends_with('t'));
    };
    restore(run).ends(0).never_says("restore.labeler.login");
    is_its_own();

    // The owner could not make this, and gets it nevertheless.
    ask(
        &workspace.target(),
        "labeler",
        "CREATE PUBLICATION everything FOR ALL TABLES",
    );
    let taken = workspace.xtask(&["backup", "create", "--only", "labeler", "--json"]);
    let taken = taken.ends(0).json();
    restore(taken["path"].as_str().unwrap())
        .ends(0)
        .says("it was restored as admin and given to labeler_user")
        .never_says("restore.labeler.login");
    is_its_own();

    ask(
        &workspace.target(),
        "postgres",
        "ALTER DATABASE labeler OWNER TO admin",
    );
    restore(run)
        .ends(0)
        .says("warning[restore.labeler.login]: .env names labeler_user for labeler, and that role may not read ")
        .says("hint: cargo xtask doctor --fix --only permission-denied");
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

/// What an archive does not hold, or what pg_restore stumbles over.
const ODD_ACCESS: &str = "
    CREATE ROLE colleague LOGIN PASSWORD 'the-colleague'; CREATE ROLE club NOLOGIN; CREATE ROLE only_here LOGIN;
    GRANT club TO colleague; GRANT SELECT ON datasets TO club;
    CREATE FUNCTION for_me() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
    REVOKE EXECUTE ON FUNCTION for_me() FROM PUBLIC;
    REVOKE CONNECT ON DATABASE labeler FROM PUBLIC; GRANT CONNECT ON DATABASE labeler TO only_here;
    CREATE TABLE forced (a int); INSERT INTO forced SELECT generate_series(1, 10);
    ALTER TABLE forced ENABLE ROW LEVEL SECURITY; ALTER TABLE forced FORCE ROW LEVEL SECURITY;
    CREATE POLICY mine ON forced TO labeler_user, colleague USING (false);
    CREATE FOREIGN DATA WRAPPER far_away; CREATE SERVER far FOREIGN DATA WRAPPER far_away;
    CREATE USER MAPPING FOR labeler_user SERVER far OPTIONS (password 'fdw-secret-98');
    CREATE SUBSCRIPTION mirror CONNECTION 'host=nowhere password=fdw-secret-98' PUBLICATION p
        WITH (connect = false, slot_name = NONE, enabled = false);
    COMMENT ON SUBSCRIPTION mirror IS 'not here';";

/// Changes what `initdb` noted of schema public.
const NOTED: &str = "SET allow_system_table_mods = on; UPDATE pg_init_privs SET initprivs = 'PRIVILEGES' \
    WHERE classoid = 'pg_namespace'::regclass AND objoid = 'public'::regnamespace";

#[test]
fn privileges_policies_mappings_and_subscriptions_come_over_or_are_told() {
    let rehearsal = Rehearsal::local("access");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    let password = read_env(&env, "LABELER_DB_PASSWORD");
    let source = workspace.source("labeler", &env);
    for statement in ODD_ACCESS.split_inclusive(';') {
        ask(&source, "labeler", statement);
    }
    ask(&source, "labeler", "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    // PostgreSQL 14 lets everybody create there, unless somebody took it away.
    let noted = "SELECT initprivs FROM pg_init_privs WHERE classoid = 'pg_namespace'::regclass AND objoid = 'public'::regnamespace";
    let noted = ask(&source, "labeler", noted);
    ask(
        &source,
        "labeler",
        &NOTED.replace("PRIVILEGES", "{=UC/labeler_user}"),
    );
    let target = || workspace.target();
    let closed = "SELECT (SELECT proacl::text FROM pg_proc WHERE proname = 'for_me') \
                  || (SELECT datacl::text FROM pg_database WHERE datname = 'labeler')";
    let by_everybody = |acl: &str| {
        acl.contains("{=X") || acl.contains(",=X") || acl.contains("=Tc/") || acl.contains("=c/admin,")
    };

    let unified = workspace.xtask(&["migrate", "--yes", "--only", "labeler", "--json"]);
    unified
        .ends(0)
        .says("warning[source.labeler.roles]: roles of labeler and what they were granted stay behind: ")
        .says("club (1 privilege)")
        .says("colleague (is made without login)")
        .says("subscription mirror of labeler is left out");
    let acl = ask(&target(), "labeler", closed);
    assert!(!by_everybody(&acl), "{acl}");
    let mapping = "SELECT usename || umoptions::text FROM pg_user_mappings";
    assert_eq!(
        ask(&target(), "labeler", mapping),
        "admin{password=fdw-secret-98}"
    );
    assert_eq!(
        ask(&target(), "labeler", "SELECT count(*) FROM pg_subscription"),
        "0"
    );
    assert!(!workspace.target_facts().roles["labeler_user"].login);
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    ask(&source, "labeler", &NOTED.replace("PRIVILEGES", &noted));

    let preserve = [
        "migrate", "--yes", "--only", "labeler", "--roles", "preserve", "--json",
    ];
    let refused = workspace.xtask(&preserve);
    refused
        .ends(20)
        .says("only a superuser may own foreign-data wrapper far_away");
    assert!(refused.json()["error"].as_str().unwrap().contains("far_away"));
    ask(&source, "labeler", "DROP FOREIGN DATA WRAPPER far_away CASCADE");
    let needs = "CREATE ROLE ready; CREATE MATERIALIZED VIEW needs AS \
                 SELECT 1 / (SELECT count(*) FROM pg_roles WHERE rolname = 'ready') AS it";
    ask(&source, "labeler", needs);
    // The roles that the first run made without a login become what they must be.
    workspace
        .xtask(&preserve)
        .ends(21)
        .says("policies of labeler did not bind labeler_user")
        .says("division by zero");
    // As if it had been killed between its roles and what comes after them.
    let unfinished = "REVOKE club FROM colleague; ALTER ROLE labeler_user NOBYPASSRLS; CREATE ROLE ready";
    ask(&target(), "postgres", unfinished);
    workspace.xtask(&["migrate", "--resume"]).ends(0);
    let port = workspace.port("target.port");
    let application = workspace.server("target", port, "labeler_user", &password);
    assert_eq!(ask(&application, "labeler", "SELECT count(*) FROM forced"), "10");
    let colleague = workspace.server("target", port, "colleague", "the-colleague");
    assert_eq!(
        ask(
            &target(),
            "labeler",
            "SELECT has_database_privilege('only_here', 'labeler', 'CONNECT')"
        ),
        "t"
    );
    let refused = colleague.answers(&runner(), "labeler").unwrap_err();
    assert!(
        refused.tail().contains("permission denied for database"),
        "{refused}"
    );
    assert_eq!(
        ask(
            &colleague,
            "postgres",
            "SELECT pg_has_role('colleague', 'club', 'MEMBER')"
        ),
        "t"
    );
    let acl = ask(&target(), "labeler", closed);
    assert!(!by_everybody(&acl), "{acl}");
    workspace
        .xtask(&["verify"])
        .never_says("its role on the target is admin");
    // A second time there is nothing to do, and the others are moved without it.
    let again = workspace.xtask(&["migrate", "--only", "labeler", "--json"]);
    assert!(
        again.ends(4).json()["error"]
            .as_str()
            .unwrap()
            .starts_with("nothing to do")
    );
    workspace
        .xtask(&["migrate", "--yes"])
        .ends(20)
        .says(".env names it, so it is the one in use")
        .says("hint: cargo xtask migrate --only platform,users");
    let status = workspace.xtask(&["status", "--json"]).ends(0).json();
    assert_eq!(status["runs"][0]["state"], "rolled-back");
    assert_eq!(status["runs"][1]["state"], "finished");
    let marks = "SELECT count(*) FROM pg_roles WHERE shobj_description(oid, 'pg_authid') IS NOT NULL";
    assert_eq!(ask(&target(), "postgres", marks), "0");
    for run in workspace.runs() {
        for file in ["journal.jsonl", "report.md", "report.html", "logs/restore.log"] {
            let text = std::fs::read_to_string(run.join(file)).unwrap();
            assert!(!text.contains("fdw-secret-98"), "{file} of {}", run.display());
        }
    }
}

#[test]
fn an_incoming_database_is_not_forgotten_because_the_target_is_down() {
    let rehearsal = Rehearsal::local("left-incoming");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    // It cannot be compared: the restore fails and leaves what it made.
    let source = workspace.source("labeler", &env);
    ask(
        &source,
        "labeler",
        "CREATE FUNCTION broken() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
    );
    ask(&source, "labeler", "CREATE TABLE uses (a int DEFAULT broken())");
    ask(
        &source,
        "labeler",
        "CREATE MATERIALIZED VIEW fails AS SELECT 1 / (broken() - 1 + (current_database() <> 'labeler__incoming')::int) AS a",
    );
    let failed = workspace.xtask(&["migrate", "--yes", "--only", "labeler"]);
    failed.ends(21).says("division by zero");
    let resumed = workspace.xtask(&["migrate", "--resume", "--json", "--set", "limits.jobs=1"]);
    assert!(!resumed.json()["error"].as_str().unwrap().is_empty());
    resumed.says("--set limits.jobs=1");
    workspace.stop("target");
    let conf = workspace.cluster("target").data.join("postgresql.conf");
    let works = std::fs::read(&conf).unwrap();
    super::support::write(&conf, [works.as_slice(), b"no_such_setting = on\n"].concat());
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(23)
        .says("cannot tell whether labeler__incoming is left on the target");
    super::support::write(&conf, works);
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    assert!(
        !workspace.runs_now("target"),
        "the target was started to look, and runs"
    );
    workspace.start("target");
    assert!(!workspace.oids().contains_key("labeler__incoming"));
}
