//! Plain dumps made by hand: nothing of them vanishes without a word, and nothing of them acts elsewhere.

use infra::postgres::plain;

use super::support::{Rehearsal, ask, run, write};

#[test]
fn nothing_of_a_plain_dump_vanishes_or_acts_outside_its_database() {
    let rehearsal = Rehearsal::local("by-hand-roles");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    workspace.start("target");
    let (source, target) = (workspace.source("labeler", &env), workspace.target());
    ask(
        &source,
        "labeler",
        "CREATE ROLE ghost; CREATE ROLE shade; CREATE TABLE haunted AS SELECT 1 AS id; ALTER TABLE haunted OWNER TO ghost; \
         CREATE TABLE shaded AS SELECT 2 AS id; ALTER TABLE shaded OWNER TO shade; \
         ALTER TABLE haunted ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY keep_out ON haunted AS RESTRICTIVE TO ghost USING (id > (SELECT 0)); \
         SELECT lo_from_bytea(0, 'large')",
    );
    let dumped = run(plain::dump(&source, "labeler"));
    let whole = dumped.ends(0).stdout.clone();
    let file = workspace.root.join("dump.sql");
    let path = file.to_string_lossy().into_owned();
    let restore = |text: &str, into: &str| {
        write(&file, text);
        workspace.xtask(&["restore", &path, "--database", "labeler", "--into", into, "--yes"])
    };
    restore(&whole, "copy")
        .ends(0)
        .says("policies name: ghost")
        .says("does not have: ")
        .says("database copy is in place");
    let policies = "SELECT string_agg(policyname || ' ' || permissive || ' ' || array_to_string(roles, ','), ';') FROM pg_policies WHERE policyname = 'keep_out'";
    assert_eq!(
        ask(&target, "copy", policies).trim(),
        "keep_out RESTRICTIVE ghost"
    );
    let roles =
        "SELECT string_agg(rolname || rolcanlogin, ',') FROM pg_roles WHERE rolname IN ('ghost', 'shade')";
    assert_eq!(ask(&target, "copy", roles).trim(), "ghostfalse");
    assert_eq!(
        ask(&target, "copy", "SELECT count(*) FROM shaded, haunted").trim(),
        "1"
    );

    let with =
        |lines: &str| whole.replacen("SET client_encoding", &format!("{lines}\nSET client_encoding"), 1);
    let mark = workspace.root.join("mark");
    for lines in [
        format!("SELECT name'\\'; \\! touch {}\n-- '\n;", mark.display()),
        "DO $$ BEGIN CREATE ROLE evil SUPERUSER; END $$;".to_owned(),
        "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;".to_owned(),
    ] {
        restore(&with(&lines), "other").ends(3).says("would act outside");
        workspace.xtask(&["backup", "verify", &path]).ends(3);
    }
    assert!(!mark.exists());
    // What runs while a dump is loaded is seen when it has run, and taken back.
    let evil = "CREATE FUNCTION public.evil() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CREATE ROLE evil SUPERUSER'; \
                RETURN 1; END $$;\nCREATE TABLE public.e (a int DEFAULT public.evil());\n\
                INSERT INTO public.e VALUES (public.evil());";
    restore(
        &with(evil).replace("BEGIN;\n", "").replace("COMMIT;\n", ""),
        "other",
    )
    .ends(3)
    .says("role evil");
    let left = "SELECT count(*) FROM pg_roles WHERE rolname IN ('evil', 'shade')";
    assert_eq!(ask(&target, "copy", left).trim(), "0");
    assert!(!workspace.oids().keys().any(|name| name.starts_with("other")));

    let long = "a".repeat(60);
    restore(&whole, &long).ends(2).says("it has 60 bytes");
    restore(&whole, "labeler__incoming")
        .ends(2)
        .says("names like that");
}
