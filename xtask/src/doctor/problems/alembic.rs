//! Alembic does not know where it stands.

use crate::checks::NotLooked;
use crate::config::SecretName;
use crate::doctor::act::{Act, Stamp};
use crate::doctor::{Case, Diagnosis, Examined, Fix, Problem, Proof};
use crate::observe::{Held, LabelerSeen, TargetDatabase};
use crate::plan::action::EnvValue;

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
    repair: "Builds every revision of the checkout in a throw-away database on the same server, with Alembic itself, and compares each schema \
             with the real one, object by object; the real database is only read, the throw-away is dropped. It stamps on an exact match only. \
             Without one it names the nearest and the differences, and `--stamp REVISION` stamps by name. Going back removes the stamp. \
             A revision that the checkout does not have is named and stays: pull the checkout that has it. Where nobody has it any more, \
             `--stamp REVISION` puts another in its place, and going back brings the old one back.",
    proof: &[
        Proof {
            created: "`DROP TABLE alembic_version` in a database at revision d4085f2a7b14",
            recognised: "tables and no revision",
            repaired: "that revision found and stamped, not head; going back removes the stamp",
            test: "a_lost_alembic_version_is_found_by_comparing_every_revision",
        },
        Proof {
            created: "the same, with one column more",
            recognised: "the nearest revision and the column; nothing is stamped",
            repaired: "`--stamp d4085f2a7b14`",
            test: "a_lost_alembic_version_is_found_by_comparing_every_revision",
        },
        Proof {
            created: "`UPDATE alembic_version SET version_num = 'feedbeef0000'`",
            recognised: "that revision, which the checkout does not have",
            repaired: "`--stamp d4085f2a7b14`; going back brings feedbeef0000 back",
            test: "a_revision_that_the_checkout_does_not_have_is_named_and_replaced_by_name_only",
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
    if !database.revisions.is_empty() {
        return unknown_revision(case, name, database);
    }
    if case.seen.backups.get(name).is_some_and(Held::is_emptied) {
        // A new schema would hide the loss.
        return Err(NotLooked::because(
            "the database has lost its rows, which comes first: cargo xtask doctor --only database-emptied",
        ));
    }
    let real = &database.facts.name;
    let labeler = case.seen.seen.labeler.as_ref();
    if database.facts.is_empty() {
        let folder = labeler.map_or_else(String::new, |labeler| labeler.backend.display().to_string());
        return Ok(vec![
            Diagnosis::error(
                name,
                format!("database {real} is empty: its schema was never made"),
            )
            .wanted("the tables of Alembic's head")
            .hint(format!(
                "cd {} && python {}",
                infra::command::shell_word(&folder),
                infra::command::shell_path(&settings.schema.script)
            )),
        ]);
    }
    let found = Diagnosis::error(
        name,
        format!(
            "database {real} has {} relations and no Alembic revision",
            database.facts.relations
        ),
    )
    .wanted("the revision whose schema this is");
    let labeler = labeler.ok_or_else(|| NotLooked::because("the labeler's checkout is not here"))?;
    if let Some(none) = named_and_unknown(case, labeler, &found) {
        return Ok(vec![none]);
    }
    let fix = stamp(case, labeler, name, database);
    let found = match fix {
        None => found.hint(NO_ALEMBIC),
        Some(_) => found,
    };
    Ok(vec![found.fix(fix)])
}

/// What a stamp needs.
const NO_ALEMBIC: &str = "have the labeler's virtual environment with Alembic in backend/.venv";

/// A revision that no file of the checkout defines: Alembic goes neither forward nor back from it.
fn unknown_revision(case: &Case<'_>, name: &str, database: &TargetDatabase) -> Examined {
    let Some(labeler) = &case.seen.seen.labeler else {
        return Ok(Vec::new());
    };
    if let Some(problem) = &labeler.alembic.problem {
        return Err(NotLooked::because(problem.clone()));
    }
    let known = |revision: &&String| labeler.alembic.known.contains(revision);
    let unknown: Vec<&str> = database
        .revisions
        .iter()
        .filter(|revision| !known(revision))
        .map(String::as_str)
        .collect();
    if unknown.is_empty() {
        return Ok(Vec::new());
    }
    let found = Diagnosis::error(
        name,
        format!(
            "database {} stands at revision {}, which the checkout {} does not have",
            database.facts.name,
            unknown.join(", "),
            labeler.root.display()
        ),
    )
    .wanted("the checkout that made the data: this one is older, or on another branch");
    if let Some(none) = named_and_unknown(case, labeler, &found) {
        return Ok(vec![none]);
    }
    let found = found.evidence([format!(
        "head of the checkout: {}",
        labeler.alembic.heads.join(", ")
    )]);
    // Only a person knows that nobody has that revision any more.
    if case.stamp.is_none() {
        let root = infra::command::shell_path(&labeler.root);
        return Ok(vec![found.hint(format!("git -C {root} pull")).hint(
            "cargo xtask doctor --fix --stamp REVISION  # when no checkout has it any more",
        )]);
    }
    Ok(vec![match stamp(case, labeler, name, database) {
        None => found.hint(NO_ALEMBIC),
        fix => found.fix(fix),
    }])
}

/// The answer to a revision that a person named and the checkout does not have.
fn named_and_unknown(case: &Case<'_>, labeler: &LabelerSeen, found: &Diagnosis) -> Option<Diagnosis> {
    let known = &labeler.alembic.known;
    let revision = case
        .stamp
        .filter(|revision| !known.iter().any(|one| one == revision))?;
    let evidence = format!("revisions of the checkout: {}", known.join(", "));
    let hint = format!("revision {revision} is none of them");
    Some(found.clone().evidence([evidence]).hint(hint))
}

fn stamp(case: &Case<'_>, labeler: &LabelerSeen, name: &str, database: &TargetDatabase) -> Option<Fix> {
    let settings = case.settings();
    let keys = &settings.databases.get(name)?.env;
    let login = case.seen.logins.get(name)?;
    let python = labeler.python.clone().filter(|_| labeler.has_alembic)?;
    let common = |user: &str, password: SecretName| {
        vec![
            (keys.host.clone(), EnvValue::Plain(settings.target.host.clone())),
            (
                keys.port.clone(),
                EnvValue::Plain(settings.target.port.to_string()),
            ),
            (keys.user.clone(), EnvValue::Plain(user.to_owned())),
            (keys.password.clone(), EnvValue::Secret(password)),
        ]
    };
    let mut own = common(&login.role, SecretName::Source(name.to_owned()));
    own.push((keys.name.clone(), EnvValue::Plain(login.database.clone())));
    let revision = case.stamp.map(str::to_owned);
    let title = match &revision {
        Some(revision) => format!("stamp {name} with {revision}, because you say so"),
        None => format!("find the revision with the schema of {name}, and stamp it on an exact match"),
    };
    let stamp = Stamp {
        instance: case.target(),
        maintenance: case.maintenance().to_owned(),
        database: login.database.clone(),
        python,
        versions: labeler.backend.join(&settings.schema.versions),
        backend: labeler.backend.clone(),
        login: own,
        // Revisions may create extensions, which is the administrator's; owners are not compared.
        builder: common(&settings.target.user, SecretName::Target),
        name_key: keys.name.clone(),
        revision,
        table_is_there: database.facts.has_alembic_version,
        replaces: database.revisions.clone(),
        limit_seconds: settings.schema.timeout_seconds,
    };
    Some(Fix::new(title, vec![Act::Stamp(Box::new(stamp))]))
}
