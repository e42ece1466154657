//! The fence of a source on a server that is not ours: sessions ended, the database closed, and proof from the server's own
//! counters. Why it is done like this: `docs/adr/0009-external-fence.md`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use infra::postgres::activity::{self, Activity, SessionSeen, Sessions, Witness};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::Finding;
use crate::model::backup::DatabaseBackup;
use crate::plan::action::{External, Fence, Fenced};
use crate::steps::{Failure, Probe, World};

/// How long sessions may take to go once they were asked to.
const GONE_LIMIT: Duration = Duration::from_secs(15);
/// How many sessions and tables a message names.
const SHOWN: usize = 8;

/// State file: which databases we closed, and what the server said when they were.
const CLOSED: &str = "closed";

/// A database that we closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Closed {
    /// Client sessions that there ever were when nobody was left; `None`: closing it was not finished.
    ever: Option<u64>,
    statistics_reset: Option<String>,
}

/// The external part of a fence.
pub(super) fn of(fence: &Fence) -> Result<&External, Failure> {
    match &fence.fenced {
        Fenced::External(external) => Ok(external),
        _ => Err(Failure::new(format!(
            "the source of {} is not external",
            fence.database
        ))),
    }
}

/// Satisfied when nobody else is connected, or nobody can be.
pub(super) fn probe(fence: &Fence, external: &External, world: &World<'_>) -> Result<Probe, Failure> {
    let seen = look(fence, external, world)?;
    if !seen.allowed && !closed(world)?.contains_key(&fence.database) {
        return Ok(Probe::Conflict(
            Finding::error(
                format!("source.{}.closed", fence.database),
                format!("database {} was closed by somebody else", fence.source_database),
            )
            .wanted("a database that can be connected to")
            .hint(opening(fence)),
        ));
    }
    Ok(match seen.others.is_empty() {
        true => Probe::Satisfied,
        false => Probe::Absent,
    })
}

/// Ends the sessions that our role may end. Who stays is a failure, unless a person vouches for them.
pub(super) fn apply(fence: &Fence, external: &External, world: &World<'_>) -> Result<Value, Failure> {
    let before = look(fence, external, world)?;
    let left = end_all(fence, external, world, None)?;
    if !left.is_empty() && !external.vouched {
        return Err(still_there(fence, &left));
    }
    let said = |sessions: &[SessionSeen]| sessions.iter().map(ToString::to_string).collect::<Vec<_>>();
    Ok(json!({ "ended": said(&before.others), "left": said(&left) }))
}

pub(super) fn verify(fence: &Fence, external: &External, world: &World<'_>) -> Result<(), Failure> {
    let seen = look(fence, external, world)?;
    match seen.others.is_empty() || external.vouched {
        true => Ok(()),
        false => Err(still_there(fence, &seen.others)),
    }
}

/// Opens the database again, when it was us who closed it.
pub(super) fn undo(fence: &Fence, external: &External, world: &World<'_>) -> Result<(), Failure> {
    if !closed(world)?.contains_key(&fence.database) {
        return Ok(());
    }
    if !look(fence, external, world)?.allowed {
        open(fence, external, world)?;
    }
    remember(world, &fence.database, None)
}

/// Closes the database, and proves that nothing was written since the counters of the backup. Where it cannot be closed,
/// only the proof.
pub(in crate::steps) fn seal(fence: &Fence, folder: &Path, world: &World<'_>) -> Result<(), Failure> {
    let external = of(fence)?;
    let before = counters(fence, folder)?;
    if !external.closable {
        nothing_open(fence, &look(fence, external, world)?.others)?;
        let server = external.instance.server(world.vault);
        let after = activity::activity(&world.runner, &server, &fence.source_database)?;
        return judge(fence, &before, &after);
    }
    // A seal that was cut off: only somebody inside can read the counters, so begin anew.
    if !look(fence, external, world)?.allowed {
        open(fence, external, world)?;
    }
    let sealed = close(fence, external, &before, world);
    if sealed.is_err() {
        // The old world stays in charge. What cannot be opened now, `rollback` opens.
        let _ = undo(fence, external, world);
    }
    sealed
}

fn close(fence: &Fence, external: &External, before: &Activity, world: &World<'_>) -> Result<(), Failure> {
    let server = external.instance.server(world.vault);
    let database = &fence.source_database;
    let mut witness = Witness::open(&world.runner, &server, database)?;
    // Before the effect: going back opens what we closed, and nothing else.
    let unfinished = Closed {
        ever: None,
        statistics_reset: None,
    };
    remember(world, &fence.database, Some(unfinished))?;
    let what = format!("close database {database} of {}", server.label);
    let shut = activity::allow(database, false);
    server.execute(&world.runner, &external.maintenance_database, &shut, what)?;
    let left = end_all(fence, external, world, Some(witness.pid()))?;
    if !left.is_empty() {
        return Err(still_there(fence, &left));
    }
    // Ended sessions have told what they wrote, and nobody else can come.
    judge(fence, before, &witness.activity()?)?;
    witness.close();
    let left = end_all(fence, external, world, None)?;
    if !left.is_empty() {
        return Err(still_there(fence, &left));
    }
    let seen = look(fence, external, world)?;
    let done = Closed {
        ever: seen.ever,
        statistics_reset: seen.statistics_reset,
    };
    remember(world, &fence.database, Some(done))
}

/// Whether a database is as closed as the seal left it, and nobody was in it since.
pub(in crate::steps) fn is_sealed(fence: &Fence, world: &World<'_>) -> Result<bool, Failure> {
    let external = of(fence)?;
    if !external.closable {
        return Ok(false);
    }
    let seen = look(fence, external, world)?;
    let closed = closed(world)?;
    Ok(closed.get(&fence.database).is_some_and(|closed| {
        !seen.allowed
            && seen.others.is_empty()
            && closed.ever.is_some()
            && closed.ever == seen.ever
            && closed.statistics_reset == seen.statistics_reset
    }))
}

/// The last look before the cutover. What is not sealed any more is sealed again, which proves the same.
pub(in crate::steps) fn unchanged(fence: &Fence, folder: &Path, world: &World<'_>) -> Result<(), Failure> {
    match is_sealed(fence, world)? {
        true => Ok(()),
        false => seal(fence, folder, world),
    }
}

/// What the counters said just before the snapshot of the backup.
fn counters(fence: &Fence, folder: &Path) -> Result<Activity, Failure> {
    let backup = DatabaseBackup::read(folder, &fence.database)?;
    let backup = backup.with_context(|| format!("there is no backup of {}", fence.database))?;
    Ok(backup
        .activity
        .with_context(|| format!("the backup of {} holds no counters of writes", fence.database))?)
}

/// No counter knows what a transaction will have written when it commits.
fn nothing_open(fence: &Fence, others: &[SessionSeen]) -> Result<(), Failure> {
    let open: Vec<String> = others
        .iter()
        .filter(|session| session.in_transaction != Some(false))
        .take(SHOWN)
        .map(|session| format!("\n  {session}"))
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "sessions of database {} of the source are in a transaction, or may be; what they commit later would be lost:{}",
        fence.source_database,
        open.concat()
    ))
    .hint("end them, then resume")
    .hint("where only monitoring is connected: GRANT pg_read_all_stats TO ROLE, so that what it does can be seen"))
}

fn judge(fence: &Fence, before: &Activity, after: &Activity) -> Result<(), Failure> {
    let database = &fence.source_database;
    let again = "stop who writes, then: cargo xtask rollback, and migrate again";
    match before.until(after) {
        Ok(grown) if grown.is_empty() => Ok(()),
        Ok(grown) => {
            let shown: Vec<String> = grown.iter().take(SHOWN).map(|line| format!("\n  {line}")).collect();
            Err(Failure::new(format!(
                "database {database} of the source was written to after its backup of {}:{}\nthe copy lacks that; the old \
                 server stays in charge",
                before.taken_at,
                shown.concat()
            ))
            .hint(again)
            .for_good())
        }
        Err(why) => Err(Failure::new(format!(
            "whether database {database} of the source was written to after its backup of {} cannot be told: {why}",
            before.taken_at
        ))
        .hint(again)
        .for_good()),
    }
}

fn look(fence: &Fence, external: &External, world: &World<'_>) -> Result<Sessions, Failure> {
    let server = external.instance.server(world.vault);
    let mut seen = activity::sessions(
        &world.runner,
        &server,
        &external.maintenance_database,
        &fence.source_database,
    )?;
    // The heartbeat of this very step.
    seen.others
        .retain(|session| session.application.as_deref() != Some(crate::steps::link::NAME));
    Ok(seen)
}

/// Ends all sessions but `except` and waits until they are gone; the answer is who stays.
fn end_all(
    fence: &Fence,
    external: &External,
    world: &World<'_>,
    except: Option<i32>,
) -> Result<Vec<SessionSeen>, Failure> {
    let server = external.instance.server(world.vault);
    let mut failed = None;
    let gone = infra::wait::until(world.runner.interrupt(), GONE_LIMIT, || {
        let mut seen = match look(fence, external, world) {
            Ok(seen) => seen.others,
            Err(failure) => {
                failed = Some(failure);
                return Some(Vec::new());
            }
        };
        seen.retain(|session| Some(session.pid) != except);
        let ours: Vec<i32> = seen.iter().filter(|s| s.may_end).map(|s| s.pid).collect();
        if ours.is_empty() {
            return Some(seen);
        }
        let what = format!("end the sessions of database {}", fence.source_database);
        let end = activity::end(&ours);
        match server.execute(&world.runner, &external.maintenance_database, &end, what) {
            Ok(_) => None,
            Err(error) => {
                failed = Some(error.into());
                Some(Vec::new())
            }
        }
    });
    match (failed, gone) {
        (Some(failure), _) => Err(failure),
        (None, Ok(left)) => Ok(left),
        (None, Err(infra::wait::Stopped::Interrupted)) => Err(Failure::interrupted(format!(
            "fence the source of {}",
            fence.database
        ))),
        (None, Err(infra::wait::Stopped::TimedOut)) => {
            let mut left = look(fence, external, world)?.others;
            left.retain(|session| Some(session.pid) != except);
            Ok(left)
        }
    }
}

fn open(fence: &Fence, external: &External, world: &World<'_>) -> Result<(), Failure> {
    let server = external.instance.server(world.vault);
    let what = format!(
        "open database {} of {} again",
        fence.source_database, server.label
    );
    let allow = activity::allow(&fence.source_database, true);
    server
        .execute(&world.runner, &external.maintenance_database, &allow, what)
        .map_err(|error| Failure::from(error).hint(opening(fence)))?;
    Ok(())
}

/// What a person types to open a database.
fn opening(fence: &Fence) -> String {
    let name = infra::postgres::quote::ident(&fence.source_database);
    format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true; (on the old server)")
}

fn still_there(fence: &Fence, left: &[SessionSeen]) -> Failure {
    let shown: Vec<String> = left
        .iter()
        .take(SHOWN)
        .map(|session| format!("\n  {session}"))
        .collect();
    Failure::new(format!(
        "{} sessions of others are connected to database {} of the source, and stay or come back:{}",
        left.len(),
        fence.source_database,
        shown.concat()
    ))
    .hint("stop these applications, then: cargo xtask migrate --resume")
}

fn closed(world: &World<'_>) -> Result<BTreeMap<String, Closed>, Failure> {
    Ok(world.run.load(CLOSED)?.unwrap_or_default())
}

fn remember(world: &World<'_>, database: &str, state: Option<Closed>) -> Result<(), Failure> {
    let mut all = closed(world)?;
    match state {
        Some(state) => all.insert(database.to_owned(), state),
        None => all.remove(database),
    };
    world.run.save(CLOSED, &all)?;
    Ok(())
}
