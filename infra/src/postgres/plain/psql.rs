//! Plain dumps and the programs that write and load them.

use std::path::Path;

use crate::command::{Cmd, CommandError, Runner};
use crate::postgres::archive::container_path;
use crate::postgres::{Clients, Script, Server, programs, quote};

/// `pg_dump` as people run it by hand: the dump is its standard output.
pub fn dump(server: &Server, database: &str) -> Cmd {
    let (cmd, _) = server.bulk_client(
        "pg_dump",
        Path::new("."),
        true,
        format!("dump database {database}"),
    );
    cmd.args(["-d", &server.dbname(database), "--no-password"])
}

/// Loads a file in one transaction, stopping at the first error. `before` and `after` are SQL of the same transaction.
/// With `restrict`, a word that the file cannot know, psql runs none of its own commands while it reads it; that is for
/// files without a `\restrict` of their own, and for a psql that knows it.
pub fn load(
    server: &Server,
    database: &str,
    file: &Path,
    restrict: Option<&str>,
    before: &str,
    after: &str,
) -> Cmd {
    let folder = file.parent().unwrap_or(Path::new("."));
    let base = file
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let what = format!("load {base} into database {database}");
    let (cmd, seen) = server.bulk_client("psql", folder, true, what);
    let mut cmd = cmd.args(["-d", &server.dbname(database)]).args([
        "-Xqw",
        "-v",
        "ON_ERROR_STOP=1",
        "--single-transaction",
    ]);
    if !before.is_empty() {
        cmd = cmd.args(["-c", before]);
    }
    if let Some(word) = restrict {
        cmd = cmd.args(["-c", &format!("\\restrict {word}")]);
    }
    cmd = cmd.args(["-f", &container_path(&seen, &base)]);
    if !after.is_empty() {
        cmd = cmd.args(["-c", after]);
    }
    cmd
}

/// What belongs to the whole instance, one row each with a mark that changes when the object is changed. Roles named in
/// `but` are left out. Without superuser the roles' own rows cannot be read, and a changed password is not seen.
fn shared(superuser: bool, but: &[String]) -> String {
    let but: Vec<String> = but.iter().map(|name| quote::literal(name)).collect();
    let but = format!("ARRAY[{}]::text[]", but.join(", "));
    let roles = match superuser {
        true => "SELECT rolname, xmin::text AS mark FROM pg_authid".to_owned(),
        false => format!("SELECT rolname, {} AS mark FROM pg_roles r", digest("r::text")),
    };
    format!(
        "SELECT format('role %s', rolname), mark FROM ({roles}) r WHERE rolname <> ALL ({but}) \
         UNION ALL SELECT format('database %s', datname), xmin::text FROM pg_database \
         UNION ALL SELECT format('tablespace %s', spcname), xmin::text FROM pg_tablespace \
         UNION ALL SELECT format('membership of %s in %s', member::regrole, roleid::regrole), xmin::text \
         FROM pg_auth_members WHERE roleid NOT IN (SELECT oid FROM pg_roles WHERE rolname = ANY ({but})) \
         UNION ALL SELECT format('settings of role %s in database %s', setrole, setdatabase), xmin::text \
         FROM pg_db_role_setting \
         UNION ALL SELECT format('comment on %s %s', classoid::regclass, objoid), xmin::text FROM pg_shdescription"
    )
}

/// SHA-256 of a text as the server holds it.
fn digest(text: &str) -> String {
    format!("encode(sha256(convert_to({text}, getdatabaseencoding())), 'hex')")
}

/// All of it as one text.
fn all_shared(superuser: bool, but: &[String]) -> String {
    let shared = shared(superuser, but);
    format!(
        "SELECT string_agg(o || ' ' || m, E'\\n' ORDER BY o COLLATE \"C\", m COLLATE \"C\") FROM ({shared}) s(o, m)"
    )
}

/// Asks for the SHA-256 of what belongs to the whole instance: it fits into a command line, however many roles there are.
pub fn shared_objects(superuser: bool, but: &[String]) -> Script {
    let (shared, digest) = (all_shared(superuser, but), digest("lines"));
    Script::new(format!("SELECT to_json({digest}) FROM ({shared}) a(lines);"))
}

/// SQL for the start of a transaction that ends with [`unchanged`], which can then name what was changed.
pub fn remember_shared(superuser: bool, but: &[String]) -> String {
    let shared = all_shared(superuser, but);
    let body = format!("BEGIN PERFORM set_config('xtask.shared', ({shared}), true); END");
    format!("DO {};", quote::literal(&body))
}

/// SQL that fails when what belongs to the whole instance does not have the SHA-256 `as_it_was` any more.
pub fn unchanged(superuser: bool, but: &[String], as_it_was: &str) -> String {
    let (shared, digest) = (all_shared(superuser, but), digest("lines"));
    let then = quote::literal(as_it_was);
    let body = format!(
        "DECLARE lines text; changed text; BEGIN lines := ({shared}); \
         IF {digest} IS DISTINCT FROM {then} THEN \
         WITH at_end AS (SELECT string_to_table(lines, E'\\n') AS line), \
         earlier AS (SELECT string_to_table(current_setting('xtask.shared', true), E'\\n') AS line) \
         SELECT string_agg(DISTINCT regexp_replace(line, ' [^ ]*$', ''), ', ') INTO changed FROM \
         ((TABLE at_end EXCEPT TABLE earlier) UNION ALL (TABLE earlier EXCEPT TABLE at_end)) d; \
         RAISE EXCEPTION 'what belongs to the whole instance was changed meanwhile: %', \
         coalesce(changed, 'before the dump was loaded'); END IF; END"
    );
    format!("DO {};", quote::literal(&body))
}

/// SQL that fails when a policy names this role: without the role it would vanish, or hold for others.
pub fn no_policy_names(role: &str) -> String {
    let name = quote::literal(role);
    let body = format!(
        "DECLARE named text; BEGIN \
         SELECT string_agg(format('%I on %s', polname, polrelid::regclass), ', ') INTO named FROM pg_policy \
         WHERE (SELECT oid FROM pg_roles WHERE rolname = {name}) = ANY (polroles); \
         IF named IS NOT NULL THEN RAISE EXCEPTION 'policies name role %, which does not exist here: %', {name}, named; \
         END IF; END"
    );
    format!("DO {};", quote::literal(&body))
}

/// Version of psql: major and minor.
///
/// # Errors
/// When it does not run or says something else.
pub fn psql_version(runner: &Runner, clients: &Clients) -> Result<(u32, u32), CommandError> {
    let version = programs::version(runner, clients, "psql")?;
    Ok((version / 10_000, version % 10_000))
}

/// Whether this psql knows `\restrict`: it came to every supported branch in August 2025 (CVE-2025-8714).
pub fn knows_restrict((major, minor): (u32, u32)) -> bool {
    match major {
        13 => minor >= 22,
        14 => minor >= 19,
        15 => minor >= 14,
        16 => minor >= 10,
        17 => minor >= 6,
        other => other >= 18,
    }
}

#[cfg(test)]
mod tests {
    use super::knows_restrict;

    #[test]
    fn restrict_came_with_the_releases_of_august_2025() {
        assert!(knows_restrict((16, 10)) && knows_restrict((18, 0)));
        assert!(!knows_restrict((16, 9)) && !knows_restrict((12, 99)));
    }
}
