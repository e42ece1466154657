//! What the preflight asks an instance and a database.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Script, Server};
use crate::command::{CommandError, Runner};

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// `server_version_num`, for example 160014.
    pub version_num: u32,
    /// `max_connections`.
    pub max_connections: u32,
    /// `superuser_reserved_connections`.
    pub reserved_connections: u32,
    /// Client sessions now, ours included.
    pub connections: u32,
    /// The role we are.
    pub role: String,
    /// Whether it is a superuser.
    pub superuser: bool,
    /// Whether it may create databases.
    pub createdb: bool,
    /// Whether it may create roles.
    pub createrole: bool,
    /// Databases that are not templates.
    pub databases: BTreeMap<String, DatabaseEntry>,
    /// Roles that are not built in.
    pub roles: BTreeMap<String, RoleEntry>,
    /// Extensions that `CREATE EXTENSION` would find.
    pub available_extensions: Vec<String>,
}

/// A row of `pg_database`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseEntry {
    /// Object id: it survives a rename.
    pub oid: u64,
    /// Owner.
    pub owner: String,
    /// Encoding, for example `UTF8`.
    pub encoding: String,
    /// `LC_COLLATE`.
    pub collate: String,
    /// `LC_CTYPE`.
    pub ctype: String,
    /// Whether anybody may connect.
    pub allow_connections: bool,
    /// Size in bytes, when we may connect.
    pub bytes: Option<u64>,
    /// Sessions other than ours.
    pub sessions: u32,
}

/// A row of `pg_roles`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleEntry {
    /// Superuser.
    pub superuser: bool,
    /// May log in.
    pub login: bool,
    /// May create databases.
    pub createdb: bool,
    /// May create roles.
    pub createrole: bool,
}

/// One database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// Name.
    pub name: String,
    /// Object id.
    pub oid: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Tables, views, sequences and the like.
    pub relations: u64,
    /// Functions, enums, domains and ranges.
    pub routines_and_types: u64,
    /// Large objects.
    pub large_objects: u64,
    /// Schemas beside `public`.
    pub schemas: u64,
    /// Extensions and their versions, without plpgsql.
    pub extensions: BTreeMap<String, String>,
    /// Roles that own relations.
    pub owners: Vec<String>,
    /// Transactions that are prepared and neither committed nor rolled back: their rows are in no dump.
    #[serde(default)]
    pub prepared_transactions: Vec<String>,
    /// Settings of roles for all databases (`ALTER ROLE .. SET`), as `role: setting`. They are in no dump.
    #[serde(default)]
    pub role_settings: Vec<String>,
    /// `CONNECTION LIMIT` of the database; -1 for none.
    #[serde(default)]
    pub connection_limit: i32,
    /// Whether Alembic's table is there.
    pub has_alembic_version: bool,
}

impl DatabaseFacts {
    /// Nothing a person put here.
    pub fn is_empty(&self) -> bool {
        self.relations + self.routines_and_types + self.large_objects + self.schemas == 0
            && self.extensions.is_empty()
    }
}

/// Asks an instance about itself.
///
/// # Errors
/// Any [`CommandError`].
pub fn server(runner: &Runner, server: &Server, database: &str) -> Result<ServerFacts, CommandError> {
    let script = Script::new(include_str!("../../sql/server_facts.sql"));
    server.json(runner, database, &script, format!("look at {}", server.label))
}

/// Asks a database about itself.
///
/// # Errors
/// Any [`CommandError`].
pub fn database(runner: &Runner, server: &Server, database: &str) -> Result<DatabaseFacts, CommandError> {
    let script = Script::new(include_str!("../../sql/database_facts.sql"));
    server.json(
        runner,
        database,
        &script,
        format!("look at database {database} of {}", server.label),
    )
}

/// The revisions a database stands at; empty when Alembic has not stamped it.
///
/// # Errors
/// Any [`CommandError`].
pub fn alembic_revisions(
    runner: &Runner,
    server: &Server,
    facts: &DatabaseFacts,
) -> Result<Vec<String>, CommandError> {
    if !facts.has_alembic_version {
        return Ok(Vec::new());
    }
    let script = Script::new(include_str!("../../sql/alembic_version.sql"));
    server.json(
        runner,
        &facts.name,
        &script,
        format!("read the Alembic revision of {}", facts.name),
    )
}

/// A setting that belongs to a database, or to a role in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSetting {
    /// The role; `None` for everybody.
    pub role: Option<String>,
    /// Name of the setting.
    pub name: String,
    /// The value as stored: lists such as `search_path` are quoted already.
    pub value: String,
}

/// The settings that belong to a database. They are not in an archive.
///
/// # Errors
/// Any [`CommandError`].
pub fn settings(
    runner: &Runner,
    server: &Server,
    database: &str,
) -> Result<Vec<DatabaseSetting>, CommandError> {
    let script = Script::new(include_str!("../../sql/database_settings.sql"));
    server.json(
        runner,
        database,
        &script,
        format!("read the settings of database {database}"),
    )
}

/// The roles that policies of a database name.
///
/// # Errors
/// Any [`CommandError`].
pub fn policy_roles(runner: &Runner, server: &Server, database: &str) -> Result<Vec<String>, CommandError> {
    let script = Script::new(include_str!("../../sql/policy_roles.sql"));
    server.json(
        runner,
        database,
        &script,
        format!("read the policies of database {database}"),
    )
}
