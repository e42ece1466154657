//! Everything a person wants to read of a run, gathered from its folder.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use backend_env::Document;
use infra::postgres::manifest::{DatabaseManifest, TableKind};

use super::documents::RunDocument;
use super::html::Tone;
use crate::engine::{Entry, JournalEvent};
use crate::model::backup::DatabaseBackup;
use crate::model::typed::typed;
use crate::model::{RunDir, secret_key};
use crate::plan::{Action, Plan};

/// A run for the HTML and the Markdown report.
pub struct RunReport<'a> {
    /// What `--json` says of it.
    pub document: &'a RunDocument,
    /// Whether every step was undone.
    pub rolled_back: bool,
    /// When it began, UTC.
    pub began: String,
    /// Seconds from its first to its last entry.
    pub seconds: f64,
    /// The steps with their place in time.
    pub bars: Vec<Bar>,
    /// The databases.
    pub databases: Vec<DatabaseReport>,
    /// The `.env` files: name and unified diff without values.
    pub env_files: Vec<(String, String)>,
}

/// A step as a bar.
pub struct Bar {
    /// Its id in the journal.
    pub id: String,
    /// What it does.
    pub title: String,
    /// Seconds after the run began.
    pub start: f64,
    /// Seconds it took.
    pub seconds: f64,
    /// `done`, `skipped`, `failed`, `pending` or `undone`.
    pub result: &'static str,
}

/// One database.
pub struct DatabaseReport {
    /// Its name.
    pub name: String,
    /// Bytes in the old instance.
    pub bytes: u64,
    /// Bytes of the archive.
    pub archive: u64,
    /// Its tables.
    pub tables: Vec<TableReport>,
}

/// One table on both sides.
pub struct TableReport {
    /// Its name with its schema.
    pub name: String,
    /// Bytes in the old instance.
    pub bytes: u64,
    /// Rows and checksum in the old instance.
    pub before: (u64, String),
    /// The same in the restored copy; absent until it was compared.
    pub after: Option<(u64, String)>,
    /// Why rows and checksum say nothing.
    pub not_counted: Option<String>,
    /// Whether its rows are those of its partitions.
    pub partitioned: bool,
}

impl TableReport {
    /// Whether both sides were seen and are the same.
    pub fn is_equal(&self) -> bool {
        self.not_counted.is_some() || self.after.as_ref() == Some(&self.before)
    }
}

impl DatabaseReport {
    /// How many of its tables say nothing by their rows, as unlogged ones.
    pub fn not_counted(&self) -> usize {
        let tables = self.tables.iter();
        tables.filter(|table| table.not_counted.is_some()).count()
    }

    /// How it compared: a class for its colour, and words.
    pub fn result(&self) -> (&'static str, String) {
        let compared = rows(self).1.is_some();
        match (compared, self.tables.iter().all(TableReport::is_equal)) {
            (false, _) => ("open", "not compared".to_owned()),
            (true, false) => ("differs", "differs".to_owned()),
            (true, true) => match self.not_counted() {
                0 => ("equal", "every table equal".to_owned()),
                left => ("equal", format!("equal, {left} not counted")),
            },
        }
    }
}

impl<'a> RunReport<'a> {
    /// Tables of all databases, and how many of them were not counted.
    pub fn tables(&self) -> (usize, usize) {
        let all = self.databases.iter().map(|database| database.tables.len()).sum();
        let left = self.databases.iter().map(DatabaseReport::not_counted).sum();
        (all, left)
    }

    /// Reads the run's folder.
    ///
    /// # Errors
    /// When a manifest is there and cannot be read.
    pub fn load(
        plan: &Plan,
        entries: &[Entry],
        run: &RunDir,
        document: &'a RunDocument,
    ) -> anyhow::Result<Self> {
        let times: Vec<SystemTime> = entries
            .iter()
            .filter_map(|e| humantime::parse_rfc3339(&e.at).ok())
            .collect();
        let first = times.first().copied().unwrap_or(SystemTime::UNIX_EPOCH);
        let last = times.last().copied().unwrap_or(first);
        let mut databases = Vec::new();
        for name in &plan.databases {
            if let Some(backup) = DatabaseBackup::read(&run.backup(), name)? {
                let restored: Option<DatabaseManifest> = run.load(&format!("restored-{name}"))?;
                databases.push(database(&backup, restored.as_ref()));
            }
        }
        Ok(Self {
            rolled_back: entries.iter().any(|e| e.event == JournalEvent::RunRolledBack {}),
            began: entries.first().map(|e| e.at.clone()).unwrap_or_default(),
            seconds: since(first, last),
            bars: bars(plan, entries, first, document),
            env_files: env_files(plan)?,
            databases,
            document,
        })
    }

    /// Seconds from the first fence to the application's answer: so long the application had no databases.
    pub fn without_databases(&self) -> f64 {
        let ran = || self.bars.iter().filter(|bar| bar.result != "pending");
        let first = ran().find(|bar| bar.id.starts_with("fence"));
        let answered = ran()
            .find(|bar| bar.id == "application")
            .or_else(|| ran().next_back());
        match (first, answered) {
            (Some(first), Some(last)) => (last.start + last.seconds - first.start).max(0.0),
            _ => 0.0,
        }
    }

    /// The outcome in one sentence, and how it looks.
    pub fn outcome(&self) -> (String, Tone) {
        if self.rolled_back {
            return (
                "Rolled back: the old instances are in use".to_owned(),
                Tone::Quiet,
            );
        }
        if self.document.verified {
            let tables = self.databases.iter().flat_map(|d| &d.tables);
            let equal = tables.filter(|t| t.not_counted.is_none() && t.is_equal()).count();
            let equal = match equal {
                1 => "one table".to_owned(),
                _ => format!("{equal} tables"),
            };
            let left = match self.tables().1 {
                0 => String::new(),
                left => format!(", {left} not counted"),
            };
            let text = format!("Done and checked: {equal} compared equal{left}");
            return (text, Tone::Good);
        }
        let failed = self.bars.iter().find(|bar| bar.result == "failed");
        let at = failed.map_or("before its first step", |bar| bar.title.as_str());
        (format!("Stopped at: {at}"), Tone::Bad)
    }
}

fn since(first: SystemTime, last: SystemTime) -> f64 {
    last.duration_since(first).unwrap_or(Duration::ZERO).as_secs_f64()
}

/// The last time each step was begun counts: a step that was resumed is shown where it went on.
fn bars(plan: &Plan, entries: &[Entry], first: SystemTime, document: &RunDocument) -> Vec<Bar> {
    let mut starts: BTreeMap<&str, f64> = BTreeMap::new();
    let mut lengths: BTreeMap<&str, f64> = BTreeMap::new();
    for entry in entries {
        let at = humantime::parse_rfc3339(&entry.at).map_or(0.0, |at| since(first, at));
        match &entry.event {
            JournalEvent::StepStarted { step } => {
                starts.insert(step, at);
            }
            JournalEvent::StepFailed { step, .. } => {
                let start = starts.get(step.as_str()).copied().unwrap_or(at);
                lengths.insert(step, at - start);
            }
            JournalEvent::StepSucceeded { step, seconds, .. } => {
                starts.entry(step).or_insert((at - seconds).max(0.0));
                lengths.insert(step, *seconds);
            }
            _ => {}
        }
    }
    let steps = plan.steps.iter().zip(&document.steps);
    steps
        .map(|(step, state)| Bar {
            id: step.id.clone(),
            title: step.title.clone(),
            start: starts.get(step.id.as_str()).copied().unwrap_or_default(),
            seconds: lengths.get(step.id.as_str()).copied().unwrap_or_default(),
            result: state.result,
        })
        .collect()
}

fn database(backup: &DatabaseBackup, restored: Option<&DatabaseManifest>) -> DatabaseReport {
    let tables = backup.manifest.tables.iter().map(|(name, before)| {
        let after = restored.and_then(|manifest| manifest.tables.get(name));
        TableReport {
            name: name.clone(),
            bytes: before.bytes,
            before: (before.rows, before.checksum.to_string()),
            after: after.map(|after| (after.rows, after.checksum.to_string())),
            not_counted: before.not_counted.clone(),
            partitioned: before.kind == TableKind::Partitioned,
        }
    });
    let mut tables: Vec<TableReport> = tables.collect();
    // What differs first, then the largest.
    tables.sort_by(|a, b| (a.is_equal(), b.bytes, &a.name).cmp(&(b.is_equal(), a.bytes, &b.name)));
    DatabaseReport {
        name: backup.name.clone(),
        bytes: backup.manifest.bytes,
        archive: backup.bytes(),
        tables,
    }
}

/// What the cutover changed, from the kept bytes to those there now.
fn env_files(plan: &Plan) -> anyhow::Result<Vec<(String, String)>> {
    let mut diffs = Vec::new();
    for step in &plan.steps {
        let Action::Cutover(cutover) = &step.action else {
            continue;
        };
        for env in cutover.files.iter().filter(|env| env.before.exists()) {
            let read = |path: &std::path::Path| {
                std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
            };
            let before = Document::parse(read(&env.before)?);
            let now = Document::parse(read(&env.path)?);
            diffs.push((
                env.path.display().to_string(),
                secret_key::difference(&before, &now).masked("before", "now"),
            ));
        }
    }
    Ok(diffs)
}

/// Writes `report.html` and `report.md` into the run's folder. Secrets are masked before anything is escaped.
///
/// # Errors
/// When the run cannot be read or the files cannot be written.
pub fn write_reports(
    plan: &Plan,
    entries: &[Entry],
    run: &RunDir,
    document: &RunDocument,
    redactor: &infra::secret::Redactor,
) -> anyhow::Result<()> {
    let report = RunReport::load(plan, entries, run, document)?;
    let redact = |text: &str| redactor.redact(text);
    for (name, text) in [
        ("report.html", super::html::page(&report, &redact)),
        ("report.md", super::markdown::page(&report, &redact)),
    ] {
        let path = run.path().join(name);
        infra::files::write_private(&path, text.as_bytes())
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

/// The rows of a database on both sides, each row once: a partitioned table's are its partitions'.
pub fn rows(database: &DatabaseReport) -> (u64, Option<u64>) {
    let own = || database.tables.iter().filter(|table| !table.partitioned);
    let before = own().map(|table| table.before.0).sum();
    let after = own().map(|table| table.after.as_ref().map(|after| after.0)).sum();
    (before, after)
}

/// The commands that go back and clean up.
pub fn commands(report: &RunReport<'_>) -> Vec<(&'static str, String)> {
    let mut commands = next(report);
    for (_, line) in &mut commands {
        *line = typed(line).into_owned();
    }
    commands
}

fn next(report: &RunReport<'_>) -> Vec<(&'static str, String)> {
    let run = &report.document.run;
    if report.rolled_back {
        return vec![("Migrate again", "cargo xtask migrate".to_owned())];
    }
    let back = ("Go back", format!("cargo xtask rollback {run}"));
    if report.document.verified {
        let clean = (
            "Clean up, when you are sure",
            format!("cargo xtask cleanup {run}"),
        );
        return vec![("Check again", "cargo xtask verify".to_owned()), back, clean];
    }
    vec![("Go on", format!("cargo xtask migrate --resume {run}")), back]
}
