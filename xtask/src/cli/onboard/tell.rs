//! What a set-up says: the plan before it, and at the end what is ready, what is not, and what to start.

use super::{EMPTY, Prepared, SERVICES};
use crate::checks::Verdicts;
use crate::cli::output::{out, out_line};
use crate::cli::{Context, Ending};
use crate::model::{Exit, Severity};
use crate::observe::{self, Eyes};
use crate::plan::{self, Action};
use crate::report::documents::OnboardDocument;

/// `--dry-run`
pub(super) fn show(context: &Context, prepared: &Prepared) -> anyhow::Result<()> {
    for finding in &prepared.findings {
        context.terminal.line(&finding.to_string());
    }
    if prepared.plan.steps.is_empty() {
        return out_line("nothing to do: this machine has everything");
    }
    out(plan::render(&prepared.plan))?;
    for step in &prepared.plan.steps {
        match &step.action {
            Action::Cutover(cutover) => {
                let diff = crate::steps::preview(cutover, &context.vault)
                    .map_err(|failure| Ending::new(Exit::Preconditions, failure.message))?;
                out(format_args!("\n{diff}"))?;
            }
            Action::LocalSettings(local) => {
                let values = local
                    .values
                    .iter()
                    .map(|(key, value)| format!("{key} = {value}\n"));
                out(format_args!(
                    "\n.xtask/local.toml:\n{}",
                    values.collect::<String>()
                ))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a person types to start working.
pub(super) fn start(context: &Context) -> Vec<String> {
    let settings = &context.loaded.settings;
    let eyes = Eyes {
        workspace: &context.workspace,
        settings,
        runner: &context.runner,
        only: &[],
    };
    let Some(labeler) = observe::look_at_labeler(&eyes) else {
        return Vec::new();
    };
    let (Some(python), false) = (&labeler.python, settings.application.command.is_empty()) else {
        return Vec::new();
    };
    let port = settings.application.ports.first().copied().unwrap_or(8001);
    let words = settings.application.command.iter();
    let words: Vec<String> = words
        .map(|word| word.replace("{port}", &port.to_string()))
        .collect();
    let python = python.strip_prefix(&labeler.backend).unwrap_or(python);
    vec![
        format!(
            "cd {}",
            infra::command::shell_word(&labeler.backend.to_string_lossy())
        ),
        format!(
            "{} {}",
            infra::command::shell_word(&python.to_string_lossy()),
            words.join(" ")
        ),
    ]
}

/// What helps where a check failed. The same command again does not, before that.
fn not_ready(verdicts: &Verdicts) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let failed = verdicts
        .findings()
        .filter(|finding| finding.severity == Severity::Error);
    for hint in failed.filter_map(|finding| finding.hints.first()) {
        if !lines.contains(&hint.as_str()) {
            lines.push(hint);
        }
    }
    lines.truncate(5);
    if lines.is_empty() {
        lines.push("cargo xtask doctor");
    }
    format!(
        "not ready: what failed is told above. What helps:\n  {}\nand then, to finish:\n  cargo xtask onboard",
        lines.join("\n  ")
    )
}

/// The end, for a person.
pub(super) fn tell(context: &Context, document: &OnboardDocument, verdicts: &Verdicts, exit: Exit) {
    let terminal = &context.terminal;
    let notes = [EMPTY, SERVICES];
    for finding in document
        .findings
        .iter()
        .filter(|finding| notes.contains(&finding.id.as_str()))
    {
        terminal.line(&finding.to_string());
    }
    for finding in verdicts
        .findings()
        .filter(|finding| finding.severity > Severity::Note)
    {
        terminal.line(&context.runner.redactor().redact(&finding.to_string()));
    }
    let counts = &document.checks;
    terminal.line(&format!(
        "\nverify: {} passed, {} with warnings, {} failed, {} skipped",
        counts.passed, counts.warned, counts.failed, counts.skipped
    ));
    match exit {
        Exit::Findings => terminal.line(&not_ready(verdicts)),
        Exit::Preconditions => terminal.line(&verdicts.undecided().unwrap_or_default()),
        Exit::NothingToDo => terminal.line("nothing to do: this machine is ready"),
        _ => terminal.line("this machine is ready"),
    }
    if document.ready && !document.start.is_empty() {
        terminal.line("start the application:");
        for line in &document.start {
            terminal.line(&format!("  {line}"));
        }
        terminal.line("and, when it runs:\n  cargo xtask verify --scope application");
    }
}
