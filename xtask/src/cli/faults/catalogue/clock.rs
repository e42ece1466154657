//! The clock: a run that spans midnight, and one that begins before its predecessor because the clock was put back.

use super::{Act, Fault, Needs};
use crate::cli::faults::round::Round;
use crate::model::Exit;

pub(super) const FAULTS: [Fault; 2] = [
    Fault {
        name: "midnight",
        what: "a run that is killed before midnight goes on the next day",
        needs: Needs::Nothing,
        short: false,
        act: Act::Own(midnight),
    },
    Fault {
        name: "clock-back",
        what: "the clock is put back by a day between two runs",
        needs: Needs::Nothing,
        short: false,
        act: Act::Own(put_back),
    },
];

fn midnight(round: &mut Round<'_>) -> anyhow::Result<()> {
    round.clock(Some("2031-12-31T23:59:58Z"));
    let line = 2 + round.random.below(round.baseline.lines - 2);
    round.crash("migrate", line)?;
    round.clock(Some("2032-01-01T00:00:01Z"));
    round.ask_who_is_open()?;
    let ran = round.recover();
    // Runs of the future would be the newest for ever.
    round.spoil();
    round.clock(None);
    ran
}

/// The second run has a smaller name than the first. It is the newest all the same.
fn put_back(round: &mut Round<'_>) -> anyhow::Result<()> {
    round.clock(Some("2032-01-02T00:00:00Z"));
    let first = round.arena.xtask(&["migrate", "--yes"])?;
    let back = round.arena.xtask(&["rollback", "--yes"])?;
    if !first.is(Exit::Ok) || !back.is(Exit::RolledBack) {
        round.wrong(format!("the first run failed: {}{}", first.said(), back.said()));
    }
    round.clock(Some("2032-01-01T00:00:00Z"));
    let line = 2 + round.random.below(round.baseline.lines - 2);
    round.crash("migrate", line)?;
    round.ask_who_is_open()?;
    let ran = round.recover();
    round.spoil();
    round.clock(None);
    ran
}
