//! The command line: one file per command, its arguments and its function side by side.

mod backup;
mod care;
mod ci;
mod cleanup;
mod completions;
mod confirm;
mod context;
mod doctor;
mod env;
mod faults;
mod man;
mod migrate;
mod names;
mod onboard;
mod output;
mod plain;
mod production;
mod record;
mod reference;
pub(crate) mod rehearse;
mod restore;
mod rollback;
mod status;
mod verify;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{ConfigError, Withheld};
use crate::model::{Exit, Finding, typed};

pub(crate) use context::Context;
use output::err_line;

/// Moves the platform's, the users' and the labeler's PostgreSQL instances into one, checked at every step.
///
/// Results go to standard output, everything else to standard error. Nothing changes before a plan was shown and
/// confirmed, and `rollback` brings the old instances back at any point before `cleanup`.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// Which profile of the settings to use
    #[arg(long, global = true, value_name = "NAME", default_value = crate::DEFAULT_PROFILE)]
    pub(crate) profile: String,
    /// Set one setting, for example --set target.port=5440
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// The workspace to work in, instead of the one around the current folder
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "XTASK_WORKSPACE",
        hide_env = true
    )]
    pub(crate) workspace: Option<std::path::PathBuf>,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", value_parser = ["auto", "always", "never"], default_value = "auto")]
    pub(crate) color: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    Backup(backup::BackupArgs),
    Cleanup(cleanup::CleanupArgs),
    Completions(completions::CompletionsArgs),
    Doctor(doctor::DoctorArgs),
    Env(env::EnvArgs),
    Man(man::ManArgs),
    Faults(faults::FaultsArgs),
    Migrate(migrate::MigrateArgs),
    Onboard(onboard::OnboardArgs),
    Production(production::ProductionArgs),
    Rehearse(rehearse::RehearseArgs),
    Restore(restore::RestoreArgs),
    Rollback(rollback::RollbackArgs),
    Status(status::StatusArgs),
    Ci(ci::CiArgs),
    Verify(verify::VerifyArgs),
}

/// Parses, dispatches, tells how it ended.
pub(crate) fn main() -> Exit {
    let parsed = Cli::command()
        .try_get_matches()
        .and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version are answers, not faults.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            let _ = error.print();
            return code;
        }
    };
    // A manual and a completion script are of no profile.
    if !matches!(cli.command, Command::Man(_) | Command::Completions(_)) {
        typed::goes_by(&cli.global.profile, said(&cli.global, &matches));
    }
    let result = match cli.command {
        Command::Backup(args) => backup::cmd_backup(&cli.global, &args),
        Command::Cleanup(args) => cleanup::cmd_cleanup(&cli.global, &args),
        Command::Completions(args) => completions::cmd_completions(&args),
        Command::Doctor(args) => doctor::cmd_doctor(&cli.global, &args),
        Command::Env(args) => env::cmd_env(&cli.global, &args),
        Command::Man(args) => man::cmd_man(&args),
        Command::Faults(args) => faults::cmd_faults(&cli.global, &args),
        Command::Migrate(args) => migrate::cmd_migrate(&cli.global, &args),
        Command::Onboard(args) => onboard::cmd_onboard(&cli.global, &args),
        Command::Production(args) => production::cmd_production(&cli.global, &args),
        Command::Rehearse(args) => rehearse::cmd_rehearse(&cli.global, &args),
        Command::Restore(args) => restore::cmd_restore(&cli.global, &args),
        Command::Rollback(args) => rollback::cmd_rollback(&cli.global, &args),
        Command::Status(args) => status::cmd_status(&cli.global, &args),
        Command::Ci(args) => ci::cmd_ci(&cli.global, &args),
        Command::Verify(args) => verify::cmd_verify(&cli.global, &args),
    };
    result.unwrap_or_else(|error| report(&error))
}

/// What lines to type repeat. A workspace that the environment names is named there for them as well.
fn said(global: &Global, matches: &clap::ArgMatches) -> Vec<typed::Said> {
    let of_command = matches.subcommand().map_or(matches, |(_, matches)| matches);
    let given = [matches, of_command]
        .iter()
        .any(|matches| matches.value_source("workspace") == Some(clap::parser::ValueSource::CommandLine));
    let workspace = global
        .workspace
        .as_deref()
        .filter(|_| given)
        .map(typed::Said::workspace);
    let sets = global.sets.iter().filter_map(|set| typed::Said::setting(set));
    workspace.into_iter().chain(sets).collect()
}

/// An ending that is not a fault of this tool: a message, lines to paste, and a code.
#[derive(Debug)]
pub(crate) struct Ending {
    /// How it ended.
    pub(crate) exit: Exit,
    /// What to say.
    pub(crate) message: String,
    /// Lines to paste, at most two are shown.
    pub(crate) hints: Vec<String>,
    /// What there is to say of it as a document, where one was asked for.
    pub(crate) document: Option<serde_json::Value>,
}

impl Ending {
    /// An ending without hints.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hints: Vec::new(),
            document: None,
        }
    }

    /// Gives it a document.
    pub(crate) fn document(mut self, document: &impl serde::Serialize) -> Self {
        self.document = serde_json::to_value(document).ok();
        self
    }

    /// Adds a line to paste.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Ending {}

/// An error as the document that `--json` promises, whatever happened.
pub(crate) fn error_document(error: &anyhow::Error) -> serde_json::Value {
    let ending = error.downcast_ref::<Ending>();
    if let Some(document) = ending.and_then(|ending| ending.document.clone()) {
        return document;
    }
    serde_json::json!({
        "schema_version": 1,
        "verified": false,
        "run": null,
        "error": ending.map_or_else(|| format!("{error:#}"), |ending| ending.message.clone()),
        "hints": ending.map(|ending| ending.hints.clone()).unwrap_or_default(),
    })
}

/// Findings that forbid going on.
pub(crate) fn refuse(findings: &[Finding]) -> Ending {
    let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let errors = findings
        .iter()
        .filter(|f| f.severity == crate::model::Severity::Error)
        .count();
    let noun = if errors == 1 {
        "finding forbids"
    } else {
        "findings forbid"
    };
    Ending::new(
        Exit::Preconditions,
        format!(
            "{}\n\n{errors} {noun} going on; nothing was changed",
            text.join("\n")
        ),
    )
}

/// Prints an error once, with its hints, and gives its exit code.
fn report(error: &anyhow::Error) -> Exit {
    if let Some(ending) = error.downcast_ref::<Ending>() {
        err_line(ending);
        for hint in ending.hints.iter().take(2) {
            err_line(format_args!("hint: {hint}"));
        }
        return ending.exit;
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        err_line(format_args!("error: {error}"));
        return Exit::Usage;
    }
    if let Some(withheld) = error.downcast_ref::<Withheld>() {
        err_line(format_args!("error: {withheld}\nhint: {}", withheld.hint));
        return Exit::Preconditions;
    }
    err_line(format_args!("error: {error:#}"));
    Exit::Unexpected
}
