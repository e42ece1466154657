//! What the preflight asks an instance and a database.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::access::Access;
use super::{Script, Server};
use crate::alembic::VersionTable;
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
    /// Those of them that our role could create in a database that it owns.
    #[serde(default)]
    pub creatable_extensions: Vec<String>,
    /// Whether policies hide no rows from our role.
    #[serde(default)]
    pub bypass_rls: bool,
    /// TLS version and cipher of our session; `None`: it is not encrypted.
    #[serde(default)]
    pub tls: Option<String>,
    /// The cluster's own number, where the role may ask. A physical copy has the same.
    #[serde(default)]
    pub system_identifier: Option<String>,
    /// When the server started, in seconds since 1970.
    #[serde(default)]
    pub started: Option<String>,
    /// Whether it is a standby, which nobody can write to.
    #[serde(default)]
    pub standby: bool,
    /// Whether new transactions only read unless they say otherwise.
    #[serde(default)]
    pub read_only: bool,
    /// Its data folder, where the role may ask.
    #[serde(default)]
    pub data_directory: Option<String>,
    /// The port it listens on; another one than ours when somebody stands between.
    #[serde(default)]
    pub own_port: Option<u16>,
    /// Whether a new connection is given a session that began before it: a pooler answers. Asked of external servers.
    #[serde(default)]
    pub pooled: bool,
    /// Roles that we are a member of, ourselves included.
    #[serde(default)]
    pub member_of: Vec<String>,
}

impl ServerFacts {
    /// Whether two instances are one server and not, for example, a copy of the other.
    pub fn is_same_server(&self, other: &Self) -> bool {
        let known = self.system_identifier.is_some() || self.started.is_some();
        known && self.system_identifier == other.system_identifier && self.started == other.started
    }
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
    /// Whether dropping it was cut off: nobody can connect to it any more, and it can only be dropped.
    #[serde(default)]
    pub invalid: bool,
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
    /// `CONNECTION LIMIT`; -1 for none. It does not hold for superusers.
    #[serde(default = "no_limit")]
    pub connection_limit: i32,
}

fn no_limit() -> i32 {
    -1
}

/// A table whose rows are in no dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undumped {
    /// Its whole name.
    pub table: String,
    /// The extension that it is a member of, and no configuration table; `None`: it lies in a system schema.
    pub extension: Option<String>,
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
    /// Tables with rows that pg_dump leaves out.
    #[serde(default)]
    pub undumped: Vec<Undumped>,
    /// Settings of other roles than the one that asks and those that policies name (`ALTER ROLE .. SET`), as
    /// `role: setting`.
    #[serde(default)]
    pub role_settings: Vec<String>,
    /// `CONNECTION LIMIT` of the database; -1 for none.
    #[serde(default)]
    pub connection_limit: i32,
    /// Tablespaces that it uses beside the default one, with their folders on the old server.
    #[serde(default)]
    pub tablespaces: BTreeMap<String, String>,
    /// Who may do what in it.
    #[serde(default)]
    pub access: Access,
}

impl DatabaseFacts {
    /// A database that could not be asked.
    fn unseen(name: &str, entry: &DatabaseEntry) -> Self {
        Self {
            name: name.to_owned(),
            oid: entry.oid,
            bytes: entry.bytes.unwrap_or(0),
            relations: 0,
            routines_and_types: 0,
            large_objects: 0,
            schemas: 0,
            extensions: BTreeMap::new(),
            owners: Vec::new(),
            prepared_transactions: Vec::new(),
            undumped: Vec::new(),
            role_settings: Vec::new(),
            connection_limit: 0,
            tablespaces: BTreeMap::new(),
            access: Access::default(),
        }
    }

    /// What it holds, in words: `database x with 3 relations`.
    pub fn in_words(&self) -> String {
        let name = &self.name;
        match (self.relations, self.has_content()) {
            (_, false) => format!("database {name}, which cannot be looked into"),
            (0, true) => format!("database {name} with functions, types, schemas or large objects"),
            (1, true) => format!("database {name} with 1 relation"),
            (count, true) => format!("database {name} with {count} relations"),
        }
    }

    /// Nothing a person put here.
    pub fn is_empty(&self) -> bool {
        !self.has_content() && self.extensions.is_empty()
    }

    /// Whether somebody put something here that could be lost; an extension alone is none.
    pub fn has_content(&self) -> bool {
        self.relations + self.routines_and_types + self.large_objects + self.schemas > 0
    }
}

/// Asks an instance about itself.
///
/// # Errors
/// Any [`CommandError`].
pub fn server(runner: &Runner, server: &Server, database: &str) -> Result<ServerFacts, CommandError> {
    let script = Script::new(include_str!("../../sql/server_facts.sql"));
    let facts: ServerFacts = server.json(runner, database, &script, format!("look at {}", server.label))?;
    Ok(ServerFacts {
        // Only external servers have options.
        pooled: !server.options.is_empty() && is_pooled(runner, server, database)?,
        ..facts
    })
}

/// Connections after the first that are made to find out whether a pooler answers.
const RECONNECTIONS: usize = 3;

#[derive(Deserialize)]
struct Met {
    /// When the session began, in seconds since 1970 by the server's clock.
    began: f64,
    /// Now, by the same clock.
    now: f64,
}

/// Whether a connection is given a session that began before the connection did: only a pooler (PgBouncer, pgpool, RDS
/// Proxy, in whatever mode) has one to give.
///
/// # Errors
/// Any [`CommandError`].
pub fn is_pooled(runner: &Runner, server: &Server, database: &str) -> Result<bool, CommandError> {
    let script = Script::new(include_str!("../../sql/session_start.sql"));
    let what = format!("ask whether {} is reached directly", server.label);
    let meet = || server.json::<Met>(runner, database, &script, what.as_str());
    let mut before = meet()?;
    for _ in 0..RECONNECTIONS {
        let next = meet()?;
        if next.began < before.now {
            return Ok(true);
        }
        before = next;
    }
    Ok(false)
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

/// The databases of an instance beside `but` that hold something, looked at one by one. Those that cannot be looked into
/// are taken to hold something.
///
/// # Errors
/// When it is interrupted.
pub fn with_content(
    runner: &Runner,
    server: &Server,
    instance: &ServerFacts,
    but: &str,
) -> Result<Vec<DatabaseFacts>, CommandError> {
    let mut found = Vec::new();
    for (name, entry) in &instance.databases {
        // What a cut-off DROP DATABASE left can only be dropped.
        if name == but || entry.invalid {
            continue;
        }
        if !entry.allow_connections {
            found.push(DatabaseFacts::unseen(name, entry));
            continue;
        }
        match database(runner, server, name) {
            Ok(facts) if facts.has_content() => found.push(facts),
            Ok(_) => {}
            Err(error) if error.is_interrupt() => return Err(error),
            // Refused or damaged, and none of what is asked for: that must not keep the others.
            Err(_) => found.push(DatabaseFacts::unseen(name, entry)),
        }
    }
    Ok(found)
}

/// The revisions a database stands at; empty when Alembic has not stamped it.
///
/// # Errors
/// Any [`CommandError`]; also when several schemas have the table and nothing says which one is meant.
pub fn alembic_revisions(
    runner: &Runner,
    server: &Server,
    database: &str,
    table: &VersionTable,
) -> Result<Vec<String>, CommandError> {
    let script = Script::new(include_str!("../../sql/alembic_version.sql"))
        .var("table", &table.name)
        .var("schema", table.schema.as_deref().unwrap_or_default());
    let what = format!("read the Alembic revision of {database}");
    let revisions: Option<Vec<String>> = server.json(runner, database, &script, &what)?;
    revisions.ok_or_else(|| CommandError::Unreadable {
        what,
        why: format!(
            "several schemas have a table {}, and env.py names none of them",
            table.name
        ),
    })
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

/// The roles that policies and user mappings of a database name.
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

/// Whole names of indexes of partitioned tables that are invalid.
///
/// # Errors
/// Any [`CommandError`].
pub fn invalid_partitioned_indexes(
    runner: &Runner,
    server: &Server,
    database: &str,
) -> Result<Vec<String>, CommandError> {
    let script = Script::new(include_str!("../../sql/invalid_partitioned_indexes.sql"));
    let what = format!("look for invalid indexes of partitioned tables of database {database}");
    server.json(runner, database, &script, what)
}

/// Unlogged tables with the bytes of their rows.
///
/// # Errors
/// Any [`CommandError`].
pub fn unlogged_tables(
    runner: &Runner,
    server: &Server,
    database: &str,
) -> Result<BTreeMap<String, u64>, CommandError> {
    let script = Script::new(include_str!("../../sql/unlogged_tables.sql"));
    let what = format!("look for unlogged tables of database {database}");
    server.json(runner, database, &script, what)
}
