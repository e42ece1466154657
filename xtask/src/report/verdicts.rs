//! Verdicts for people and as a document.

use std::fmt::Write;

use serde::Serialize;

use super::Terminal;
use crate::checks::{Counts, Group, Scope, Verdicts};
use crate::model::{Finding, Severity};

/// What `verify --format json` prints.
#[derive(Debug, Serialize)]
pub struct VerifyDocument<'a> {
    /// Version of this document.
    pub schema_version: u32,
    /// How much was looked at.
    pub scope: Scope,
    /// The profile of the settings.
    pub profile: &'a str,
    /// The exit code.
    pub exit: u8,
    /// How many checks said what.
    pub counts: Counts,
    /// Every check that ran.
    pub checks: Vec<CheckDocument<'a>>,
}

/// One check.
#[derive(Debug, Serialize)]
pub struct CheckDocument<'a> {
    /// Its id.
    pub id: &'static str,
    /// What it belongs to.
    pub group: Group,
    /// What is true when it passes.
    pub meaning: &'static str,
    /// `passed`, `note`, `warning`, `failed` or `skipped`.
    pub result: &'static str,
    /// Why it could not look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<&'a str>,
    /// Seconds it took to judge.
    pub seconds: f64,
    /// What it found.
    pub findings: &'a [Finding],
}

impl<'a> VerifyDocument<'a> {
    /// The document of these verdicts.
    pub fn new(verdicts: &'a Verdicts, scope: Scope, profile: &'a str, exit: crate::model::Exit) -> Self {
        let checks = verdicts.0.iter().map(|verdict| CheckDocument {
            id: verdict.check.id,
            group: verdict.check.group,
            meaning: verdict.check.meaning,
            result: verdict.outcome.word(),
            skipped: match &verdict.outcome {
                crate::checks::Outcome::Skipped(why) => Some(why),
                _ => None,
            },
            seconds: verdict.seconds,
            findings: verdict.outcome.findings(),
        });
        Self {
            schema_version: 1,
            scope,
            profile,
            exit: exit.code(),
            counts: verdicts.counts(),
            checks: checks.collect(),
        }
    }
}

/// The checklist: a line for each check, its findings below it, and a sum.
pub fn text(verdicts: &Verdicts, terminal: &Terminal) -> String {
    let mut out = String::new();
    let mut group = None;
    let mut told: Vec<(&str, &str)> = Vec::new();
    let width = verdicts.0.iter().map(|v| v.check.id.len()).max().unwrap_or(0);
    for verdict in &verdicts.0 {
        // Writing to a String cannot fail.
        if group.replace(verdict.check.group) != Some(verdict.check.group) {
            let _ = writeln!(out, "{}", terminal.paint(verdict.check.group.name(), "1"));
        }
        let (word, code) = match verdict.outcome.word() {
            "failed" => ("failed ", "31"),
            "warning" => ("warning", "33"),
            "skipped" => ("skipped", "2"),
            "note" => ("note   ", "36"),
            _ => ("ok     ", "32"),
        };
        let same = |why: &str| told.iter().find(|(known, _)| *known == why);
        let said = match &verdict.outcome {
            crate::checks::Outcome::Skipped(why) => match same(why) {
                Some((_, first)) => format!("as {first}"),
                None => {
                    told.push((why, verdict.check.id));
                    why.clone()
                }
            },
            _ => verdict.check.meaning.to_owned(),
        };
        let _ = writeln!(
            out,
            "  {}  {:<width$}  {said}",
            terminal.paint(word, code),
            verdict.check.id
        );
        for finding in verdict.outcome.findings() {
            finding_text(&mut out, finding);
        }
    }
    let counts = verdicts.counts();
    let _ = writeln!(
        out,
        "\n{} passed, {} with warnings, {} failed, {} skipped",
        counts.passed, counts.warned, counts.failed, counts.skipped
    );
    out
}

fn finding_text(out: &mut String, finding: &Finding) {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let _ = writeln!(out, "      {severity}: {}", finding.found);
    if let Some(place) = &finding.place {
        let line = if place.line > 0 {
            format!(":{}", place.line)
        } else {
            String::new()
        };
        let _ = writeln!(out, "        at {}{line}", place.file);
    }
    if !finding.wanted.is_empty() {
        let _ = writeln!(out, "        wanted: {}", finding.wanted);
    }
    for hint in finding.hints.iter().take(2) {
        let _ = writeln!(out, "        hint: {hint}");
    }
}
