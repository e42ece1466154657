//! What `verify` asks a database. Nothing is changed, and nothing is tried.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Script, Server};
use crate::command::{CommandError, Runner};

/// The state of a database beside its facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseHealth {
    /// Tables: schema and name.
    pub tables: Vec<(String, String)>,
    /// Indexes that queries do not use: a `CREATE INDEX CONCURRENTLY` that failed.
    pub invalid_indexes: Vec<String>,
    /// Constraints that may not hold for old rows.
    pub unvalidated_constraints: Vec<String>,
    /// Foreign servers: ways to other databases.
    pub foreign_servers: Vec<String>,
    /// Extensions.
    pub extensions: Vec<String>,
    /// Relations of other roles than the database's owner, counted by role.
    pub foreign_owners: BTreeMap<String, u64>,
    /// What read-only roles (by name) may change: by themselves, or as a role that they are a member of.
    pub writing_readers: Vec<String>,
    /// Sequences that give a column a number which is there already.
    #[serde(default)]
    pub sequences: Vec<SequenceHealth>,
}

/// A sequence that is behind a column which it fills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceHealth {
    /// The sequence, quoted.
    pub sequence: String,
    /// The column, quoted, with its table.
    pub column: String,
    /// The number it gives next.
    pub next: i64,
    /// The largest number in the column; the smallest for a sequence that counts down.
    pub reached: String,
}

/// Something a role may not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The table, sequence or schema, quoted.
    pub object: String,
    /// The privilege.
    pub what: String,
    /// What it means.
    pub why: String,
}

#[derive(Deserialize)]
struct Filled {
    table: String,
    filled: Option<bool>,
}

#[derive(Deserialize)]
struct Count {
    table: String,
    rows: Option<u64>,
}

/// Asks for the state of a database.
///
/// # Errors
/// Any [`CommandError`].
pub fn database(runner: &Runner, server: &Server, database: &str) -> Result<DatabaseHealth, CommandError> {
    let what = format!("look at the state of database {database}");
    let script = Script::new(include_str!("../../sql/health_database.sql"));
    let mut health: DatabaseHealth = server.json(runner, database, &script, what)?;
    let script = Script::new(include_str!("../../sql/health_sequences.sql"));
    health.sequences = lines(
        runner,
        server,
        database,
        &script,
        "compare sequences with their columns",
    )?;
    Ok(health)
}

/// The rows of tables, by quoted name; `None` where there is no such table.
///
/// # Errors
/// Any [`CommandError`].
pub fn counts(
    runner: &Runner,
    server: &Server,
    database: &str,
    tables: &[&str],
) -> Result<BTreeMap<String, Option<u64>>, CommandError> {
    let list = serde_json::to_string(tables).unwrap_or_default();
    let script = Script::new(include_str!("../../sql/health_counts.sql")).var("tables", list);
    let counts: Vec<Count> = lines(runner, server, database, &script, "count the rows of every table")?;
    Ok(counts
        .into_iter()
        .map(|count| (count.table, count.rows))
        .collect())
}

/// Whether tables hold any row, by quoted name; `None` where there is no such table.
///
/// # Errors
/// Any [`CommandError`].
pub fn filled(
    runner: &Runner,
    server: &Server,
    database: &str,
    tables: &[&str],
) -> Result<BTreeMap<String, Option<bool>>, CommandError> {
    let list = serde_json::to_string(tables).unwrap_or_default();
    let script = Script::new(include_str!("../../sql/filled_tables.sql")).var("tables", list);
    let filled: Vec<Filled> = lines(runner, server, database, &script, "look which tables hold rows")?;
    Ok(filled.into_iter().map(|one| (one.table, one.filled)).collect())
}

/// What the server's role may not do in a database, of what an application does: read and write every table, and take
/// numbers from the sequences that fill their columns. Privileges are asked for in a read-only transaction.
///
/// # Errors
/// Any [`CommandError`].
pub fn refused(runner: &Runner, server: &Server, database: &str) -> Result<Vec<Refused>, CommandError> {
    let script = Script::new(include_str!("../../sql/health_privileges.sql"));
    server.json(
        runner,
        database,
        &script,
        format!("ask what {} may do in {database}", server.user),
    )
}

fn lines<T: serde::de::DeserializeOwned>(
    runner: &Runner,
    server: &Server,
    database: &str,
    script: &Script,
    what: &str,
) -> Result<Vec<T>, CommandError> {
    let text = server.execute(runner, database, script, what)?;
    let documents = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(serde_json::from_str);
    documents
        .collect::<Result<_, _>>()
        .map_err(|error| CommandError::Unreadable {
            what: what.to_owned(),
            why: format!("the answer is not the expected JSON: {error}"),
        })
}
