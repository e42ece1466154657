//! A psql that stays, inside one read-only transaction under pinned settings.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::command::{Child, Cmd, CommandError, Runner};
use crate::postgres::{Script, Server, major, version_text};

/// Pins every setting that shapes text.
pub(super) const PINS_SQL: &str = include_str!("../../../sql/manifest_pins.sql");
const SESSION_SQL: &str = concat!(
    include_str!("../../../sql/manifest_pins.sql"),
    include_str!("../../../sql/manifest_session.sql")
);
/// Ends the session's transaction and begins the next, which sees what was committed meanwhile.
const ANEW_SQL: &str = concat!("COMMIT;\n", include_str!("../../../sql/manifest_session.sql"));
const SNAPSHOT_SQL: &str = include_str!("../../../sql/manifest_snapshot.sql");

/// How many last lines of psql's errors an error carries.
const TAIL_LINES: usize = 12;

/// One connection. Dropping it ends psql, and the server the transaction.
#[derive(Debug)]
pub(in crate::postgres) struct Session {
    runner: Runner,
    what: String,
    line: String,
    child: Option<Child>,
    stderr: tempfile::NamedTempFile,
    pid: i32,
}

#[derive(Deserialize)]
struct Opened {
    pid: i32,
    version: u32,
}

#[derive(Deserialize)]
struct Exported {
    id: String,
}

impl Session {
    /// Connects and starts the transaction, inside `snapshot` when one is given. `what` completes "failed to ...".
    ///
    /// # Errors
    /// When psql cannot start or connect, the server is older than [`super::OLDEST_MAJOR`], or the snapshot is gone.
    pub(in crate::postgres) fn open(
        runner: &Runner,
        server: &Server,
        database: &str,
        snapshot: Option<&str>,
        what: &str,
    ) -> Result<Self, CommandError> {
        let cmd = server.psql_session(database, what);
        let stderr = tempfile::NamedTempFile::new().map_err(|source| io_error(&cmd, source))?;
        let child = runner.spawn(&cmd, Some(stderr.path()))?;
        let mut session = Self {
            runner: runner.clone(),
            what: what.to_owned(),
            line: cmd.to_string(),
            child: Some(child),
            stderr,
            pid: 0,
        };
        let script = Script::new(SESSION_SQL);
        let script = match snapshot {
            Some(id) => script.var("snapshot", id),
            None => script,
        };
        let opened: Opened = session.ask(&script.input(), what)?;
        if major(opened.version) < super::OLDEST_MAJOR {
            return Err(session.unreadable(
                what,
                format!(
                    "{} runs PostgreSQL {}; a manifest needs {} or later",
                    server.label,
                    version_text(opened.version),
                    super::OLDEST_MAJOR
                ),
            ));
        }
        session.pid = opened.pid;
        Ok(session)
    }

    /// Begins a new transaction, with a snapshot of now.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub(in crate::postgres) fn anew(&mut self, what: &str) -> Result<(), CommandError> {
        let _: Opened = self.ask(ANEW_SQL, what)?;
        Ok(())
    }

    /// Process id of the server's side.
    pub(in crate::postgres) fn pid(&self) -> i32 {
        self.pid
    }

    /// Process id of psql on this machine.
    pub(in crate::postgres) fn client_pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::pid)
    }

    /// Exports the transaction's snapshot; others can import it as long as this session lives.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub(in crate::postgres) fn export(&mut self) -> Result<String, CommandError> {
        let exported: Exported = self.ask(SNAPSHOT_SQL, "export a snapshot")?;
        Ok(exported.id)
    }

    /// Sends a statement that answers with one JSON document on one line (jsonb prints so) and reads the answer.
    ///
    /// # Errors
    /// What PostgreSQL said when it refused; after that the session is over.
    pub(in crate::postgres) fn ask<T: DeserializeOwned>(
        &mut self,
        sql: &str,
        what: &str,
    ) -> Result<T, CommandError> {
        let answer = match &mut self.child {
            // A failed write means that psql is gone, and why stands in what it printed.
            Some(child) => child
                .write_line(sql)
                .and_then(|()| child.read_line())
                .ok()
                .flatten(),
            None => None,
        };
        let Some(answer) = answer else {
            return Err(self.failed(what));
        };
        serde_json::from_str(&answer)
            .map_err(|error| self.unreadable(what, format!("the answer is not the expected JSON: {error}")))
    }

    /// Ends the session in good order. Its transaction ends first: the server may list a session for a moment after psql is
    /// gone, and one in a transaction would be taken for somebody who writes.
    pub(in crate::postgres) fn close(mut self) {
        if let Some(mut child) = self.child.take() {
            // A psql that is gone has ended it already.
            let _ = child.write_line("COMMIT;");
            child.finish(Duration::from_secs(5));
        }
    }

    /// Whether psql still runs; its connection may be gone all the same until it is asked.
    pub(in crate::postgres) fn runs(&self) -> bool {
        self.child.as_ref().is_some_and(|child| child.ended().is_none())
    }

    fn failed(&mut self, what: &str) -> CommandError {
        let code = self
            .child
            .take()
            .and_then(|child| child.finish(Duration::from_secs(5)));
        if self.runner.interrupt().is_set() {
            return CommandError::Interrupted {
                what: what.to_owned(),
            };
        }
        let said = std::fs::read(self.stderr.path()).unwrap_or_default();
        let said = self
            .runner
            .redactor()
            .redact_output(&String::from_utf8_lossy(&said));
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        self.runner.note(&format!("failed to {what}: {tail}"));
        CommandError::Failed {
            what: what.to_owned(),
            line: self.line.clone(),
            code,
            tail: if tail.is_empty() {
                format!("psql for \"{}\" ended without a word", self.what)
            } else {
                tail
            },
        }
    }

    fn unreadable(&self, what: &str, why: String) -> CommandError {
        CommandError::Unreadable {
            what: what.to_owned(),
            why,
        }
    }
}

fn io_error(cmd: &Cmd, source: std::io::Error) -> CommandError {
    CommandError::Io {
        what: cmd.what().to_owned(),
        line: cmd.to_string(),
        source,
    }
}
