//! What the application's role may not do.

use std::collections::BTreeMap;

use crate::checks::NotLooked;
use crate::doctor::act::{Act, Back, Sql};
use crate::doctor::{Case, Diagnosis, Examined, Fix, Problem, Proof, symptom};
use crate::observe::Inside;

const DENIED_SYMPTOMS: &[&str] = &[
    "permission denied for database*",
    "permission denied for table *",
    "permission denied for relation *",
    "permission denied for schema *",
    "permission denied for sequence *",
    "User does not have CONNECT privilege",
];
const OWNER_SYMPTOMS: &[&str] = &["must be owner of *", "permission denied to create *"];

/// How many objects are listed.
const SHOWN: usize = 8;

pub(in crate::doctor) const DENIED: Problem = Problem {
    id: "permission-denied",
    title: "\"Permission denied for database labeler\"",
    meaning: "the role of `.env` may not do what the application does",
    symptoms: DENIED_SYMPTOMS,
    causes: "The database was restored as another role, the role was made again by hand, or grants were given to the tables that there \
             were and not to those that came later (default privileges). The doctor asks for every privilege that the application needs, on every \
             schema, table and sequence, and lists those that are missing. A role whose name says read-only is asked for reading alone.",
    repair: "Grants exactly what is missing, and the same by default for what the owner makes from now on. Going back revokes exactly that.",
    proof: &[
        Proof {
            created: "a role without any grant",
            recognised: "every table and sequence that is refused",
            repaired: "granted, also for the owner's next table; going back revokes",
            test: "missing_privileges_are_granted_and_revoked_again",
        },
        Proof {
            created: "`REVOKE CONNECT ON DATABASE labeler FROM PUBLIC`",
            recognised: "`permission denied for database`",
            repaired: "granted to the role alone",
            test: "missing_privileges_are_granted_and_revoked_again",
        },
    ],
    examine: denied,
};

pub(in crate::doctor) const OWNER: Problem = Problem {
    id: "wrong-owner",
    title: "\"Must be owner of table\"",
    meaning: "something in the database belongs to a role that Alembic does not log in as: the next upgrade stops there",
    symptoms: OWNER_SYMPTOMS,
    causes: "A restore as the superuser gives it every table. Grants do not help: only the owner may change a table. From PostgreSQL 15 \
             on, only the database's owner may create in schema `public`.",
    repair: "Gives the database, its schemas, tables, views, sequences, routines and types to the role of `.env`, one statement each \
             (`REASSIGN OWNED` would take the server's own objects along). Going back gives each to whom it belonged.",
    proof: &[Proof {
        created: "a table and a function of another role, `alembic upgrade` as labeler_app fails",
        recognised: "each object and its owner",
        repaired: "given over, and the upgrade works; going back gives them back",
        test: "what_belongs_to_another_role_is_given_over_and_back",
    }],
    examine: owner,
};

/// The databases of the target that `.env` names, with what the role may not do.
fn each(
    case: &Case<'_>,
    look: impl Fn(&str, &str, &Inside) -> Result<Option<Diagnosis>, NotLooked>,
) -> Examined {
    let Some(inside) = case.inside()? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for name in inside.databases.keys().filter(|name| case.in_charge(name)) {
        let real = case
            .settings()
            .databases
            .get(name)
            .map_or(name.as_str(), |d| &d.name);
        found.extend(look(name, real, inside)?);
    }
    Ok(found)
}

fn denied(case: &Case<'_>) -> Examined {
    each(case, |name, real, inside| {
        let database = &inside.databases[name];
        let missing = database.missing.as_ref().map_err(NotLooked::because)?;
        if missing.refused.is_empty() {
            return Ok(None);
        }
        let role = &database.role;
        let title = format!("grant {role} what is missing in {real}");
        let sql = Sql {
            what: title.clone(),
            instance: case.target(),
            database: real.to_owned(),
            statements: missing.grant.clone(),
            back: Back::Statements(missing.revoke.clone()),
            secrets: BTreeMap::new(),
        };
        let said = case
            .seen
            .logins
            .get(name)
            .and_then(|login| login.works.as_ref().err());
        Ok(Some(
            Diagnosis::error(
                name,
                format!("{role} is refused {} of {real}", things(missing.refused.len())),
            )
            .said(said.and_then(|said| symptom::any(DENIED_SYMPTOMS, said)))
            .evidence(some(
                missing.refused.iter().map(|what| format!("refused: {what}")),
            ))
            .fix(Some(Fix::new(title, vec![Act::Sql(sql)]))),
        ))
    })
}

/// Whether a role of `.env` is one that may own what is in a database: its owner, or the one that the settings name. Any
/// other is `.env`'s mistake, and a role that may only read must never become an owner.
fn may_own(case: &Case<'_>, name: &str, role: &str) -> Result<bool, NotLooked> {
    let Some(database) = case.settings().databases.get(name) else {
        return Ok(false);
    };
    let entry = case
        .server()?
        .and_then(|server| server.databases.get(&database.name));
    Ok(role == database.login_on(&case.settings().target) || entry.is_some_and(|entry| entry.owner == role))
}

fn owner(case: &Case<'_>) -> Examined {
    let managed = &case.settings().schema.database;
    each(case, |name, real, inside| {
        // Only Alembic changes tables, and only here.
        if name != managed {
            return Ok(None);
        }
        let database = &inside.databases[name];
        let foreign = database.foreign.as_ref().map_err(NotLooked::because)?;
        if foreign.is_empty() {
            return Ok(None);
        }
        let role = &database.role;
        let target = &case.settings().target.user;
        if !may_own(case, name, role)? {
            let found = format!(
                "`.env` logs in to {real} as {role}, to whom neither the database nor {} of it belong",
                things(foreign.len())
            );
            let wanted =
                format!("{target} in `.env`, or the database given to {role} by somebody who means it");
            let diagnosis = Diagnosis::error(name, found).wanted(wanted);
            return Ok(Some(diagnosis.fix(super::logins::log_in_as_target(case, name))));
        }
        let title = format!("give {} of {real} to {role}", things(foreign.len()));
        let sql = Sql {
            what: title.clone(),
            instance: case.target(),
            database: real.to_owned(),
            statements: foreign.iter().map(|one| one.give.clone()).collect(),
            back: Back::Statements(foreign.iter().rev().map(|one| one.back.clone()).collect()),
            secrets: BTreeMap::new(),
        };
        Ok(Some(
            Diagnosis::error(
                name,
                format!("{} of {real} do not belong to {role}", things(foreign.len())),
            )
            .evidence(some(
                foreign
                    .iter()
                    .map(|one| format!("{} belongs to {}", one.object, one.owner)),
            ))
            .wanted(format!(
                "{role} as the owner, so that `alembic upgrade` may change them"
            ))
            .fix(Some(Fix::new(title, vec![Act::Sql(sql)]))),
        ))
    })
}

fn things(count: usize) -> String {
    if count == 1 {
        "1 object".to_owned()
    } else {
        format!("{count} objects")
    }
}

/// The first lines, and how many more.
fn some(lines: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let more = lines.len().saturating_sub(SHOWN);
    let mut shown: Vec<String> = lines.take(SHOWN).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown
}
