//! Who may do what in a database, and what of it no archive brings into another instance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Privileges and roles of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// Privileges that other roles than owners and ours were given, by role; `PUBLIC` is everybody.
    pub granted: BTreeMap<String, u64>,
    /// What PUBLIC may usually do and was denied.
    pub closed: Vec<Closed>,
    /// Privileges on the database itself.
    pub database: Vec<OnDatabase>,
    /// Roles that own or are given something here.
    pub carried: Vec<String>,
    /// Roles that policies and user mappings name.
    pub named: Vec<String>,
    /// Which role is in which, of all roles of the instance.
    pub memberships: Vec<Membership>,
    /// Roles that policies do not bind although they bind everybody else.
    pub bypassing: Vec<String>,
    /// Objects that only a superuser may own.
    pub superusers: Vec<String>,
    /// Subscriptions of the database.
    pub subscriptions: Vec<String>,
    /// Replication slots that others read changes of the database from.
    pub slots: Vec<String>,
}

/// A privilege that PUBLIC usually has on an object and was denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// `routine`, `type`, `schema`, `language`, `database`, or `default` (for objects that are made later).
    pub kind: String,
    /// The object, quoted; nothing for the database; the kind of objects for `default`.
    pub name: String,
    /// `EXECUTE`, `USAGE`, `CREATE`, `CONNECT` or `TEMPORARY`.
    pub privilege: String,
    /// Whether an extension made it.
    pub member: bool,
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kind,
            name,
            privilege,
            ..
        } = self;
        match kind.as_str() {
            "database" => write!(f, "{privilege} on the database"),
            "default" => write!(f, "{privilege} on new {}", name.to_lowercase()),
            _ => write!(f, "{privilege} on {kind} {name}"),
        }
    }
}

/// A privilege of a role on the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnDatabase {
    /// The role.
    pub role: String,
    /// `CONNECT`, `CREATE` or `TEMPORARY`.
    pub privilege: String,
    /// Whether it may be given on.
    pub grantable: bool,
}

/// One role in another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Who is a member.
    pub member: String,
    /// Of what.
    pub role: String,
}
