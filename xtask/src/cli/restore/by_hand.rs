//! Restores of plain dumps that people made by hand.

use std::path::Path;

use anyhow::Context as _;
use infra::postgres::plain as dumps;

use super::ServerFacts;
use crate::cli::{Context, Ending, plain, refuse};
use crate::model::{Exit, Finding, time};
use crate::plan::Action;
use crate::plan::action::{Restore, RestorePlain};

/// A plain dump does not say which database it is: a misspelled name would become a new one.
pub(super) fn is_known(context: &Context, database: &str) -> anyhow::Result<()> {
    let databases = &context.loaded.settings.databases;
    if databases.contains_key(database) {
        return Ok(());
    }
    let known: Vec<&str> = databases.keys().map(String::as_str).collect();
    let message = format!(
        "--database {database}: no such database; there is {}",
        known.join(", ")
    );
    Err(Ending::new(Exit::Usage, message)
        .hint(format!("for a new one: --into {database}"))
        .into())
}

/// A dump made by hand: whole, loadable by this psql, and without a word to the rest of the instance.
pub(super) fn action(
    context: &Context,
    server: &ServerFacts,
    mut restore: Restore,
    file: &Path,
) -> anyhow::Result<Action> {
    restore.unprivileged = !server.superuser;
    let dump = plain::read(file)?;
    context.terminal.line(&plain::describe(&dump));
    let damages = plain::damages(&dump);
    if !damages.is_empty() {
        let message = format!(
            "{} cannot be trusted; nothing was changed:\n  {}",
            file.display(),
            damages.join("\n  ")
        );
        return Err(Ending::new(Exit::Findings, message)
            .hint("pg_dump --file NEW.sql --dbname DATABASE, with no other option but how to connect")
            .into());
    }
    let psql = dumps::psql_version(&context.runner, &restore.target.clients)
        .map_err(|error| Ending::new(Exit::Preconditions, error.to_string()))?;
    let knows = dumps::knows_restrict(psql);
    if dump.restrict && !knows {
        return Err(refuse(&[Finding::error(
            "restore.psql",
            format!(
                "the dump starts with \\restrict, which psql {}.{} does not know",
                psql.0, psql.1
            ),
        )
        .wanted("psql 13.22, 14.19, 15.14, 16.10, 17.6, 18 or later")])
        .into());
    }
    if !knows {
        context.terminal.line(&format!(
            "psql {}.{} cannot be told to run none of its commands (\\restrict): the dump was looked through for them, and \
             that is all; a newer psql can",
            psql.0, psql.1
        ));
    }
    let missing = missing_roles(context, server, &restore, &dump);
    let named = |role: &&String| dump.policy_roles.contains(*role);
    let kept: Vec<String> = missing.iter().filter(named).cloned().collect();
    let (sha256, bytes) =
        infra::files::sha256(file).with_context(|| format!("failed to read {}", file.display()))?;
    let model = server.databases.get(&restore.maintenance_database);
    let locale = |pick: fn(&infra::postgres::facts::DatabaseEntry) -> &String| {
        model.map_or_else(|| "C".to_owned(), |entry| pick(entry).clone())
    };
    context.terminal.line(&format!(
        "{} in one transaction, as {} and with all its rights; the rows of every COPY are counted afterwards",
        time::bytes(bytes),
        context.loaded.settings.target.user
    ));
    Ok(Action::RestorePlain(RestorePlain {
        file: file.to_owned(),
        sha256,
        bytes,
        encoding: dump.encoding.clone().unwrap_or_else(|| "UTF8".to_owned()),
        collate: locale(|entry| &entry.collate),
        ctype: locale(|entry| &entry.ctype),
        missing_roles: missing,
        kept_roles: kept,
        restrict: knows && !dump.restrict,
        rows: dump.rows,
        restore,
    }))
}

/// Roles that the dump names and the target lacks, and what becomes of them.
fn missing_roles(
    context: &Context,
    server: &ServerFacts,
    restore: &Restore,
    dump: &dumps::PlainDump,
) -> Vec<String> {
    let lacks = |role: &&String| !server.roles.contains_key(*role) && !role.starts_with("pg_");
    let missing: Vec<String> = dump.roles.iter().filter(lacks).cloned().collect();
    let (kept, gone): (Vec<&str>, Vec<&str>) = missing
        .iter()
        .map(String::as_str)
        .partition(|role| dump.policy_roles.contains(*role));
    let owner = restore.databases.first().map_or("", |database| &database.owner);
    if !gone.is_empty() {
        context.terminal.line(&format!(
            "roles that the target does not have: {}; what is theirs will belong to {owner}, what was granted to them is \
             granted to nobody",
            gone.join(", ")
        ));
    }
    if !kept.is_empty() {
        context.terminal.line(&format!(
            "roles that the target does not have and policies name: {}; they are created, nobody can log in as one, and what \
             is theirs will belong to {owner}",
            kept.join(", ")
        ));
    }
    missing
}
