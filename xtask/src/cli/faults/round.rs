//! One round: provoke a fault, see what the tool makes of it, go on or go back, and look at every row.

use std::time::Duration;

use anyhow::Context as _;

use super::arena::{Arena, Ran};
use super::random::Random;
use super::space::Space;
use super::world::{Baseline, Wrong};
use crate::engine::JournalEvent;
use crate::model::{Exit, RunDir};

/// What the tool made of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stopped and said so.
    Detected,
    /// It went on, and everything is as it must be.
    Harmless,
    /// It claimed success, and something is not as it must be.
    Undetected,
}

/// What a round learned.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// `None`: the blow met nothing, for example a program that had ended already.
    pub(super) verdict: Option<Verdict>,
    /// Whether going on or going back ended well.
    pub(super) recovered: bool,
    /// What is not as it must be.
    pub(super) wrong: Wrong,
    /// Programs and servers that were killed.
    pub(super) kills: usize,
    /// From the blow to the end of the command that noticed it.
    pub(super) detect: Option<Duration>,
    /// How long going back took.
    pub(super) back: Option<Duration>,
    /// What was done, in words.
    pub(super) notes: Vec<String>,
    /// Whether the arena cannot serve another round.
    pub(super) spoiled: bool,
    /// A database whose old server was killed: PostgreSQL empties its unlogged tables.
    pub(super) emptied: Option<String>,
    /// Whether the tool said so.
    pub(super) told: bool,
}

/// A round that is under way.
pub(super) struct Round<'a> {
    pub(super) arena: &'a mut Arena,
    pub(super) baseline: &'a Baseline,
    pub(super) random: Random,
    /// How often this fault was provoked before.
    pub(super) turn: usize,
    pub(super) learned: Learned,
}

impl Round<'_> {
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.learned.notes.push(note.into());
    }

    pub(super) fn wrong(&mut self, what: impl Into<String>) {
        self.learned.wrong.add(what);
    }

    /// Rows that are not where they should be.
    pub(super) fn lost(&mut self, rows: u64, what: impl Into<String>) {
        self.learned.wrong.rows += rows;
        self.wrong(what);
    }

    /// The next round needs another arena.
    pub(super) fn spoil(&mut self) {
        self.learned.spoiled = true;
    }

    pub(super) fn recovered(&mut self, well: bool) {
        self.learned.recovered = well;
    }

    /// The command went on and ended well; what is wrong was found wrong by now.
    pub(super) fn harmless(&mut self) {
        self.learned.verdict = Some(match self.learned.wrong.is_empty() {
            true => Verdict::Harmless,
            false => Verdict::Undetected,
        });
    }

    /// Kills a command of this program after a line of its journal.
    pub(super) fn crash(&mut self, command: &str, line: usize) -> anyhow::Result<()> {
        let cmd = self
            .arena
            .cmd(&[command, "--yes"])
            .env("XTASK_CRASH_AFTER", line.to_string());
        let ran = self.arena.meet(cmd, &mut |_, _| false)?;
        if ran.code.is_some() {
            self.wrong(format!(
                "{command} did not reach line {line} of its journal: {}",
                ran.said()
            ));
        }
        self.learned.kills += 1;
        self.note(format!("killed after line {line}"));
        Ok(())
    }

    /// Kills a command after one of the next lines of its journal; `false` when it came to its end before.
    pub(super) fn kill_again(&mut self, args: &[&str], most: usize) -> anyhow::Result<bool> {
        let written = self.arena.run().map_or(0, |run| self.arena.lines(&run));
        let line = written + 1 + self.random.below(most);
        let cmd = self.arena.cmd(args).env("XTASK_CRASH_AFTER", line.to_string());
        let ran = self.arena.meet(cmd, &mut |_, _| false)?;
        if ran.code.is_none() {
            self.learned.kills += 1;
            self.note(format!("{} killed after line {line}", args[0]));
            return Ok(true);
        }
        // Nothing to do: the last kill came after the last line.
        let ends = [Exit::Ok, Exit::RolledBack, Exit::NothingToDo];
        if !ends.iter().any(|exit| ran.is(*exit)) {
            self.wrong(format!(
                "{} ended with {:?}: {}",
                args.join(" "),
                ran.code,
                ran.said()
            ));
        }
        Ok(false)
    }

    /// Sets the clock that this program sees.
    pub(super) fn clock(&mut self, at: Option<&'static str>) {
        self.arena.clock = at;
    }

    /// Runs a round in mounts of its own.
    pub(super) fn in_space(
        &mut self,
        mount: impl FnOnce(&Space) -> anyhow::Result<()>,
        act: impl FnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let space = Space::open(&self.arena.runner)?;
        mount(&space)?;
        self.arena.space = Some(space);
        let result = act(self);
        // What was written there is gone; what lies under it is as it was.
        self.arena.space = None;
        result
    }

    /// Judges how a migration ended that met the fault.
    pub(super) fn judge(&mut self, ran: &Ran) -> anyhow::Result<()> {
        self.learned.detect = self.learned.detect.or(ran.after_blow);
        if ran.is(Exit::Ok) {
            let run = self
                .arena
                .run()
                .context("a migration that succeeded left no run")?;
            let wrong = self.baseline.new_world(self.arena, &run)?;
            let right = wrong.is_empty();
            self.learned.wrong.take(wrong);
            self.learned.verdict = Some(if right {
                Verdict::Harmless
            } else {
                Verdict::Undetected
            });
            return Ok(());
        }
        self.learned.verdict = Some(Verdict::Detected);
        let honest = [Exit::Preconditions, Exit::Resumable, Exit::Interrupted];
        if ran.code.is_some() && !honest.iter().any(|exit| ran.is(*exit)) {
            self.wrong(format!("it ended with exit code {:?}: {}", ran.code, ran.said()));
        }
        if ran.code.is_none() {
            self.ask_who_is_open()?;
        }
        Ok(())
    }

    /// After a kill: a new migration must not begin as if nothing had happened.
    pub(super) fn ask_who_is_open(&mut self) -> anyhow::Result<()> {
        let Some(run) = self.open_run() else { return Ok(()) };
        let asked = self.arena.xtask(&["migrate", "--yes"])?;
        let finished = self.says(&run, |event| matches!(event, JournalEvent::RunFinished {}))?;
        let wanted = if finished {
            Exit::NothingToDo
        } else {
            Exit::Preconditions
        };
        if !asked.is(wanted) {
            let run = run.id;
            self.wrong(format!(
                "a new migration over run {run} ended with {:?}: {}",
                asked.code,
                asked.said()
            ));
        }
        self.learned.verdict = Some(Verdict::Detected);
        Ok(())
    }

    /// The run that acted last, unless it went back.
    fn open_run(&self) -> Option<RunDir> {
        let run = self.arena.run()?;
        let over = self.says(&run, |event| matches!(event, JournalEvent::RunRolledBack {}));
        let acted = self.says(&run, |event| matches!(event, JournalEvent::StepStarted { .. }));
        (acted.unwrap_or(true) && !over.unwrap_or(false)).then_some(run)
    }

    fn says(&self, run: &RunDir, what: impl Fn(&JournalEvent) -> bool) -> anyhow::Result<bool> {
        Ok(self.arena.events(run)?.iter().any(what))
    }

    /// Goes on or goes back, as the seed says; at the end the old world is in use, and was looked at.
    pub(super) fn recover(&mut self) -> anyhow::Result<()> {
        let Some(run) = self.open_run() else {
            self.note("nothing had begun");
            self.old_world()?;
            self.learned.recovered = self.learned.wrong.is_empty();
            return Ok(());
        };
        if self.random.below(5) < 3 {
            self.go_on(&run)?;
        }
        self.go_back()
    }

    /// Resumes, looks at every row, cleans up.
    pub(super) fn go_on(&mut self, run: &RunDir) -> anyhow::Result<()> {
        let finished = self.says(run, |event| matches!(event, JournalEvent::RunFinished {}))?;
        let ran = self.arena.xtask(&["migrate", "--resume"])?;
        let wanted = if finished { Exit::NothingToDo } else { Exit::Ok };
        if !ran.is(wanted) {
            self.wrong(format!(
                "the resumed run ended with {:?}: {}",
                ran.code,
                ran.said()
            ));
            return Ok(());
        }
        self.note("resumed");
        let wrong = self.baseline.new_world(self.arena, run)?;
        if !wrong.is_empty() {
            self.learned.verdict = Some(Verdict::Undetected);
        }
        self.learned.wrong.take(wrong);
        let cleaned = self.arena.xtask(&["cleanup", "--yes"])?;
        if !cleaned.is(Exit::Ok) && !cleaned.is(Exit::NothingToDo) {
            self.wrong(format!(
                "cleanup ended with {:?}: {}",
                cleaned.code,
                cleaned.said()
            ));
        }
        Ok(())
    }

    /// Goes back, and looks at every row.
    pub(super) fn go_back(&mut self) -> anyhow::Result<()> {
        let ran = self.arena.xtask(&["rollback", "--yes"])?;
        if !ran.is(Exit::RolledBack) && !ran.is(Exit::NothingToDo) {
            self.wrong(format!("the rollback ended with {:?}: {}", ran.code, ran.said()));
        }
        if ran.is(Exit::RolledBack) {
            self.learned.back = Some(ran.took);
        }
        self.note("went back");
        if ran.stderr.contains("unlogged tables") {
            self.learned.told = true;
        }
        self.old_world()?;
        self.learned.recovered = self.learned.wrong.is_empty();
        Ok(())
    }

    /// The old instances must be in use and hold everything.
    pub(super) fn old_world(&mut self) -> anyhow::Result<()> {
        let wrong = self
            .baseline
            .old_world(self.arena, self.learned.emptied.as_deref())?;
        if wrong.rows > 0 {
            self.learned.verdict = Some(Verdict::Undetected);
        }
        self.learned.wrong.take(wrong);
        Ok(())
    }
}
