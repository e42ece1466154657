//! Load a plain dump that a person made by hand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use infra::Cmd;
use infra::postgres::{Script, plain, quote};
use serde::{Deserialize, Serialize};

use super::Restore;
use crate::config::Vault;

/// One plain dump.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RestorePlain {
    /// Where it goes: one database, and everything a restore of an archive knows but the archive.
    pub restore: Restore,
    /// The dump.
    pub file: PathBuf,
    /// SHA-256 of the bytes that were looked at.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Encoding of the new database.
    pub encoding: String,
    /// `LC_COLLATE` of the new database.
    pub collate: String,
    /// `LC_CTYPE` of the new database.
    pub ctype: String,
    /// Roles that the dump names and the target does not have.
    pub missing_roles: Vec<String>,
    /// Those of them that row-level security policies name: they stay, and nobody can log in as one.
    pub kept_roles: Vec<String>,
    /// Whether psql is told to run none of its own commands while it reads the dump: it can, and the dump does not say so.
    pub restrict: bool,
    /// Rows of each `COPY` in it.
    pub rows: BTreeMap<String, u64>,
}

impl RestorePlain {
    /// Which of the roles that stay are missing, asked before it is loaded.
    pub fn roles_to_make(&self) -> Script {
        let kept: Vec<String> = self.kept_roles.iter().map(|role| quote::literal(role)).collect();
        Script::new(format!(
            "SELECT coalesce(json_agg(role), '[]'::json) FROM unnest(ARRAY[{}]::text[]) AS role \
             WHERE role NOT IN (SELECT rolname FROM pg_roles);",
            kept.join(", ")
        ))
    }

    /// What belongs to the whole instance, asked before it is loaded.
    pub fn shared_objects(&self) -> Script {
        plain::shared_objects(!self.restore.unprivileged, &self.missing_roles)
    }

    /// psql, in one transaction, which ends without effect when what belongs to the whole instance is not `shared` any
    /// more. What missing roles own
    /// belongs to the owner afterwards. They exist only inside the transaction, and what was granted to them is gone with
    /// them; but a role that policies name stays, because its policies would be gone with it.
    pub fn load(&self, vault: &Vault, shared: &str) -> Option<Cmd> {
        let database = self.restore.databases.first()?;
        let server = self.restore.target.server(vault);
        let unprivileged = self.restore.unprivileged;
        let mut before = plain::remember_shared(!unprivileged, &self.missing_roles);
        let mut after = String::new();
        for name in &self.missing_roles {
            let role = quote::ident(name);
            let owner = quote::ident(&database.owner);
            before.push_str(&format!(" CREATE ROLE {role} NOLOGIN;"));
            after.push_str(&format!("REASSIGN OWNED BY {role} TO {owner}; "));
            if !self.kept_roles.contains(name) {
                let unnamed = plain::no_policy_names(name);
                after.push_str(&format!("{unnamed} DROP OWNED BY {role}; DROP ROLE {role}; "));
            }
        }
        after.push_str(&plain::unchanged(!unprivileged, &self.missing_roles, shared));
        Some(plain::load(
            &server,
            &database.incoming(),
            &self.file,
            // The file cannot hold its own SHA-256.
            self.restrict.then_some(self.sha256.as_str()),
            &before,
            &after,
        ))
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<Cmd> {
        self.load(vault, "").into_iter().collect()
    }
}
