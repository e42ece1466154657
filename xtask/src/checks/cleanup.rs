//! What the migration left behind.

use super::{Case, Check, Group, Looked, NotLooked, error, warning};
use crate::model::Finding;
use crate::observe::{BackupSeen, BackupsSeen};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "cleanup.backup",
        group: Group::Cleanup,
        meaning: "the last backup is complete, and every archive still has the bytes that were written",
        why: "It is the only way back once the old volumes are gone.",
        fix: "`cargo xtask backup create`.",
        run: backup,
    },
    Check {
        id: "cleanup.old-containers",
        group: Group::Cleanup,
        meaning: "no old PostgreSQL container runs",
        why: "An old instance that runs again takes its port, and somebody writes into it.",
        fix: "`docker stop NAME`; `cargo xtask cleanup` removes it.",
        run: old_containers,
    },
    Check {
        id: "cleanup.old-volumes",
        group: Group::Cleanup,
        meaning: "old volumes are listed, as long as there are any",
        why: "They are the old data. They stay until somebody decides; this only keeps them in sight.",
        fix: "`cargo xtask cleanup --remove-volumes`, once a verified backup exists.",
        run: old_volumes,
    },
];

fn seen<'a>(case: &Case<'a>) -> Result<&'a BackupsSeen, NotLooked> {
    case.backups
        .ok_or_else(|| NotLooked::because("what the migration left is only looked at with --scope all"))
}

fn backup(case: &Case<'_>) -> Looked {
    let seen = seen(case)?;
    let mut findings = Vec::new();
    if !seen.incomplete.is_empty() {
        let text = format!(
            "runs without a complete backup: {}",
            super::databases::some(&seen.incomplete)
        );
        findings.push(Finding::note("", text).hint("cargo xtask status"));
    }
    match &seen.last {
        None => findings
            .push(warning("there is no complete backup in .xtask/runs").hint("cargo xtask backup create")),
        Some(BackupSeen { run, differences }) => match differences {
            Ok(differences) => findings.extend(
                differences
                    .iter()
                    .map(|difference| error(format!("the backup of run {run} is damaged: {difference}"))),
            ),
            Err(why) => findings.push(error(format!("the backup of run {run} cannot be read: {why}"))),
        },
    }
    Ok(findings)
}

fn old_containers(case: &Case<'_>) -> Looked {
    let running = seen(case)?
        .containers
        .iter()
        .filter(|(_, status)| status != "exited" && status != "created");
    Ok(running
        .map(|(name, status)| {
            warning(format!("old container {name} is {status}"))
                .wanted("stopped")
                .hint(format!("docker stop {name}"))
        })
        .collect())
}

fn old_volumes(case: &Case<'_>) -> Looked {
    let BackupsSeen { volumes, last, .. } = seen(case)?;
    if volumes.is_empty() {
        return Ok(Vec::new());
    }
    let finding = Finding::note(
        "",
        format!("old volumes are kept: {}", super::databases::some(volumes)),
    );
    // Only a run that ended knows what replaced them; without one the command has nothing to go by.
    Ok(vec![match case.moved && last.is_some() {
        true => finding.hint("cargo xtask cleanup --remove-volumes"),
        false => finding.wanted("a migration first: nothing says that their data is elsewhere"),
    }])
}
