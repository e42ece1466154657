//! Whether anybody writes in a database: its sessions, and the server's own counters of written rows.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::manifest::session::Session;
use super::manifest::{self, DatabaseManifest, TableProgress};
use super::{Script, Server, quote};
use crate::command::{CommandError, Runner};

/// The counters of writes at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// When, UTC.
    pub taken_at: String,
    /// The next transaction id of the instance. Another one later says nothing: other databases take some too.
    pub next_transaction: String,
    /// Up to where the write-ahead log was filled, when the role may ask.
    pub wal: Option<String>,
    /// When the server started, in seconds since 1970.
    pub server_started: String,
    /// When the counters last began anew: set to zero by a person, or lost in a crash.
    pub statistics_reset: Option<String>,
    /// Where the server is told not to count; empty: everywhere it counts, but for a superuser's session that says otherwise.
    #[serde(default)]
    pub uncounted: Vec<String>,
    /// Written rows of every table.
    pub tables: BTreeMap<String, Written>,
    /// Where every sequence stands; `None` when it was never called.
    pub sequences: BTreeMap<String, Option<i64>>,
    /// Writes to large objects.
    pub large_objects: u64,
    /// Writes to the catalogue: tables, columns, functions and so on that were made, changed or dropped.
    pub definitions: u64,
}

/// Rows of one table that were ever written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Inserted.
    pub inserted: u64,
    /// Updated.
    pub updated: u64,
    /// Deleted.
    pub deleted: u64,
    /// Number of its file: another one after TRUNCATE and whatever rewrites a table. Absent for partitioned tables.
    pub file: Option<u64>,
}

impl Activity {
    /// What was written between two moments, object by object; empty: nothing.
    ///
    /// # Errors
    /// Why that cannot be told.
    pub fn until(&self, later: &Self) -> Result<Vec<String>, String> {
        if self.statistics_reset != later.statistics_reset {
            return Err("the server's counters were reset, or lost in a crash, meanwhile".to_owned());
        }
        let same_server = self.server_started == later.server_started;
        let mut grown = Vec::new();
        for (table, before) in &self.tables {
            match later.tables.get(table) {
                None => grown.push(format!("table {table} was dropped or renamed")),
                Some(after) => grown.extend(before.until(after, table, same_server)?),
            }
        }
        let new = later
            .tables
            .keys()
            .filter(|table| !self.tables.contains_key(*table));
        grown.extend(new.map(|table| format!("table {table} is new")));
        for (sequence, before) in &self.sequences {
            if later.sequences.get(sequence) != Some(before) {
                grown.push(format!("sequence {sequence} was moved"));
            }
        }
        for (what, before, after) in [
            ("large objects", self.large_objects, later.large_objects),
            (
                "definitions of tables, columns or functions",
                self.definitions,
                later.definitions,
            ),
        ] {
            if after < before {
                return Err(lost(same_server));
            }
            if after > before {
                grown.push(format!("{what} were written"));
            }
        }
        Ok(grown)
    }

    /// Whether no transaction that can write began or ended on the whole instance: then nothing was written, whatever the
    /// counters do not count. The other answer says nothing.
    pub fn is_still(&self, later: &Self) -> bool {
        self.next_transaction == later.next_transaction && self.wal.is_some() && self.wal == later.wal
    }
}

impl Written {
    fn until(&self, after: &Self, table: &str, same_server: bool) -> Result<Option<String>, String> {
        let mut parts = Vec::new();
        for (word, before, now) in [
            ("inserted", self.inserted, after.inserted),
            ("updated", self.updated, after.updated),
            ("deleted", self.deleted, after.deleted),
        ] {
            match now.checked_sub(before) {
                None => return Err(lost(same_server)),
                Some(0) => {}
                Some(rows) => parts.push(format!("{rows} rows {word}")),
            }
        }
        if self.file != after.file {
            parts.push("emptied or written anew".to_owned());
        }
        Ok((!parts.is_empty()).then(|| format!("table {table}: {}", parts.join(", "))))
    }
}

fn lost(same_server: bool) -> String {
    if same_server {
        "the server's counters went backwards".to_owned()
    } else {
        "the server was restarted meanwhile and has lost its counters".to_owned()
    }
}

/// Reads the counters of a database.
///
/// # Errors
/// Any [`CommandError`].
pub fn activity(runner: &Runner, server: &Server, database: &str) -> Result<Activity, CommandError> {
    let what = format!("read what was written in database {database} of {}", server.label);
    server.json(
        runner,
        database,
        &Script::new(include_str!("../../sql/activity.sql")),
        what,
    )
}

/// Sessions inside a database that stay when it is closed to all others, and see what they wrote.
#[derive(Debug)]
pub struct Witness {
    sessions: Vec<Session>,
}

impl Witness {
    /// Connects, so many times (at least once).
    ///
    /// # Errors
    /// Any [`CommandError`].
    pub fn open(
        runner: &Runner,
        server: &Server,
        database: &str,
        sessions: usize,
    ) -> Result<Self, CommandError> {
        let what = format!("open a session in database {database} of {}", server.label);
        let sessions = (0..sessions.max(1)).map(|_| Session::open(runner, server, database, None, &what));
        sessions
            .collect::<Result<_, _>>()
            .map(|sessions| Self { sessions })
    }

    /// Its process ids on the server.
    pub fn pids(&self) -> Vec<i32> {
        self.sessions.iter().map(Session::pid).collect()
    }

    /// The counters now.
    ///
    /// # Errors
    /// Any [`CommandError`].
    pub fn activity(&mut self) -> Result<Activity, CommandError> {
        let what = "read what was written";
        let Some(session) = self.sessions.first_mut() else {
            return Err(CommandError::Unreadable {
                what: what.to_owned(),
                why: "no session is inside".to_owned(),
            });
        };
        // A transaction of its own: the session's first one would show what it saw before.
        session.anew(what)?;
        session.ask(include_str!("../../sql/activity.sql"), what)
    }

    /// What the database holds now, and the end of the sessions. `maintenance` is a database that can be connected to.
    ///
    /// # Errors
    /// Any [`CommandError`].
    pub fn manifest(
        self,
        runner: &Runner,
        server: &Server,
        (maintenance, database): (&str, &str),
        on_table: &(dyn Fn(&TableProgress<'_>) + Sync),
    ) -> Result<DatabaseManifest, CommandError> {
        manifest::collect_inside(runner, server, (maintenance, database), self.sessions, on_table)
    }
}

/// A session that is not ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSeen {
    /// Process id on the server.
    pub pid: i32,
    /// Its role.
    pub role: Option<String>,
    /// Its application name.
    pub application: Option<String>,
    /// Its address; `None` for the server's own machine, or when the role may not see it.
    pub address: Option<String>,
    /// Whether our role may end it.
    pub may_end: bool,
    /// Whether it is in a transaction; `None` where that is hidden from our role.
    #[serde(default)]
    pub in_transaction: Option<bool>,
}

impl fmt::Display for SessionSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let application = self.application.as_deref().filter(|name| !name.is_empty());
        write!(
            f,
            "{} as {} from {} (pid {})",
            application.unwrap_or("an unnamed application"),
            self.role.as_deref().unwrap_or("nobody"),
            self.address
                .as_deref()
                .unwrap_or("an address that cannot be seen"),
            self.pid
        )
    }
}

/// A transaction that is prepared and not ended: whoever ends it writes, and no counter knows it before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Its name.
    pub gid: String,
    /// The role that prepared it.
    pub owner: String,
    /// When, UTC.
    pub at: String,
}

/// Who is connected to a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// Whether it can be connected to at all.
    pub allowed: bool,
    /// Which transaction last opened or closed it. The same twice: nobody opened it in between.
    #[serde(default)]
    pub door: String,
    /// Whether our role owns it, and so may close it.
    pub owned: bool,
    /// Client sessions that there ever were. Unchanged: nobody connected meanwhile.
    pub ever: Option<u64>,
    /// When the counters last began anew: set to zero by a person, or lost in a crash.
    pub statistics_reset: Option<String>,
    /// Transactions that are prepared and not ended.
    #[serde(default)]
    pub prepared: Vec<Prepared>,
    /// Where the server is told not to count what is written.
    #[serde(default)]
    pub uncounted: Vec<String>,
    /// Whose replication would lose its source with this database, or feeds it: slots and subscriptions.
    #[serde(default)]
    pub replication: Vec<String>,
    /// Sessions beside the one that asks.
    pub others: Vec<SessionSeen>,
}

/// Asks who is connected to `database`, from `maintenance` (which may be the same).
///
/// # Errors
/// Any [`CommandError`].
pub fn sessions(
    runner: &Runner,
    server: &Server,
    maintenance: &str,
    database: &str,
) -> Result<Sessions, CommandError> {
    let script = Script::new(include_str!("../../sql/sessions.sql")).var("database", database);
    let what = format!("ask who is connected to database {database} of {}", server.label);
    server.json(runner, maintenance, &script, what)
}

/// SQL that ends these sessions. Each is asked to go, and given five seconds.
pub fn end(pids: &[i32]) -> Script {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    Script::new(format!(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE pid IN ({});",
        pids.join(", ")
    ))
}

/// SQL that opens or closes a database for everybody, superusers included. Not from a session of that database.
pub fn allow(database: &str, allowed: bool) -> Script {
    Script::new(format!(
        "ALTER DATABASE {} WITH ALLOW_CONNECTIONS {allowed};",
        quote::ident(database)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity() -> Activity {
        let written = Written {
            inserted: 10,
            updated: 5,
            deleted: 1,
            file: Some(7),
        };
        Activity {
            taken_at: String::new(),
            next_transaction: "100".to_owned(),
            wal: Some("0/1".to_owned()),
            server_started: "1".to_owned(),
            statistics_reset: None,
            uncounted: Vec::new(),
            tables: [("public.images".to_owned(), written)].into(),
            sequences: [("public.images_id_seq".to_owned(), Some(3))].into(),
            large_objects: 0,
            definitions: 9,
        }
    }

    #[track_caller]
    fn grown(change: impl FnOnce(&mut Activity)) -> Result<String, String> {
        let mut later = activity();
        change(&mut later);
        activity().until(&later).map(|grown| grown.join("; "))
    }

    #[test]
    fn what_was_written_is_named() {
        let table = |later: &mut Activity| later.tables.get_mut("public.images").unwrap().inserted = 12;
        assert_eq!(grown(|_| {}).unwrap(), "");
        assert_eq!(grown(table).unwrap(), "table public.images: 2 rows inserted");
        let truncated = |later: &mut Activity| later.tables.get_mut("public.images").unwrap().file = Some(8);
        assert!(grown(truncated).unwrap().contains("emptied"));
        assert!(grown(|later| later.tables.clear()).unwrap().contains("dropped"));
        let moved = |later: &mut Activity| {
            later.sequences.insert("public.images_id_seq".to_owned(), Some(4));
        };
        assert!(grown(moved).unwrap().contains("images_id_seq was moved"));
        assert!(
            grown(|later| later.definitions = 10)
                .unwrap()
                .contains("definitions")
        );
        assert!(
            grown(|later| later.large_objects = 1)
                .unwrap()
                .contains("large objects")
        );
    }

    #[test]
    fn counters_that_say_nothing_are_never_a_pass() {
        assert!(grown(|later| later.definitions = 0).is_err());
        assert!(grown(|later| later.statistics_reset = Some("now".to_owned())).is_err());
        let lost = |later: &mut Activity| {
            later.server_started = "2".to_owned();
            later.tables.get_mut("public.images").unwrap().inserted = 0;
        };
        assert!(grown(lost).unwrap_err().contains("restarted"));
    }
}
