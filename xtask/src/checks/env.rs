//! `.env` files and their templates.

mod address;
mod overridden;
mod place;
mod secrets;

use std::path::Path;

use backend_env::{Document, Environment, Reader, Reading};
use infra::command::{shell_path, shell_word};

use super::{Case, Check, Group, Looked, NotLooked, error, warning};
use crate::config::EnvMapping;
use crate::model::Finding;
use crate::model::secret_key::is_address;
use crate::observe::{EnvText, is_template};

pub(super) use place::{host_name, port_number};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "env.readable",
        group: Group::Env,
        meaning: "every `.env` file and template can be read, and no reader gives up on it",
        why: "One bad line makes Docker Compose drop the whole file, while the application only loses that line.",
        fix: "Close the quote or remove the line that is named: `cargo xtask env check FILE`.",
        run: readable,
    },
    Check {
        id: "env.keys",
        group: Group::Env,
        meaning: "every file sets host, port, name, role and password of each database, once",
        why: "A missing key silently becomes the application's default; of two assignments the last one counts.",
        fix: "`cargo xtask env set FILE KEY=VALUE`, or remove the assignment that does not count.",
        run: keys,
    },
    Check {
        id: "env.target",
        group: Group::Env,
        meaning: "host and port of every database are the target's",
        why: "The old layout had three instances. A port that stayed behind points at a server that is gone, or at old data.",
        fix: "`cargo xtask migrate` moves the data and `.env` with it; when the data are there, `cargo xtask env set FILE KEY=VALUE`.",
        run: place::target,
    },
    Check {
        id: "env.names",
        group: Group::Env,
        meaning: "each mapping names its own database",
        why: "On one instance a wrong name is no connection error: the application writes into another team's database.",
        fix: "`cargo xtask env set FILE KEY=NAME`.",
        run: place::names,
    },
    Check {
        id: "env.roles",
        group: Group::Env,
        meaning: "the role of each mapping exists on the target",
        why: "When only the ports are changed, the old role stays in the file and the application cannot log in.",
        fix: "`cargo xtask env set FILE KEY=ROLE`. A run with `--roles preserve` keeps the old role: then skip this check.",
        run: place::roles,
    },
    Check {
        id: "env.address",
        group: Group::Env,
        meaning: "an address such as `DATABASE_URL` names the server, role and database of the Compose service that it leads to",
        why: "The values stand in two places, and only one of them was changed.",
        fix: "Correct the address, or `POSTGRES_USER` and `POSTGRES_DB` of the service.",
        run: address::addresses,
    },
    Check {
        id: "env.overridden",
        group: Group::Env,
        meaning: "no Compose service that reads `.env` sets port, name, role or password of a database again",
        why: "`environment` wins over `env_file`: the service keeps its own value when `.env` changes.",
        fix: "Remove the entry under `environment`.",
        run: overridden::overridden,
    },
    Check {
        id: "env.readers-agree",
        group: Group::Env,
        meaning: "the application and Docker Compose read the same values",
        why: "There is no standard for `.env`: a comment, a blank or a `$` means something else to each reader.",
        fix: "Write the value in single quotes, without a comment behind it; `cargo xtask env check FILE` shows who reads what.",
        run: readers_agree,
    },
    Check {
        id: "env.placeholders",
        group: Group::Env,
        meaning: "no key of a database still holds the template's value",
        why: "`change_me` is a value like any other until the first login fails.",
        fix: "`cargo xtask env set FILE KEY=-` reads the real value from standard input.",
        run: secrets::placeholders,
    },
    Check {
        id: "env.not-committed",
        group: Group::Env,
        meaning: "git tracks no `.env` file but templates",
        why: "What was pushed once stays in the history and in every clone, also after it is deleted.",
        fix: "`git rm --cached FILE`, add it to `.gitignore`, and change every secret that it held.",
        run: secrets::not_committed,
    },
    Check {
        id: "env.example-secrets",
        group: Group::Env,
        meaning: "templates hold placeholders where secrets belong",
        why: "A template is committed on purpose; a real secret in it is published.",
        fix: "Write `change_me` in the template, and change the secret that it held.",
        run: secrets::example_secrets,
    },
];

/// The files to look at with their documents; those that cannot be read are the business of `env.readable`.
fn files<'a>(case: &Case<'a>, examples: bool) -> Result<Vec<(&'a EnvText, &'a Document)>, NotLooked> {
    let config = case.config()?;
    super::settings::labeler(case)?;
    let templates = config.examples.iter().filter(|_| examples);
    let all: Vec<_> = config
        .env_files
        .iter()
        .chain(templates)
        .filter_map(|file| Some((file, file.document.as_ref().ok()?)))
        .collect();
    if all.is_empty() {
        return Err(NotLooked::because("there is no .env file that can be read"));
    }
    Ok(all)
}

/// All values as the application reads them.
fn values(document: &Document) -> impl Fn(&str) -> Option<String> {
    let readings = document.read_all(Reader::PythonDotenv, &Environment::empty());
    move |key| String::from_utf8(readings.get(key).value()?.to_vec()).ok()
}

/// The value as the application reads it.
fn value(document: &Document, key: &str) -> Option<String> {
    match document.read(key, Reader::PythonDotenv) {
        Reading::Value(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn line(document: &Document, key: &str) -> usize {
    document.get(key).map_or(0, |entry| entry.line())
}

/// A value as findings show it: a pasted URL holds a password.
fn shown(value: &str) -> &str {
    if is_address(value) { "a URL" } else { value }
}

/// The command that sets keys; no value may be a secret.
fn set(path: &Path, keys: &[(&str, &str)]) -> String {
    let assignments: Vec<String> = keys
        .iter()
        .map(|(key, value)| shell_word(&format!("{key}={value}")))
        .collect();
    format!(
        "cargo xtask env set {} {}",
        shell_path(path),
        assignments.join(" ")
    )
}

/// What to type where keys should say something else. Before the data has moved, a changed `.env` would lead the
/// application away from it.
pub(super) fn advise(case: &Case<'_>, finding: Finding, path: &Path, keys: &[(&str, &str)]) -> Finding {
    let set = set(path, keys);
    if case.moved || is_template(path) {
        return finding.hint(set);
    }
    finding
        .hint("cargo xtask migrate  # moves the data first, and .env with it")
        .hint(format!("{set}  # only when the target holds the data already"))
}

fn mappings<'a>(case: &Case<'a>) -> impl Iterator<Item = (&'a str, &'a str, &'a EnvMapping)> + use<'a> {
    let databases = case.settings().databases.iter();
    databases.map(|(name, database)| (name.as_str(), database.name.as_str(), &database.env))
}

fn readable(case: &Case<'_>) -> Looked {
    let config = case.config()?;
    super::settings::labeler(case)?;
    let mut findings = Vec::new();
    for file in config.env_files.iter().chain(&config.examples) {
        let document = match &file.document {
            Ok(document) => document,
            Err(why) => {
                findings.push(error(format!("cannot read the file: {why}")).at(&file.path, 0));
                continue;
            }
        };
        for disagreement in document.disagreements(Reader::ALL) {
            if disagreement.key().is_none() {
                let text = format!("a reader gives up on the file: {disagreement}");
                findings.push(error(text).at(&file.path, disagreement.line()));
            }
        }
    }
    Ok(findings)
}

fn keys(case: &Case<'_>) -> Looked {
    let files = files(case, true)?;
    let wanted: Vec<&str> = mappings(case)
        .flat_map(|(_, _, mapping)| mapping.keys())
        .collect();
    let sets_any = |document: &Document| document.entries().any(|entry| wanted.contains(&entry.key()));
    if !files.iter().any(|(_, document)| sets_any(document)) {
        let why = "no .env file sets a key that the settings name under databases.NAME.env";
        return Err(NotLooked::because(why));
    }
    let mut findings = Vec::new();
    for (file, document) in files {
        // A template elsewhere may be about something else.
        if is_template(&file.path) && !sets_any(document) {
            continue;
        }
        let (mut missing, mut twice) = (Vec::new(), Vec::new());
        for key in &wanted {
            let lines: Vec<usize> = document
                .entries()
                .filter(|e| e.key() == *key)
                .map(|e| e.line())
                .collect();
            match lines.as_slice() {
                [] => missing.push(*key),
                [_] => {}
                [.., last] => twice.push((*key, *last)),
            }
        }
        if !missing.is_empty() {
            let keys: Vec<(&str, &str)> = missing.iter().map(|key| (*key, "VALUE")).collect();
            let are = if keys.len() == 1 { "is" } else { "are" };
            findings.push(
                error(format!("{} {are} not set", missing.join(", ")))
                    .hint(set(&file.path, &keys))
                    .at(&file.path, 0),
            );
        }
        if let Some((_, line)) = twice.first() {
            let keys: Vec<&str> = twice.iter().map(|(key, _)| *key).collect();
            let text = format!("{}: set more than once; the last line counts", keys.join(", "));
            findings.push(warning(text).at(&file.path, *line));
        }
    }
    Ok(findings)
}

/// Only of the keys that the migration reads and sets: what other values mean is the application's business.
fn readers_agree(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    for (file, document) in files(case, true)? {
        for disagreement in document.disagreements(Reader::ALL) {
            let Some(key) = disagreement.key() else { continue };
            if !mappings(case).any(|(_, _, mapping)| mapping.keys().contains(&key)) {
                continue;
            }
            findings.push(
                error(format!("readers differ: {disagreement}"))
                    .hint(format!("cargo xtask env check {}", shell_path(&file.path)))
                    .at(&file.path, disagreement.line()),
            );
        }
    }
    Ok(findings)
}
