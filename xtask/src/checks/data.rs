//! The data against the last backup.

use super::Case;
use super::databases::{absent, each};
use super::{Check, Group, Looked, NotLooked, error, warning};
use crate::model::Finding;
use crate::observe::RowsSeen;

pub(super) const CHECKS: &[Check] = &[Check {
    id: "data.matches-backup",
    group: Group::Data,
    meaning: "every table holds at least the rows of the last backup",
    why: "Rows that are fewer than in the backup were deleted, or never arrived. More rows are ordinary work since then.",
    fix: "`cargo xtask status RUN` names the run; `cargo xtask rollback` goes back, `cargo xtask restore` reads a backup again.",
    run: matches_backup,
}];

fn matches_backup(case: &Case<'_>) -> Looked {
    let seen = super::instance::seen(case)?;
    // What is not there holds no row of the backup.
    let absent = absent(case, seen).into_iter();
    let mut findings: Vec<Finding> = absent.filter(|finding| !finding.wanted.is_empty()).collect();
    if seen.databases.is_empty() && !findings.is_empty() {
        return Ok(findings);
    }
    if seen.held.is_empty() && seen.databases.values().all(|database| database.backup.is_none()) {
        return Err(NotLooked::because("there is no complete backup"));
    }
    findings.extend(each(case, |name, database| {
        let run = database.backup.as_deref().unwrap_or_default();
        let rows = match &database.rows {
            None => return Vec::new(),
            Some(Err(why)) => return vec![error(format!("the rows of {name} cannot be counted: {why}"))],
            Some(Ok(rows)) => rows,
        };
        // What is there already is kept beside the restored content.
        let holds = database
            .health
            .as_ref()
            .is_ok_and(|health| !health.tables.is_empty());
        let flag = if holds { " --set-aside-existing" } else { "" };
        let restore = format!("cargo xtask restore {run} --database {name}{flag}");
        let mut findings = Vec::new();
        for RowsSeen { table, before, now } in rows {
            match now {
                None => findings.push(
                    error(format!("table {table} of {name} is in backup {run} and not here")).hint(&restore),
                ),
                Some(0) if *before > 0 => findings.push(
                    error(format!(
                        "table {table} of {name} is empty, and had {before} rows in backup {run}"
                    ))
                    .hint(&restore),
                ),
                Some(now) if now < before => findings.push(
                    warning(format!(
                        "table {table} of {name} has {now} rows, and had {before} in backup {run}"
                    ))
                    .wanted("no fewer rows, unless somebody deleted them"),
                ),
                Some(_) => {}
            }
        }
        findings
    })?);
    Ok(findings)
}
