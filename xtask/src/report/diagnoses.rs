//! What the doctor found, for people and as a document.

use std::fmt::Write;

use serde::Serialize;

use super::Terminal;
use crate::config::Vault;
use crate::doctor::{Diagnosis, Examination};
use crate::model::{Exit, Finding, Severity};

/// What `doctor --json` prints.
#[derive(Debug, Serialize)]
pub struct DoctorDocument<'a> {
    /// Version of this document.
    pub schema_version: u32,
    /// The profile of the settings.
    pub profile: &'a str,
    /// The exit code.
    pub exit: u8,
    /// Every problem that was looked for.
    pub problems: Vec<ProblemDocument<'a>>,
    /// What was repaired by this command.
    pub repaired: &'a [Repaired],
}

/// One problem.
#[derive(Debug, Serialize)]
pub struct ProblemDocument<'a> {
    /// Its id.
    pub id: &'static str,
    /// What it is.
    pub meaning: &'static str,
    /// `absent`, `found` or `skipped`.
    pub result: &'static str,
    /// Why it could not be looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<&'a str>,
    /// What was found.
    pub diagnoses: Vec<DiagnosisDocument<'a>>,
}

/// One diagnosis.
#[derive(Debug, Serialize)]
pub struct DiagnosisDocument<'a> {
    /// What it is about.
    pub subject: &'a str,
    /// What was found.
    pub finding: &'a Finding,
    /// What a program said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<&'a str>,
    /// What was looked at.
    pub evidence: &'a [String],
    /// The repair; absent where it is a person's decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<FixDocument<'a>>,
}

/// One repair.
#[derive(Debug, Serialize)]
pub struct FixDocument<'a> {
    /// What it does.
    pub title: &'a str,
    /// Whom it disturbs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disturbs: Option<&'a str>,
    /// The commands, secrets masked.
    pub commands: Vec<String>,
}

/// Something that was repaired.
#[derive(Clone, Debug, Serialize)]
pub struct Repaired {
    /// Its id, for `doctor --undo`.
    pub repair: String,
    /// The problem.
    pub problem: String,
    /// What it was about.
    pub subject: String,
    /// What was done.
    pub title: String,
    /// Whether the problem was gone afterwards; otherwise why not.
    pub gone: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl<'a> DoctorDocument<'a> {
    /// The document of these examinations.
    pub fn new(
        examinations: &'a [Examination],
        repaired: &'a [Repaired],
        vault: &Vault,
        profile: &'a str,
        exit: Exit,
    ) -> Self {
        let one = |examination: &'a Examination| {
            let diagnoses = examination.result.as_deref().unwrap_or_default();
            ProblemDocument {
                id: examination.problem.id,
                meaning: examination.problem.meaning,
                result: match &examination.result {
                    Err(_) => "skipped",
                    Ok(found) if found.is_empty() => "absent",
                    Ok(_) => "found",
                },
                skipped: examination.result.as_ref().err().map(|why| why.0.as_str()),
                diagnoses: diagnoses.iter().map(|one| diagnosis(one, vault)).collect(),
            }
        };
        Self {
            schema_version: 1,
            profile,
            exit: exit.code(),
            problems: examinations.iter().map(one).collect(),
            repaired,
        }
    }
}

fn diagnosis<'a>(diagnosis: &'a Diagnosis, vault: &Vault) -> DiagnosisDocument<'a> {
    DiagnosisDocument {
        subject: &diagnosis.subject,
        finding: &diagnosis.finding,
        said: diagnosis.said.as_deref(),
        evidence: &diagnosis.evidence,
        fix: diagnosis.fix.as_ref().map(|fix| FixDocument {
            title: &fix.title,
            disturbs: fix.disturbs.as_deref(),
            commands: fix.commands(vault),
        }),
    }
}

/// Every problem that is there, with cause and repair; then those that could not be looked for, and a sum.
pub fn diagnoses(examinations: &[Examination], vault: &Vault, terminal: &Terminal) -> String {
    let mut out = String::new();
    let (mut found, mut findings, mut absent) = (0, 0, 0);
    for examination in examinations {
        match examination.result.as_deref() {
            Ok([]) => absent += 1,
            Ok(all) => {
                found += 1;
                findings += all.len();
                for one in all {
                    one_text(&mut out, one, vault, terminal);
                }
            }
            Err(_) => {}
        }
    }
    let skipped: Vec<String> = examinations
        .iter()
        .filter_map(|one| Some(format!("{}: {}", one.problem.id, one.result.as_ref().err()?.0)))
        .collect();
    // Writing to a String cannot fail.
    for skipped in &skipped {
        let _ = writeln!(out, "{} {skipped}", terminal.paint("not looked for:", "2"));
    }
    let _ = writeln!(out, "{}", sum(found, findings, absent, skipped.len()));
    out
}

/// The sum of problems; one problem may be found in several places.
fn sum(found: usize, findings: usize, absent: usize, skipped: usize) -> String {
    let places = match findings == found {
        true => String::new(),
        false => format!(" ({findings} findings)"),
    };
    format!("{found} found{places}, {absent} not there, {skipped} not looked for")
}

fn one_text(out: &mut String, diagnosis: &Diagnosis, vault: &Vault, terminal: &Terminal) {
    let finding = &diagnosis.finding;
    let (word, code) = match finding.severity {
        Severity::Error => ("error", "31"),
        Severity::Warning => ("warning", "33"),
        Severity::Note => ("note", "36"),
    };
    let _ = writeln!(
        out,
        "{}: {}",
        terminal.paint(&format!("{word}[{}]", finding.id), code),
        finding.found
    );
    if let Some(said) = &diagnosis.said {
        let _ = writeln!(out, "  said: {said}");
    }
    for line in &diagnosis.evidence {
        let _ = writeln!(out, "  | {line}");
    }
    if !finding.wanted.is_empty() {
        let _ = writeln!(out, "  wanted: {}", finding.wanted);
    }
    for hint in finding.hints.iter().take(2) {
        let _ = writeln!(out, "  hint: {hint}");
    }
    if let Some(fix) = &diagnosis.fix {
        let _ = writeln!(out, "  repair: {}", fix.title);
        if let Some(whom) = &fix.disturbs {
            let _ = writeln!(out, "  disturbs: {whom}");
        }
        for command in fix.commands(vault) {
            let _ = writeln!(out, "    $ {}", command.replace('\n', "\n      "));
        }
        let _ = writeln!(out, "  to apply: cargo xtask doctor --fix --only {}", finding.id);
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_sum_counts_every_problem_once() {
        assert_eq!(super::sum(0, 0, 0, 3), "0 found, 0 not there, 3 not looked for");
        assert_eq!(
            super::sum(1, 2, 17, 0),
            "1 found (2 findings), 17 not there, 0 not looked for"
        );
    }
}
