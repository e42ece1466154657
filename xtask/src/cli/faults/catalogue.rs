//! Every fault, as data: one file for each family.

mod archives;
pub(super) mod changes;
mod clock;
mod disks;
mod kills;
mod meanwhile;
mod plain;

use super::round::Round;

pub(super) use archives::Place;

/// One fault.
pub(super) struct Fault {
    /// How `--only` calls it.
    pub(super) name: &'static str,
    /// What happens, in words.
    pub(super) what: &'static str,
    /// What it needs of this machine.
    pub(super) needs: Needs,
    /// Whether the short form of `cargo xtask ci` has it.
    pub(super) short: bool,
    /// How it is provoked, and what must come of it.
    pub(super) act: Act,
}

/// What a fault needs beside a Unix system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing.
    Nothing,
    /// Mounts: root on Linux.
    Mounts,
}

/// How a fault is provoked.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// A command is struck.
    Strike(During, When, Blow),
    /// The backup of a run that was killed after it is damaged.
    Damage(Damage),
    /// A plain dump is damaged before it is restored.
    Plain(PlainDamage),
    /// What needs words of its own.
    Own(fn(&mut Round<'_>) -> anyhow::Result<()>),
}

/// The command that is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum During {
    /// A migration.
    Migrate,
    /// `migrate --resume`, of a run that was killed somewhere before.
    Resume,
    /// A rollback.
    Rollback,
}

/// When it is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// After a line of its journal; each in turn.
    Line,
    /// At any time.
    Moment,
    /// At a call of this program; any of them.
    Call(&'static str),
    /// At one of the later half of its calls: pg_restore first reads archives back, and then restores.
    LateCall(&'static str),
}

/// With what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blow {
    /// SIGKILL to this program.
    KillTool,
    /// Ctrl-C.
    Interrupt,
    /// SIGKILL to the program that was called, up to this many milliseconds after it began.
    KillProgram(usize),
    /// SIGKILL to a server that reads an old instance, up to this many milliseconds after the call began.
    KillSource(usize),
    /// SIGKILL to the new instance, likewise.
    KillTarget(usize),
}

/// Damages a backup's folder; the answer is what it did.
pub(super) type Damage = fn(&Place<'_>) -> anyhow::Result<String>;

/// Damages the bytes of a plain dump.
pub(super) type PlainDamage = fn(&[u8]) -> Vec<u8>;

/// All of them, in the order in which they are provoked.
pub(super) fn all() -> Vec<Fault> {
    let families = kills::FAULTS
        .into_iter()
        .chain(archives::FAULTS)
        .chain(plain::FAULTS);
    families
        .chain(disks::FAULTS)
        .chain(meanwhile::FAULTS)
        .chain(clock::FAULTS)
        .collect()
}
