//! `cargo xtask backup create`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::{ELSEWHERE, look};
use crate::cli::context::lock;
use crate::cli::output::out_line;
use crate::cli::{Context, Ending, Global, migrate, refuse};
use crate::config::{Access, Settings};
use crate::model::backup::DatabaseBackup;
use crate::model::{Exit, Finding, RunDir, RunId, time};
use crate::observe::Observed;
use crate::plan::action::{Backup, BackupDatabase};
use crate::plan::{self, Action, PlannedStep, charge};
use crate::steps::{Planned, Step};

/// Back up the databases where they are served now: on the old instances, or on the target after the cutover
///
/// Each archive is taken under one snapshot together with its manifest, and read back to its end.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct CreateArgs {
    /// Only these databases
    #[arg(long, value_name = "DB", value_delimiter = ',')]
    only: Vec<String>,
    /// Where to put it; without it, a folder of its own under .xtask/backups
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn create(global: &Global, args: &CreateArgs) -> anyhow::Result<Exit> {
    let mut context = Context::new(global)?;
    let _lock = lock(&context, "cargo xtask backup create")?;
    let seen = look(&mut context, &args.only);
    let settings = &context.loaded.settings;
    let id = RunId::new();
    let (mut databases, mut findings) = (Vec::new(), Vec::new());
    for name in settings.databases.keys().filter(|name| wanted(&args.only, name)) {
        let elsewhere = another_place(&seen, settings, name);
        if !elsewhere.is_empty() {
            findings.extend(elsewhere);
            continue;
        }
        match charge::in_charge(&seen, settings, name, id.as_str()) {
            Ok(charged) => databases.push(BackupDatabase {
                name: name.clone(),
                source_database: charged.database,
                reader: charged.instance,
                watched: false,
            }),
            // Another team's.
            Err(finding) if settings.databases[name].access == Access::ReadOnly && args.only.is_empty() => {
                context.terminal.line(&format!("left out: {}", finding.found));
            }
            Err(finding) => findings.push(*finding),
        }
    }
    for name in args
        .only
        .iter()
        .filter(|name| !settings.databases.contains_key(*name))
    {
        findings.extend(
            charge::in_charge(&seen, settings, name, "")
                .err()
                .map(|finding| *finding),
        );
    }
    if !findings.is_empty() {
        let there: Vec<&str> = databases.iter().map(|database| database.name.as_str()).collect();
        let ending = refuse(&findings);
        return Err(match there.is_empty() || !args.only.is_empty() {
            true => ending,
            // A backup that lacks a database is only made by somebody who says so.
            false => ending.hint(format!("cargo xtask backup create --only {}", there.join(","))),
        }
        .into());
    }
    if let Some(output) = &args.output {
        is_empty(output)?;
    }
    let run = RunDir::new(&context.workspace.backups(), id.clone());
    infra::files::private_dir(&run.logs())
        .with_context(|| format!("failed to make {}", run.logs().display()))?;
    let folder = match &args.output {
        Some(path) => std::path::absolute(path).context("failed to find the folder")?,
        None => run.path().to_owned(),
    };
    let document = match take(&context, &run, databases, folder.clone()) {
        Ok(document) => document,
        Err(error) => {
            forget(&run, &folder);
            return Err(error);
        }
    };
    if args.output.is_some() {
        infra::files::private_dir(&run.path().join("state")).context("failed to make a folder")?;
        run.save(ELSEWHERE, &folder)?;
    }
    if args.json {
        out_line(serde_json::to_string_pretty(&document)?)?;
    } else {
        out_line(document["path"].as_str().unwrap_or_default())?;
    }
    Ok(Exit::Ok)
}

/// Why the rows of the old instance that was found are not those that the application uses.
fn another_place(seen: &Observed, settings: &Settings, name: &str) -> Vec<Finding> {
    match charge::names_target(seen, settings, name) {
        Some(false) => plan::another_place(seen, settings, name, "cargo xtask backup create"),
        _ => Vec::new(),
    }
}

/// Removes what a backup that failed left, when no archive in it is whole: nobody could use it. Its logs are in the message.
fn forget(run: &RunDir, folder: &Path) {
    let whole = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
    let entries = || std::fs::read_dir(folder).into_iter().flatten().flatten();
    if entries().any(|entry| whole(&entry.path())) {
        return;
    }
    // What cannot be removed shows in `backup list` as not complete.
    if folder != run.path() {
        for entry in entries().filter(|entry| entry.path().is_dir()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let _ = std::fs::remove_dir_all(run.path());
}

/// Nothing that somebody keeps is written over.
fn is_empty(folder: &Path) -> anyhow::Result<()> {
    let first = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("failed to read {}", folder.display())),
    };
    let Some(_) = first else { return Ok(()) };
    let message = format!("{} is not empty; nothing was written", folder.display());
    let new = folder.join(format!("backup-{}", time::compact_now()));
    Err(Ending::new(Exit::Preconditions, message)
        .hint(format!(
            "cargo xtask backup create --output {}",
            infra::command::shell_path(&new)
        ))
        .into())
}

/// Takes a backup and says what it holds.
pub(in crate::cli) fn take(
    context: &Context,
    run: &RunDir,
    databases: Vec<BackupDatabase>,
    folder: PathBuf,
) -> anyhow::Result<serde_json::Value> {
    let names: Vec<String> = databases.iter().map(|d| d.name.clone()).collect();
    let step = PlannedStep {
        id: "backup".to_owned(),
        title: format!("back up {}", names.join(", ")),
        reason: String::new(),
        commands: Vec::new(),
        action: Action::Backup(Backup {
            databases,
            folder: folder.clone(),
            jobs: context.loaded.settings.limits.jobs(),
        }),
    };
    let world = migrate::world(context, run, "backup")?;
    let steps = Planned::all(std::slice::from_ref(&step));
    for step in &steps {
        step.apply(&world)
            .and_then(|_| step.verify(&world))
            .map_err(|failure| {
                let exit = if failure.interrupted {
                    Exit::Interrupted
                } else {
                    Exit::Preconditions
                };
                let message = format!("failed to {}: {}", step.title(), failure.message);
                let ending = Ending::new(exit, message.replacen(": failed to", ":", 1));
                failure.hints.into_iter().fold(ending, Ending::hint)
            })?;
    }
    for name in &names {
        let backup = DatabaseBackup::read(&folder, name)?.context("the backup vanished")?;
        context.terminal.line(&format!(
            "  {name}: {} rows in {} tables, {} of archive, read back",
            time::count(backup.manifest.rows()),
            backup.manifest.tables.len(),
            time::bytes(backup.bytes())
        ));
    }
    Ok(json!({ "schema_version": 1, "path": folder, "databases": names }))
}

fn wanted(only: &[String], name: &String) -> bool {
    only.is_empty() || only.contains(name)
}
