//! Asks a database for its manifest, several sessions side by side under one snapshot.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::DatabaseManifest;
use super::answers::Answers;
use super::plan::{JobKind, Plan};
use super::session::Session;
use super::watch::Watch;
use crate::command::{CommandError, Runner};
use crate::postgres::Server;

/// One more table is done.
#[derive(Clone, Copy, Debug)]
pub struct TableProgress<'a> {
    /// The table, as people see its name.
    pub table: &'a str,
    /// Its rows.
    pub rows: u64,
    /// Tables done, this one included, and all tables to scan.
    pub tables: (usize, usize),
    /// Bytes done and all bytes to scan.
    pub bytes: (u64, u64),
}

/// Takes the manifest of a database. `snapshot` is an exported snapshot that is still alive; without one all sessions
/// share a snapshot of our own. `workers` is the number of sessions (at least one). `on_table` hears of every table.
///
/// Nothing is skipped: a table that the role may not read, or would see filtered by a policy, is an error.
///
/// # Errors
/// Any [`CommandError`]; an interrupt ends the sessions on the server too.
pub fn collect(
    runner: &Runner,
    server: &Server,
    database: &str,
    snapshot: Option<&str>,
    workers: usize,
    on_table: &(dyn Fn(&TableProgress<'_>) + Sync),
) -> Result<DatabaseManifest, CommandError> {
    let what = format!("take the manifest of database {database} on {}", server.label);
    let open = |snapshot: Option<&str>| Session::open(runner, server, database, snapshot, &what);
    Watch::over(runner, server, database, |watch| {
        let mut first = watch.adopt(open(snapshot)?);
        let plan = Plan::make(&mut first, &what, workers.max(1))?;
        let extra = workers.clamp(1, plan.jobs.len().max(1)) - 1;
        let own_snapshot = match snapshot {
            None if extra > 0 => Some(first.export()?),
            _ => None,
        };
        let snapshot = snapshot.or(own_snapshot.as_deref());
        let mut sessions = vec![first];
        for _ in 0..extra {
            sessions.push(watch.adopt(open(snapshot)?));
        }
        run(&plan, watch, sessions, on_table)?.assemble(&plan, &what)
    })
}

/// Takes the manifest of a database that is closed, over sessions that were inside before (at least one). As nobody can
/// write there, each looks by itself. `maintenance` is a database that can be connected to.
///
/// # Errors
/// As [`collect`].
pub(in crate::postgres) fn collect_inside(
    runner: &Runner,
    server: &Server,
    (maintenance, database): (&str, &str),
    sessions: Vec<Session>,
    on_table: &(dyn Fn(&TableProgress<'_>) + Sync),
) -> Result<DatabaseManifest, CommandError> {
    let what = format!(
        "take the manifest of closed database {database} on {}",
        server.label
    );
    Watch::over(runner, server, maintenance, |watch| {
        let mut sessions: Vec<Session> = sessions.into_iter().map(|session| watch.adopt(session)).collect();
        for session in &mut sessions {
            session.anew(&what)?;
        }
        let workers = sessions.len();
        let Some(first) = sessions.first_mut() else {
            return Err(CommandError::Unreadable {
                what: what.clone(),
                why: "no session is inside".to_owned(),
            });
        };
        let plan = Plan::make(first, &what, workers)?;
        run(&plan, watch, sessions, on_table)?.assemble(&plan, &what)
    })
}

/// Runs all jobs on these sessions. The first failure ends them all.
fn run(
    plan: &Plan,
    watch: &Watch<'_>,
    sessions: Vec<Session>,
    on_table: &(dyn Fn(&TableProgress<'_>) + Sync),
) -> Result<Answers, CommandError> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut progress = Progress::of(plan);
    let mut answers = Answers::default();
    let mut failure = None;
    std::thread::scope(|scope| {
        for mut session in sessions {
            let (next, sender) = (&next, sender.clone());
            scope.spawn(move || {
                while let Some(job) = plan.jobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let answer = job.ask(&mut session);
                    let failed = answer.is_err();
                    if sender.send((job.kind, answer)).is_err() || failed {
                        return;
                    }
                }
                session.close();
            });
        }
        drop(sender);
        for (kind, answer) in receiver {
            let taken = answer.and_then(|answer| answers.take(&plan.relations, answer));
            if let Err(error) = taken {
                next.store(plan.jobs.len(), Ordering::SeqCst);
                watch.give_up();
                // What the others say once they are ended is of no interest.
                failure.get_or_insert(error);
            } else if let JobKind::Scan(index) = kind {
                progress.count(plan, index, answers.rows(index), on_table);
            }
        }
    });
    failure.map_or(Ok(answers), Err)
}

/// Counts parts of tables until each is whole.
struct Progress {
    parts_left: HashMap<usize, usize>,
    tables: (usize, usize),
    bytes: (u64, u64),
}

impl Progress {
    fn of(plan: &Plan) -> Self {
        let mut parts_left: HashMap<usize, usize> = HashMap::new();
        for job in &plan.jobs {
            if let JobKind::Scan(index) = job.kind {
                *parts_left.entry(index).or_default() += 1;
            }
        }
        let bytes = parts_left.keys().map(|index| plan.relations[*index].bytes).sum();
        Self {
            tables: (0, parts_left.len()),
            bytes: (0, bytes),
            parts_left,
        }
    }

    /// One more part of this relation is read; tells when it was the last.
    fn count(
        &mut self,
        plan: &Plan,
        index: usize,
        rows: u64,
        on_table: &(dyn Fn(&TableProgress<'_>) + Sync),
    ) {
        let left = self.parts_left.entry(index).or_insert(1);
        *left -= 1;
        if *left > 0 {
            return;
        }
        self.tables.0 += 1;
        self.bytes.0 += plan.relations[index].bytes;
        on_table(&TableProgress {
            table: &plan.relations[index].shown(),
            rows,
            tables: self.tables,
            bytes: self.bytes,
        });
    }
}
