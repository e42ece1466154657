//! The rules of text order changed under a database.

use std::collections::BTreeMap;

use infra::postgres::ailments::CollationMismatch;
use infra::postgres::quote::ident;

use crate::checks::NotLooked;
use crate::doctor::act::{Act, Back, Sql};
use crate::doctor::{Case, Diagnosis, Examined, Fix, Problem, Proof};

const SYMPTOMS: &[&str] = &[
    "database \"*\" has a collation version mismatch",
    "collation \"*\" has version mismatch",
    "template database \"*\" has a collation version",
];

pub(in crate::doctor) const MISMATCH: Problem = Problem {
    id: "collation-mismatch",
    title: "\"Collation version mismatch\"",
    meaning: "text indexes were built with other rules of order than the machine has now",
    symptoms: SYMPTOMS,
    causes: "The image changed its operating system (Debian to Alpine, or a newer release), or files of a cluster were copied between them: glibc, \
             musl and ICU sort differently. An index that was built with the old order misses rows, and a unique one lets doubles in. \
             The doctor compares what each database recorded with what the server's machine has.",
    repair: "Rebuilds the database's indexes (`REINDEX DATABASE`; writers wait for the table at hand), then records the new version. The order \
             matters: recorded first, the message is gone and the damage stays. There is nothing to go back to.",
    proof: &[Proof {
        created: "another version written into `pg_database.datcollversion` of a database with an ICU locale",
        recognised: "both versions",
        repaired: "indexes rebuilt, version recorded",
        test: "a_collation_mismatch_is_reindexed_and_recorded",
    }],
    examine: mismatch,
};

fn mismatch(case: &Case<'_>) -> Examined {
    let Some(inside) = case.inside()? else {
        return Ok(Vec::new());
    };
    let found = inside.collations.as_ref().map_err(NotLooked::because)?;
    Ok(found.iter().map(|one| diagnose(case, one)).collect())
}

fn diagnose(case: &Case<'_>, one: &CollationMismatch) -> Diagnosis {
    let name = &one.database;
    let sql = Sql {
        what: format!("rebuild the indexes of {name}"),
        instance: case.target(),
        database: name.clone(),
        statements: vec![
            format!("REINDEX DATABASE {};", ident(name)),
            format!("ALTER DATABASE {} REFRESH COLLATION VERSION;", ident(name)),
        ],
        back: Back::NotNeeded,
        secrets: BTreeMap::new(),
    };
    let fix = Fix::new(
        format!("rebuild the indexes of {name} and record the version"),
        vec![Act::Sql(sql)],
    )
    .disturbs(format!("writers to {name}, one table at a time"));
    let found = format!(
        "database {name} was built with collation version {}, and the machine has {}",
        one.recorded, one.actual
    );
    Diagnosis::error(name, found).fix(Some(fix))
}
