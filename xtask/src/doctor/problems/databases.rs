//! A database that is not there.

use crate::checks::NotLooked;
use crate::doctor::act::{Act, CreateDatabase};
use crate::doctor::{Case, Diagnosis, Examined, Fix, Problem, Proof};
use crate::observe::Held;

const SYMPTOMS: &[&str] = &["database \"*\" does not exist"];

pub(in crate::doctor) const MISSING: Problem = Problem {
    id: "database-missing",
    title: "\"Database 'labeler' does not exist\"",
    meaning: "`.env` names a database that the target does not have",
    symptoms: SYMPTOMS,
    causes: "The target's volume is new and its init scripts did not run (they run on an empty volume only), the database was dropped \
             or renamed, or psql was called without `-d` and took the role's name for the database's. The doctor lists what the \
             target has instead, and looks whether a backup holds it.",
    repair: "Where no backup and no old instance on this machine may hold the database, makes it empty, for the role that `.env` names; going back drops it only while it is empty. \
             Where one may, nothing is made: an empty database in its place would hide the loss. `cargo xtask restore` \
             brings it back, and the doctor prints the line. While a migration is neither at its end nor taken back, that decides.",
    proof: &[Proof {
        created: "`DROP DATABASE labeler`, no backup",
        recognised: "the login's own error, and the list of databases",
        repaired: "made empty, for its role",
        test: "a_database_that_is_missing_is_made_again_and_going_back_drops_it_only_while_it_is_empty",
    }],
    examine: missing,
};

pub(in crate::doctor) const EMPTIED: Problem = Problem {
    id: "database-emptied",
    title: "The application shows nothing, and no error",
    meaning: "a database is there, and tables of it have lost every row that its newest backup holds",
    symptoms: &["PostgreSQL init process complete; ready for start up"],
    causes: "The database was dropped and made again (by an init script, by `alembic upgrade head`, by hand), or emptied, or the target started on \
             another volume. Nothing complains: an empty database is a good one. The doctor looks whether the tables that have rows in the \
             newest complete backup have any now; Alembic's own table does not count. Where only a few have none, ordinary work may \
             have emptied them: that is a warning.",
    repair: "None of its own: `cargo xtask restore` brings the data back, compares it, and keeps what is there now under another name; the doctor \
             prints the line. While a migration is neither at its end nor taken back, `cargo xtask migrate --resume` or \
             `cargo xtask rollback` decides.",
    proof: &[Proof {
        created: "a backup, then `DROP DATABASE`, `CREATE DATABASE` and the same empty tables",
        recognised: "tables that have rows in the backup and none now: all, most (an error) or a few (a warning)",
        repaired: "not repaired; the line that is printed restores it",
        test: "a_database_that_was_emptied_is_told_and_the_line_that_is_shown_brings_it_back",
    }],
    examine: emptied,
};

fn emptied(case: &Case<'_>) -> Examined {
    if case.server()?.is_none() {
        return Ok(Vec::new());
    }
    let charged = case.seen.backups.iter().filter(|(name, _)| case.in_charge(name));
    let mut found = Vec::new();
    for (name, held) in charged {
        // The other problem: its old instance holds the rows.
        if case.old_in_charge(name).is_some() {
            continue;
        }
        if let Some(Err(why)) = &held.now {
            return Err(NotLooked::because(format!(
                "{name} could not be compared with backup {}: {why}",
                held.backup
            )));
        }
        let (emptied, of) = held.emptied();
        let database = case.settings().databases.get(name);
        let called = database.map_or(name, |database| &database.name);
        let backup = &held.backup;
        let (diagnosis, tables) = match &held.now {
            Some(Ok(tables)) if held.is_emptied() => {
                let words =
                    format!("database {called} is there and has no row of what backup {backup} holds");
                (Diagnosis::error(name, words), Held::lacking(tables))
            }
            _ if emptied.is_empty() => continue,
            _ => {
                let count = emptied.len();
                let words = format!(
                    "{count} of the {of} tables of database {called} that have rows in backup {backup} have none now"
                );
                // One table may be emptied by ordinary work; most of them are not.
                let diagnosis = match 2 * count >= of {
                    true => Diagnosis::error(name, words),
                    false => Diagnosis::warning(name, words),
                };
                (diagnosis, emptied)
            }
        };
        let diagnosis = diagnosis
            .evidence([format!("rows in the backup, none now: {}", tables.join(", "))])
            .wanted("its data");
        let restore = format!("cargo xtask restore {backup} --database {name} --set-aside-existing");
        found.push(diagnosis.hint(restore));
    }
    Ok(found)
}

fn missing(case: &Case<'_>) -> Examined {
    let Some(server) = case.server()? else {
        return Ok(Vec::new());
    };
    let settings = case.settings();
    let mut found = Vec::new();
    for (name, database) in &settings.databases {
        if !case.in_charge(name)
            || server.databases.contains_key(&database.name)
            || case.old_in_charge(name).is_some()
        {
            continue;
        }
        let said = case
            .complaints(SYMPTOMS)
            .find(|(whose, ..)| whose == name)
            .map(|(_, _, line)| line);
        let there: Vec<&str> = server.databases.keys().map(String::as_str).collect();
        let diagnosis = Diagnosis::error(name, format!("database {} is not on the target", database.name))
            .said(said)
            .evidence([format!("databases there: {}", there.join(", "))]);
        // What a run of this tool put aside is told, because it is the likeliest place.
        let aside: Vec<&str> = there
            .iter()
            .copied()
            .filter(|other| other.starts_with(&format!("{}__", database.name)))
            .collect();
        found.push(match (case.seen.backups.get(name), aside.first()) {
            (Some(held), _) => diagnosis
                .wanted("its data: a backup holds it")
                .hint(format!("cargo xtask restore {} --database {name}", held.backup)),
            (None, Some(aside)) => diagnosis
                .wanted(format!("its data, which may be in {aside}"))
                .hint(format!(
                    "ALTER DATABASE {} RENAME TO {};",
                    infra::postgres::quote::ident(aside),
                    infra::postgres::quote::ident(&database.name)
                )),
            (None, None) if old_instance(case, name).is_some() => diagnosis
                .evidence(
                    old_instance(case, name)
                        .map(|what| format!("its old instance is on this machine: {what}")),
                )
                .wanted("its data, which the old instance may hold")
                .hint("cargo xtask migrate"),
            (None, None) => diagnosis.fix(Some(create(case, name, &database.name, &server.roles))),
        });
    }
    Ok(found)
}

/// An old instance that is still on this machine, in words.
fn old_instance(case: &Case<'_>, name: &str) -> Option<String> {
    let state = &case.seen.seen.sources.get(name)?.state;
    state.is_here().then(|| state.in_words())
}

fn create(
    case: &Case<'_>,
    name: &str,
    database: &str,
    roles: &std::collections::BTreeMap<String, infra::postgres::facts::RoleEntry>,
) -> Fix {
    let login = case.seen.logins.get(name).map(|login| login.role.as_str());
    let owner = login
        .filter(|role| roles.contains_key(*role))
        .unwrap_or(&case.settings().target.user);
    let act = CreateDatabase {
        instance: case.target(),
        maintenance: case.maintenance().to_owned(),
        database: database.to_owned(),
        owner: owner.to_owned(),
    };
    Fix::new(
        format!("make database {database}, empty, for {owner}"),
        vec![Act::CreateDatabase(act)],
    )
}
