//! The backup: every database at once, each archive under the snapshot of its manifest.

use std::path::PathBuf;

use infra::Cmd;
use infra::postgres::archive;
use serde::{Deserialize, Serialize};

use super::Instance;
use crate::config::Vault;

/// All databases to back up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Backup {
    /// The databases.
    pub databases: Vec<BackupDatabase>,
    /// The backup's folder.
    pub folder: PathBuf,
    /// Jobs within one pg_dump.
    pub jobs: u32,
}

/// One database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackupDatabase {
    /// Its name among people; also the archive's.
    pub name: String,
    /// Its name in the old instance.
    pub source_database: String,
    /// Where it is read.
    pub reader: Instance,
    /// Whether others could write while it is read: then the counters of writes are kept with it.
    #[serde(default)]
    pub watched: bool,
}

impl Backup {
    /// pg_dump of one database, under a snapshot once there is one.
    pub fn dump(&self, database: &BackupDatabase, vault: &Vault, snapshot: Option<&str>) -> Cmd {
        let server = database.reader.server(vault);
        archive::dump(
            &server,
            &database.source_database,
            &self.folder,
            &database.name,
            self.jobs,
            snapshot,
        )
    }

    /// Reads one archive back.
    pub fn read_back(&self, database: &BackupDatabase) -> Cmd {
        archive::read_back(&database.reader.clients, &self.folder, &database.name)
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<Cmd> {
        let dump = |d| [self.dump(d, vault, Some("SNAPSHOT")), self.read_back(d)];
        self.databases.iter().flat_map(dump).collect()
    }
}
