//! `.env` does not say what it should.

use infra::command::shell_word;

use crate::checks::NotLooked;
use crate::doctor::{Case, Diagnosis, Examined, Problem, Proof};
use crate::observe::{EnvSeen, MappingSeen};

const SYMPTOMS: &[&str] = &[
    "database \"*\" does not exist",
    "Input should be a valid integer, unable to parse string as an integer",
    "invalid integer value \"*\" for connection option \"port\"",
    "'utf-8' codec can't decode byte",
    "Is a directory: '*.env'",
    "could not translate host name \"*\" to address",
];

pub(in crate::doctor) const UNUSABLE: Problem = Problem {
    id: "env-unusable",
    title: "`.env` is empty, broken, or names another database",
    meaning: "`.env` cannot be read, lacks keys, or names a database that is not the one it should be",
    symptoms: SYMPTOMS,
    causes: "A file that an editor saved in another encoding, a folder that Docker made in the file's place, a key that was lost, a port that is no \
             number, the names of two databases in each other's place. The application then takes its defaults, or somebody else's tables. \
             The doctor reads the file as the application does, and compares names with the settings.",
    repair: "None of its own: what belongs there is a person's to say. The doctor names file, line and key, and prints the line that sets it; \
             `cargo xtask onboard` makes a file that is not there.",
    proof: &[
        Proof {
            created: "another database's name; two names swapped; a port that is no number; a key that is missing",
            recognised: "each key, with the value that it should have",
            repaired: "not repaired; the line that is printed sets it",
            test: "what_env_says_wrong_is_told_key_by_key_with_the_line_that_sets_it",
        },
        Proof {
            created: "an empty file; no file; a folder; bytes that are not UTF-8",
            recognised: "the file, and why it cannot be read",
            repaired: "not repaired",
            test: "an_env_that_cannot_be_read_is_a_finding_and_nothing_else_is_called_well",
        },
    ],
    examine: unusable,
};

fn unusable(case: &Case<'_>) -> Examined {
    let seen = &case.seen.seen;
    if seen.labeler.is_none() {
        return Err(NotLooked::because(
            "the labeler's checkout is not here (labeler.repository), and with it no .env",
        ));
    }
    let mut found = Vec::new();
    for file in &seen.env_files {
        found.extend(one(case, file));
    }
    Ok(found)
}

fn one(case: &Case<'_>, file: &EnvSeen) -> Vec<Diagnosis> {
    let path = file.path.display().to_string();
    if !file.exists {
        return vec![
            Diagnosis::error(&path, format!("there is no {path}"))
                .wanted("the file that the application reads")
                .hint("cargo xtask onboard"),
        ];
    }
    if let Some(problem) = &file.problem {
        return vec![
            Diagnosis::error(&path, format!("{path} cannot be read: {problem}"))
                .wanted("a file that the application can read"),
        ];
    }
    if let Some(rejected) = file.rejected.iter().find(|rejected| rejected.application) {
        return vec![
            Diagnosis::error(
                &path,
                format!(
                    "the application cannot read {path}: line {}: {}",
                    rejected.fault.line, rejected.fault.why
                ),
            )
            .wanted("a file that the application can read"),
        ];
    }
    let each = file.mappings.iter();
    each.flat_map(|(name, mapping)| {
        let lacking = missing(&path, name, mapping);
        let wrong = wrong_port(&path, name, mapping).or_else(|| wrong_name(case, &path, name, mapping));
        lacking.into_iter().chain(wrong)
    })
    .collect()
}

/// The command that sets a key. A word in capitals stands for what only a person knows.
fn set(path: &str, key: &str, value: &str) -> String {
    format!(
        "cargo xtask env set {} {}",
        shell_word(path),
        shell_word(&format!("{key}={value}"))
    )
}

fn missing(path: &str, name: &str, mapping: &MappingSeen) -> Option<Diagnosis> {
    let lacking: Vec<_> = mapping
        .keys()
        .into_iter()
        // A password's value is not kept: whether a line assigns it is.
        .filter(|key| key.lines.is_empty() || key.fault.is_some())
        .collect();
    let first = lacking.first()?;
    let told = lacking.iter().map(|key| match &key.fault {
        Some(fault) => format!("{} (line {}: {})", key.key, fault.line, fault.why),
        None => key.key.clone(),
    });
    let told: Vec<String> = told.collect();
    Some(
        Diagnosis::error(
            format!("{path} {name}"),
            format!(
                "{path} does not say where {name} is: no value for {}",
                told.join(", ")
            ),
        )
        .wanted(format!("host, port, name, user and password of {name}"))
        .hint(set(path, &first.key, "VALUE")),
    )
}

fn wrong_port(path: &str, name: &str, mapping: &MappingSeen) -> Option<Diagnosis> {
    let port = mapping.port.value.as_ref()?;
    if port.parse::<u16>().is_ok_and(|port| port > 0) {
        return None;
    }
    Some(
        Diagnosis::error(
            format!("{path} {name}"),
            format!("{} of {path} is no port: {port}", mapping.port.key),
        )
        .wanted("a number from 1 to 65535")
        .hint(set(path, &mapping.port.key, "PORT")),
    )
}

/// The right place, and another database there.
fn wrong_name(case: &Case<'_>, path: &str, name: &str, mapping: &MappingSeen) -> Option<Diagnosis> {
    let settings = case.settings();
    let named = mapping.name.value.as_ref()?;
    let wanted = &settings.databases.get(name)?.name;
    let on_target = mapping.host.value.as_deref() == Some(settings.target.host.as_str())
        && mapping.port.value.as_deref() == Some(settings.target.port.to_string().as_str());
    if named == wanted || !on_target {
        return None;
    }
    let said = case
        .seen
        .logins
        .get(name)
        .and_then(|login| login.works.as_ref().err());
    let owner = settings
        .databases
        .iter()
        .find(|(other, database)| *other != name && database.name == *named);
    let found = match owner {
        Some((other, _)) => format!(
            "{} of {path} names {named}, which is the database of {other}",
            mapping.name.key
        ),
        None => format!("{} of {path} names database {named}", mapping.name.key),
    };
    Some(
        Diagnosis::error(format!("{path} {name}"), found)
            .said(
                said.map(String::as_str)
                    .and_then(|said| crate::doctor::symptom::any(&SYMPTOMS[..1], said)),
            )
            .wanted(format!("{wanted}, which the settings name for {name}"))
            .hint(set(path, &mapping.name.key, wanted)),
    )
}
