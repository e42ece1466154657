//! What others do while a migration runs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use infra::Runner;
use infra::postgres::{Script, Server};

use super::{Act, Fault, Needs, When};
use crate::cli::faults::round::Round;
use crate::model::Exit;

pub(super) const FAULTS: [Fault; 3] = [
    Fault {
        name: "writer",
        what: "somebody keeps inserting into an old instance through the whole run",
        needs: Needs::Nothing,
        short: false,
        act: Act::Own(writer),
    },
    Fault {
        name: "second-migrate",
        what: "migrate, rollback and cleanup are started while a migration runs",
        needs: Needs::Nothing,
        short: false,
        act: Act::Own(second),
    },
    Fault {
        name: "env-edited",
        what: "somebody edits .env while a migration runs",
        needs: Needs::Nothing,
        short: false,
        act: Act::Own(edited),
    },
];

/// The database that is written to.
const WRITTEN: &str = "labeler";

/// Every insert that was acknowledged must be on the target, and later in the old instance again.
fn writer(round: &mut Round<'_>) -> anyhow::Result<()> {
    // The rows are not those of the baseline any more.
    round.spoil();
    let server = round.arena.source(WRITTEN)?;
    let runner = round.arena.runner.clone();
    let make = Script::new("CREATE TABLE fault_writes (id bigint PRIMARY KEY);");
    server.execute(&runner, WRITTEN, &make, "make a table to write to")?;
    let enough = AtomicBool::new(false);
    let (ran, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&runner, &server, &enough));
        let ran = round.arena.xtask(&["migrate", "--yes"]);
        enough.store(true, Ordering::SeqCst);
        (ran, writer.join())
    });
    let (ran, written) = (
        ran?,
        written.map_err(|_| anyhow::anyhow!("the writer ended unexpectedly"))?,
    );
    let Written {
        acknowledged,
        refused,
    } = written;
    round.note(format!(
        "{} rows acknowledged, {refused} attempts refused",
        acknowledged.len()
    ));
    if !ran.is(Exit::Ok) {
        round.wrong(format!("a writer stopped the migration: {}", ran.said()));
    }
    if acknowledged.is_empty() || refused == 0 {
        round.wrong("the writer never wrote, or was never refused");
    }
    let target = round.arena.target();
    missing(round, &target, "target", &acknowledged)?;
    round.harmless();
    let back = round.arena.xtask(&["rollback", "--yes"])?;
    round.recovered(back.is(Exit::RolledBack));
    missing(round, &server, "old instance", &acknowledged)
}

struct Written {
    acknowledged: BTreeSet<i64>,
    refused: u64,
}

/// Inserts one row after the other, each in a transaction of its own, connecting again whenever it is cut off.
fn write(runner: &Runner, server: &Server, enough: &AtomicBool) -> Written {
    let mut written = Written {
        acknowledged: BTreeSet::new(),
        refused: 0,
    };
    let mut next = 1_i64;
    while !enough.load(Ordering::SeqCst) {
        let session = server.psql_session(WRITTEN, "write to the old instance");
        let Ok(mut psql) = runner.spawn(&session, None) else {
            break;
        };
        while !enough.load(Ordering::SeqCst) {
            let insert = format!("INSERT INTO fault_writes VALUES ({next}) RETURNING id;");
            let answer = psql.write_line(&insert).and_then(|()| psql.read_line());
            match answer {
                Ok(Some(id)) if id == next.to_string() => {
                    written.acknowledged.insert(next);
                }
                _ => {
                    written.refused += 1;
                    // It may have arrived, only the answer got lost: the number is not used again.
                    next += 1;
                    break;
                }
            }
            next += 1;
        }
        psql.finish(Duration::from_secs(5));
    }
    written
}

fn missing(
    round: &mut Round<'_>,
    server: &Server,
    place: &str,
    acknowledged: &BTreeSet<i64>,
) -> anyhow::Result<()> {
    let ask = Script::new("SELECT coalesce(json_agg(id), '[]') FROM fault_writes;");
    let found: BTreeSet<i64> = server.json(&round.arena.runner, WRITTEN, &ask, "read what was written")?;
    let missing = acknowledged.difference(&found).count();
    if missing > 0 {
        round.lost(
            missing as u64,
            format!("{missing} acknowledged rows are not in the {place}"),
        );
    }
    Ok(())
}

/// While the first waits in a call, nothing else may act.
fn second(round: &mut Round<'_>) -> anyhow::Result<()> {
    let mut others = Vec::new();
    let ran = round.migrate_and_at(When::Call("psql"), |arena| {
        for args in [["migrate", "--yes"], ["rollback", "--yes"], ["cleanup", "--yes"]] {
            others.push((args[0], arena.xtask(&args)?));
        }
        Ok(())
    })?;
    for (name, other) in others {
        if !other.is(Exit::Preconditions) {
            round.wrong(format!(
                "a second {name} ended with {:?}: {}",
                other.code,
                other.said()
            ));
        } else if !other.stderr.contains("is at work") {
            round.wrong(format!(
                "a second {name} does not say who is at work: {}",
                other.said()
            ));
        }
    }
    round.judge(&ran)?;
    round.recover()
}

/// An edit is never overwritten: the cutover refuses, or the rollback does.
fn edited(round: &mut Round<'_>) -> anyhow::Result<()> {
    let file = round.arena.env_file().to_owned();
    let before = round.arena.env.clone();
    let edit = [before.as_slice(), b"\n# mine\n"].concat();
    let restore = round.baseline.begun("restore")?;
    round.crash("migrate", restore)?;
    infra::files::write_shared(&file, &edit)?;
    let ran = round.arena.xtask(&["migrate", "--resume"])?;
    if ran.is(Exit::Ok) || round.arena.env_now()? != edit {
        round.wrong("an edit of .env was overwritten");
    }
    round.judge(&ran)?;
    let back = round.arena.xtask(&["rollback", "--yes"])?;
    if round.arena.env_now()? != edit {
        round.wrong("the rollback overwrote an edit of .env");
    }
    infra::files::write_shared(&file, &before)?;
    round.recovered(back.is(Exit::RolledBack));
    round.old_world()
}
