//! Databases that were set aside on the target since the cutover: what was written before that is in them.

use infra::postgres::facts;

use super::Going;
use crate::model::{RunId, time};
use crate::plan::action::Restore;
use crate::steps::Failure;

/// One of them.
#[derive(Debug)]
pub(super) struct SetAside {
    /// The moved database that it was, by the name people use.
    pub(super) database: String,
    /// Its name on the target.
    pub(super) name: String,
    /// What it holds.
    holds: String,
}

impl std::fmt::Display for SetAside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: set aside since the cutover with what was written until then, {}; it stays on the target",
            self.database, self.holds
        )
    }
}

/// Those of the moved databases that this run did not make.
pub(super) fn since(going: &Going<'_>, restore: &Restore) -> Result<Vec<SetAside>, Failure> {
    let runner = &going.context.runner;
    let server = restore.target.server(&going.context.vault);
    let there = facts::server(runner, &server, &restore.maintenance_database)?;
    let mut found = Vec::new();
    for (name, entry) in &there.databases {
        let moved = restore
            .databases
            .iter()
            .find(|moved| is_since(name, &moved.target_name, &going.run.id));
        // What a cut-off DROP DATABASE left can only be dropped.
        let Some(moved) = moved.filter(|_| !entry.invalid) else {
            continue;
        };
        let size = entry
            .bytes
            .map_or_else(String::new, |bytes| format!(", {}", time::bytes(bytes)));
        found.push(SetAside {
            database: moved.name.clone(),
            name: name.clone(),
            holds: format!("database {name}{size}"),
        });
    }
    Ok(found)
}

/// Whether a name is that of `target_name` when it was set aside, and not before the run. What is no id of ours may be of
/// any time.
fn is_since(name: &str, target_name: &str, run: &RunId) -> bool {
    let rest = name.strip_prefix(target_name);
    let Some(id) = rest.and_then(|rest| rest.strip_prefix("__before_")) else {
        return false;
    };
    RunId::parse(id).is_none_or(|id| id > *run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_aside_by_this_run_or_before_it_is_not_of_the_time_since() {
        let run = RunId::parse("20261209_141502_3fa9").unwrap();
        for (name, is) in [
            ("labeler__before_20261209_141502_3fa9", false),
            ("labeler__before_20261208_000000_ffff", false),
            ("labeler__before_20261209_150000_0000", true),
            ("labeler__before_lunch", true),
            ("labeler__undone_20261209_150000_0000", false),
            ("other__before_20261209_150000_0000", false),
            ("labeler", false),
        ] {
            assert_eq!(is_since(name, "labeler", &run), is, "{name}");
        }
    }
}
