//! What `doctor` asks a server beside its facts. Nothing is changed, and nothing is tried.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Script, Server};
use crate::command::{CommandError, Runner};

/// Connections: how many there may be, and who holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// `max_connections`.
    pub max: u32,
    /// Connections kept back for superusers and the like.
    pub reserved: u32,
    /// Client sessions now, without ours.
    pub used: u32,
    /// The value that `ALTER SYSTEM` gave `max_connections`, when it did.
    pub altered: Option<String>,
    /// `shared_memory_type`: `mmap`, `sysv` or `windows`.
    pub shared_memory: String,
    /// Who holds them, the most first.
    pub holders: Vec<SessionHolder>,
    /// `CONNECTION LIMIT` of databases that have one.
    pub database_limits: BTreeMap<String, u32>,
    /// `CONNECTION LIMIT` of roles that have one.
    pub role_limits: BTreeMap<String, u32>,
    /// Bytes of memory that the server's machine or container can still give; `None` where it does not tell.
    pub memory: Option<u64>,
}

/// Sessions of one database, role and application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHolder {
    /// Database.
    pub database: String,
    /// Role.
    pub role: String,
    /// `application_name`; often empty.
    pub application: String,
    /// Sessions.
    pub sessions: u32,
    /// Those that do nothing.
    pub idle: u32,
    /// For how many seconds the longest of these has done nothing.
    pub longest_idle: u64,
}

/// A database whose collation rules changed under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollationMismatch {
    /// The database.
    pub database: String,
    /// The version its indexes were built with.
    pub recorded: String,
    /// The version this machine has.
    pub actual: String,
}

/// What a role may not do of what an application does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Privilege and object, one a line.
    pub refused: Vec<String>,
    /// Statements that allow it.
    pub grant: Vec<String>,
    /// Statements that take it back.
    pub revoke: Vec<String>,
}

/// Something that another role owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// Its kind and quoted name.
    pub object: String,
    /// Who owns it.
    pub owner: String,
    /// The statement that gives it over.
    pub give: String,
    /// The statement that gives it back.
    pub back: String,
}

/// Asks who holds connections.
///
/// # Errors
/// Any [`CommandError`].
pub fn connections(runner: &Runner, server: &Server, database: &str) -> Result<Connections, CommandError> {
    let script = Script::new(include_str!("../../sql/doctor_connections.sql"));
    let what = format!("ask {} who holds its connections", server.label);
    server.json(runner, database, &script, what)
}

/// Asks for databases whose collation rules changed. Empty before PostgreSQL 15, which began to record them.
///
/// # Errors
/// Any [`CommandError`].
pub fn collations(
    runner: &Runner,
    server: &Server,
    database: &str,
) -> Result<Vec<CollationMismatch>, CommandError> {
    let script = Script::new(include_str!("../../sql/doctor_collations.sql"));
    let what = format!("compare the collation versions of {}", server.label);
    server.json(runner, database, &script, what)
}

/// Asks, as an administrator, what `role` may not do in a database.
///
/// # Errors
/// Any [`CommandError`].
pub fn missing_privileges(
    runner: &Runner,
    server: &Server,
    database: &str,
    role: &str,
) -> Result<Missing, CommandError> {
    let script = Script::new(include_str!("../../sql/doctor_privileges.sql")).var("role", role);
    server.json(
        runner,
        database,
        &script,
        format!("ask what {role} may do in {database}"),
    )
}

/// What a role may not read of a database.
#[derive(Clone, Debug, Deserialize)]
pub struct ShutOut {
    /// Whether it may connect.
    pub connect: bool,
    /// How many tables, views and the like it may not read.
    pub tables: u64,
    /// One of them.
    pub example: Option<String>,
}

/// Asks, as an administrator, what `login` may not read of a database; `None` where there is no such role.
///
/// # Errors
/// Any [`CommandError`].
pub fn shut_out(
    runner: &Runner,
    server: &Server,
    database: &str,
    login: &str,
) -> Result<Option<ShutOut>, CommandError> {
    let script = Script::new(include_str!("../../sql/shut_out.sql")).var("login", login);
    let what = format!("ask what {login} may read of {database}");
    server.json(runner, database, &script, what)
}

/// Asks, as an administrator, what in a database neither belongs to `role` nor to a role it is a member of.
///
/// # Errors
/// Any [`CommandError`].
pub fn foreign_objects(
    runner: &Runner,
    server: &Server,
    database: &str,
    role: &str,
) -> Result<Vec<Foreign>, CommandError> {
    let script = Script::new(include_str!("../../sql/doctor_owners.sql")).var("role", role);
    server.json(
        runner,
        database,
        &script,
        format!("ask what {role} does not own in {database}"),
    )
}
