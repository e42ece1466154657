//! `cargo xtask faults`: everything that can go wrong is made to go wrong, and every row is looked at afterwards.
//!
//! Each round provokes one fault in a prepared rehearsal through this very program, resumes or goes back as the seed
//! says, and compares every table with what an undisturbed run left. The faults are data: [`catalogue`].

mod arena;
mod catalogue;
mod damage;
mod random;
mod round;
mod space;
mod stand_in;
mod stock;
mod strike;
mod tally;
mod world;

use std::time::Instant;

use anyhow::Context as _;
use infra::{Interrupt, Runner};

use super::output::{out, out_line};
use super::{Ending, Global, context};
use crate::model::{Exit, RunId, time};
use crate::report::Terminal;

use arena::Arena;
use catalogue::{Act, Fault, Needs};
use random::Random;
use round::{Learned, Round, Verdict};
use space::Space;
use tally::Tally;
use world::Baseline;

/// Faults: provoke them in throw-away rehearsals, and count what was detected, recovered and lost
///
/// Kills, Ctrl-C, full disks, damaged backups, writers, clocks. Each round provokes one, resumes or goes back, and
/// compares every table. Ends with 0 only when no row was lost, nothing stayed undetected, and every round ended as an
/// undisturbed one; the table on standard output is Markdown.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct FaultsArgs {
    /// How many rounds; the faults take turns. Without it, one round for each
    #[arg(long, value_name = "N")]
    runs: Option<usize>,
    /// Where places and moments come from: the same seed, the same faults
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Only these faults (see --list)
    #[arg(long, value_name = "FAULT", value_delimiter = ',')]
    only: Vec<String>,
    /// The few that `cargo xtask ci` provokes
    #[arg(long, conflicts_with = "only")]
    short: bool,
    /// List the faults and do nothing
    #[arg(long)]
    list: bool,
    /// Give damages to the stock commands and to this tool, and print what each makes of them, side by side
    #[arg(long, conflicts_with_all = ["only", "short", "runs"])]
    stock: bool,
    /// Keep the folder of a round that went wrong
    #[arg(long)]
    keep: bool,
}

/// Runs the command.
pub(crate) fn cmd_faults(global: &Global, args: &FaultsArgs) -> anyhow::Result<Exit> {
    let all = catalogue::all();
    if args.list {
        for fault in &all {
            out_line(format_args!("{:<22} {}", fault.name, fault.what))?;
        }
        return Ok(Exit::Ok);
    }
    if !cfg!(unix) {
        return Err(Ending::new(
            Exit::Preconditions,
            "faults are provoked with signals, which only Unix has",
        )
        .into());
    }
    if let Some(unknown) = args
        .only
        .iter()
        .find(|name| all.iter().all(|fault| fault.name != **name))
    {
        let ending = Ending::new(Exit::Usage, format!("--only {unknown}: no such fault"));
        return Err(ending.hint("cargo xtask faults --list").into());
    }
    let interrupt = Interrupt::install()?;
    let terminal = context::terminal(global);
    let wanted = |fault: &Fault| {
        (args.only.is_empty() || args.only.iter().any(|name| name == fault.name))
            && (!args.short || fault.short)
    };
    let (mut faults, mut left_out): (Vec<Fault>, Vec<Fault>) = (Vec::new(), Vec::new());
    let mounts = Space::possible(&Runner::new(interrupt.clone()));
    for fault in all.into_iter().filter(wanted) {
        let possible = fault.needs == Needs::Nothing || mounts.is_ok();
        if possible { &mut faults } else { &mut left_out }.push(fault);
    }
    if let Err(why) = &mounts {
        for fault in &left_out {
            let mark = terminal.paint("NOT CHECKED", "33;1");
            terminal.line(&format!("{mark}  {}: {why}", fault.what));
        }
    }
    let suite = Suite {
        interrupt,
        terminal,
        args,
        workspace: context::workspace(global)?,
    };
    if args.stock {
        out(stock::table(&suite.arena()?)?)?;
        return Ok(Exit::Ok);
    }
    let tally = suite.run(&faults)?;
    out(tally.markdown())?;
    suite
        .terminal
        .line(&format!("{} programs and servers were killed", tally.kills));
    if suite.interrupt.is_set() {
        return Err(Ending::new(
            Exit::Interrupted,
            "interrupted; the table tells of the rounds before",
        )
        .into());
    }
    if tally.is_well() {
        return Ok(Exit::Ok);
    }
    Err(Ending::new(Exit::Findings, "a fault was not met as it must be").into())
}

struct Suite<'a> {
    interrupt: Interrupt,
    terminal: Terminal,
    args: &'a FaultsArgs,
    workspace: crate::config::Workspace,
}

impl Suite<'_> {
    fn run<'a>(&self, faults: &'a [Fault]) -> anyhow::Result<Tally<'a>> {
        let mut tally = Tally::new(faults);
        let rounds = self.args.runs.unwrap_or(faults.len());
        let mut stage = None;
        for (number, fault) in (0..rounds).zip(faults.iter().cycle()) {
            if stage.is_none() {
                stage = Some(self.stage()?);
            }
            let Some((arena, baseline)) = &mut stage else {
                continue;
            };
            let started = Instant::now();
            let mut round = Round {
                arena,
                baseline,
                random: Random::of_round(self.args.seed, number),
                turn: tally.turns(fault.name),
                learned: Learned::default(),
            };
            let done = provoke(&mut round, fault);
            let mut learned = round.learned;
            if self.interrupt.is_set() {
                break;
            }
            if let Err(error) = done {
                // What cannot be told is not well.
                learned.wrong.add(format!("{error:#}"));
                learned.verdict = learned.verdict.or(Some(Verdict::Undetected));
                learned.recovered = false;
            }
            self.tell(number, rounds, fault, &learned, started);
            tally.add(fault.name, &learned);
            if !learned.wrong.is_empty() && self.args.keep {
                arena.keep();
                self.terminal
                    .line(&format!("      kept: {}", arena.home().display()));
            }
            if learned.spoiled || !learned.wrong.is_empty() {
                stage = None;
            }
        }
        Ok(tally)
    }

    /// A fresh arena, and what an undisturbed run in it looks like.
    fn stage(&self) -> anyhow::Result<(Arena, Baseline)> {
        let arena = self.arena()?;
        let baseline = Baseline::take(&arena)?;
        Ok((arena, baseline))
    }

    fn arena(&self) -> anyhow::Result<Arena> {
        let target = self.workspace.root().join("target");
        let home = target.join("faults").join(RunId::new().as_str());
        let cache = target.join("rehearsal").join("cache");
        Arena::make(&self.interrupt, &home, &cache).context("failed to prepare a rehearsal")
    }

    fn tell(&self, number: usize, of: usize, fault: &Fault, learned: &Learned, started: Instant) {
        let verdict = match learned.verdict {
            None => "met nothing",
            Some(Verdict::Detected) => "detected",
            Some(Verdict::Harmless) => "harmless",
            Some(Verdict::Undetected) => "UNDETECTED",
        };
        let took = time::seconds(started.elapsed().as_secs_f64());
        let notes = learned.notes.join(", ");
        let number = number + 1;
        self.terminal.line(&format!(
            "{number:>4}/{of}  {}: {verdict}; {notes}  ({took})",
            fault.name
        ));
        for wrong in &learned.wrong.what {
            let mark = self.terminal.paint("WRONG", "31;1");
            self.terminal.line(&format!("      {mark}  {wrong}"));
        }
    }
}

fn provoke(round: &mut Round<'_>, fault: &Fault) -> anyhow::Result<()> {
    match fault.act {
        Act::Strike(during, when, blow) => round.strike(during, when, blow),
        Act::Damage(damage) => round.damage(damage),
        Act::Plain(damage) => round.damage_plain(damage),
        Act::Own(act) => act(round),
    }
}
