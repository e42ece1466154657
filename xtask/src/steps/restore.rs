//! Restore into incoming databases, compare each with its manifest, and remember which ones compared equal.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use infra::Secret;
use infra::postgres::facts::{self, ServerFacts};
use infra::postgres::manifest::{self, CompareOptions, DatabaseManifest, Difference};
use infra::postgres::{Script, Server, quote};
use serde_json::{Value, json};

use super::backup::watch;
use super::{Failure, Probe, World, orphans, parallel, roles};
use crate::model::backup::DatabaseBackup;
use crate::plan::Roles;
use crate::plan::action::{Locale, Restore, RestoreDatabase};

/// State file: the object ids of databases that compared equal. An id survives the rename of the swap.
pub(super) const COMPARED: &str = "compared";

/// How many differences an error shows.
const SHOWN: usize = 10;

/// Sessions that compute one manifest.
pub(super) const MANIFEST_WORKERS: usize = 2;

pub(super) fn probe(action: &Restore, world: &World<'_>) -> Result<Probe, Failure> {
    let server = action.target.server(world.vault);
    let seen = facts::server(&world.runner, &server, &action.maintenance_database)?;
    let compared = compared(world)?;
    let all = action
        .databases
        .iter()
        .all(|database| is_there(&seen, &compared, database));
    Ok(if all { Probe::Satisfied } else { Probe::Absent })
}

pub(super) fn apply(action: &Restore, world: &World<'_>) -> Result<Value, Failure> {
    let server = action.target.server(world.vault);
    let seen = facts::server(&world.runner, &server, &action.maintenance_database)?;
    let compared = compared(world)?;
    // One after the other: two databases may name the same role.
    for database in &action.databases {
        let backup = archive_of(action, database)?;
        roles::create_policy_roles(action, &backup, world)?;
        if action.roles == Roles::Preserve {
            roles::recreate(action, database, &backup, world)?;
        }
    }
    let open: Vec<&RestoreDatabase> = action
        .databases
        .iter()
        .filter(|database| !is_there(&seen, &compared, database))
        .collect();
    let done = parallel(&open, |database| one(action, database, &seen, world))?;
    Ok(json!({ "databases": done }))
}

pub(super) fn verify(action: &Restore, world: &World<'_>) -> Result<(), Failure> {
    match probe(action, world)? {
        Probe::Satisfied => Ok(()),
        _ => Err(Failure::new("a restored database has vanished from the target")),
    }
}

/// Removes incoming databases that carry this run's mark.
pub(super) fn undo(action: &Restore, world: &World<'_>) -> Result<(), Failure> {
    let server = action.target.server(world.vault);
    if server
        .answers(&world.runner, &action.maintenance_database)
        .is_err()
    {
        // The target never started, or is gone: there is nothing of ours to remove.
        return Ok(());
    }
    for database in &action.databases {
        drop_incoming(action, &server, &database.incoming(), world)?;
    }
    Ok(())
}

fn one(
    action: &Restore,
    database: &RestoreDatabase,
    seen: &ServerFacts,
    world: &World<'_>,
) -> Result<Value, Failure> {
    let server = action.target.server(world.vault);
    let (runner, incoming) = (&world.runner, database.incoming());
    let backup = archive_of(action, database)?;
    backup.check_files(&action.folder)?;
    if seen.databases.contains_key(&incoming) {
        drop_incoming(action, &server, &incoming, world)?;
    }
    let wanted = &expected(action, database, &backup);
    let create = action.create(
        database,
        &Locale {
            encoding: &wanted.encoding,
            collate: &wanted.collate,
            ctype: &wanted.ctype,
            provider: &wanted.locale_provider,
            locale: wanted.locale.as_deref(),
        },
    );
    server.execute(
        runner,
        &action.maintenance_database,
        &create,
        format!("create database {incoming}"),
    )?;
    let finished = AtomicBool::new(false);
    let restored = std::thread::scope(|scope| {
        scope.spawn(|| {
            watch(
                world,
                &finished,
                &format!("restore {}", database.name),
                wanted.bytes,
                || size(world, &server, action, &incoming),
            );
        });
        let restored = runner.run(&action.restore(database, world.vault));
        finished.store(true, Ordering::SeqCst);
        restored
    });
    restored?;
    apply_settings(action, &server, database, &backup, world)?;
    let analyze = Script::new("ANALYZE;");
    let analyzed = std::thread::scope(|scope| {
        // Statistics and comparison both only read; the slower one hides the faster.
        let analyzed =
            scope.spawn(|| server.execute(runner, &incoming, &analyze, format!("analyze {incoming}")));
        let found = manifest::collect(runner, &server, &incoming, None, MANIFEST_WORKERS, &|_| {});
        (analyzed.join(), found)
    });
    let mut found = analyzed.1?;
    // Our own mark; the swap puts the source's comment in its place.
    if found.comment.as_deref() == Some(action.mark().as_str()) {
        found.comment.clone_from(&wanted.comment);
    }
    analyzed
        .0
        .map_err(|_| Failure::new("the analyze thread ended unexpectedly"))??;
    let same_owners = action.roles == Roles::Preserve;
    let options = CompareOptions {
        owners: same_owners,
        privileges: same_owners,
        ..CompareOptions::default()
    };
    let differences = manifest::compare(wanted, &found, &options);
    if !differences.is_empty() {
        return Err(differ(database, &differences));
    }
    let seen = facts::database(runner, &server, &incoming)?;
    let rows: u64 = found.tables.values().map(|table| table.rows).sum();
    remember(world, &database.name, seen.oid)?;
    world.run.save(&restored_state(&database.name), &found)?;
    Ok(json!({ "name": database.name, "rows": rows, "tables": found.tables.len(), "bytes": seen.bytes }))
}

fn archive_of(action: &Restore, database: &RestoreDatabase) -> Result<DatabaseBackup, Failure> {
    let backup = DatabaseBackup::read(&action.folder, &database.name)?;
    Ok(backup.with_context(|| format!("there is no archive of {}", database.name))?)
}

fn differ(database: &RestoreDatabase, differences: &[Difference]) -> Failure {
    let mut message = format!(
        "the restored copy of {} differs from its manifest in {} places",
        database.name,
        differences.len()
    );
    for difference in differences.iter().take(SHOWN) {
        message.push_str(&format!("\n  {difference}"));
    }
    Failure::new(message)
}

/// What must be true of the copy: the source's manifest, with the settings of roles under the names that those roles
/// have on the target.
fn expected(action: &Restore, database: &RestoreDatabase, backup: &DatabaseBackup) -> DatabaseManifest {
    let mut wanted = backup.manifest.clone();
    wanted.settings = wanted
        .settings
        .into_iter()
        .filter_map(|(role, settings)| Some((role_on_target(action, database, backup, &role)?, settings)))
        .collect();
    wanted
}

/// A role of the source as it is called on the target; `""` is everybody. `None`: it has no place there, because in mode
/// `unify` everything belongs to one role.
fn role_on_target(
    action: &Restore,
    database: &RestoreDatabase,
    backup: &DatabaseBackup,
    role: &str,
) -> Option<String> {
    let login = role == database.reader.user;
    match action.roles {
        _ if role.is_empty() => Some(String::new()),
        Roles::Preserve => Some(role.to_owned()),
        Roles::Unify if login => Some(database.owner.clone()),
        Roles::Unify => backup
            .policy_roles
            .iter()
            .any(|known| known == role)
            .then(|| role.to_owned()),
    }
}

/// Settings that live in the catalogue of the instance and not in the archive (`ALTER DATABASE .. SET`).
fn apply_settings(
    action: &Restore,
    server: &Server,
    database: &RestoreDatabase,
    backup: &DatabaseBackup,
    world: &World<'_>,
) -> Result<(), Failure> {
    let incoming = quote::ident(&database.incoming());
    let mut script = Script::default();
    for (number, setting) in backup.settings.iter().enumerate() {
        let role = setting.role.as_deref().unwrap_or_default();
        let whom = match role_on_target(action, database, backup, role) {
            None => continue,
            Some(everybody) if everybody.is_empty() => format!("DATABASE {incoming}"),
            Some(role) => format!("ROLE {} IN DATABASE {incoming}", quote::ident(&role)),
        };
        let name = quote::ident(&setting.name);
        // Lists are stored quoted as PostgreSQL wants them; one quoted string would be one name.
        let list = matches!(
            setting.name.as_str(),
            "search_path" | "temp_tablespaces" | "session_preload_libraries" | "local_preload_libraries"
        );
        let variable = format!("value{number}");
        script = if list {
            script.then(&format!(
                "ALTER {whom} SET {name} TO {};\n",
                list_literals(&setting.value)
            ))
        } else {
            script
                .secret_var(&variable, &Secret::new(setting.value.clone()))
                .then(&format!("ALTER {whom} SET {name} TO :'{variable}';\n"))
        };
    }
    if backup.connection_limit >= 0 {
        script = script.then(&format!(
            "ALTER DATABASE {incoming} CONNECTION LIMIT {};\n",
            backup.connection_limit
        ));
    }
    let what = format!("apply the settings of database {}", database.name);
    server.execute(&world.runner, &action.maintenance_database, &script, what)?;
    Ok(())
}

/// A stored list (`a, "B c", ""`) as SQL literals (`'a', 'B c', ''`): an empty name is a legal element, and no legal
/// identifier. pg_dump writes them the same way.
fn list_literals(stored: &str) -> String {
    let mut elements = Vec::new();
    let (mut element, mut quoted, mut seen) = (String::new(), false, false);
    let mut characters = stored.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                element.push('"');
            }
            '"' => {
                quoted = !quoted;
                seen = true;
            }
            ',' if !quoted => {
                elements.push(std::mem::take(&mut element));
                seen = false;
            }
            c if c.is_whitespace() && !quoted => {}
            c => {
                element.push(c);
                seen = true;
            }
        }
    }
    if seen || !elements.is_empty() {
        elements.push(element);
    }
    let literal = |element: &String| format!("'{}'", element.replace('\'', "''"));
    if elements.is_empty() {
        "''".to_owned()
    } else {
        elements.iter().map(literal).collect::<Vec<_>>().join(", ")
    }
}

/// Drops an incoming database, but only one that carries the mark of a run of this workspace: this one, or one that
/// was killed. Whoever holds the workspace's lock knows that no other run is at work.
pub(super) fn drop_incoming(
    action: &Restore,
    server: &Server,
    incoming: &str,
    world: &World<'_>,
) -> Result<(), Failure> {
    let ask = Script::new(
        "SELECT coalesce(json_agg(shobj_description(oid, 'pg_database')), '[]'::json) \
         FROM pg_database WHERE datname = :'incoming';",
    )
    .var("incoming", incoming);
    let what = format!("ask whose database {incoming} is");
    let marks: Vec<Option<String>> = server.json(&world.runner, &action.maintenance_database, &ask, what)?;
    let Some(mark) = marks.into_iter().next() else {
        return Ok(());
    };
    let run = mark.as_deref().and_then(Restore::marked_by);
    if run.is_some_and(|run| world.run.is_known(&run)) {
        // A pg_restore that outlived its run must not go on in the database that takes this one's place.
        orphans::end(&world.runner, server, &action.maintenance_database, incoming)?;
        let drop = Script::new("DROP DATABASE :\"incoming\" WITH (FORCE);").var("incoming", incoming);
        let what = format!("drop the unfinished database {incoming}");
        server.execute(&world.runner, &action.maintenance_database, &drop, what)?;
        return Ok(());
    }
    Err(Failure::new(format!(
        "database {incoming} exists and no run of this workspace made it ({})",
        mark.as_deref().unwrap_or("no comment")
    ))
    .hint(format!(
        "{} -c 'DROP DATABASE {}'",
        server.connect_hint(&action.maintenance_database),
        quote::ident(incoming)
    )))
}

pub(super) fn size(world: &World<'_>, server: &Server, action: &Restore, database: &str) -> u64 {
    let ask = Script::new("SELECT pg_database_size(:'database');").var("database", database);
    server
        .json(
            &world.runner,
            &action.maintenance_database,
            &ask,
            "measure progress",
        )
        .unwrap_or(0)
}

pub(super) fn compared(world: &World<'_>) -> Result<BTreeMap<String, u64>, Failure> {
    Ok(world.run.load(COMPARED)?.unwrap_or_default())
}

/// State file: the manifest of a database as it was restored.
pub fn restored_state(name: &str) -> String {
    format!("restored-{name}")
}

/// Adds one database to the state file. Databases finish at the same time, so writers take turns.
pub(super) fn remember(world: &World<'_>, name: &str, oid: u64) -> Result<(), Failure> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut all = compared(world)?;
    all.insert(name.to_owned(), oid);
    world.run.save(COMPARED, &all)?;
    Ok(())
}

/// Whether the database that compared equal is still there, as incoming or already in place.
pub(super) fn is_there(
    seen: &ServerFacts,
    compared: &BTreeMap<String, u64>,
    database: &RestoreDatabase,
) -> bool {
    let names = [database.incoming(), database.target_name.clone()];
    compared.get(&database.name).is_some_and(|oid| {
        names
            .iter()
            .any(|name| seen.databases.get(name).is_some_and(|entry| entry.oid == *oid))
    })
}

#[cfg(test)]
mod tests {
    use super::list_literals;

    #[test]
    fn a_stored_list_becomes_literals_and_an_empty_element_stays() {
        assert_eq!(
            list_literals(r#""$user", public, "Ex""ports", it's"#),
            r#"'$user', 'public', 'Ex"ports', 'it''s'"#
        );
        assert_eq!(list_literals(r#""""#), "''");
        assert_eq!(list_literals(""), "''");
    }
}
