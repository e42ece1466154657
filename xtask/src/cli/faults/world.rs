//! What must be true after a fault: which rows, where, and that nothing is left over.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use infra::postgres::manifest::{self, CompareOptions, DatabaseManifest, TableFacts, TableKind};
use infra::postgres::{Server, facts};
use infra::{Runner, wait};

use super::arena::Arena;
use crate::engine::JournalEvent;
use crate::model::backup::DatabaseBackup;
use crate::model::{Exit, RunDir};

/// How long programs of a killed run may take to end.
const MOMENT: Duration = Duration::from_secs(5);

/// Manifests by database.
type Manifests = BTreeMap<String, DatabaseManifest>;

/// What an uninterrupted migration and its rollback looked like.
pub(super) struct Baseline {
    /// What the old instances hold.
    pub(super) sources: Manifests,
    /// What the target holds afterwards.
    target: Manifests,
    /// `.env` afterwards.
    env: Vec<u8>,
    /// Events of the journal, those of the rollback last.
    pub(super) events: Vec<JournalEvent>,
    /// How many of them the migration wrote.
    pub(super) lines: usize,
    /// How often each client program was called by the migration.
    pub(super) calls: BTreeMap<String, usize>,
    /// How long the migration took.
    pub(super) migrate: Duration,
    /// How long the rollback took.
    pub(super) rollback: Duration,
}

/// What is not as it must be.
#[derive(Debug, Default)]
pub(super) struct Wrong {
    /// Rows that are missing, or are not what they were.
    pub(super) rows: u64,
    /// Everything, in words.
    pub(super) what: Vec<String>,
}

impl Wrong {
    pub(super) fn is_empty(&self) -> bool {
        self.what.is_empty()
    }

    pub(super) fn add(&mut self, what: impl Into<String>) {
        self.what.push(what.into());
    }

    pub(super) fn take(&mut self, other: Self) {
        self.rows += other.rows;
        self.what.extend(other.what);
    }

    /// Compares one database.
    fn compare(&mut self, place: &str, expected: &DatabaseManifest, found: &DatabaseManifest) {
        for difference in manifest::compare(expected, found, &CompareOptions::default()) {
            self.add(format!("{place}: {difference}"));
        }
        self.rows += lost(&expected.tables, &found.tables);
    }
}

/// Rows of `expected` that are not in `found`. Rows that changed count as one for each table: how many they are is not
/// known.
pub(super) fn lost(expected: &BTreeMap<String, TableFacts>, found: &BTreeMap<String, TableFacts>) -> u64 {
    let one = |(name, expected): (&String, &TableFacts)| match found.get(name) {
        None => expected.rows,
        Some(found) if found.rows < expected.rows => expected.rows - found.rows,
        Some(found) if found.rows == expected.rows && found.checksum != expected.checksum => 1,
        Some(_) => 0,
    };
    expected.iter().map(one).sum()
}

impl Baseline {
    /// Migrates and goes back once, undisturbed.
    pub(super) fn take(arena: &Arena) -> anyhow::Result<Self> {
        let sources = sources(arena)?;
        arena.stand_ins.arm(None).context("failed to count calls")?;
        let migrated = arena.xtask(&["migrate", "--yes"])?;
        ensure!(
            migrated.is(Exit::Ok),
            "an undisturbed migration failed:\n{}",
            migrated.stderr
        );
        let calls = arena.stand_ins.calls().context("failed to count calls")?;
        arena.stand_ins.disarm().context("failed to stop counting")?;
        let run = arena.run().context("the migration left no run")?;
        let lines = arena.lines(&run);
        let (target, env) = (targets(arena)?, arena.env_now()?);
        let went_back = arena.xtask(&["rollback", "--yes"])?;
        ensure!(
            went_back.is(Exit::RolledBack),
            "an undisturbed rollback failed:\n{}",
            went_back.stderr
        );
        let events = arena.events(&run)?;
        let baseline = Self {
            sources,
            target,
            env,
            events,
            lines,
            calls,
            migrate: migrated.took,
            rollback: went_back.took,
        };
        let wrong = baseline.old_world(arena, None)?;
        ensure!(wrong.is_empty(), "without any fault: {}", wrong.what.join("; "));
        Ok(baseline)
    }

    /// The number of the journal's line that says this, from 1.
    pub(super) fn line(&self, says: impl Fn(&JournalEvent) -> bool) -> anyhow::Result<usize> {
        let at = self.events.iter().position(says);
        at.map(|at| at + 1).context("the journal has no such line")
    }

    /// The line after which a step is done.
    pub(super) fn done(&self, id: &str) -> anyhow::Result<usize> {
        self.line(|event| matches!(event, JournalEvent::StepSucceeded { step, .. } if step == id))
    }

    /// The line after which a step acts.
    pub(super) fn begun(&self, id: &str) -> anyhow::Result<usize> {
        self.line(|event| matches!(event, JournalEvent::StepStarted { step } if step == id))
    }

    /// The old instances are in use, and hold what they held.
    /// The unlogged tables of `emptied` may be empty: its server was killed.
    pub(super) fn old_world(&self, arena: &Arena, emptied: Option<&str>) -> anyhow::Result<Wrong> {
        let mut wrong = Wrong::default();
        for (name, expected) in &self.sources {
            if !arena.source_cluster(name).is_running(&arena.runner)? {
                wrong.add(format!("the old instance of {name} does not run"));
                continue;
            }
            let found = collect(&arena.runner, &arena.source(name)?, name)?;
            if emptied == Some(name) {
                wrong.compare(
                    &format!("old {name}"),
                    &without_unlogged(expected),
                    &without_unlogged(&found),
                );
            } else {
                wrong.compare(&format!("old {name}"), expected, &found);
            }
        }
        if arena.target_cluster().is_running(&arena.runner)? {
            wrong.add("the target was left running");
        }
        if arena.env_now()? != arena.env {
            wrong.add(".env is not as it was");
        }
        wrong.take(left_over(arena)?);
        Ok(wrong)
    }

    /// The target is in use, and holds everything; so does the run's backup; the old instances are down.
    pub(super) fn new_world(&self, arena: &Arena, run: &RunDir) -> anyhow::Result<Wrong> {
        let mut wrong = Wrong::default();
        for (name, found) in targets(arena)? {
            wrong.compare(&format!("target {name}"), &self.target[&name], &found);
        }
        for (name, expected) in &self.sources {
            match DatabaseBackup::read(&run.backup(), name)? {
                Some(backup) => wrong.compare(&format!("backup of {name}"), expected, &backup.manifest),
                None => wrong.add(format!("the backup holds no {name}")),
            }
            if arena.source_cluster(name).is_running(&arena.runner)? {
                wrong.add(format!("the old instance of {name} runs"));
            }
        }
        if arena.env_now()? != self.env {
            wrong.add(".env is not what an undisturbed migration makes of it");
        }
        let server = arena.target();
        let names = facts::server(
            &arena.runner,
            &server,
            &arena.settings.target.maintenance_database,
        )?
        .databases;
        let before = format!("__before_{}", run.id);
        for name in names.keys() {
            if name.ends_with("__incoming") || name.ends_with(&before) {
                wrong.add(format!("database {name} is left"));
            }
        }
        wrong.take(left_over(arena)?);
        Ok(wrong)
    }
}

/// Without the rows that PostgreSQL does not keep over a crash.
fn without_unlogged(manifest: &DatabaseManifest) -> DatabaseManifest {
    let mut manifest = manifest.clone();
    manifest
        .tables
        .retain(|_, table| table.kind != TableKind::Unlogged);
    manifest
}

fn sources(arena: &Arena) -> anyhow::Result<Manifests> {
    let one = |name: &String| Ok((name.clone(), collect(&arena.runner, &arena.source(name)?, name)?));
    arena.databases().map(one).collect()
}

fn targets(arena: &Arena) -> anyhow::Result<Manifests> {
    let one = |name: &String| Ok((name.clone(), collect(&arena.runner, &arena.target(), name)?));
    arena.databases().map(one).collect()
}

/// What a database holds.
pub(super) fn collect(runner: &Runner, server: &Server, name: &str) -> anyhow::Result<DatabaseManifest> {
    Ok(manifest::collect(runner, server, name, None, 1, &|_| {})?)
}

/// Files and programs that only a run in progress needs.
fn left_over(arena: &Arena) -> anyhow::Result<Wrong> {
    let mut wrong = Wrong::default();
    if let Some(run) = arena.run() {
        let folders = [
            run.path().to_owned(),
            run.path().join("state"),
            run.path().join("env"),
            run.backup(),
        ];
        let env = arena.env_file().parent().map(Path::to_owned);
        for folder in folders.into_iter().chain(env) {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with(infra::files::TEMPORARY)
                    || name.starts_with(".env.") && name.ends_with(".tmp")
                {
                    wrong.add(format!("{} is left in {}", name, folder.display()));
                }
            }
        }
        for name in arena.databases() {
            let socket = crate::plan::socket_dir(run.id.as_str(), name);
            if socket.exists() {
                wrong.add(format!("{} is left", socket.display()));
            }
        }
    }
    // A program whose session was ended takes a moment to notice.
    let gone = || programs_of(arena.home()).is_empty().then_some(());
    if wait::until(arena.runner.interrupt(), MOMENT, gone).is_err() {
        for line in programs_of(arena.home()) {
            wrong.add(format!("a program is left running: {line}"));
        }
    }
    Ok(wrong)
}

/// Programs that work in this folder, but for servers of PostgreSQL and Redis: the arena's own. Only Linux tells.
fn programs_of(home: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let folder = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let program = std::fs::read_link(entry.path().join("exe")).unwrap_or_default();
        let program = program
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let ours = folder.starts_with(home) || line.contains(&*home.to_string_lossy());
        if ours && !line.is_empty() && program != "postgres" && !program.starts_with("redis") {
            found.push(line.trim_end().to_owned());
        }
    }
    found
}
