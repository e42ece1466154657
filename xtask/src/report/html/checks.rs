//! The page of `verify`: what was found first, then every check with what it means.

use super::{Head, Page, Section, Tone};
use crate::checks::{Counts, Group, Outcome, Scope, Verdict, Verdicts};
use crate::model::{Exit, time};

/// The page. `redact` masks secrets; it sees every text before it is escaped.
pub fn page(
    verdicts: &Verdicts,
    scope: Scope,
    profile: &str,
    exit: Exit,
    redact: &dyn Fn(&str) -> String,
) -> String {
    let page = Page { redact };
    let counts = verdicts.counts();
    let (outcome, tone) = outcome(counts, exit);
    let head = Head {
        eyebrow: "cargo xtask verify".to_owned(),
        tone,
        outcome,
        lead: "A check that could not look is skipped and says why; it never counts as passed.".to_owned(),
        error: None,
        facts: vec![
            ("Passed", counts.passed.to_string(), false),
            ("Warnings", counts.warned.to_string(), false),
            ("Failed", counts.failed.to_string(), false),
            ("Skipped", counts.skipped.to_string(), false),
            ("Scope", scope.name().to_owned(), false),
            ("Profile", profile.to_owned(), false),
            (
                "Looked (UTC)",
                time::now().replace('T', " ").chars().take(19).collect(),
                false,
            ),
        ],
    };
    let mut sections: Vec<Section> = Vec::new();
    if verdicts.findings().next().is_some() {
        let mut findings: Vec<_> = verdicts.findings().collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        sections.push(("findings", "Findings", page.findings(findings)));
    }
    sections.push(("checks", "Checks", page.groups(verdicts)));
    page.render(&head, &sections)
}

fn outcome(counts: Counts, exit: Exit) -> (String, Tone) {
    let checks = |count: usize| match count {
        1 => "One check".to_owned(),
        count => format!("{count} checks"),
    };
    match (counts.failed, counts.warned) {
        _ if exit == Exit::Preconditions => ("No service is reachable".to_owned(), Tone::Bad),
        (0, 0) => (format!("{} passed", checks(counts.passed)), Tone::Good),
        (0, warned) => (
            format!("No fault; {} to look at", checks(warned).to_lowercase()),
            Tone::Warn,
        ),
        (failed, _) => (format!("{} failed", checks(failed)), Tone::Bad),
    }
}

impl Page<'_> {
    fn groups(&self, verdicts: &Verdicts) -> String {
        let of = |group: Group| -> Vec<&Verdict> {
            verdicts
                .0
                .iter()
                .filter(|verdict| verdict.check.group == group)
                .collect()
        };
        let groups = Group::ALL.into_iter().map(|group| (group, of(group)));
        let shown = groups.filter(|(_, verdicts)| !verdicts.is_empty());
        shown
            .map(|(group, verdicts)| self.group(group, &verdicts))
            .collect()
    }

    fn group(&self, group: Group, verdicts: &[&Verdict]) -> String {
        let rows: String = verdicts.iter().map(|verdict| self.row(verdict)).collect();
        format!(
            "<h3>{0}</h3>\n<ul class=\"checks\" aria-label=\"Checks of {0}\">\n{rows}</ul>\n",
            group.name()
        )
    }

    fn row(&self, verdict: &Verdict) -> String {
        let word = verdict.outcome.word();
        let said = match &verdict.outcome {
            Outcome::Skipped(why) => format!("skipped: {why}"),
            _ => verdict.check.meaning.to_owned(),
        };
        format!(
            "<li class=\"{word}\"><span class=\"tag\">{word}</span><code>{}</code><span>{}</span></li>\n",
            self.text(verdict.check.id),
            self.inline(&said)
        )
    }
}
