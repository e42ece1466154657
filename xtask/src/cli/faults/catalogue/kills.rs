//! Kills and Ctrl-C: of this program, of the programs it calls, of the servers.

use anyhow::Context as _;
use infra::postgres::{Script, quote};

use super::{Act, Blow, During, Fault, Needs, When};
use crate::cli::faults::round::Round;
use crate::engine::JournalEvent;

const fn kill(
    name: &'static str,
    what: &'static str,
    short: bool,
    during: During,
    when: When,
    blow: Blow,
) -> Fault {
    Fault {
        name,
        what,
        needs: Needs::Nothing,
        short,
        act: Act::Strike(during, when, blow),
    }
}

pub(super) const FAULTS: [Fault; 16] = [
    kill(
        "kill-line",
        "kill -9 after a line of the journal, each in turn",
        false,
        During::Migrate,
        When::Line,
        Blow::KillTool,
    ),
    kill(
        "kill-moment",
        "kill -9 of a migration at any moment",
        false,
        During::Migrate,
        When::Moment,
        Blow::KillTool,
    ),
    kill(
        "kill-call",
        "kill -9 of a migration while it waits for a call of psql",
        false,
        During::Migrate,
        When::Call("psql"),
        Blow::KillTool,
    ),
    kill(
        "kill-resume",
        "kill -9, and kill -9 again while it is resumed",
        true,
        During::Resume,
        When::Line,
        Blow::KillTool,
    ),
    kill(
        "kill-rollback",
        "kill -9 of a rollback after a line of the journal",
        true,
        During::Rollback,
        When::Line,
        Blow::KillTool,
    ),
    kill(
        "kill-rollback-moment",
        "kill -9 of a rollback at any moment",
        false,
        During::Rollback,
        When::Moment,
        Blow::KillTool,
    ),
    kill(
        "kill-pg_dump",
        "kill -9 of pg_dump",
        true,
        During::Migrate,
        When::Call("pg_dump"),
        Blow::KillProgram(120),
    ),
    kill(
        "kill-pg_restore",
        "kill -9 of pg_restore, reading back or restoring",
        false,
        During::Migrate,
        When::Call("pg_restore"),
        Blow::KillProgram(200),
    ),
    kill(
        "kill-psql",
        "kill -9 of psql, whatever it is asked",
        false,
        During::Migrate,
        When::Call("psql"),
        Blow::KillProgram(20),
    ),
    kill(
        "kill-source",
        "kill -9 of the server that reads an old instance, while it is dumped",
        false,
        During::Migrate,
        When::Call("pg_dump"),
        Blow::KillSource(150),
    ),
    kill(
        "kill-target",
        "kill -9 of the new instance, while it is restored to",
        false,
        During::Migrate,
        When::LateCall("pg_restore"),
        Blow::KillTarget(300),
    ),
    kill(
        "interrupt",
        "Ctrl-C after a line of the journal, each in turn",
        false,
        During::Migrate,
        When::Line,
        Blow::Interrupt,
    ),
    kill(
        "interrupt-rollback",
        "Ctrl-C while it goes back",
        false,
        During::Rollback,
        When::Moment,
        Blow::Interrupt,
    ),
    Fault {
        name: "kill-storm",
        what: "kill -9 again and again, after lines of the journal: of a migration, of what resumes it, of the rollback",
        needs: Needs::Nothing,
        short: false,
        act: Act::Own(storm),
    },
    Fault {
        name: "kill-last-undo",
        what: "kill -9 of a rollback after everything is undone, before the line that says so",
        needs: Needs::Nothing,
        short: false,
        act: Act::Own(last_undo),
    },
    Fault {
        name: "kill-renamed",
        what: "kill -9 between the renames of the swap and what follows them",
        needs: Needs::Nothing,
        short: false,
        act: Act::Own(renamed),
    },
];

/// How often each is killed before it may end.
const STORM: usize = 4;

fn storm(round: &mut Round<'_>) -> anyhow::Result<()> {
    let line = 2 + round.random.below(round.baseline.lines / 2);
    round.crash("migrate", line)?;
    round.ask_who_is_open()?;
    let mut finished = false;
    for _ in 0..STORM {
        // A resumed run writes that it goes on, and two lines for each step that is left.
        finished = finished || !round.kill_again(&["migrate", "--resume"], 8)?;
    }
    if !finished {
        let run = round.arena.run().context("the migration left no run")?;
        round.go_on(&run)?;
    }
    let mut back = false;
    for _ in 0..STORM {
        back = back || !round.kill_again(&["rollback", "--yes"], 12)?;
    }
    round.go_back()
}

fn last_undo(round: &mut Round<'_>) -> anyhow::Result<()> {
    let line = 2 + round.random.below(round.baseline.lines - 2);
    round.crash("migrate", line)?;
    // Two lines for each step that began.
    let run = round.arena.run().context("the migration left no run")?;
    let began = |event: &&JournalEvent| matches!(event, JournalEvent::StepStarted { .. });
    let begun = round.arena.events(&run)?.iter().filter(began).count();
    round.crash("rollback", line + 2 * begun)?;
    round.ask_who_is_open()?;
    round.go_back()
}

/// No line of the journal lies there, so the renames are made by hand.
fn renamed(round: &mut Round<'_>) -> anyhow::Result<()> {
    round.crash("migrate", round.baseline.begun("swap")?)?;
    let run = round
        .arena
        .run()
        .map(|run| run.id.to_string())
        .unwrap_or_default();
    let rename = |name: &str, to: String| {
        format!(
            "ALTER DATABASE {} RENAME TO {};\n",
            quote::ident(name),
            quote::ident(&to)
        )
    };
    let sql: String = round
        .arena
        .databases()
        .map(|name| {
            rename(name, format!("{name}__before_{run}"))
                + &rename(&format!("{name}__incoming"), name.clone())
        })
        .collect();
    let maintenance = &round.arena.settings.target.maintenance_database;
    let script = Script::new(format!("BEGIN;\n{sql}COMMIT;"));
    round
        .arena
        .target()
        .execute(&round.arena.runner, maintenance, &script, "rename by hand")?;
    round.ask_who_is_open()?;
    round.recover()
}
