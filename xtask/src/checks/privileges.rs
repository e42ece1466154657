//! Roles and privileges: what must be allowed, and what must not.

use super::databases::{each, each_health, some};
use super::{Case, Check, Group, Looked, error};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "privileges.application",
        group: Group::Privileges,
        meaning: "the role of `.env` logs in, and may read and write every table, with its sequences",
        why: "A restored database with the wrong owner looks complete to an administrator and refuses the application.",
        fix: "Grant what is named, or correct the role and password of `.env`. Privileges are only asked for: the check writes nothing.",
        run: application,
    },
    Check {
        id: "privileges.read-only",
        group: Group::Privileges,
        meaning: "roles that are called read-only cannot write",
        why: "A dump restores grants to roles that exist; a role made again by hand often gets too much.",
        fix: "`REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON table FROM role`.",
        run: read_only,
    },
    Check {
        id: "privileges.isolation",
        group: Group::Privileges,
        meaning: "no database can query another: no dblink, no foreign servers",
        why: "The databases share an instance and nothing else. A foreign server is a way around every privilege of the other team.",
        fix: "`DROP EXTENSION dblink` or `DROP SERVER name CASCADE`, after asking who uses it.",
        run: isolation,
    },
];

fn application(case: &Case<'_>) -> Looked {
    let seen = super::instance::seen(case)?;
    if seen
        .databases
        .values()
        .all(|database| database.application_role.is_none())
    {
        return Err(super::NotLooked::because("no .env file names a login"));
    }
    each(case, |name, database| match &database.application_role {
        None => vec![error(format!("no .env file names a login for {name}"))],
        Some(Err(why)) => vec![
            error(format!("the login of .env does not work for {name}: {why}"))
                .hint(set_password(case, name)),
        ],
        Some(Ok(refused)) => refused
            .iter()
            .map(|one| {
                error(format!(
                    "{} on {} of {name} is refused: {}",
                    one.what, one.object, one.why
                ))
            })
            .collect(),
    })
}

/// The command that sets a login's password, which it reads from standard input.
fn set_password(case: &Case<'_>, name: &str) -> String {
    let labeler = &case.settings().labeler;
    let root = case.instance.and_then(|seen| seen.labeler.as_ref());
    let file = labeler.env_files.first().map_or_else(
        || "FILE".to_owned(),
        |file| {
            root.map_or_else(|| file.clone(), |seen| seen.root.join(file))
                .display()
                .to_string()
        },
    );
    let database = case.settings().databases.get(name);
    let key = database.map_or("KEY", |database| database.env.password.as_str());
    format!("cargo xtask env set {file} {key}=-")
}

fn read_only(case: &Case<'_>) -> Looked {
    each_health(case, |name, health| {
        if health.writing_readers.is_empty() {
            return Vec::new();
        }
        vec![error(format!(
            "read-only roles may write in {name}: {}",
            some(&health.writing_readers)
        ))]
    })
}

fn isolation(case: &Case<'_>) -> Looked {
    each_health(case, |name, health| {
        let servers = health
            .foreign_servers
            .iter()
            .map(|server| format!("foreign server {server}"));
        let ways = health
            .extensions
            .iter()
            .filter(|e| matches!(e.as_str(), "dblink" | "postgres_fdw"));
        let ways = ways.map(|extension| format!("extension {extension}"));
        servers
            .chain(ways)
            .map(|way| {
                error(format!("database {name} has {way}")).wanted("no way from one database into another")
            })
            .collect()
    })
}
