//! What stands in the way of a role without superuser, as managed services give one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Script, Server};
use crate::command::{CommandError, Runner};

/// What a role may not read whole in a database, and what of it no such role may create elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unprivileged {
    /// Whether the role owns the database, itself or through another role.
    pub owned: bool,
    /// Other roles that have settings of their own in this database.
    pub roles_with_settings: Vec<String>,
    /// Tables, sequences and large objects that the role may not read, or sees only in part.
    pub unreadable: Vec<String>,
    /// Tables whose policies hide rows from their owner as well.
    pub forced_policies: Vec<String>,
    /// Roles that row-level security policies name.
    pub policy_roles: Vec<String>,
    /// Objects that only a superuser can create.
    pub needs_superuser: Vec<String>,
    /// Objects that only a superuser can create and that hold no data.
    pub left_out: Vec<LeftOut>,
    /// Extensions, each with some of the objects that depend on it.
    pub extensions: BTreeMap<String, Vec<String>>,
}

/// An object that a restore leaves out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    /// `extension`, `event trigger`, `publication`, `subscription`, `setting` (of the database), or `settings of role`.
    pub class: String,
    /// Its name.
    pub name: String,
}

impl LeftOut {
    /// A subscription: a copy must not receive changes beside the original, and a database with one cannot be dropped.
    pub fn subscription(name: &str) -> Self {
        Self {
            class: "subscription".to_owned(),
            name: name.to_owned(),
        }
    }
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.class, self.name)
    }
}

/// What a role that should only read can really do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadOnly {
    /// Some of the changes that it may make; empty: none.
    pub can: String,
    /// Tables that it may read.
    pub readable: u64,
    /// All tables.
    pub tables: u64,
}

/// Tries, as that role, to change something, in a transaction that is rolled back.
///
/// # Errors
/// Any [`CommandError`].
pub fn read_only(runner: &Runner, server: &Server, database: &str) -> Result<ReadOnly, CommandError> {
    let script = Script::new(include_str!("../../sql/read_only.sql"));
    let what = format!("try what {} may change in database {database}", server.user);
    server.json(runner, database, &script, what)
}

/// Asks a database.
///
/// # Errors
/// Any [`CommandError`].
pub fn unprivileged(runner: &Runner, server: &Server, database: &str) -> Result<Unprivileged, CommandError> {
    let script = Script::new(include_str!("../../sql/unprivileged.sql"));
    let what = format!("ask what {} may do in database {database}", server.user);
    server.json(runner, database, &script, what)
}
