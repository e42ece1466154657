//! SQL that tells what its runner may not do, and goes on: who runs a managed server is no superuser and owns not every object.

use infra::postgres::quote::{ident, literal};

/// One statement; `who` can run it when the runner may not.
pub(super) fn attempt(sql: &str, who: &str) -> String {
    each(&format!(
        "SELECT * FROM (VALUES ({}, {})) AS one (sql, who)",
        literal(sql),
        literal(who)
    ))
}

/// Every statement that a query answers with, as `sql`; its `who` can run it when the runner may not.
fn each(query: &str) -> String {
    block(&format!(
        "DECLARE one record;\nBEGIN\n  FOR one IN\n    {query}\n  LOOP\n    \
         BEGIN EXECUTE one.sql;\n    \
         EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN\n      \
         RAISE WARNING 'not done: %; (%)', one.sql, SQLERRM USING HINT = one.who || ' can run it';\n    \
         END;\n  END LOOP;\nEND"
    ))
}

/// An anonymous block, whatever the names in it hold.
fn block(body: &str) -> String {
    let mut tag = "do".to_owned();
    while body.contains(&format!("${tag}$")) {
        tag.push('o');
    }
    format!("DO ${tag}$\n{body}\n${tag}$;\n")
}

/// Lets a role read everything of the database that psql is connected to, and change nothing; only what is not so already is
/// run, object by object.
pub(super) fn reads_only(database: &str, login: &str) -> String {
    const OURS: &str = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";
    const WRITES: &str = "('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER')";
    let (name, role) = (literal(login), ident(login));
    let in_sql = |text: &str| literal(text);
    let schemas = format!("FROM pg_namespace n, pg_roles r WHERE r.rolname = {name} AND {OURS}");
    let relations = format!(
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_roles r\n    \
         WHERE r.rolname = {name} AND {OURS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    );
    let owner = |column: &str| format!("pg_get_userbyid({column}) || ' or a superuser' AS who");
    let mut out = each(&format!(
        "SELECT {revoke} AS sql, 'a superuser' AS who FROM pg_auth_members m, pg_roles r\n    \
         WHERE r.rolname = {name} AND m.member = r.oid AND m.roleid = to_regrole('pg_write_all_data')",
        revoke = in_sql(&format!("REVOKE pg_write_all_data FROM {role}")),
    ));
    out.push_str(&each(&format!(
        "SELECT {revoke} AS sql, {who} FROM pg_database d, pg_roles r, aclexplode(d.datacl) a\n    \
         WHERE d.datname = current_database() AND r.rolname = {name} AND a.grantee = r.oid AND a.privilege_type = 'CREATE'",
        revoke = in_sql(&format!("REVOKE CREATE ON DATABASE {} FROM {role}", ident(database))),
        who = owner("d.datdba"),
    )));
    out.push_str(
        "-- Whoever connects could make tables here otherwise, and this role with them. Roles that rely on it lose that right:\n\
         -- GRANT CREATE ON SCHEMA public TO ROLE gives it to one of them.\n",
    );
    out.push_str(&each(&format!(
        "SELECT format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', n.nspname) AS sql, {who} {schemas}\n    \
         AND n.nspname = 'public' AND EXISTS (SELECT FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a\n      \
         WHERE a.grantee = 0 AND a.privilege_type = 'CREATE')\n    \
         UNION ALL SELECT format('REVOKE CREATE ON SCHEMA %I FROM %I', n.nspname, r.rolname), {who} {schemas}\n    \
         AND EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee = r.oid AND a.privilege_type = 'CREATE')\n    \
         UNION ALL SELECT format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, r.rolname), {who} {schemas}\n    \
         AND NOT has_schema_privilege(r.oid, n.oid, 'USAGE')\n    \
         UNION ALL SELECT format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO %I', n.nspname, r.rolname), {who}\n    \
         {schemas} AND pg_has_role(current_user, n.nspowner, 'MEMBER')",
        who = owner("n.nspowner"),
    )));
    out.push_str(&each(&format!(
        "SELECT format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON %I.%I FROM %I',\n      \
         n.nspname, c.relname, r.rolname) AS sql, {who} {relations}\n    \
         AND (EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = r.oid AND a.privilege_type IN {WRITES})\n      \
         OR EXISTS (SELECT FROM pg_attribute t, aclexplode(t.attacl) a\n        \
         WHERE t.attrelid = c.oid AND a.grantee = r.oid AND a.privilege_type IN {WRITES}))\n    \
         UNION ALL SELECT format('GRANT SELECT ON %I.%I TO %I', n.nspname, c.relname, r.rolname), {who} {relations}\n    \
         AND NOT has_table_privilege(r.oid, c.oid, 'SELECT')",
        who = owner("c.relowner"),
    )));
    out.push_str("-- What is left comes by way of PUBLIC or of another role, which other roles may need.\n");
    out.push_str(&block(&format!(
        "DECLARE still text; via text;\nBEGIN\n  \
         SELECT string_agg(name, ', ') INTO still FROM (SELECT c.oid::regclass::text AS name {relations}\n    \
         AND (has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')\n      \
         OR has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE')) ORDER BY 1 LIMIT 5) s;\n  \
         SELECT string_agg(quote_ident(g.rolname), ', ') INTO via\n  \
         FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = {name};\n  \
         IF still IS NOT NULL THEN RAISE WARNING '% can still change: %', {name}, still\n    \
         USING HINT = 'the right comes from PUBLIC' || coalesce(' or from ' || via, '') || ': revoke it there'; END IF;\nEND"
    )));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_the_block_that_it_stands_in() {
        let sql = attempt("GRANT \"$do$\" TO \"$doo$\"", "a superuser");
        assert!(
            sql.starts_with("DO $dooo$\n") && sql.ends_with("\n$dooo$;\n"),
            "{sql}"
        );
    }
}
