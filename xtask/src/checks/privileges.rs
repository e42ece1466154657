//! Roles and privileges: what must be allowed, and what must not.

use infra::command::{shell_path, shell_word};

use super::databases::{absent, each, each_health, some};
use super::env::{advise, host_name, port_number};
use super::{Case, Check, Group, Looked, NotLooked, error};
use crate::config::Control;
use crate::model::Finding;
use crate::observe::{EnvSeen, KeySeen, MappingSeen};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "privileges.application",
        group: Group::Privileges,
        meaning: "the role of `.env` logs in to its database on the target, and may read and write every table, with its sequences",
        why: "A restored database with the wrong owner looks complete to an administrator and refuses the application.",
        fix: "Grant what is named, or correct the role and password of `.env`. Privileges are only asked for: the check writes nothing.",
        run: application,
    },
    Check {
        id: "privileges.read-only",
        group: Group::Privileges,
        meaning: "roles that are called read-only cannot write",
        why: "A dump restores grants to roles that exist; a role made again by hand often gets too much. A role writes also through \
              a column, a sequence, a schema that it may create in, and every role that it is a member of.",
        fix: "`REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON table FROM role`, `REVOKE UPDATE ON SEQUENCE sequence FROM role`, \
              `REVOKE CREATE ON SCHEMA schema FROM role` (or `FROM PUBLIC`), `REVOKE writer FROM role`, `ALTER ROLE role NOSUPERUSER`.",
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
    if seen.labeler.is_none() {
        return Err(NotLooked::because("the labeler's checkout is not here"));
    }
    let there = || seen.env_files.iter().filter(|file| file.exists);
    if let (None, Some(first)) = (there().next(), seen.env_files.first()) {
        let finding = error(format!(
            "there is no {}: the application has no login",
            first.path.display()
        ));
        return Ok(vec![match case.settings().target.control {
            Control::External => finding,
            _ => finding.hint("cargo xtask onboard"),
        }]);
    }
    let mapping = |name: &str| there().find_map(|file| Some((file, file.mappings.get(name)?)));
    let mut mappings = seen.databases.keys().filter_map(|name| mapping(name)).peekable();
    let none_moved = mappings.peek().is_some() && mappings.all(|(_, mapping)| is_elsewhere(case, mapping));
    if none_moved && !case.moved {
        return Err(NotLooked::because(
            "`.env` names other servers than the target, as before a migration: `cargo xtask migrate` moves the data, \
             and then `.env`",
        ));
    }
    let absent = absent(case, seen);
    let there = each(case, |name, database| {
        let Some((file, mapping)) = mapping(name) else {
            return vec![error(format!("no .env file names a login for {name}"))];
        };
        let wrong = misled(case, name, file, mapping);
        if !wrong.is_empty() {
            return wrong;
        }
        match &database.application_role {
            None => vec![
                error(format!("{} names no login for {name}", file.path.display())).hint(set(
                    file,
                    &mapping.user.key,
                    "ROLE",
                )),
            ],
            Some(Err(why)) => vec![
                error(format!("the login of .env does not work for {name}: {why}")).hint(set(
                    file,
                    &mapping.password.key,
                    "-",
                )),
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
        }
    })?;
    Ok([absent, there].concat())
}

/// Whether `.env` names another server than the target.
fn is_elsewhere(case: &Case<'_>, mapping: &MappingSeen) -> bool {
    let target = &case.settings().target;
    let host = mapping.host.value.as_deref().unwrap_or_default();
    host_name(host) != host_name(&target.host)
        || mapping.port.value.as_deref().map(port_number) != Some(target.port.to_string())
}

/// What leads the application to another server or database than the target's: a login that works there says nothing.
fn misled(case: &Case<'_>, name: &str, file: &EnvSeen, mapping: &MappingSeen) -> Vec<Finding> {
    let target = &case.settings().target;
    let database = case.settings().databases.get(name);
    let real = database.map_or(name, |database| database.name.as_str());
    // What is wanted, and in which form the two are compared.
    type Form = fn(&str) -> String;
    let wanted: [(&KeySeen, String, Form); 3] = [
        (&mapping.host, host_name(&target.host), host_name),
        (&mapping.port, target.port.to_string(), port_number),
        (&mapping.name, real.to_owned(), str::to_owned),
    ];
    let wrong: Vec<_> = wanted
        .into_iter()
        .filter(|(key, wanted, form)| key.value.as_deref().is_some_and(|found| form(found) != *wanted))
        .collect();
    let Some((first, ..)) = wrong.first() else {
        return Vec::new();
    };
    let said: Vec<String> = wrong
        .iter()
        .map(|(key, ..)| format!("{} is {}", key.key, key.value.as_deref().unwrap_or_default()))
        .collect();
    let place = format!("{}:{}, database {real}", target.host, target.port);
    let finding = error(said.join(", "))
        .wanted(format!("{place}: {name} on the target"))
        .at(&file.path, first.lines.last().copied().unwrap_or(0));
    let keys: Vec<(&str, &str)> = wrong
        .iter()
        .map(|(key, wanted, _)| (key.key.as_str(), wanted.as_str()))
        .collect();
    vec![advise(case, finding, &file.path, &keys)]
}

/// The command that sets a key; `-` reads the value from standard input.
fn set(file: &EnvSeen, key: &str, value: &str) -> String {
    let path = shell_path(&file.path);
    format!(
        "cargo xtask env set {path} {}",
        shell_word(&format!("{key}={value}"))
    )
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
