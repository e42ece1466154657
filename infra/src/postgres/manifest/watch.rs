//! Ends our sessions on the server when the person interrupts, or when one of them failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::session::Session;
use crate::command::{CommandError, Runner};
use crate::interrupt::Interrupt;
use crate::postgres::{Script, Server};

/// How often the watch looks at the interrupt flag.
const TICK: Duration = Duration::from_millis(100);

/// The sessions under watch. Killing a client alone would leave its query running, and in a container it would not even
/// end the client; a session that ends on the server ends its psql wherever that runs.
pub(super) struct Watch<'a> {
    server: &'a Server,
    database: &'a str,
    /// Of each session the process on the server, and psql on this machine.
    pids: Mutex<Vec<(i32, Option<u32>)>>,
    ending: AtomicBool,
}

impl<'a> Watch<'a> {
    /// Runs `work`; meanwhile an interrupt ends every adopted session, so that `work` comes back soon.
    pub(super) fn over<T>(
        runner: &Runner,
        server: &'a Server,
        database: &'a str,
        work: impl FnOnce(&Self) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let watch = Self {
            server,
            database,
            pids: Mutex::default(),
            ending: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            let (working, finished) = mpsc::channel::<()>();
            let watched = &watch;
            scope.spawn(move || {
                while finished.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    if runner.interrupt().is_set() || watched.ending.load(Ordering::SeqCst) {
                        watched.end_sessions();
                    }
                }
            });
            let result = work(&watch);
            drop(working);
            result
        })
    }

    /// Puts a session under watch.
    pub(super) fn adopt(&self, session: Session) -> Session {
        self.pids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((session.pid(), session.client_pid()));
        session
    }

    /// Ends all sessions, because what one of them found makes the others' work useless.
    pub(super) fn give_up(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    fn end_sessions(&self) {
        let sessions: Vec<_> = self
            .pids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
            .collect();
        if sessions.is_empty() {
            return;
        }
        let pids: Vec<String> = sessions.iter().map(|(pid, _)| pid.to_string()).collect();
        let script = Script::new(format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE pid IN ({}) AND application_name = 'xtask manifest';",
            pids.join(", ")
        ));
        let cmd = self
            .server
            .psql(self.database, &script, "end the sessions of the manifest")
            .limit(Duration::from_secs(20));
        // A runner of its own: an interrupted one starts nothing more. When the server cannot be asked, the clients must
        // not wait for it.
        let runner = Runner::new(Interrupt::default());
        if runner.run(&cmd).is_err() {
            sessions
                .iter()
                .filter_map(|(_, client)| *client)
                .for_each(|pid| runner.kill(pid));
        }
    }
}
