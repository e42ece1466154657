//! `cargo xtask doctor`

mod past;
mod repair;

use std::io::Read;

use anyhow::Context as _;
use serde_json::json;

use super::names::Names;
use super::output::{out, out_line};
use super::{Context, Ending, Global};
use crate::checks::nearest;
use crate::config::{Settings, Vault};
use crate::doctor::{self, Case, Examination, PROBLEMS, Problem};
use crate::model::{Exit, Finding, RunDir, RunId, Severity, finding};
use crate::observe::{self, Checkup, Eyes};
use crate::report;

/// Doctor: what is wrong, why, and the exact commands that repair it
///
/// Looks for every problem of docs/troubleshooting.md: recognises it by what programs say, establishes the cause by
/// looking, and changes nothing. With --fix it repairs what can be repaired safely, one problem after the other, looks
/// again, and writes down how to go back. Exit code 0: nothing is wrong; 3: findings; 10: only warnings; 20: something
/// could not be looked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Repair what is found, after asking
    #[arg(long)]
    fix: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
    /// Look for these problems only
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = Names::problems(), hide_possible_values = true)]
    only: Vec<String>,
    /// Look only for problems that speak like this error message; `-` reads it from standard input
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Take a repair back; without an id, the newest
    #[arg(long, value_name = "ID", num_args = 0..=1, conflicts_with_all = ["fix", "only", "error"])]
    undo: Option<Option<String>>,
    /// Print one JSON document on standard output
    #[arg(long)]
    json: bool,
    /// List the problems: id and meaning
    #[arg(long)]
    list: bool,
    /// With --list: the page docs/troubleshooting.md
    #[arg(long, requires = "list", hide = true)]
    markdown: bool,
}

impl DoctorArgs {
    /// The same command with `--yes`, to paste.
    fn again(&self) -> String {
        let mut line = "cargo xtask doctor --fix --yes".to_owned();
        let named = [
            ("--only", (!self.only.is_empty()).then(|| self.only.join(","))),
            ("--error", self.error.clone().filter(|text| text != "-")),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                line.push_str(&format!(" {name} {}", infra::command::shell_word(&value)));
            }
        }
        line
    }
}

/// Runs the command.
pub(crate) fn cmd_doctor(global: &Global, args: &DoctorArgs) -> anyhow::Result<Exit> {
    if args.list {
        return list(args);
    }
    let problems = wanted(args)?;
    let mut context = Context::new(global)?;
    if let Some(id) = &args.undo {
        return repair::undo(&mut context, id.as_deref(), args.yes);
    }
    let (examinations, repaired) = if args.fix {
        repair::repair(&mut context, &problems, args)?
    } else {
        (look(&mut context, &problems).1, Vec::new())
    };
    if context.runner.interrupt().is_set() {
        return Err(Ending::new(Exit::Interrupted, "interrupted").into());
    }
    let failed = repaired.iter().any(|one| !one.gone);
    let exit = exit(&examinations, failed);
    let text = if args.json {
        let profile = &context.loaded.profile;
        let document = report::DoctorDocument::new(&examinations, &repaired, &context.vault, profile, exit);
        serde_json::to_string_pretty(&document)? + "\n"
    } else {
        report::diagnoses(&examinations, &context.vault, &context.terminal)
    };
    // Messages of servers and programs can repeat what they were given.
    out(context.runner.redactor().redact(&text))?;
    Ok(exit)
}

fn list(args: &DoctorArgs) -> anyhow::Result<Exit> {
    if args.markdown {
        out(doctor::page())?;
        return Ok(Exit::Ok);
    }
    if args.json {
        let problem = |problem: &Problem| json!({ "id": problem.id, "meaning": problem.meaning });
        let problems: Vec<_> = PROBLEMS.iter().map(problem).collect();
        let document = json!({ "schema_version": 1, "problems": problems });
        out_line(serde_json::to_string_pretty(&document)?)?;
        return Ok(Exit::Ok);
    }
    let width = PROBLEMS.iter().map(|problem| problem.id.len()).max().unwrap_or(0);
    for problem in PROBLEMS {
        out_line(format_args!("{:<width$}  {}", problem.id, problem.meaning))?;
    }
    Ok(Exit::Ok)
}

/// The problems that were asked for.
fn wanted(args: &DoctorArgs) -> anyhow::Result<Vec<&'static Problem>> {
    for name in &args.only {
        if !PROBLEMS.iter().any(|problem| problem.id == name) {
            let nearest = nearest(name, PROBLEMS.iter().map(|problem| problem.id));
            let ending = Ending::new(Exit::Usage, format!("error: there is no problem named {name}"));
            return Err(match nearest {
                Some(nearest) => ending.hint(format!("cargo xtask doctor --only {nearest}")),
                None => ending.hint("cargo xtask doctor --list"),
            }
            .into());
        }
    }
    let mut problems: Vec<&'static Problem> = PROBLEMS
        .iter()
        .filter(|problem| args.only.is_empty() || args.only.iter().any(|name| name == problem.id))
        .collect();
    if let Some(text) = &args.error {
        let text = if text == "-" {
            standard_input()?
        } else {
            text.clone()
        };
        let speaking = doctor::recognise(&text);
        problems.retain(|problem| speaking.iter().any(|known| known.id == problem.id));
        if problems.is_empty() {
            let message = "no known problem speaks like this";
            return Err(Ending::new(Exit::Preconditions, message)
                .hint("cargo xtask doctor")
                .hint("cargo xtask doctor --list")
                .into());
        }
    }
    Ok(problems)
}

fn standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("failed to read standard input")?;
    Ok(text)
}

/// Looks, and examines what was seen. The folder is the one that the next repair would use.
fn look(context: &mut Context, problems: &[&'static Problem]) -> (RunDir, Vec<Examination>) {
    let run = RunDir::new(&context.workspace.repairs(), RunId::new());
    // The passwords of `.env` are needed to show and to run what uses them.
    let mut vault = context.vault.clone();
    let checkup = checkup(context, &context.loaded.settings, &mut vault);
    context.vault = vault;
    let past = past::past(context);
    let open = past::open(context);
    let case = Case {
        past: &past,
        open: open.as_ref(),
        workspace: &context.workspace,
        loaded: &context.loaded,
        seen: &checkup,
        run: &run,
    };
    let examinations = doctor::examine(problems, &case);
    (run, examinations)
}

fn checkup(context: &Context, settings: &Settings, vault: &mut Vault) -> Checkup {
    let eyes = Eyes {
        workspace: &context.workspace,
        settings,
        runner: &context.runner,
        only: &[],
    };
    observe::look_for_problems(&eyes, vault)
}

/// Nothing found although something could not be looked for is not "nothing is wrong".
fn exit(examinations: &[Examination], failed: bool) -> Exit {
    let findings: Vec<Finding> = examinations
        .iter()
        .flat_map(|one| one.result.as_deref().unwrap_or_default())
        .map(|diagnosis| diagnosis.finding.clone())
        .collect();
    let skipped = examinations.iter().any(|one| one.result.is_err());
    match finding::worst(&findings) {
        Some(Severity::Error) => Exit::Findings,
        _ if failed => Exit::Findings,
        _ if skipped => Exit::Preconditions,
        Some(Severity::Warning) => Exit::WarningsOnly,
        _ => Exit::Ok,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: DoctorArgs,
    }

    fn args(words: &[&str]) -> DoctorArgs {
        Line::parse_from([&["doctor"], words].concat()).args
    }

    #[test]
    fn the_line_that_says_yes_keeps_what_was_asked_for() {
        let given = args(&["--fix", "--only", "redis-conflict,wrong-owner", "--error", "a b"]);
        assert_eq!(
            given.again(),
            "cargo xtask doctor --fix --yes --only redis-conflict,wrong-owner --error 'a b'"
        );
    }
}
