//! The manifest as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Buckets, Checksum, FORMAT, UnknownOptions};

/// What must be true of a copy of this database. Maps are ordered, so the same facts are the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseManifest {
    /// [`super::FORMAT`] when it was taken.
    pub format: u32,
    /// The database's name.
    pub database: String,
    /// `server_version_num` of its server.
    pub server_version_num: u32,
    /// Encoding, for example `UTF8`.
    pub encoding: String,
    /// `datcollate`.
    pub collate: String,
    /// `datctype`.
    pub ctype: String,
    /// `c`, `i` (ICU) or `b` (built in); `c` before 15.
    pub locale_provider: String,
    /// Locale of a provider other than libc.
    pub locale: Option<String>,
    /// Comment on the database.
    pub comment: Option<String>,
    /// `pg_database_size`: differs between equal databases.
    pub bytes: u64,
    /// `ALTER DATABASE .. SET` (role `""`) and `ALTER ROLE .. IN DATABASE .. SET`: role -> setting -> value.
    /// Values of settings with a dot in their name are kept as a fingerprint: they may be secrets.
    pub settings: BTreeMap<String, BTreeMap<String, String>>,
    /// `ALTER ROLE .. SET`, which counts in every database of the instance, in the same form. Not compared: the roles of
    /// another instance have settings of their own.
    #[serde(default)]
    pub role_settings: BTreeMap<String, BTreeMap<String, String>>,
    /// Extension -> version. May differ where the newer server brings newer extensions.
    pub extension_versions: BTreeMap<String, String>,
    /// Everything that holds rows, by quoted name.
    pub tables: BTreeMap<String, TableFacts>,
    /// Sequences by quoted name.
    pub sequences: BTreeMap<String, SequenceFacts>,
    /// Large objects, all together.
    pub large_objects: LargeObjects,
    /// Class (`tables`, `columns`, `indexes`, ...) -> object -> aspect -> text.
    pub schema: SchemaFacts,
    /// Options of columns, relations and indexes that are not compared, with the number of objects that have each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown_options: UnknownOptions,
}

impl DatabaseManifest {
    /// Whether this version of the tool can compare it with what it takes itself.
    ///
    /// # Errors
    /// Why not.
    pub fn comparable(&self) -> Result<(), String> {
        if self.format == FORMAT {
            return Ok(());
        }
        Err(format!(
            "the manifest of {} was taken by another version of this tool (form {}, this version's is {FORMAT}), and rows \
             are counted otherwise there; use that version, or take the manifest again",
            self.database, self.format
        ))
    }

    /// Rows of all tables, each once: a partitioned table's are its partitions'.
    pub fn rows(&self) -> u64 {
        let own = self
            .tables
            .values()
            .filter(|table| table.kind != TableKind::Partitioned);
        own.map(|table| table.rows).sum()
    }
}

/// Class -> object -> its facts.
pub type SchemaFacts = BTreeMap<String, BTreeMap<String, ObjectFacts>>;

/// Aspect (`type`, `default`, `definition`, ...) -> text, of one object.
pub type ObjectFacts = BTreeMap<String, String>;

/// What kind of relation holds the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// A table.
    Ordinary,
    /// A leaf of a partition tree.
    Partition,
    /// The parent of partitions: its rows are theirs.
    Partitioned,
    /// A table whose rows do not survive a crash; they are dumped like any other.
    Unlogged,
    /// Rows live elsewhere; they are never counted.
    Foreign,
    /// A materialized view: a restore computes its rows again.
    Matview,
    /// A table of an extension whose rows (some or all) belong to the user.
    ExtensionConfig,
    /// Another table of an extension: no dump has its rows.
    ExtensionMember,
}

/// The rows of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFacts {
    /// Its kind.
    pub kind: TableKind,
    /// Exact number of rows; 0 when not counted.
    pub rows: u64,
    /// Checksum over the contents, independent of the rows' order.
    pub checksum: Checksum,
    /// Size with TOAST, without indexes (`pg_table_size`): differs between equal tables.
    pub bytes: u64,
    /// The partitioned table it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Why rows and checksum say nothing: a foreign table, a materialized view never refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_counted: Option<String>,
    /// Rows and checksum by ranges of the primary key, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<Buckets>,
}

/// Where a sequence stands. Sequences do not obey snapshots: this is the value at the time of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceFacts {
    /// The last value, or the first one to come when never called.
    pub last_value: i64,
    /// Whether `last_value` was handed out.
    pub is_called: bool,
}

/// All large objects together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeObjects {
    /// How many.
    pub count: u64,
    /// Checksum over identifiers, lengths and contents.
    pub checksum: Checksum,
}
