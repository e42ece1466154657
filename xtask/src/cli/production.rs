//! `cargo xtask production`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use infra::postgres::unprivileged::read_only;

use super::migrate::moved_before;
use super::output::out_line;
use super::{Context, Ending, Global};
use crate::config::{Access, SecretName};
use crate::model::finding::worst;
use crate::model::{Exit, Finding, RunId, Severity};
use crate::observe::{self, Eyes, Observed, servers};
use crate::plan::carried::Carried;
use crate::plan::{self, Request, Roles, handover};
use crate::steps::storage::{self, Storage, Trouble};

/// Production: what the two teams agree on before a migration to a server that is not ours
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ProductionArgs {
    #[command(subcommand)]
    command: ProductionCommand,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum ProductionCommand {
    Check(CheckArgs),
}

/// Look at both servers and at the backup storage: TLS, versions, databases, roles, extensions, connections
///
/// Changes nothing; the one thing that it tries, whether read-only roles can write, it rolls back. Ends with 0, with 10
/// when there are only warnings, with 3 when something is missing.
#[derive(Debug, Clone, clap::Args)]
struct CheckArgs {
    /// Write the SQL that the other team runs, as one file that may run again
    #[arg(long, value_name = "FILE")]
    sql: Option<PathBuf>,
    /// You vouch that nobody writes to an external source that cannot be closed
    #[arg(long)]
    accept_unfenced_source: bool,
}

/// Runs the command.
pub(crate) fn cmd_production(global: &Global, args: &ProductionArgs) -> anyhow::Result<Exit> {
    let ProductionCommand::Check(args) = &args.command;
    let mut context = Context::new(global)?;
    if !super::care::is_needed(&context.loaded.settings) {
        return Err(
            Ending::new(Exit::Usage, "the target of this profile is no external server")
                .hint("cargo xtask production check --profile production")
                .into(),
        );
    }
    args.sql.as_deref().map_or(Ok(()), may_be_written)?;
    let eyes = Eyes {
        workspace: &context.workspace,
        settings: &context.loaded.settings,
        runner: &context.runner,
        only: &[],
    };
    let seen = observe::observe(&eyes, &mut context.vault);
    if context.runner.interrupt().is_set() {
        return Err(Ending::new(Exit::Interrupted, "interrupted; nothing was changed").into());
    }
    let mut findings = about_servers(&context, &seen, args.accept_unfenced_source);
    if moved_before(&context)? {
        set_moved_apart(&context, &seen, &mut findings);
    }
    findings.extend(read_only_roles(&context, &seen));
    findings.extend(backup_storage(&context));
    findings.push(Finding::note(
        "target.space",
        "the free space of a managed server cannot be asked for: see to twice what the source has",
    ));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    describe(&context, &seen)?;
    for finding in &findings {
        out_line(finding)?;
    }
    if let Some(file) = &args.sql {
        write_sql(&context, &seen, file)?;
    }
    Ok(match worst(&findings) {
        Some(Severity::Error) => {
            if args.sql.is_none() && findings.iter().any(handover::repairs) {
                let hint = "hint: cargo xtask production check --sql FILE writes what the other team runs";
                context.terminal.line(hint);
            }
            Exit::Findings
        }
        Some(Severity::Warning) => Exit::WarningsOnly,
        _ => Exit::Ok,
    })
}

/// A file that is there is only written over when it is one of ours.
fn may_be_written(file: &Path) -> anyhow::Result<()> {
    let ours = |bytes: &[u8]| bytes.starts_with(handover::BEGINNING.as_bytes());
    match std::fs::read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(bytes) if ours(&bytes) || bytes.is_empty() => Ok(()),
        _ => {
            let message = format!(
                "{} is there and was not written by this command; nothing was done",
                file.display()
            );
            Err(Ending::new(Exit::Usage, message)
                .hint("give another name: cargo xtask production check --sql NEW_FILE.sql")
                .into())
        }
    }
}

fn write_sql(context: &Context, seen: &Observed, file: &Path) -> anyhow::Result<()> {
    let settings = &context.loaded.settings;
    let names = settings.databases.keys();
    let carried: Vec<(String, Carried)> = names
        .map(|name| (name.clone(), Carried::over(seen, settings, name)))
        .collect();
    let text = handover::sql(settings, &carried);
    infra::files::write_private(file, text.as_bytes())
        .with_context(|| format!("failed to write {}", file.display()))?;
    context.terminal.line(&format!(
        "wrote {0}: for the administrator of {1}, who reads it and then runs: psql -X -v ON_ERROR_STOP=1 -f {0}",
        file.display(),
        settings.target.host,
    ));
    Ok(())
}

/// Databases that `.env` finds on the target because a run moved them there have no source any more that could lack something.
fn set_moved_apart(context: &Context, seen: &Observed, findings: &mut Vec<Finding>) {
    let settings = &context.loaded.settings;
    for name in seen.sources.keys() {
        if plan::charge::names_target(seen, settings, name) != Some(true) {
            continue;
        }
        let about = format!("source.{name}.");
        findings.retain(|finding| !finding.id.starts_with(&about));
        findings.push(Finding::note(
            format!("source.{name}.moved"),
            format!("{name} was moved: .env names the target, and the old database stays as the run left it"),
        ));
    }
}

/// The preflight's findings that are about servers, and about reaching the application.
fn about_servers(context: &Context, seen: &Observed, accept_unfenced: bool) -> Vec<Finding> {
    let request = Request {
        run: RunId::new(),
        only: Vec::new(),
        roles: Roles::Unify,
        pull: false,
        // What is there already is told by the migration, when it is decided.
        set_aside: true,
        accept_unfenced,
        target_password: context.vault.get(&SecretName::Target).is_some(),
        reader_ports: Vec::new(),
    };
    let findings = plan::preflight(seen, &context.loaded.settings, &request);
    let starts = ["source.", "target.", "server.", "application.curl"];
    let about = |finding: &Finding| starts.iter().any(|start| finding.id.starts_with(start));
    findings.into_iter().filter(about).collect()
}

/// One line for each server and database.
fn describe(context: &Context, seen: &Observed) -> anyhow::Result<()> {
    let settings = &context.loaded.settings;
    let version = infra::postgres::version_text;
    if let Some(server) = &seen.target.server {
        out_line(format_args!(
            "target {}:{}: PostgreSQL {}, {}, as {}{}{}",
            settings.target.host,
            settings.target.port,
            version(server.version_num),
            server.tls.as_deref().unwrap_or("not encrypted"),
            server.role,
            if server.superuser { ", a superuser" } else { "" },
            if server.createdb {
                ", may create databases"
            } else {
                ""
            },
        ))?;
        for (name, database) in &settings.databases {
            let entry = server.databases.get(&database.name);
            let said = entry.map_or_else(
                || "not there".to_owned(),
                |entry| format!("owner {}, {}, {}", entry.owner, entry.encoding, entry.collate),
            );
            out_line(format_args!("  database {name}: {said}"))?;
        }
    }
    for (name, source) in &seen.sources {
        if let (Some(server), Some(external)) = (&source.server, &source.external) {
            out_line(format_args!(
                "source of {name} {}:{}: PostgreSQL {}, {}, as {}",
                external.host,
                external.port,
                version(server.version_num),
                server.tls.as_deref().unwrap_or("not encrypted"),
                server.role
            ))?;
        }
    }
    Ok(())
}

/// Roles that should only read, found out by trying.
fn read_only_roles(context: &Context, seen: &Observed) -> Vec<Finding> {
    let settings = &context.loaded.settings;
    let mut findings = Vec::new();
    for (name, database) in &settings.databases {
        let secret = SecretName::Login(name.clone());
        // A login that does not work is told already.
        let (Some(password), false) = (context.vault.get(&secret), seen.target.logins.contains_key(name))
        else {
            continue;
        };
        if database.access != Access::ReadOnly || seen.target.server.is_none() {
            continue;
        }
        let login = &database.login;
        let server = servers::target(settings, &context.vault, "").as_role(login, Some(password.clone()));
        let id = format!("target.{name}.read-only");
        match read_only(&context.runner, &server, &database.name) {
            Err(error) => findings.push(Finding::error(id, error.to_string())),
            Ok(tried) if !tried.can.is_empty() => findings.push(
                Finding::error(
                    id,
                    format!("{login} is to read {name} only, and can {}", tried.can),
                )
                .wanted("a role that can change nothing"),
            ),
            Ok(tried) if tried.readable < tried.tables => findings.push(
                Finding::error(
                    id,
                    format!(
                        "{login} may read {} of {} tables of {name}",
                        tried.readable, tried.tables
                    ),
                )
                .wanted("all of them"),
            ),
            Ok(_) => {}
        }
    }
    findings
}

/// Whether the bucket answers, where one is set.
fn backup_storage(context: &Context) -> Option<Finding> {
    let settings = &context.loaded.settings.storage;
    if settings.bucket.is_empty() {
        let finding = Finding::warning(
            "storage.bucket",
            "no bucket is set: the backup stays on this machine alone",
        );
        return Some(
            finding
                .wanted("storage.bucket")
                .hint("cargo xtask status --settings"),
        );
    }
    storage::learn_credentials(&context.runner);
    let looked = Storage::new(settings, &context.runner, &context.terminal)
        .and_then(|storage| storage.list(&storage::root(settings)?));
    match looked.err()? {
        Trouble::Refused(finding) => Some(*finding),
        Trouble::Differs(differences) => Some(Finding::warning("storage.differs", differences.join("; "))),
        Trouble::Failed(failure) => Some(Finding::error("storage.unreachable", failure.message)),
    }
}
