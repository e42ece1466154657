//! Load a plain dump that a person made by hand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use infra::Cmd;
use infra::postgres::{plain, quote};
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
    /// Rows of each `COPY` in it.
    pub rows: BTreeMap<String, u64>,
}

impl RestorePlain {
    /// psql, in one transaction. Roles that are missing exist only inside it: what they own afterwards belongs to the
    /// owner, and what was granted to them is gone with them.
    pub fn load(&self, vault: &Vault) -> Option<Cmd> {
        let database = self.restore.databases.first()?;
        let server = self.restore.target.server(vault);
        let (mut before, mut after) = (String::new(), String::new());
        for role in &self.missing_roles {
            let role = quote::ident(role);
            let owner = quote::ident(&database.owner);
            before.push_str(&format!("CREATE ROLE {role} NOLOGIN; "));
            after.push_str(&format!(
                "REASSIGN OWNED BY {role} TO {owner}; DROP OWNED BY {role}; DROP ROLE {role}; "
            ));
        }
        Some(plain::load(
            &server,
            &database.incoming(),
            &self.file,
            before.trim_end(),
            after.trim_end(),
        ))
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<Cmd> {
        self.load(vault).into_iter().collect()
    }
}
