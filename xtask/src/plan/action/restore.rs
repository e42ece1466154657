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

/// The comment that marks a database as belonging to an unfinished run.
pub fn mark(run: &RunId) -> String {
    format!("xtask run {run}")
}

/// Encoding and locale of a database.
#[derive(Clone, Copy, Debug)]
pub struct Locale<'a> {
    /// Encoding, for example `UTF8`.
    pub encoding: &'a str,
    /// `LC_COLLATE`.
    pub collate: &'a str,
    /// `LC_CTYPE`.
    pub ctype: &'a str,
    /// `c` (libc), `i` (ICU) or `b` (built in).
    pub provider: &'a str,
    /// Locale of a provider other than libc.
    pub locale: Option<&'a str>,
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

    /// Creates the incoming database like its source.
    pub fn create(&self, database: &RestoreDatabase, like: &Locale<'_>) -> Script {
        // ICU and the built-in provider have a locale of their own beside libc's two.
        let provider = match like.provider {
            "i" => " LOCALE_PROVIDER icu ICU_LOCALE :'locale'",
            "b" => " LOCALE_PROVIDER builtin BUILTIN_LOCALE :'locale'",
            _ => "",
        };
        let script = Script::new(format!(
            "CREATE DATABASE :\"incoming\" OWNER :\"owner\" TEMPLATE template0 ENCODING :'encoding' \
             LC_COLLATE :'collate' LC_CTYPE :'ctype'{provider};\nCOMMENT ON DATABASE :\"incoming\" IS :'mark';"
        ))
        .var("incoming", database.incoming())
        .var("owner", &database.owner)
        .var("encoding", like.encoding)
        .var("collate", like.collate)
        .var("ctype", like.ctype)
        .var("mark", self.mark());
        match like.locale {
            Some(locale) => script.var("locale", locale),
            None => script,
        }
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
            let like = Locale {
                encoding: "ENCODING",
                collate: "COLLATE",
                ctype: "CTYPE",
                provider: "c",
                locale: None,
            };
            let create = self.create(database, &like);
            [
                server.psql(&self.maintenance_database, &create, what),
                self.restore(database, vault),
            ]
        };
        self.databases.iter().flat_map(commands).collect()
    }
}
