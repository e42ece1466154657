//! The SQL that the team of the target's server runs before a migration, as one file that may run again. Pure.

mod tolerant;

use infra::postgres::quote::{ident, literal};

use tolerant::attempt;

use super::carried::Carried;
use crate::config::{Access, Settings};
use crate::model::{Finding, Severity};

/// How a file of ours begins: only such a one is written anew.
pub const BEGINNING: &str = "-- For the team that runs ";

/// The file. `carried` is what our own databases need beside themselves, by name.
pub fn sql(settings: &Settings, carried: &[(String, Carried)]) -> String {
    let target = &settings.target;
    let mut out = format!(
        "{BEGINNING}{host}: what a migration by {user} needs there. Written by cargo xtask production check.\n\
         -- Run it as the server's administrator (CREATEROLE and CREATEDB are enough, but for what it warns of: that\n\
         -- needs a superuser or the object's owner, and the rest is done all the same), again whenever it was written anew:\n\
         --   psql -X -v ON_ERROR_STOP=1 -h {host} -p {port} -U ADMINISTRATOR -d {maintenance} -f THIS_FILE\n\
         -- It holds no password: give each role its own with \\password ROLE. It changes no data.\n\n",
        host = one_line(&target.host),
        user = one_line(&target.user),
        port = target.port,
        maintenance = one_line(&target.maintenance_database),
    );
    let mut roles: Vec<(&str, &str)> = vec![(&target.user, "moves the data")];
    for database in settings.databases.values() {
        let login = database.login_on(target);
        if !roles.iter().any(|(role, _)| *role == login) {
            let why = match database.access {
                Access::Owner => "owns its database",
                Access::ReadOnly => "only reads",
            };
            roles.push((login, why));
        }
    }
    for (role, why) in &roles {
        out.push_str(&format!("-- {} {why}.\n", one_line(role)));
        out.push_str(&create_role(role, "LOGIN"));
    }
    out.push_str(&format!(
        "\n-- While the migration runs; afterwards: ALTER ROLE {0} NOCREATEDB;\n{1}",
        ident(&target.user),
        attempt(
            &format!("ALTER ROLE {} CREATEDB", ident(&target.user)),
            "who made the role"
        )
    ));
    for (name, database) in &settings.databases {
        let login = database.login_on(target);
        let needs = carried
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, carried)| carried);
        match database.access {
            Access::Owner => owned(&mut out, &database.name, login, &target.user, needs),
            Access::ReadOnly => read_only(&mut out, &database.name, login),
        }
        out.push_str(&format!("\\connect {}\n", ident(&target.maintenance_database)));
    }
    out
}

/// Whether the file can end this finding.
pub fn repairs(finding: &Finding) -> bool {
    let ends = [
        ".createdb",
        ".owner",
        ".foreign",
        ".login",
        ".read-only",
        ".extension",
        ".forced-policies",
        ".policy-role",
    ];
    let at_all = ["target.", "source."]
        .iter()
        .any(|start| finding.id.starts_with(start));
    // A role that is missing and a wrong password answer alike.
    let login = finding.id == "target.unreachable"
        && ["authentication failed", "role \"", "database \""]
            .iter()
            .any(|words| finding.found.contains(words));
    finding.severity == Severity::Error
        && (login || at_all && ends.iter().any(|end| finding.id.ends_with(end)))
}

fn create_role(role: &str, how: &str) -> String {
    format!(
        "SELECT 'CREATE ROLE ' || quote_ident({name}) || ' {how}'\n  \
         WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) \\gexec\n",
        name = literal(role)
    )
}

fn owned(out: &mut String, database: &str, login: &str, mover: &str, needs: Option<&Carried>) {
    out.push_str(&format!(
        "\n-- {}: moved here, and owned by the role that the application logs in as.\n\
         GRANT {owner} TO CURRENT_USER;\n",
        one_line(database),
        owner = ident(login),
    ));
    if login != mover {
        out.push_str(&format!("GRANT {} TO {};\n", ident(login), ident(mover)));
    }
    out.push_str(&format!(
        "SELECT 'CREATE DATABASE ' || quote_ident({name}) || ' OWNER ' || quote_ident({owner})\n  \
         WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {name}) \\gexec\n\
         ALTER DATABASE {database} OWNER TO {login};\n",
        name = literal(database),
        owner = literal(login),
        database = ident(database),
        login = ident(login),
    ));
    let Some(needs) = needs else { return };
    for role in &needs.missing_roles {
        out.push_str("-- A policy names it; nobody logs in as it.\n");
        out.push_str(&create_role(role, "NOLOGIN"));
    }
    if !needs.hidden.is_empty() {
        out.push_str(&format!(
            "-- Policies hide rows from the owner itself; without this the copy cannot be compared. A superuser's business;\n\
             -- afterwards: ALTER ROLE {0} NOBYPASSRLS;\n{1}",
            ident(mover),
            attempt(
                &format!("ALTER ROLE {} BYPASSRLS", ident(mover)),
                "a superuser, or from PostgreSQL 16 on a role that has BYPASSRLS itself,"
            )
        ));
    }
    if !needs.missing.is_empty() {
        out.push_str(&format!("\\connect {}\n", ident(database)));
        for (extension, dependents) in &needs.missing {
            out.push_str(&format!(
                "-- Needed by {}; the migration copies it from this empty database.\n{}",
                one_line(&dependents.join(", ")),
                attempt(
                    &format!("CREATE EXTENSION IF NOT EXISTS {}", ident(extension)),
                    "a superuser"
                )
            ));
        }
    }
}

fn read_only(out: &mut String, database: &str, login: &str) {
    let missing = format!("database {database} is missing: it is this team's to make");
    out.push_str(&format!(
        "\n-- {comment}: this team's; the application only reads it.\n\
         DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_database WHERE datname = {name}) THEN\n  \
         RAISE EXCEPTION USING MESSAGE = {missing}; END IF; END $do$;\n\
         {connect}\\connect {database}\n{rights}",
        comment = one_line(database),
        name = literal(database),
        missing = literal(&missing),
        database = ident(database),
        connect = attempt(
            &format!(
                "GRANT CONNECT ON DATABASE {} TO {}",
                ident(database),
                ident(login)
            ),
            "the database's owner"
        ),
        rights = tolerant::reads_only(database, login),
    ));
}

/// For a comment: nothing of it may end the line.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_offered_for_what_sql_can_repair_and_for_nothing_else() {
        for (id, found, repairs_it) in [
            ("target.createdb", "", true),
            ("source.labeler.extension", "", true),
            (
                "target.unreachable",
                "password authentication failed for user",
                true,
            ),
            ("target.unreachable", "certificate verify failed", false),
            ("storage.bucket", "", false),
            ("target.tls", "", false),
        ] {
            assert_eq!(repairs(&Finding::error(id, found)), repairs_it, "{id}: {found}");
        }
        assert!(!repairs(&Finding::warning("target.createdb", "")));
    }
}
