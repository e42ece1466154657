//! Alembic does not know where it stands.

use infra::alembic::History;

use crate::checks::NotLooked;
use crate::doctor::{Case, Diagnosis, Examined, Problem, Proof};
use crate::observe::{Held, LabelerSeen, TargetDatabase, UNTOLD_TABLE};

const SYMPTOMS: &[&str] = &[
    "relation \"alembic_version\" does not exist",
    "alembic_version does not exist",
    "Can't locate revision identified by '*'",
    "DuplicateTable*already exists",
    "DuplicateObject*already exists",
];

pub(in crate::doctor) const VERSION_MISSING: Problem = Problem {
    id: "alembic-version-missing",
    title: "Migration fails with \"alembic_version does not exist\"",
    meaning: "the database has tables, and nothing says which revision they are, or a revision that the checkout does not have",
    symptoms: SYMPTOMS,
    causes: "A dump that left the table out (`-t`, an old backup), or tables that were made without Alembic. `alembic upgrade` then starts \
             from the first revision and fails on a table that exists already. Stamping it with head, as people do, claims a schema that may not \
             be there: the missing columns come out later, in production. A revision that the checkout does not have was made by a newer one, or \
             by a branch: the checkout is older than the data.",
    repair: "None of its own. A revision or `env.py` runs the application's settings, and these may connect to any server: \
             `load_dotenv(override=True)` lets `.env` win over what the doctor sets. So the doctor reads the version table, does not run \
             Alembic, and prints what to type. If the checkout does not have the revision, pull the checkout that has it; stamp another \
             revision only when no checkout has it. First check which database `.env` names: Alembic connects to that one.",
    proof: &[
        Proof {
            created: "`DROP TABLE alembic_version` in a database at revision d4085f2a7b14",
            recognised: "tables and no revision",
            repaired: "not repaired: which revision it is, a person says; the printed `alembic stamp` ends it",
            test: "a_lost_alembic_version_is_named_with_the_stamp_to_type",
        },
        Proof {
            created: "the same, with `load_dotenv(override=True)` in the settings",
            recognised: "tables and no revision",
            repaired: "not repaired: nothing of the application runs, and the database that `.env` names stays as it is",
            test: "a13_settings_that_override_the_environment_never_lead_the_doctor_to_the_real_database",
        },
        Proof {
            created: "`UPDATE alembic_version SET version_num = 'feedbeef0000'`",
            recognised: "that revision, which the checkout does not have",
            repaired: "not repaired: the checkout is pulled, or the printed `alembic stamp --purge` puts another in its place",
            test: "a_revision_that_the_checkout_does_not_have_is_named_with_the_stamp_to_type",
        },
    ],
    examine: version_missing,
};

fn version_missing(case: &Case<'_>) -> Examined {
    if case.server()?.is_none() {
        return Ok(Vec::new());
    }
    let settings = case.settings();
    let name = &settings.schema.database;
    let Some(database) = case.seen.seen.target.databases.get(name) else {
        return Ok(Vec::new());
    };
    if !case.in_charge(name) {
        return Ok(Vec::new());
    }
    let labeler = case.seen.seen.labeler.as_ref();
    let labeler = labeler.ok_or_else(|| NotLooked::because("the labeler's checkout is not here"))?;
    let history = labeler.alembic.as_ref().map_err(NotLooked::because)?;
    let revisions = database.revisions.as_deref();
    let revisions = revisions.ok_or_else(|| NotLooked::because(UNTOLD_TABLE))?;
    if !revisions.is_empty() {
        return unknown_revision(name, labeler, history, database, revisions);
    }
    if case.seen.backups.get(name).is_some_and(Held::is_emptied) {
        // A new schema would hide the loss.
        return Err(NotLooked::because(
            "the database has lost its rows, which comes first: cargo xtask doctor --only database-emptied",
        ));
    }
    let real = &database.facts.name;
    let backend = infra::command::shell_path(&labeler.backend);
    if database.facts.is_empty() {
        return Ok(vec![
            Diagnosis::error(
                name,
                format!("database {real} is empty: its schema was never made"),
            )
            .wanted("the tables of Alembic's head")
            .hint(format!(
                "cd {backend} && python {}",
                infra::command::shell_path(&settings.schema.script)
            )),
        ]);
    }
    Ok(vec![
        Diagnosis::error(
            name,
            format!(
                "database {real} has {} relations and no Alembic revision",
                database.facts.relations
            ),
        )
        .wanted("the revision whose schema this is, which is head only when nothing of head is missing")
        .evidence([standing_at(history)])
        .hint(format!("cd {backend} && python -m alembic history --verbose"))
        .hint(format!(
            "cd {backend} && python -m alembic stamp REVISION  # in the database that .env names"
        )),
    ])
}

/// A revision that no file of the checkout defines: Alembic goes neither forward nor back from it.
fn unknown_revision(
    name: &str,
    labeler: &LabelerSeen,
    history: &History,
    database: &TargetDatabase,
    revisions: &[String],
) -> Examined {
    if let Some(fault) = history.faults.first() {
        return Err(NotLooked::because(fault.what.clone()));
    }
    let unknown = revisions
        .iter()
        .filter(|one| !history.revisions.contains_key(*one));
    let unknown: Vec<&str> = unknown.map(String::as_str).collect();
    if unknown.is_empty() {
        return Ok(Vec::new());
    }
    let backend = infra::command::shell_path(&labeler.backend);
    Ok(vec![
        Diagnosis::error(
            name,
            format!(
                "database {} stands at revision {}, which the checkout {} does not have",
                database.facts.name,
                unknown.join(", "),
                labeler.root.display()
            ),
        )
        .wanted("the checkout that made the data: this one is older, or on another branch")
        .evidence([standing_at(history)])
        .hint(format!("git -C {} pull", infra::command::shell_path(&labeler.root)))
        .hint(format!(
            "cd {backend} && python -m alembic stamp --purge REVISION  # only when no checkout has it any more"
        )),
    ])
}

fn standing_at(history: &History) -> String {
    format!("head of the checkout: {}", history.heads.join(", "))
}
