//! Strikes a command while it runs.

use std::time::Duration;

use anyhow::Context as _;
use infra::command::{Signal, send};
use infra::postgres::cluster::Cluster;

use super::arena::{Arena, Ran};
use super::catalogue::{Blow, During, When};
use super::round::{Round, Verdict};
use crate::engine::JournalEvent;
use crate::model::Exit;

/// The place of one blow, drawn from the seed.
enum At {
    Line(usize),
    After(Duration),
    Call(&'static str, usize),
}

/// One blow.
struct Aim {
    at: At,
    blow: Blow,
    /// How long the program may work after it was called.
    delay: Duration,
    /// The server that is killed.
    server: Cluster,
    /// Runs that were there before: the journal of a new one is meant.
    before: Option<usize>,
    /// When the place was reached.
    reached: Option<Duration>,
    struck: bool,
}

impl Round<'_> {
    /// Strikes, judges, recovers.
    pub(super) fn strike(&mut self, during: During, when: When, blow: Blow) -> anyhow::Result<()> {
        match during {
            During::Migrate => {}
            During::Resume => {
                let line = 2 + self.random.below(self.baseline.lines - 2);
                self.crash("migrate", line)?;
            }
            During::Rollback => self.begin_to_go_back()?,
        }
        let args: &[&str] = match during {
            During::Migrate => &["migrate", "--yes"],
            During::Resume => &["migrate", "--resume"],
            During::Rollback => &["rollback", "--yes"],
        };
        let aim = self.aim(during, when, blow)?;
        let (ran, struck) = self.meet(args, aim)?;
        let judged = match during {
            During::Rollback => self.judge_rollback(&ran),
            During::Migrate | During::Resume => self.judge_migration(&ran, blow),
        };
        if !struck {
            self.note("it was over by then");
            self.learned.verdict = None;
        }
        judged
    }

    /// Migrates; while a call of this program waits, something is done.
    pub(super) fn migrate_and_at(
        &mut self,
        when: When,
        mut act: impl FnMut(&Arena) -> anyhow::Result<()>,
    ) -> anyhow::Result<Ran> {
        if let At::Call(program, number) = self.place(During::Migrate, when) {
            self.note(format!("at call {number} of {program}"));
            self.arena.stand_ins.arm(Some((program, number)))?;
        }
        let arena = &*self.arena;
        let mut acted = Ok(());
        let ran = arena.meet(arena.cmd(&["migrate", "--yes"]), &mut |_, _| {
            if arena.stand_ins.waiting().is_none() {
                return false;
            }
            acted = act(arena);
            let _ = arena.stand_ins.release();
            true
        });
        self.arena.stand_ins.disarm()?;
        acted?;
        ran
    }

    fn judge_migration(&mut self, ran: &Ran, blow: Blow) -> anyhow::Result<()> {
        self.judge(ran)?;
        if blow == Blow::Interrupt && !ran.is(Exit::Interrupted) && !ran.is(Exit::Ok) {
            self.wrong(format!("Ctrl-C ended it with {:?}: {}", ran.code, ran.said()));
        }
        if self.learned.emptied.is_some() {
            return self.recover_from_a_crash_of_the_source();
        }
        self.recover()
    }

    /// PostgreSQL empties unlogged tables after a crash. Either the backup was complete by then, or the run must stop
    /// and say so; the other tables are all there.
    fn recover_from_a_crash_of_the_source(&mut self) -> anyhow::Result<()> {
        self.spoil();
        let run = self.arena.run().context("the migration left no run")?;
        if self.random.below(2) == 0 {
            let ran = self.arena.xtask(&["migrate", "--resume"])?;
            self.learned.told = ran.stderr.contains("unlogged tables");
            if ran.is(Exit::Ok) {
                let wrong = self.baseline.new_world(self.arena, &run)?;
                self.learned.wrong.take(wrong);
            } else if !ran.is(Exit::Resumable) || !self.learned.told {
                self.wrong(format!(
                    "the resumed run ended with {:?}: {}",
                    ran.code,
                    ran.said()
                ));
            }
            self.note("resumed");
        }
        self.go_back()?;
        if !self.learned.told {
            self.wrong("unlogged tables were emptied without a word");
            self.learned.recovered = false;
        }
        Ok(())
    }

    /// A rollback that was struck: run again, it ends as an undisturbed one.
    fn judge_rollback(&mut self, ran: &Ran) -> anyhow::Result<()> {
        self.learned.detect = ran.after_blow;
        let claims = ran.is(Exit::RolledBack) || ran.is(Exit::NothingToDo);
        let honest = [Exit::RollbackIncomplete, Exit::Interrupted, Exit::Preconditions];
        if !claims && ran.code.is_some() && !honest.iter().any(|exit| ran.is(*exit)) {
            self.wrong(format!("it ended with exit code {:?}: {}", ran.code, ran.said()));
        }
        self.learned.verdict = Some(if claims {
            Verdict::Harmless
        } else {
            Verdict::Detected
        });
        if claims {
            self.old_world()?;
        }
        if claims && !self.learned.wrong.is_empty() {
            self.learned.verdict = Some(Verdict::Undetected);
        }
        self.go_back()
    }

    /// A run to go back from: a whole one, or one that was killed somewhere.
    fn begin_to_go_back(&mut self) -> anyhow::Result<()> {
        if self.random.below(2) == 0 {
            let line = 2 + self.random.below(self.baseline.lines - 2);
            return self.crash("migrate", line);
        }
        let ran = self.arena.xtask(&["migrate", "--yes"])?;
        if !ran.is(Exit::Ok) {
            self.wrong(format!("a migration without any fault failed: {}", ran.said()));
        }
        Ok(())
    }

    fn aim(&mut self, during: During, when: When, blow: Blow) -> anyhow::Result<Aim> {
        let at = self.place(during, when);
        match &at {
            At::Line(line) => self.note(format!("at line {line}")),
            At::After(time) => self.note(format!("after {:.2} s", time.as_secs_f64())),
            At::Call(program, number) => {
                self.note(format!("at call {number} of {program}"));
                self.arena.stand_ins.arm(Some((program, *number)))?;
            }
        }
        let most = match blow {
            Blow::KillProgram(most) | Blow::KillSource(most) | Blow::KillTarget(most) => most,
            Blow::KillTool | Blow::Interrupt => 0,
        };
        let server = if matches!(blow, Blow::KillSource(_)) {
            let names: Vec<String> = self.arena.databases().cloned().collect();
            let name = self.random.pick(&names).context("there are no databases")?;
            self.note(format!("source {name}"));
            self.learned.emptied = Some(name.clone());
            self.arena.source_cluster(name)
        } else {
            self.arena.target_cluster()
        };
        Ok(Aim {
            at,
            blow,
            delay: Duration::from_millis(self.random.below(most) as u64),
            server,
            before: (during == During::Migrate).then(|| self.arena.runs().len()),
            reached: None,
            struck: false,
        })
    }

    fn place(&mut self, during: During, when: When) -> At {
        let (lines, random) = (self.baseline.lines, &mut self.random);
        let whole = match during {
            During::Migrate | During::Resume => self.baseline.migrate,
            During::Rollback => self.baseline.rollback,
        };
        let events = self.arena.run().and_then(|run| self.arena.events(&run).ok());
        let events = events.unwrap_or_default();
        match when {
            When::Moment => At::After(whole.mul_f64(random.fraction())),
            When::Call(program) | When::LateCall(program) => {
                let calls = self.baseline.calls.get(program).copied().unwrap_or(1);
                let early = if when == When::Call(program) { 0 } else { calls / 2 };
                At::Call(program, 1 + early + random.below(calls - early))
            }
            When::Line => At::Line(match during {
                During::Migrate => 1 + self.turn % lines,
                // First it says that it goes on; then follow the lines that were not yet written.
                During::Resume => events.len() + 1 + random.below(lines.saturating_sub(events.len()) + 1),
                // Two lines for each step that began, and the last one.
                During::Rollback => {
                    let began = |event: &&JournalEvent| matches!(event, JournalEvent::StepStarted { .. });
                    events.len() + 1 + random.below(2 * events.iter().filter(began).count() + 1)
                }
            }),
        }
    }

    /// Runs the command into the blow; tells whether it struck.
    fn meet(&mut self, args: &[&str], mut aim: Aim) -> anyhow::Result<(Ran, bool)> {
        let mut cmd = self.arena.cmd(args);
        if let (At::Line(line), Blow::KillTool) = (&aim.at, aim.blow) {
            // The journal strikes itself: exactly there, before the line has any effect.
            cmd = cmd.env("XTASK_CRASH_AFTER", line.to_string());
        }
        let arena = &*self.arena;
        let ran = arena.meet(cmd, &mut |pid, elapsed| aim.strike(arena, pid, elapsed));
        self.arena.stand_ins.disarm()?;
        let ran = ran?;
        let struck = aim.struck || aim.blow == Blow::KillTool && ran.code.is_none();
        self.learned.kills += usize::from(struck && aim.blow != Blow::Interrupt);
        Ok((ran, struck))
    }
}

impl Aim {
    /// Looks whether the place is reached, and strikes; `true` when there is nothing more to do.
    fn strike(&mut self, arena: &Arena, pid: u32, elapsed: Duration) -> bool {
        if matches!((&self.at, self.blow), (At::Line(_), Blow::KillTool)) {
            return false;
        }
        let Some(here) = self.here(arena, pid, elapsed) else {
            return false;
        };
        if !self.delay.is_zero() {
            // The program works meanwhile.
            let _ = arena.stand_ins.release();
            if elapsed < *self.reached.get_or_insert(elapsed) + self.delay {
                return false;
            }
        }
        self.struck = match self.blow {
            Blow::KillTool => send(pid, Signal::Kill),
            Blow::Interrupt => send(pid, Signal::Interrupt),
            Blow::KillProgram(_) => send(here, Signal::Kill),
            Blow::KillSource(_) | Blow::KillTarget(_) => Arena::kill_server(&self.server),
        };
        let _ = arena.stand_ins.release();
        true
    }

    /// The process that is at the place: this program, or the one that it called.
    fn here(&self, arena: &Arena, pid: u32, elapsed: Duration) -> Option<u32> {
        match self.at {
            At::Line(line) => {
                let runs = arena.runs();
                let fresh = self.before.is_none_or(|before| runs.len() > before);
                let written = runs.last().map_or(0, |run| arena.lines(run));
                (fresh && written >= line).then_some(pid)
            }
            At::After(time) => (elapsed >= time).then_some(pid),
            At::Call(..) => arena.stand_ins.waiting(),
        }
    }
}
