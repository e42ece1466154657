//! The databases and their schema.

use super::{Case, Check, Group, Looked, NotLooked, error, warning};
use crate::model::Finding;
use crate::observe::{DatabaseSeen, InstanceSeen};
use infra::postgres::health::DatabaseHealth;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "databases.exist",
        group: Group::Databases,
        meaning: "every database is on the target, in UTF-8, and allows connections",
        why: "It is what the migration is for.",
        fix: "`cargo xtask migrate`; where a backup holds it, `cargo xtask restore`; an empty database on a new machine: `CREATE DATABASE name OWNER role`.",
        run: exist,
    },
    Check {
        id: "databases.owner",
        group: Group::Databases,
        meaning: "every table belongs to its database's owner",
        why: "Only the owner may change a table: one that belongs to another role stops the next `alembic upgrade`.",
        fix: "`REASSIGN OWNED BY other TO owner` in that database, as a superuser.",
        run: owner,
    },
    Check {
        id: "databases.locale",
        group: Group::Databases,
        meaning: "all databases sort by the locale of the last backup, or by one and the same",
        why: "A database made by hand takes the locale of its image. Lists then come in another order, and a unique index may refuse what it held.",
        fix: "Restore into a database of the right locale: `cargo xtask restore`; a new one: `CREATE DATABASE .. TEMPLATE template0 LC_COLLATE ..`.",
        run: locale,
    },
    Check {
        id: "databases.collation",
        group: Group::Databases,
        meaning: "text indexes were built with the collation rules that this server has",
        why: "Another image (Debian or Alpine, an update of glibc or ICU) sorts differently: an index that was built before finds too little.",
        fix: "`REINDEX DATABASE name`, then `ALTER DATABASE name REFRESH COLLATION VERSION`; `cargo xtask doctor --fix` does both.",
        run: collation,
    },
    Check {
        id: "labeler.revision",
        group: Group::Databases,
        meaning: "Alembic stands at the checkout's head",
        why: "A database behind the checkout lacks columns; one ahead of it was upgraded by a newer checkout.",
        fix: "`python -m alembic upgrade head` in the backend's folder, or `git pull`.",
        run: revision,
    },
    Check {
        id: "databases.indexes",
        group: Group::Databases,
        meaning: "no index is invalid",
        why: "`CREATE INDEX CONCURRENTLY` that failed leaves an index that costs every write and serves no query.",
        fix: "`REINDEX INDEX CONCURRENTLY name`, or drop it.",
        run: indexes,
    },
    Check {
        id: "databases.constraints",
        group: Group::Databases,
        meaning: "every constraint is validated",
        why: "A constraint that is `NOT VALID` says nothing of the rows that were there before it.",
        fix: "`ALTER TABLE t VALIDATE CONSTRAINT c`, after correcting the rows it names.",
        run: constraints,
    },
    Check {
        id: "databases.sequences",
        group: Group::Databases,
        meaning: "every sequence is ahead of its column",
        why: "A sequence that stayed behind gives a number that is taken: the next insert fails with a duplicate key.",
        fix: "`SELECT setval('sequence', (SELECT max(column) FROM table))`.",
        run: sequences,
    },
];

/// The instance, when it answers.
fn answering<'a>(case: &Case<'a>) -> Result<&'a InstanceSeen, NotLooked> {
    let seen = super::instance::seen(case)?;
    if seen.target.server.is_none() {
        return Err(NotLooked::because("the instance does not answer"));
    }
    Ok(seen)
}

/// One finding for each list that is not empty, for each database; a database that cannot be looked at is an error.
pub(super) fn each_health(case: &Case<'_>, look: impl Fn(&str, &DatabaseHealth) -> Vec<Finding>) -> Looked {
    each(case, |name, seen| match &seen.health {
        Ok(health) => look(name, health),
        Err(why) => vec![error(format!("database {name} cannot be looked at: {why}"))],
    })
}

/// Findings of every database that is there.
pub(super) fn each(case: &Case<'_>, look: impl Fn(&str, &DatabaseSeen) -> Vec<Finding>) -> Looked {
    let seen = answering(case)?;
    if seen.databases.is_empty() {
        return Err(NotLooked::because("none of the databases is there"));
    }
    Ok(seen
        .databases
        .iter()
        .flat_map(|(name, database)| look(name, database))
        .collect())
}

/// At most five names, and how many more.
pub(super) fn some(names: &[String]) -> String {
    let shown = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(5) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Databases that the target does not have, each with what brings it.
pub(super) fn absent(case: &Case<'_>, seen: &InstanceSeen) -> Vec<Finding> {
    let Some(server) = &seen.target.server else {
        return Vec::new();
    };
    let databases = case.settings().databases.iter();
    databases
        .filter(|(_, database)| !server.databases.contains_key(&database.name))
        .map(|(name, database)| {
            let finding = error(format!("database {} is not on the target", database.name));
            match seen.held.get(name) {
                Some(run) => finding
                    .wanted(format!("its data, which backup {run} holds"))
                    .hint(format!("cargo xtask restore {run} --database {name}")),
                None => finding.hint("cargo xtask migrate --dry-run"),
            }
        })
        .collect()
}

fn exist(case: &Case<'_>) -> Looked {
    let seen = answering(case)?;
    let Some(server) = &seen.target.server else {
        return Ok(Vec::new());
    };
    let mut findings = absent(case, seen);
    for database in case.settings().databases.values() {
        let Some(entry) = server.databases.get(&database.name) else {
            continue;
        };
        if entry.encoding != "UTF8" {
            findings
                .push(error(format!("database {} is in {}", database.name, entry.encoding)).wanted("UTF8"));
        }
        if !entry.allow_connections {
            findings.push(
                error(format!("database {} allows no connections", database.name)).hint(format!(
                    "ALTER DATABASE {} ALLOW_CONNECTIONS true;",
                    database.name
                )),
            );
        }
    }
    Ok(findings)
}

fn owner(case: &Case<'_>) -> Looked {
    let seen = answering(case)?;
    let owner_of = |name: &str| {
        let real = &case.settings().databases.get(name)?.name;
        Some(seen.target.server.as_ref()?.databases.get(real)?.owner.clone())
    };
    each_health(case, |name, health| {
        let owner = owner_of(name).unwrap_or_default();
        let owners = health.foreign_owners.iter();
        owners
            .map(|(role, count)| {
                let (from, to) = (
                    infra::postgres::quote::ident(role),
                    infra::postgres::quote::ident(&owner),
                );
                warning(format!("{count} relations of database {name} belong to {role}"))
                    .wanted(format!("{owner}, the database's owner"))
                    .hint(format!("REASSIGN OWNED BY {from} TO {to};"))
            })
            .collect()
    })
}

fn locale(case: &Case<'_>) -> Looked {
    let seen = answering(case)?;
    let Some(server) = &seen.target.server else {
        return Ok(Vec::new());
    };
    let entries = case.settings().databases.iter().filter_map(|(name, database)| {
        let entry = server.databases.get(&database.name)?;
        Some((name, entry))
    });
    let entries: Vec<_> = entries.collect();
    // Without a backup nobody knows what was meant; what most have is the likeliest.
    let count = |collate: &String| {
        entries
            .iter()
            .filter(|(_, entry)| entry.collate == *collate)
            .count()
    };
    let usual = entries
        .iter()
        .map(|(_, entry)| &entry.collate)
        .max_by_key(|c| count(c));
    let Some(usual) = usual else {
        return Err(NotLooked::because("none of the databases is there"));
    };
    let mut findings = Vec::new();
    for (name, entry) in &entries {
        let before = seen
            .databases
            .get(*name)
            .and_then(|seen| seen.collate_before.as_ref());
        let (wanted, whose) = match before {
            Some(before) => (before, "the locale of the last backup"),
            None => (usual, "the locale of the other databases"),
        };
        if entry.collate != *wanted {
            let text = format!("database {name} sorts by {}", entry.collate);
            findings.push(warning(text).wanted(format!("{wanted}, {whose}")));
        }
    }
    Ok(findings)
}

fn collation(case: &Case<'_>) -> Looked {
    let seen = answering(case)?;
    let collations = seen
        .collations
        .as_ref()
        .ok_or_else(|| NotLooked::because("the instance does not answer"))?;
    let mismatches = match collations {
        Ok(mismatches) => mismatches,
        Err(why) => return Ok(vec![error(format!("collation versions cannot be told: {why}"))]),
    };
    let ours = |name: &str| {
        case.settings()
            .databases
            .values()
            .any(|database| database.name == name)
    };
    let mismatches = mismatches.iter().filter(|mismatch| ours(&mismatch.database));
    Ok(mismatches
        .map(|mismatch| {
            let name = infra::postgres::quote::ident(&mismatch.database);
            error(format!(
                "text indexes of database {} were built with collation version {}, and this server has {}",
                mismatch.database, mismatch.recorded, mismatch.actual
            ))
            .hint(format!("REINDEX DATABASE {name};"))
            .hint(format!("ALTER DATABASE {name} REFRESH COLLATION VERSION;"))
        })
        .collect())
}

fn revision(case: &Case<'_>) -> Looked {
    let seen = answering(case)?;
    let name = &case.settings().schema.database;
    let labeler = seen
        .labeler
        .as_ref()
        .ok_or_else(|| NotLooked::because("the labeler's checkout is not here"))?;
    let database = seen.target.databases.get(name);
    let database = database.ok_or_else(|| NotLooked::because(format!("{name} is not there")))?;
    let history = labeler.alembic.as_ref().map_err(NotLooked::because)?;
    if history.heads.is_empty() {
        return Err(NotLooked::because("the checkout has no head"));
    }
    let revisions = database.revisions.as_ref();
    let revisions = revisions.ok_or_else(|| NotLooked::because(crate::observe::UNTOLD_TABLE))?;
    if *revisions == history.heads {
        return Ok(Vec::new());
    }
    let found = if revisions.is_empty() {
        "no revision".to_owned()
    } else {
        revisions.join(", ")
    };
    let unknown = revisions.iter().any(|one| !history.revisions.contains_key(one));
    let hint = if unknown {
        format!("git -C {} pull", labeler.root.display())
    } else if revisions.is_empty() && !database.facts.is_empty() {
        // Alembic would make tables that are there.
        "cargo xtask doctor --only alembic-version-missing".to_owned()
    } else {
        format!(
            "cd {} && python -m alembic upgrade head",
            labeler.backend.display()
        )
    };
    Ok(vec![
        error(format!("database {name} stands at {found}"))
            .wanted(format!("head {}", history.heads.join(", ")))
            .hint(hint),
    ])
}

fn indexes(case: &Case<'_>) -> Looked {
    each_health(case, |name, health| {
        let all = health.invalid_indexes.iter();
        all.map(|index| {
            error(format!("index {index} of database {name} is invalid"))
                .hint(format!("REINDEX INDEX CONCURRENTLY {index};"))
        })
        .collect()
    })
}

fn constraints(case: &Case<'_>) -> Looked {
    each_health(case, |name, health| {
        if health.unvalidated_constraints.is_empty() {
            return Vec::new();
        }
        let text = format!(
            "not validated in {name}: {}",
            some(&health.unvalidated_constraints)
        );
        vec![warning(text).wanted("ALTER TABLE .. VALIDATE CONSTRAINT, after correcting the rows it names")]
    })
}

fn sequences(case: &Case<'_>) -> Looked {
    each_health(case, |name, health| {
        health
            .sequences
            .iter()
            .map(|s| {
                // A faithful copy of a source that had it so; the source's next insert fails as well.
                warning(format!(
                    "sequence {} of {name} gives {} next, and {} holds {} already",
                    s.sequence, s.next, s.column, s.reached
                ))
                .hint(format!(
                    "SELECT setval('{}', {});",
                    s.sequence.replace('\'', "''"),
                    s.reached
                ))
            })
            .collect()
    })
}
