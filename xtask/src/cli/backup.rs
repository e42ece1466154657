//! `cargo xtask backup`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use infra::postgres::manifest::{self, CompareOptions, Difference};
use serde_json::json;

use super::context::lock;
use super::output::out_line;
use super::{Context, Ending, Global, plain, refuse};
use crate::model::backup::{BackupManifest, DatabaseBackup};
use crate::model::run_dir::read_json;
use crate::model::{Exit, RunDir, RunId, time};
use crate::observe::{self, Eyes, Observed};
use crate::plan::action::{Backup, BackupDatabase};
use crate::plan::{Action, PlannedStep, charge};
use crate::steps::{self, Planned, Step};

/// Sessions that compute one manifest.
const MANIFEST_WORKERS: usize = 2;

/// Backup: take one, list them, check one against its manifest or against a database
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    command: BackupCommand,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum BackupCommand {
    Create(CreateArgs),
    List(ListArgs),
    Verify(VerifyArgs),
}

/// Back up the databases where they are served now: on the old instances, or on the target after the cutover
///
/// Each archive is taken under one snapshot together with its manifest, and read back to its end.
#[derive(Debug, Clone, clap::Args)]
struct CreateArgs {
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

/// List the backups of this workspace, the oldest first
#[derive(Debug, Clone, clap::Args)]
struct ListArgs {
    /// Print one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Check a backup: its files against their SHA-256, every archive read to its end, or a database against it
///
/// Ends with 0 when everything is as the manifest says, with 3 when something differs, with 20 when it cannot be told.
/// A plain dump (.sql) is checked for its header, its footer, its line ends and what it needs to load.
#[derive(Debug, Clone, clap::Args)]
struct VerifyArgs {
    /// A backup's folder, the id of the run that took it, or a plain dump
    path: PathBuf,
    /// Compare this database, where it is served now, with its archive; a name that the settings do not know is
    /// looked for on the target
    #[arg(long, value_name = "DATABASE")]
    against: Option<String>,
    /// Which archive to compare with, when the database has another name
    #[arg(long, value_name = "DB", requires = "against")]
    database: Option<String>,
    /// Print one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn cmd_backup(global: &Global, args: &BackupArgs) -> anyhow::Result<Exit> {
    match &args.command {
        BackupCommand::Create(args) => create(global, args),
        BackupCommand::List(args) => list(global, args),
        BackupCommand::Verify(args) => verify(global, args),
    }
}

fn create(global: &Global, args: &CreateArgs) -> anyhow::Result<Exit> {
    let mut context = Context::new(global)?;
    let _lock = lock(&context, "cargo xtask backup create")?;
    let seen = look(&mut context, &args.only);
    let settings = &context.loaded.settings;
    let id = RunId::new();
    let (mut databases, mut findings) = (Vec::new(), Vec::new());
    for name in settings.databases.keys().filter(|name| wanted(&args.only, name)) {
        match charge::in_charge(&seen, settings, name, id.as_str()) {
            Ok(charged) => databases.push(BackupDatabase {
                name: name.clone(),
                source_database: charged.database,
                reader: charged.instance,
            }),
            // Left out of the team's migration, or asked for by name: then it must be there.
            Err(finding) if settings.databases[name].required || !args.only.is_empty() => {
                findings.push(*finding)
            }
            Err(finding) => context.terminal.line(&format!("left out: {}", finding.found)),
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
        return Err(refuse(&findings).into());
    }
    let run = RunDir::new(&context.workspace.backups(), id.clone());
    infra::files::private_dir(&run.logs())
        .with_context(|| format!("failed to make {}", run.logs().display()))?;
    let folder = match &args.output {
        Some(path) => std::path::absolute(path).context("failed to find the folder")?,
        None => run.path().to_owned(),
    };
    let document = take(&context, &run, databases, folder)?;
    if args.json {
        out_line(serde_json::to_string_pretty(&document)?)?;
    } else {
        out_line(document["path"].as_str().unwrap_or_default())?;
    }
    Ok(Exit::Ok)
}

/// Takes a backup and says what it holds.
pub(super) fn take(
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
    let world = super::migrate::world(context, run, "backup")?;
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
        let rows: u64 = backup.manifest.tables.values().map(|table| table.rows).sum();
        context.terminal.line(&format!(
            "  {name}: {} rows in {} tables, {} of archive, read back",
            time::count(rows),
            backup.manifest.tables.len(),
            time::bytes(backup.bytes())
        ));
    }
    Ok(json!({ "schema_version": 1, "path": folder, "databases": names }))
}

fn list(global: &Global, args: &ListArgs) -> anyhow::Result<Exit> {
    let context = Context::new(global)?;
    let mut folders: Vec<(String, PathBuf)> = Vec::new();
    for run in RunDir::all(&context.workspace.runs()) {
        folders.push((run.id.to_string(), run.backup()));
        // Backups of the target, taken before going back.
        let inside = std::fs::read_dir(run.path()).into_iter().flatten().flatten();
        let before =
            inside.filter(|entry| entry.file_name().to_string_lossy().starts_with("before-rollback"));
        folders.extend(before.map(|entry| (run.id.to_string(), entry.path())));
    }
    let own = std::fs::read_dir(context.workspace.backups())
        .into_iter()
        .flatten()
        .flatten();
    folders.extend(own.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())));
    folders.sort();
    let mut documents = Vec::new();
    for (id, folder) in folders.into_iter().filter(|(_, folder)| folder.is_dir()) {
        let document = describe(&id, &folder)?;
        if !args.json {
            out_line(line(&document))?;
        }
        documents.push(document);
    }
    if args.json {
        let document = json!({ "schema_version": 1, "backups": documents });
        out_line(serde_json::to_string_pretty(&document)?)?;
    } else if documents.is_empty() {
        out_line("no backups yet")?;
    }
    Ok(Exit::Ok)
}

fn describe(id: &str, folder: &Path) -> anyhow::Result<serde_json::Value> {
    let manifest = BackupManifest::read(folder)?;
    let mut databases = Vec::new();
    for name in manifest.iter().flat_map(|manifest| manifest.databases.keys()) {
        let Some(backup) = DatabaseBackup::read(folder, name)? else {
            continue;
        };
        let rows: u64 = backup.manifest.tables.values().map(|table| table.rows).sum();
        databases.push(json!({ "name": name, "rows": rows, "bytes": backup.bytes() }));
    }
    Ok(json!({
        "id": id,
        "path": folder,
        "complete": manifest.is_some(),
        "created_at": manifest.map(|manifest| manifest.created_at),
        "databases": databases,
    }))
}

fn line(document: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let databases: Vec<String> = document["databases"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|database| {
            format!(
                "{} ({} rows, {})",
                text(&database["name"]),
                time::count(database["rows"].as_u64().unwrap_or_default()),
                time::bytes(database["bytes"].as_u64().unwrap_or_default())
            )
        })
        .collect();
    let what = if document["complete"] == true {
        databases.join(", ")
    } else {
        "not complete: do not use it".to_owned()
    };
    format!(
        "{}  {what}\n    {}",
        text(&document["id"]),
        text(&document["path"])
    )
}

fn verify(global: &Global, args: &VerifyArgs) -> anyhow::Result<Exit> {
    let mut context = Context::new(global)?;
    let path = locate(&context, &args.path)?;
    let differences = if path.is_file() {
        if args.against.is_some() {
            return Err(Ending::new(
                Exit::Usage,
                "a plain dump has no manifest; it cannot be compared with a database",
            )
            .into());
        }
        let dump = plain::read(&path)?;
        context.terminal.line(&plain::describe(&dump));
        plain::damages(&dump)
    } else {
        let mut differences = intact(&context, &path)?;
        if let (Some(database), true) = (&args.against, differences.is_empty()) {
            let found = against(&mut context, &path, database, args.database.as_deref())?;
            differences.extend(found.iter().map(ToString::to_string));
        }
        differences
    };
    let equal = differences.is_empty();
    if args.json {
        let document = json!({
            "schema_version": 1,
            "path": path,
            "against": args.against,
            "equal": equal,
            "differences": differences,
        });
        out_line(serde_json::to_string_pretty(&document)?)?;
    } else {
        for difference in &differences {
            out_line(difference)?;
        }
    }
    if equal {
        context.terminal.line(match &args.against {
            Some(_) => "no difference: the database holds exactly what the backup holds",
            None => "intact",
        });
        return Ok(Exit::Ok);
    }
    let noun = if differences.len() == 1 {
        "difference"
    } else {
        "differences"
    };
    context.terminal.line(&format!("{} {noun}", differences.len()));
    Ok(Exit::Findings)
}

/// A folder, a file, or the id of a run or a backup.
pub(super) fn locate(context: &Context, path: &Path) -> anyhow::Result<PathBuf> {
    let id = path.to_str().and_then(RunId::parse);
    let named = id.into_iter().flat_map(|id| {
        [
            RunDir::new(&context.workspace.runs(), id.clone()).backup(),
            context.workspace.backups().join(id.as_str()),
        ]
    });
    let given = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // A run's own folder stands for its backup.
    let inside = given.join("backup");
    let inside = (inside.is_dir() && !BackupManifest::path(&given).exists()).then_some(inside);
    named
        .chain(inside)
        .chain([given])
        .find(|path| path.exists())
        .ok_or_else(|| {
            Ending::new(Exit::Preconditions, format!("there is no {}", path.display()))
                .hint("cargo xtask backup list")
                .into()
        })
}

/// What is wrong with a backup's files and archives; empty: nothing.
pub(super) fn intact(context: &Context, folder: &Path) -> anyhow::Result<Vec<String>> {
    let undecided = |message: String| Ending::new(Exit::Preconditions, message);
    let differences = steps::examine(folder, &[])
        .map_err(|error| undecided(format!("cannot tell whether the backup is intact: {error:#}")))?;
    if !differences.is_empty() {
        return Ok(differences);
    }
    let names: Vec<String> = read_json::<BackupManifest>(&BackupManifest::path(folder))?
        .map(|manifest| manifest.databases.into_keys().collect())
        .unwrap_or_default();
    let clients = observe::servers::clients(&context.loaded.settings.target, "");
    steps::read_back(folder, &names, &clients, &context.runner).map_err(|failure| {
        undecided(format!(
            "cannot tell whether the archives can be read: {}",
            failure.message
        ))
        .into()
    })
}

/// Compares a database with its archive's manifest.
fn against(
    context: &mut Context,
    folder: &Path,
    database: &str,
    archive: Option<&str>,
) -> anyhow::Result<Vec<Difference>> {
    let seen = look(context, &[]);
    let settings = &context.loaded.settings;
    let (instance, name, on_target) = if settings.databases.contains_key(database) {
        let charged =
            charge::in_charge(&seen, settings, database, "").map_err(|finding| refuse(&[*finding]))?;
        (charged.instance, charged.database, charged.target)
    } else {
        if seen.target.server.is_none() {
            return Err(refuse(&[charge::target_is_silent(&seen, "target".to_owned())]).into());
        }
        (charge::target(settings, ""), database.to_owned(), true)
    };
    let archive = archive.unwrap_or(database);
    let Some(backup) = DatabaseBackup::read(folder, archive)? else {
        return Err(Ending::new(
            Exit::Preconditions,
            format!("the backup holds no archive of {archive}"),
        )
        .hint("cargo xtask backup verify PATH --against DATABASE --database DB")
        .into());
    };
    context.terminal.line(&format!(
        "comparing database {name} of {} with the archive of {archive}, taken {}",
        instance.label, backup.taken_at
    ));
    let server = instance.server(&context.vault);
    let found = manifest::collect(&context.runner, &server, &name, None, MANIFEST_WORKERS, &|_| {}).map_err(
        |error| {
            Ending::new(
                Exit::Preconditions,
                format!("cannot tell whether they differ: {error}"),
            )
        },
    )?;
    // On the target one role owns everything unless the run preserved roles; owners are not what a backup is for.
    let options = CompareOptions {
        owners: !on_target,
        privileges: !on_target,
        ..CompareOptions::default()
    };
    Ok(manifest::compare(&backup.manifest, &found, &options))
}

/// Looks at the world, with the passwords that only kept copies of `.env` still know.
pub(super) fn look(context: &mut Context, only: &[String]) -> Observed {
    let eyes = Eyes {
        workspace: &context.workspace,
        settings: &context.loaded.settings,
        runner: &context.runner,
        only,
    };
    observe::observe(&eyes, &mut context.vault)
}

fn wanted(only: &[String], name: &String) -> bool {
    only.is_empty() || only.contains(name)
}
