//! The data against the last backup.

use super::Case;
use super::databases::each;
use super::{Check, Group, Looked, NotLooked, error, warning};
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
    let run = seen
        .backup
        .as_ref()
        .ok_or_else(|| NotLooked::because("there is no complete backup"))?;
    each(case, |name, database| {
        let rows = match &database.rows {
            None => return Vec::new(),
            Some(Err(why)) => return vec![error(format!("the rows of {name} cannot be counted: {why}"))],
            Some(Ok(rows)) => rows,
        };
        let mut findings = Vec::new();
        for RowsSeen { table, before, now } in rows {
            match now {
                None => findings.push(error(format!(
                    "table {table} of {name} is in backup {run} and not here"
                ))),
                Some(0) if *before > 0 => findings.push(error(format!(
                    "table {table} of {name} is empty, and had {before} rows in backup {run}"
                ))),
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
    })
}
