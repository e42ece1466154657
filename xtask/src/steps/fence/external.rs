//! The fence of a source on a server that is not ours: sessions ended, the database closed, and proof from the server's own
//! counters. Why it is done like this: `docs/adr/0009-external-fence.md`.

mod inside;
mod proof;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use infra::postgres::activity::{self, SessionSeen, Sessions, Witness};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::Finding;
use crate::model::backup::DatabaseBackup;
use crate::plan::action::{External, Fence, Fenced};
use crate::steps::{Failure, Probe, World};

pub use self::inside::vouch_for_inside;
pub(in crate::steps) use self::inside::{name_inside, nobody_inside};

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
    /// The transaction that closed it.
    #[serde(default)]
    door: String,
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
    let left = end_all(fence, external, world, &[])?;
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

/// Closes the database, and proves that it holds what its backup does. Where it cannot be closed, only the proof.
pub(in crate::steps) fn seal(fence: &Fence, folder: &Path, world: &World<'_>) -> Result<(), Failure> {
    let external = of(fence)?;
    let backup = proof::backup(fence, folder)?;
    if !external.closable {
        return proof::while_open(fence, external, &backup, world);
    }
    // A seal that was cut off: only somebody inside can look, so begin anew.
    if !look(fence, external, world)?.allowed {
        open(fence, external, world)?;
    }
    let sealed = close(fence, external, &backup, world);
    if sealed.is_err() {
        // The old world stays in use. What cannot be opened now, `rollback` opens.
        let _ = undo(fence, external, world);
    }
    sealed
}

fn close(
    fence: &Fence,
    external: &External,
    backup: &DatabaseBackup,
    world: &World<'_>,
) -> Result<(), Failure> {
    let server = external.instance.server(world.vault);
    let database = &fence.source_database;
    let mut witness = Witness::open(&world.runner, &server, database, proof::WORKERS)?;
    let ours = witness.pids();
    // Before the effect: going back opens what we closed, and nothing else.
    let unfinished = Closed {
        ever: None,
        statistics_reset: None,
        door: String::new(),
    };
    remember(world, &fence.database, Some(unfinished))?;
    let what = format!("close database {database} of {}", server.label);
    let shut = activity::allow(database, false);
    server.execute(&world.runner, &external.maintenance_database, &shut, what)?;
    let left = end_all(fence, external, world, &ours)?;
    if !left.is_empty() {
        return Err(still_there(fence, &left));
    }
    // Ended sessions have told what they wrote, and nobody else can come: neither to write nor to prepare a transaction.
    proof::nothing_prepared(fence, &look(fence, external, world)?.prepared)?;
    proof::judge(fence, backup, &witness.activity()?)?;
    let names = (external.maintenance_database.as_str(), database.as_str());
    let now = witness.manifest(&world.runner, &server, names, &proof::progress(fence, world))?;
    proof::same_content(fence, backup, &now)?;
    // Whoever slipped in while the door fell shut may have written meanwhile.
    let mut strangers = look(fence, external, world)?.others;
    strangers.retain(|session| !ours.contains(&session.pid));
    if !strangers.is_empty() {
        return Err(still_there(fence, &strangers));
    }
    let left = end_all(fence, external, world, &[])?;
    if !left.is_empty() {
        return Err(still_there(fence, &left));
    }
    let seen = look(fence, external, world)?;
    let done = Closed {
        ever: seen.ever,
        statistics_reset: seen.statistics_reset,
        door: seen.door,
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
            && seen.prepared.is_empty()
            && closed.door == seen.door
            && closed.ever.is_some()
            && closed.ever == seen.ever
            && closed.statistics_reset == seen.statistics_reset
    }))
}

/// Whether a database that stays open still holds what its backup does, after the cutover.
pub(in crate::steps) fn unwritten_since_cutover(fence: &Fence, world: &World<'_>) -> Result<(), Failure> {
    let backup = proof::backup(fence, &world.run.backup())?;
    let written = proof::quiet(fence, of(fence)?, &backup, world).err();
    written.map_or(Ok(()), |failure| {
        Err(Failure::new(format!(
            "after the cutover somebody still works with the old database {}: {}",
            fence.source_database, failure.message
        ))
        .hint("carry these rows over by hand, or go back: cargo xtask rollback")
        .for_good())
    })
}

/// The last look before the cutover. What is not sealed any more is sealed again, which proves the same.
pub(in crate::steps) fn unchanged(fence: &Fence, folder: &Path, world: &World<'_>) -> Result<(), Failure> {
    match is_sealed(fence, world)? {
        true => Ok(()),
        false => seal(fence, folder, world),
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
    except: &[i32],
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
        seen.retain(|session| !except.contains(&session.pid));
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
            left.retain(|session| !except.contains(&session.pid));
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
