//! Findings that the team accepts in `[verify] accept`: each stays as a note. An acceptance that matches nothing is reported.

use super::{CHECKS, Case, Check, Group, Looked, Outcome, Verdicts, error, nearest, settings, warning};
use crate::config::Accepted;
use crate::model::{Finding, Severity};

const ID: &str = "settings.accept";
const SETTING: &str = "verify.accept";

pub(super) const CHECK: Check = Check {
    id: ID,
    group: Group::Settings,
    meaning: "every acceptance names a check, and what it accepts is still found",
    why: "An acceptance that outlived its finding hides the next one.",
    fix: "Remove it from `[verify] accept` in `infra/migration.toml`, or correct its id or file.",
    run: known,
};

fn known(case: &Case<'_>) -> Looked {
    settings::labeler(case)?;
    let ids: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
    let unknown = case
        .settings()
        .verify
        .accept
        .iter()
        .filter(|one| !ids.contains(&one.id.as_str()));
    let findings = unknown.map(|one| {
        let finding = error(format!(
            "verify.accept names the check {}, which there is not",
            one.id
        ));
        let finding = match nearest(&one.id, ids.iter().copied()) {
            Some(near) => finding.wanted(near),
            None => finding,
        };
        settings::place(case, finding, SETTING)
    });
    Ok(findings.collect())
}

fn matches(one: &Accepted, finding: &Finding) -> bool {
    let file = finding
        .place
        .as_ref()
        .map(|place| std::path::Path::new(&place.file));
    one.id == finding.id && file.map_or(one.file.as_os_str().is_empty(), |file| file.ends_with(&one.file))
}

/// Makes notes of the accepted findings, and tells of acceptances whose check looked and found nothing like it.
pub(super) fn apply(case: &Case<'_>, verdicts: &mut Verdicts) {
    let accepted = &case.settings().verify.accept;
    let mut unused: Vec<&Accepted> = accepted.iter().collect();
    for verdict in &mut verdicts.0 {
        let Outcome::Found(findings) = &mut verdict.outcome else {
            continue;
        };
        for finding in findings {
            if let Some(one) = accepted.iter().find(|one| matches(one, finding)) {
                finding.severity = Severity::Note;
                finding.wanted = format!("nothing: accepted, {}", one.reason);
                finding.hints.clear();
                unused.retain(|other| *other != one);
            }
        }
    }
    let looked = |one: &Accepted| {
        let mut verdicts = verdicts.0.iter().filter(|verdict| verdict.check.id == one.id);
        verdicts.any(|verdict| !matches!(verdict.outcome, Outcome::Skipped(_)))
    };
    let unused: Vec<Finding> = unused
        .into_iter()
        .filter(|one| looked(one))
        .map(|one| {
            let file = one.file.display();
            let finding = warning(format!(
                "nothing is found of what verify.accept names: {} in {file}",
                one.id
            ));
            let finding = settings::place(case, finding.wanted("remove it"), SETTING);
            Finding {
                id: ID.to_owned(),
                ..finding
            }
        })
        .collect();
    let own = verdicts.0.iter_mut().find(|verdict| verdict.check.id == ID);
    if let Some(own) = own.filter(|_| !unused.is_empty()) {
        let said = own.outcome.findings().iter().cloned().chain(unused);
        own.outcome = Outcome::of(said.collect::<Vec<_>>().into_iter());
    }
}
