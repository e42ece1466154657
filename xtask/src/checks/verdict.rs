//! What came out of the checks.

use super::Check;
use crate::model::{Exit, Finding, Severity};

/// What one check said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to say.
    Passed,
    /// Faults, or things to look at. Never empty.
    Found(Vec<Finding>),
    /// It could not look, and why.
    Skipped(String),
}

impl Outcome {
    /// Passed without findings.
    pub fn of(findings: impl Iterator<Item = Finding>) -> Self {
        let findings: Vec<Finding> = findings.collect();
        if findings.is_empty() {
            Self::Passed
        } else {
            Self::Found(findings)
        }
    }

    /// The findings.
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Found(findings) => findings,
            _ => &[],
        }
    }

    /// `passed`, `note`, `warning`, `failed` or `skipped`.
    pub fn word(&self) -> &'static str {
        match (self, crate::model::finding::worst(self.findings())) {
            (Self::Skipped(_), _) => "skipped",
            (_, None) => "passed",
            (_, Some(Severity::Note)) => "note",
            (_, Some(Severity::Warning)) => "warning",
            (_, Some(Severity::Error)) => "failed",
        }
    }
}

/// One check with what it said.
#[derive(Clone)]
pub struct Verdict {
    /// The check.
    pub check: &'static Check,
    /// What it said.
    pub outcome: Outcome,
    /// Seconds it took to judge.
    pub seconds: f64,
}

/// All of them.
#[derive(Clone)]
pub struct Verdicts(pub Vec<Verdict>);

/// How many checks said what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Passed, with or without notes.
    pub passed: usize,
    /// Only warnings.
    pub warned: usize,
    /// At least one error.
    pub failed: usize,
    /// Could not look.
    pub skipped: usize,
}

impl Verdicts {
    /// The same with every text as `change` makes it, for example without secrets.
    pub fn each_text(mut self, change: &dyn Fn(&str) -> String) -> Self {
        for verdict in &mut self.0 {
            match &mut verdict.outcome {
                Outcome::Passed => {}
                Outcome::Found(findings) => findings.iter_mut().for_each(|one| one.each_text(change)),
                Outcome::Skipped(why) => *why = change(why),
            }
        }
        self
    }

    /// Every finding.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().flat_map(|verdict| verdict.outcome.findings())
    }

    /// How many checks said what.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for verdict in &self.0 {
            match verdict.outcome.word() {
                "failed" => counts.failed += 1,
                "warning" => counts.warned += 1,
                "skipped" => counts.skipped += 1,
                _ => counts.passed += 1,
            }
        }
        counts
    }

    /// Why nothing was decided, when no check passed or failed and some could not look: that is no pass.
    pub fn undecided(&self) -> Option<String> {
        let counts = self.counts();
        if counts.passed + counts.failed > 0 || counts.skipped == 0 {
            return None;
        }
        let mut reasons: Vec<&str> = Vec::new();
        for verdict in &self.0 {
            if let Outcome::Skipped(why) = &verdict.outcome
                && !reasons.contains(&why.as_str())
            {
                reasons.push(why);
            }
        }
        Some(format!("nothing could be checked: {}", reasons.join("; ")))
    }

    /// The exit code they make. Warnings are no failure, unless `deny_warnings` says so.
    pub fn exit(&self, deny_warnings: bool) -> Exit {
        if self.undecided().is_some() {
            return Exit::Preconditions;
        }
        match crate::model::finding::worst(&self.findings().cloned().collect::<Vec<_>>()) {
            Some(Severity::Error) => Exit::Findings,
            Some(Severity::Warning) if deny_warnings => Exit::WarningsOnly,
            _ => Exit::Ok,
        }
    }
}
