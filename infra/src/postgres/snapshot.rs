//! One point in time that pg_dump and the manifest share.

use super::Server;
use super::manifest::session::Session;
use crate::command::{CommandError, Runner};

/// An exported snapshot, kept alive by a psql inside a REPEATABLE READ READ ONLY transaction. Dropping it ends that
/// transaction; whoever imported the snapshot by then keeps it.
#[derive(Debug)]
pub struct Snapshot {
    session: Session,
    id: String,
}

impl Snapshot {
    /// Connects, starts the transaction and exports its snapshot.
    ///
    /// # Errors
    /// Any [`CommandError`]; the server must run PostgreSQL 14 or later.
    pub fn open(runner: &Runner, server: &Server, database: &str) -> Result<Self, CommandError> {
        let what = format!("open a snapshot of database {database} on {}", server.label);
        let mut session = Session::open(runner, server, database, None, &what)?;
        let id = session.export()?;
        Ok(Self { session, id })
    }

    /// Its name, for `pg_dump --snapshot` and `SET TRANSACTION SNAPSHOT`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the transaction is still open: asks the server.
    pub fn is_alive(&mut self) -> bool {
        self.session.runs()
            && self
                .session
                .ask::<bool>("SELECT jsonb 'true';", "ask whether the snapshot is alive")
                .is_ok()
    }

    /// Ends the transaction.
    pub fn close(self) {
        self.session.close();
    }
}
