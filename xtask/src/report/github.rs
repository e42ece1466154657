//! GitHub Actions: workflow commands that become annotations, and the job's summary.
//! Escaping follows <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.

use std::fmt::Write;
use std::path::Path;

use infra::Secret;

use crate::checks::Verdicts;
use crate::model::{Finding, Severity};

/// Lines that teach the runner to mask secrets. They hold the secrets: only for a runner's own log, before anything else.
pub fn masks(secrets: &[Secret]) -> String {
    let lines = secrets.iter().flat_map(|secret| secret.expose().lines());
    lines
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("::add-mask::{}\n", message(line)))
        .collect()
}

/// One annotation for each finding; paths are relative to the repository, as GitHub wants them.
pub fn annotations(verdicts: &Verdicts, repository: Option<&Path>) -> String {
    verdicts
        .findings()
        .map(|finding| annotation(finding, repository))
        .collect()
}

fn annotation(finding: &Finding, repository: Option<&Path>) -> String {
    let command = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = vec![format!("title={}", property(&finding.id))];
    if let Some(place) = &finding.place {
        properties.push(format!("file={}", property(&relative(&place.file, repository))));
        if place.line > 0 {
            properties.push(format!("line={}", place.line));
        }
    }
    let mut text = finding.found.clone();
    if !finding.wanted.is_empty() {
        let _ = write!(text, "\nwanted: {}", finding.wanted);
    }
    for hint in finding.hints.iter().take(2) {
        let _ = write!(text, "\nhint: {hint}");
    }
    format!("::{command} {}::{}\n", properties.join(","), message(&text))
}

fn relative(file: &str, repository: Option<&Path>) -> String {
    let inside = repository.and_then(|root| Path::new(file).strip_prefix(root).ok());
    let path = inside.map_or_else(|| file.to_owned(), |path| path.display().to_string());
    path.replace('\\', "/")
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

/// Markdown for `$GITHUB_STEP_SUMMARY` and for pull requests.
pub fn job_summary(verdicts: &Verdicts, repository: Option<&Path>) -> String {
    let counts = verdicts.counts();
    let mut out = format!(
        "## verify\n\n{} passed, {} with warnings, {} failed, {} skipped\n",
        counts.passed, counts.warned, counts.failed, counts.skipped
    );
    if verdicts.findings().next().is_some() {
        out.push_str("\n| Severity | Check | Found | Where |\n|---|---|---|---|\n");
    }
    for finding in verdicts.findings() {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let place = finding.place.as_ref().map_or_else(String::new, |place| {
            format!("`{}:{}`", relative(&place.file, repository), place.line)
        });
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| {severity} | `{}` | {} | {} |",
            finding.id,
            cell(&finding.found),
            cell(&place)
        );
    }
    out
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\r', '\n'], " ")
}
