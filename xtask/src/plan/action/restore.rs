//! Restore into `<db>__incoming` and compare with the manifest.

use std::path::{Path, PathBuf};

use infra::Cmd;
use infra::postgres::archive::{self, Ownership, Restoring};
use infra::postgres::unprivileged::LeftOut;
use infra::postgres::{Clients, Script, quote};
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
    /// Whether the role that restores is no superuser: what such a role may not create is left out.
    #[serde(default)]
    pub unprivileged: bool,
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
    /// The programs that restore it, as new as both servers; without them, the target's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Clients>,
    /// Objects that stay behind, each announced by a finding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// Make the new database as a copy of this empty one, which holds extensions that our role could not create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Extensions that the copy brings along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions_there: Vec<String>,
    /// Restore as the superuser that logs in and give everything to the owner afterwards: it holds what the owner could
    /// not make.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub given_over: bool,
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
            "CREATE DATABASE :\"incoming\" OWNER :\"owner\" TEMPLATE :\"template\" ENCODING :'encoding' \
             LC_COLLATE :'collate' LC_CTYPE :'ctype'{provider};\nCOMMENT ON DATABASE :\"incoming\" IS :'mark';"
        ))
        .var("incoming", database.incoming())
        .var("owner", &database.owner)
        .var("template", database.template.as_deref().unwrap_or("template0"))
        .var("encoding", like.encoding)
        .var("collate", like.collate)
        .var("ctype", like.ctype)
        .var("mark", self.mark());
        match like.locale {
            Some(locale) => script.var("locale", locale),
            None => script,
        }
    }

    /// pg_restore of one database by so many jobs; `list` names the entries of the archive that are restored, all
    /// without it.
    pub fn restore(&self, database: &RestoreDatabase, vault: &Vault, list: Option<&Path>, jobs: u32) -> Cmd {
        let ownership = match self.roles {
            Roles::Unify => Ownership::Unify,
            Roles::Preserve => Ownership::Preserve,
        };
        let how = Restoring {
            jobs,
            maintenance_work_mem: &self.maintenance_work_mem,
            ownership,
            role: self.acts_as(database),
            unprivileged: self.unprivileged,
            list,
        };
        let mut server = self.target.server(vault);
        server.clients = self.clients(database).clone();
        archive::restore(&server, &database.incoming(), &self.folder, &database.name, &how)
    }

    /// The role that makes what is restored, when it is not the one that logs in: what we make for another role must be
    /// its own from the start.
    pub fn acts_as<'a>(&self, database: &'a RestoreDatabase) -> Option<&'a str> {
        (self.roles == Roles::Unify && database.owner != self.target.user && !database.given_over)
            .then_some(database.owner.as_str())
    }

    /// The programs that read a database's archive.
    fn clients<'a>(&'a self, database: &'a RestoreDatabase) -> &'a Clients {
        database.clients.as_ref().unwrap_or(&self.target.clients)
    }

    /// The archive's own list of its entries.
    pub fn list(&self, database: &RestoreDatabase) -> Cmd {
        archive::list(self.clients(database), &self.folder, &database.name)
    }

    /// Whether an entry of the archive's list is restored.
    pub fn keeps(database: &RestoreDatabase, entry: &str) -> bool {
        let there = |name: &&String| archive::is_about(entry, "EXTENSION", name);
        let gone = |object: &&LeftOut| archive::is_about(entry, &object.class.to_uppercase(), &object.name);
        database.extensions_there.iter().find(there).is_none()
            && database.left_out.iter().find(gone).is_none()
    }

    /// What an archive does not hold, in the words of the plan: what there is of it, the backup tells.
    fn after(database: &RestoreDatabase) -> Script {
        Script::new(format!(
            "ALTER DATABASE {} SET NAME TO 'VALUE';    -- for each setting of the old one\n\
             REVOKE PRIVILEGE ON OBJECT FROM PUBLIC;    -- for each that everybody was denied there\n\
             ANALYZE;",
            quote::ident(&database.incoming())
        ))
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
            let after = format!("finish database {}", database.incoming());
            [
                server.psql(&self.maintenance_database, &create, what),
                self.restore(database, vault, None, self.jobs),
                server.psql(&database.incoming(), &Self::after(database), after),
            ]
        };
        self.databases.iter().flat_map(commands).collect()
    }
}
