//! Restore into `<db>__incoming` and compare with the manifest.

use std::path::PathBuf;

use infra::Cmd;
use infra::postgres::Script;
use infra::postgres::archive::{self, Ownership};
use serde::{Deserialize, Serialize};

use super::Instance;
use crate::config::Vault;
use crate::model::RunId;
use crate::plan::Roles;

/// What an incoming database's comment starts with.
const MARK: &str = "xtask run ";

/// All databases to restore.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Restore {
    /// The databases.
    pub databases: Vec<RestoreDatabase>,
    /// The target.
    pub target: Instance,
    /// A database that always exists.
    pub maintenance_database: String,
    /// The backup's folder.
    pub folder: PathBuf,
    /// Jobs within one pg_restore.
    pub jobs: u32,
    /// Memory for index builds.
    pub maintenance_work_mem: String,
    /// How roles come over.
    pub roles: Roles,
    /// The run, which marks incoming databases as ours.
    pub run: RunId,
}

/// One database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RestoreDatabase {
    /// Its name among people; also the archive's.
    pub name: String,
    /// Its name on the target.
    pub target_name: String,
    /// The role that will own it.
    pub owner: String,
    /// Where roles and password verifiers are read, in mode `preserve`.
    pub reader: Instance,
}

impl RestoreDatabase {
    /// The name under which it arrives.
    pub fn incoming(&self) -> String {
        format!("{}__incoming", self.target_name)
    }
}

impl Restore {
    /// The comment that marks an incoming database as ours.
    pub fn mark(&self) -> String {
        format!("{MARK}{}", self.run)
    }

    /// The run that a mark names.
    pub fn marked_by(mark: &str) -> Option<RunId> {
        RunId::parse(mark.strip_prefix(MARK)?)
    }

    /// Creates the incoming database like its source. Encoding and locale come from the manifest.
    pub fn create(&self, database: &RestoreDatabase, encoding: &str, collate: &str, ctype: &str) -> Script {
        Script::new(
            "CREATE DATABASE :\"incoming\" OWNER :\"owner\" TEMPLATE template0 ENCODING :'encoding' \
             LC_COLLATE :'collate' LC_CTYPE :'ctype';\nCOMMENT ON DATABASE :\"incoming\" IS :'mark';",
        )
        .var("incoming", database.incoming())
        .var("owner", &database.owner)
        .var("encoding", encoding)
        .var("collate", collate)
        .var("ctype", ctype)
        .var("mark", self.mark())
    }

    /// pg_restore of one database.
    pub fn restore(&self, database: &RestoreDatabase, vault: &Vault) -> Cmd {
        let ownership = match self.roles {
            Roles::Unify => Ownership::Unify,
            Roles::Preserve => Ownership::Preserve,
        };
        let server = self.target.server(vault);
        let incoming = database.incoming();
        let mem = &self.maintenance_work_mem;
        archive::restore(
            &server,
            &incoming,
            &self.folder,
            &database.name,
            self.jobs,
            mem,
            ownership,
        )
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<Cmd> {
        let server = self.target.server(vault);
        let commands = |database: &RestoreDatabase| {
            let what = format!("create database {}", database.incoming());
            let create = self.create(database, "ENCODING", "COLLATE", "CTYPE");
            [
                server.psql(&self.maintenance_database, &create, what),
                self.restore(database, vault),
            ]
        };
        self.databases.iter().flat_map(commands).collect()
    }
}
