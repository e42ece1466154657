//! `cargo xtask restore`

mod by_hand;
mod ownership;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use infra::postgres::{facts, major, version_text};

use super::context::lock;
use super::{Context, Ending, Global, backup, care, confirm, refuse};
use crate::config::{Access, Database, Settings};
use crate::engine::{self, Journal, JournalEvent, Outcome};
use crate::model::backup::DatabaseBackup;
use crate::model::finding::worst;
use crate::model::{Exit, Finding, RunDir, RunId, Severity};
use crate::observe::{self, Eyes, Observed};
use crate::plan::action::{Restore, RestoreDatabase, Swap, SwapDatabase};
use crate::plan::carried::Carried;
use crate::plan::{Action, PlannedStep, Roles, charge, clients};
use crate::steps::{Planned, Step};

/// Restore one database on the target: into another name, compared with its manifest, then put in place
///
/// A backup of this tool is compared table by table; a plain dump (.sql) made by hand is checked first, loaded in one
/// transaction and counted. Until then the database shows its old content, and that is kept under another name.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RestoreArgs {
    /// A backup's folder, the id of the run that took it, or a plain dump
    pub(super) backup: PathBuf,
    /// Which database
    #[arg(long, value_name = "DB")]
    pub(super) database: String,
    /// Restore under this name instead
    #[arg(long, value_name = "NAME")]
    pub(super) into: Option<String>,
    /// Keep existing content as `<DB>__before_<ID>` and take its place
    #[arg(long)]
    pub(super) set_aside_existing: bool,
    /// The name of the target's host, instead of typing it; needed for a server that is not ours
    #[arg(long, value_name = "HOST")]
    pub(super) confirm_target: Option<String>,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub(super) yes: bool,
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
    if path.is_file() && args.into.is_none() {
        by_hand::is_known(&context, &args.database)?;
    }
    may_take_the_name(&context, &target_name, &run)?;
    let mut restore = plan(&context, args, &path, &target_name, &run);
    for database in &mut restore.databases {
        if let Some(owner) = ownership::inherited(server, &target_name) {
            owner.clone_into(&mut database.owner);
        }
    }
    let action = if path.is_file() {
        by_hand::action(&context, server, restore.clone(), &path)?
    } else {
        archive_action(&context, &seen, server, restore.clone(), &path)?
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
    let command = "restore BACKUP --database DB";
    care::confirm_target(&context, command, args.confirm_target.as_deref())?;
    run.create()?;
    let exit = execute(&context, &run, &steps, &target_name)?;
    ownership::tell_who_is_shut_out(&context, &seen, &args.database, &target_name);
    Ok(exit)
}

/// Names that no restored database may take: none at all, and those of databases that every instance has.
fn may_take_the_name(context: &Context, name: &str, run: &RunDir) -> anyhow::Result<()> {
    let settings = &context.loaded.settings;
    let theirs = |database: &&Database| database.access == Access::ReadOnly && database.name == name;
    if settings.databases.values().find(theirs).is_some() {
        let message = format!(
            "database {name} is another team's (access = \"read-only\"); nothing is restored into it"
        );
        return Err(Ending::new(Exit::Preconditions, message)
            .hint("give another name: --into NAME")
            .into());
    }
    let maintenance = &settings.target.maintenance_database;
    let own = ["template0", "template1", "postgres", maintenance.as_str()];
    let why = if name.is_empty() || own.contains(&name) {
        "the instance needs that name for itself".to_owned()
    } else if let Some(why) = unusable(name, &run.id) {
        why
    } else {
        return Ok(());
    };
    let message = format!("a restored database cannot be called {name:?}: {why}");
    Err(Ending::new(Exit::Usage, message)
        .hint("give another name: --into NAME")
        .into())
}

/// PostgreSQL cuts longer names without a word.
const NAME_BYTES: usize = 63;

/// Why a database cannot have this name while it is restored, or when its old content is kept.
fn unusable(name: &str, run: &RunId) -> Option<String> {
    let before = format!("__before_{run}");
    if name.len() + before.len() > NAME_BYTES {
        return Some(format!(
            "it has {} bytes, and {} are left beside the {before} that old content would get",
            name.len(),
            NAME_BYTES - before.len()
        ));
    }
    let reserved = name.ends_with("__incoming") || name.contains("__before_") || name.contains("__undone_");
    reserved.then(|| "names like that are those of unfinished and replaced databases".to_owned())
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
            owner: owner(settings, &args.database),
            reader: target.clone(),
            clients: None,
            left_out: Vec::new(),
            template: None,
            extensions_there: Vec::new(),
            given_over: false,
        }],
        target,
        maintenance_database: settings.target.maintenance_database.clone(),
        folder: folder.to_owned(),
        jobs: settings.limits.jobs(),
        maintenance_work_mem: settings.limits.maintenance_work_mem.clone(),
        roles: Roles::Unify,
        run: run.id.clone(),
        unprivileged: false,
    }
}

/// The role that the settings name for a database on the target, else the target's own.
fn owner(settings: &Settings, database: &str) -> String {
    let login = settings
        .databases
        .get(database)
        .map(|database| database.login.clone());
    login
        .filter(|login| !login.is_empty())
        .unwrap_or_else(|| settings.target.user.clone())
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
    seen: &Observed,
    server: &ServerFacts,
    mut restore: Restore,
    folder: &Path,
) -> anyhow::Result<Action> {
    let database = restore
        .databases
        .first_mut()
        .context("there is nothing to restore")?;
    let differences = crate::model::examine::examine(folder, &[&database.name])
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
    let archive = DatabaseBackup::read(folder, &database.name)?.context("the archive vanished")?;
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
        database.name, archive.taken_at
    ));
    database.clients = restored_with(context, seen, &database.name, from, &restore.run);
    if let Some(source) = &archive.unprivileged {
        let target = restore.target.server(&context.vault);
        let there = match server.databases.contains_key(&database.target_name) {
            true => Some(facts::database(&context.runner, &target, &database.target_name)?),
            false => None,
        };
        let carried = Carried::onto(server, source, there.as_ref(), &database.target_name);
        let findings = carried.findings(&database.name, &restore.target.user);
        if worst(&findings) == Some(Severity::Error) {
            return Err(refuse(&findings).into());
        }
        for finding in &findings {
            context.terminal.line(&finding.to_string());
        }
        database.left_out = carried.left_out;
        database.template = carried.template;
        database.extensions_there = carried.extensions_there;
        database.given_over = ownership::needs_superuser(
            &context.runner,
            &target,
            &restore.maintenance_database,
            server,
            source,
            &database.owner,
        )?;
    }
    restore.unprivileged = !server.superuser;
    Ok(Action::Restore(restore))
}

/// The programs that restore an archive which was taken from a server of version `from`.
fn restored_with(
    context: &Context,
    seen: &Observed,
    database: &str,
    from: u32,
    run: &RunId,
) -> Option<infra::postgres::Clients> {
    let settings = &context.loaded.settings;
    let eyes = Eyes {
        workspace: &context.workspace,
        settings,
        runner: &context.runner,
        only: &[],
    };
    let clients = observe::clients::for_archive(&eyes, seen, database, from);
    let chosen = clients::for_archive(&clients, settings, run.as_str());
    if chosen.is_none() {
        context.terminal.line(&format!(
            "no pg_restore that is here is as new as PostgreSQL {}, which the archive comes from: the target's own is used, and \
             the comparison shows whether that was enough",
            version_text(from)
        ));
    }
    chosen
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
    if !facts.has_content() || args.set_aside_existing {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_be_cut_or_mean_something_else_are_refused() {
        let run = RunId::new();
        for name in ["labeler__incoming", "labeler__before_x", "a__undone_x"] {
            assert!(
                unusable(name, &run).is_some_and(|why| why.starts_with("names like that")),
                "{name}"
            );
        }
        assert_eq!(unusable("labeler", &run), None);
        assert_eq!(unusable(&"a".repeat(34), &run), None);
        assert!(unusable(&"a".repeat(35), &run).is_some());
        assert!(
            unusable(&"ä".repeat(18), &run).is_some(),
            "bytes count, not letters"
        );
    }
}
