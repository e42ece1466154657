//! `cargo xtask restore`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use infra::postgres::{major, plain as dumps, version_text};

use super::context::lock;
use super::{Context, Ending, Global, backup, confirm, plain, refuse};
use crate::engine::{self, Journal, JournalEvent, Outcome};
use crate::model::backup::DatabaseBackup;
use crate::model::{Exit, Finding, RunDir, RunId, time};
use crate::plan::action::{Restore, RestoreDatabase, RestorePlain, Swap, SwapDatabase};
use crate::plan::{Action, PlannedStep, Roles, charge};
use crate::steps::{Planned, Step};

/// Restore one database on the target: into another name, compared with its manifest, then put in place
///
/// A backup of this tool is compared table by table; a plain dump (.sql) made by hand is checked first, loaded in one
/// transaction and counted. Until then the database shows its old content, and that is kept under another name.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RestoreArgs {
    /// A backup's folder, the id of the run that took it, or a plain dump
    backup: PathBuf,
    /// Which database
    #[arg(long, value_name = "DB")]
    database: String,
    /// Restore under this name instead
    #[arg(long, value_name = "NAME")]
    into: Option<String>,
    /// Keep existing content as `<DB>__before_<ID>` and take its place
    #[arg(long)]
    set_aside_existing: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
}

/// Runs the command.
pub(crate) fn cmd_restore(global: &Global, args: &RestoreArgs) -> anyhow::Result<Exit> {
    let mut context = Context::new(global)?;
    let _lock = lock(&context, "cargo xtask restore")?;
    let path = backup::locate(&context, &args.backup)?;
    let seen = backup::look(&mut context, &[]);
    let Some(server) = &seen.target.server else {
        return Err(refuse(&[charge::target_is_silent(&seen, "target".to_owned())]).into());
    };
    let run = RunDir::new(&context.workspace.restores(), RunId::new());
    let target_name = args.into.clone().unwrap_or_else(|| {
        let known = context.loaded.settings.databases.get(&args.database);
        known.map_or_else(|| args.database.clone(), |database| database.name.clone())
    });
    let restore = plan(&context, args, &path, &target_name, &run);
    let action = if path.is_file() {
        plain_action(&context, server, restore.clone(), &path)?
    } else {
        archive_action(&context, server, restore.clone(), &path, args)?
    };
    existing(&context, args, &restore, &target_name, &run)?;
    let steps = [
        step(
            "restore",
            format!("restore and compare {}", args.database),
            action,
        ),
        step(
            "swap",
            format!("put {target_name} in place"),
            swap(args, &restore),
        ),
    ];
    context.terminal.line(&format!(
        "restore {} from {} into database {target_name} of the target",
        args.database,
        path.display()
    ));
    confirm::confirm("go ahead?", args.yes, "add --yes")?;
    run.create()?;
    execute(&context, &run, &steps, &target_name)
}

fn execute(
    context: &Context,
    run: &RunDir,
    steps: &[PlannedStep],
    target_name: &str,
) -> anyhow::Result<Exit> {
    let mut journal = Journal::open(&run.journal())?;
    journal.append(JournalEvent::RunStarted { plan: String::new() })?;
    let world = |step: &Planned<'_>| super::migrate::world(context, run, step.id());
    let outcome = engine::run(&Planned::all(steps), world, &mut journal, |event| {
        context.terminal.event(&event);
    })?;
    match outcome {
        Outcome::Finished => {
            let before = format!("{target_name}__before_{}", run.id);
            let kept = journal.entries().iter().any(|entry| {
                matches!(&entry.event, JournalEvent::StepSucceeded { facts, .. }
                    if facts["kept"].as_array().is_some_and(|kept| !kept.is_empty()))
            });
            context
                .terminal
                .line(&format!("database {target_name} is in place"));
            if kept {
                context
                    .terminal
                    .line(&format!("its old content is kept as {before}"));
            }
            Ok(Exit::Ok)
        }
        Outcome::Stopped { title, failure, .. } => {
            // The incoming database goes; what cannot be removed now, `cleanup` finds.
            let _ = engine::undo(&Planned::all(steps), world, &mut journal, |_| {})?;
            let exit = if failure.interrupted {
                Exit::Interrupted
            } else {
                Exit::Findings
            };
            let message = format!(
                "failed to {title}: {}\n\ndatabase {target_name} is as it was\nlog: {}",
                failure.message.trim_start_matches("failed to "),
                run.logs().display()
            );
            Err(failure
                .hints
                .into_iter()
                .fold(Ending::new(exit, message), Ending::hint)
                .into())
        }
    }
}

fn step(id: &str, title: String, action: Action) -> PlannedStep {
    PlannedStep {
        id: id.to_owned(),
        title,
        reason: String::new(),
        commands: Vec::new(),
        action,
    }
}

fn plan(context: &Context, args: &RestoreArgs, folder: &Path, target_name: &str, run: &RunDir) -> Restore {
    let settings = &context.loaded.settings;
    let target = charge::target(settings, run.id.as_str());
    Restore {
        databases: vec![RestoreDatabase {
            name: args.database.clone(),
            target_name: target_name.to_owned(),
            owner: settings.target.user.clone(),
            reader: target.clone(),
        }],
        target,
        maintenance_database: settings.target.maintenance_database.clone(),
        folder: folder.to_owned(),
        jobs: settings.limits.jobs(),
        maintenance_work_mem: settings.limits.maintenance_work_mem.clone(),
        roles: Roles::Unify,
        run: run.id.clone(),
    }
}

fn swap(args: &RestoreArgs, restore: &Restore) -> Action {
    let databases = restore.databases.iter().map(|database| SwapDatabase {
        name: database.name.clone(),
        target_name: database.target_name.clone(),
        incoming: database.incoming(),
    });
    Action::Swap(Swap {
        databases: databases.collect(),
        target: restore.target.clone(),
        maintenance_database: restore.maintenance_database.clone(),
        set_aside: args.set_aside_existing,
        run: restore.run.clone(),
    })
}

type ServerFacts = infra::postgres::facts::ServerFacts;

/// A backup of this tool: its files must be what its manifest says. pg_restore reads them to the end anyway.
fn archive_action(
    context: &Context,
    server: &ServerFacts,
    restore: Restore,
    folder: &Path,
    args: &RestoreArgs,
) -> anyhow::Result<Action> {
    let differences = crate::steps::examine(folder, &[&args.database])
        .map_err(|error| Ending::new(Exit::Preconditions, format!("{error:#}")))?;
    if !differences.is_empty() {
        let message = format!(
            "the backup cannot be trusted; nothing was changed:\n  {}",
            differences.join("\n  ")
        );
        return Err(Ending::new(Exit::Findings, message)
            .hint("cargo xtask backup list")
            .into());
    }
    let archive = DatabaseBackup::read(folder, &args.database)?.context("the archive vanished")?;
    let from = archive.manifest.server_version_num;
    if major(from) > major(server.version_num) {
        return Err(refuse(&[Finding::error(
            "restore.version",
            format!(
                "the archive comes from PostgreSQL {}, newer than the target's {}",
                version_text(from),
                version_text(server.version_num)
            ),
        )
        .wanted("a target at least as new")])
        .into());
    }
    context.terminal.line(&format!(
        "archive of {}, taken {}",
        args.database, archive.taken_at
    ));
    Ok(Action::Restore(restore))
}

/// A dump made by hand: whole, loadable by this psql, and without a word to the rest of the instance.
fn plain_action(
    context: &Context,
    server: &ServerFacts,
    restore: Restore,
    file: &Path,
) -> anyhow::Result<Action> {
    let dump = plain::read(file)?;
    context.terminal.line(&plain::describe(&dump));
    let damages = plain::damages(&dump);
    if !damages.is_empty() {
        let message = format!(
            "{} cannot be trusted; nothing was changed:\n  {}",
            file.display(),
            damages.join("\n  ")
        );
        return Err(Ending::new(Exit::Findings, message).into());
    }
    let folder = file.parent().unwrap_or(Path::new("."));
    if dump.restrict {
        let psql = dumps::psql_version(&context.runner, &restore.target.clients, folder)
            .map_err(|error| Ending::new(Exit::Preconditions, error.to_string()))?;
        if !dumps::knows_restrict(psql) {
            return Err(refuse(&[Finding::error(
                "restore.psql",
                format!(
                    "the dump starts with \\restrict, which psql {}.{} does not know",
                    psql.0, psql.1
                ),
            )
            .wanted("psql 13.22, 14.19, 15.14, 16.10, 17.6, 18 or later")])
            .into());
        }
    }
    let missing: Vec<String> = dump
        .roles
        .iter()
        .filter(|role| !server.roles.contains_key(*role) && !role.starts_with("pg_"))
        .cloned()
        .collect();
    if !missing.is_empty() {
        let owner = &context.loaded.settings.target.user;
        context.terminal.line(&format!(
            "roles that the target does not have: {}; what is theirs will belong to {owner}",
            missing.join(", ")
        ));
    }
    let (sha256, bytes) =
        infra::files::sha256(file).with_context(|| format!("failed to read {}", file.display()))?;
    let model = server.databases.get(&restore.maintenance_database);
    let locale = |pick: fn(&infra::postgres::facts::DatabaseEntry) -> &String| {
        model.map_or_else(|| "C".to_owned(), |entry| pick(entry).clone())
    };
    context.terminal.line(&format!(
        "{} in one transaction; every COPY is counted afterwards",
        time::bytes(bytes)
    ));
    Ok(Action::RestorePlain(RestorePlain {
        file: file.to_owned(),
        sha256,
        bytes,
        encoding: dump.encoding.clone().unwrap_or_else(|| "UTF8".to_owned()),
        collate: locale(|entry| &entry.collate),
        ctype: locale(|entry| &entry.ctype),
        missing_roles: missing,
        rows: dump.rows,
        restore,
    }))
}

/// A database with content is never replaced without a word.
fn existing(
    context: &Context,
    args: &RestoreArgs,
    restore: &Restore,
    target_name: &str,
    run: &RunDir,
) -> anyhow::Result<()> {
    let server = restore.target.server(&context.vault);
    let seen = infra::postgres::facts::server(&context.runner, &server, &restore.maintenance_database)?;
    let Some(entry) = seen.databases.get(target_name) else {
        return Ok(());
    };
    let facts = infra::postgres::facts::database(&context.runner, &server, target_name)?;
    if facts.is_empty() || args.set_aside_existing {
        if entry.sessions > 0 {
            context.terminal.line(&format!(
                "{} sessions of database {target_name} will be ended when it is put in place",
                entry.sessions
            ));
        }
        return Ok(());
    }
    let finding = Finding::error(
        "restore.not-empty",
        format!("database {target_name} holds {} relations", facts.relations),
    )
    .wanted(format!(
        "an empty database, or the flag that keeps its content as {target_name}__before_{}",
        run.id
    ))
    .hint("add --set-aside-existing")
    .hint("or restore beside it: add --into NAME");
    Err(refuse(&[finding]).into())
}
