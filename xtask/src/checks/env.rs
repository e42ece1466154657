//! `.env` files and their templates.

use std::collections::BTreeMap;
use std::path::Path;

use backend_env::{Document, Reader, Reading};
use infra::command::{shell_path, shell_word};

use super::{Case, Check, Group, Looked, NotLooked, error, warning};
use crate::config::EnvMapping;
use crate::model::Finding;
use crate::model::secret_key::{is_address, is_secret_key, secret_part};
use crate::observe::{EnvText, is_placeholder, is_template};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "env.readable",
        group: Group::Env,
        meaning: "every `.env` file and template can be read, and no reader gives up on it",
        why: "One bad line makes Docker Compose and dotenvy drop the whole file, while the application only loses that line.",
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
        id: "env.one-instance",
        group: Group::Env,
        meaning: "all databases are on one host and port",
        why: "The old layout had three instances. A port that stayed behind points at a server that is gone, or at old data.",
        fix: "`cargo xtask env set FILE KEY=PORT` with the target's port.",
        run: one_instance,
    },
    Check {
        id: "env.target",
        group: Group::Env,
        meaning: "that host and port are the target's",
        why: "Three mappings that agree can still agree on the wrong server.",
        fix: "`cargo xtask env set FILE KEY=VALUE`, or correct `[target]` in `infra/migration.toml`.",
        run: target,
    },
    Check {
        id: "env.names",
        group: Group::Env,
        meaning: "each mapping names its own database",
        why: "On one instance a wrong name is no connection error: the application writes into another team's database.",
        fix: "`cargo xtask env set FILE KEY=NAME`.",
        run: names,
    },
    Check {
        id: "env.roles",
        group: Group::Env,
        meaning: "the role of each mapping exists on the target",
        why: "When only the ports are changed, the old role stays in the file and the application cannot log in.",
        fix: "`cargo xtask env set FILE KEY=ROLE`. A run with `--roles preserve` keeps the old role: then skip this check.",
        run: roles,
    },
    Check {
        id: "env.readers-agree",
        group: Group::Env,
        meaning: "the application, Docker Compose and dotenvy read the same values",
        why: "There is no standard for `.env`: a comment, a blank or a `$` means something else to each reader.",
        fix: "Write the value in single quotes, without a comment behind it; `cargo xtask env check FILE` shows who reads what.",
        run: readers_agree,
    },
    Check {
        id: "env.placeholders",
        group: Group::Env,
        meaning: "no `.env` file still holds a template's value",
        why: "`change_me` is a value like any other until the first login fails.",
        fix: "`cargo xtask env set FILE KEY=-` reads the real value from standard input.",
        run: placeholders,
    },
    Check {
        id: "env.not-committed",
        group: Group::Env,
        meaning: "git tracks no `.env` file but templates",
        why: "What was pushed once stays in the history and in every clone, also after it is deleted.",
        fix: "`git rm --cached FILE`, add it to `.gitignore`, and change every secret that it held.",
        run: not_committed,
    },
    Check {
        id: "env.example-secrets",
        group: Group::Env,
        meaning: "templates hold placeholders where secrets belong",
        why: "A template is committed on purpose; a real secret in it is published.",
        fix: "Write `change_me` in the template, and change the secret that it held.",
        run: example_secrets,
    },
];

/// The readers that this team's files really have. Bash is left out: nobody sources the file, the team's machines
/// write CRLF, and bash would differ on every line of it.
const READERS: [Reader; 5] = [
    Reader::PythonDotenv,
    Reader::PythonDotenv12x,
    Reader::Compose,
    Reader::ComposeV1,
    Reader::Dotenvy,
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

/// The command that sets a key; `value` must not be a secret.
fn set(path: &Path, key: &str, value: &str) -> String {
    let assignment = format!("{key}={value}");
    format!(
        "cargo xtask env set {} {}",
        shell_path(path),
        shell_word(&assignment)
    )
}

/// What to type where a key should say something else. Before the data has moved, a changed `.env` would lead the
/// application away from it.
pub(super) fn advise(case: &Case<'_>, finding: Finding, path: &Path, key: &str, value: &str) -> Finding {
    let set = set(path, key, value);
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
        for disagreement in document.disagreements(&READERS) {
            if disagreement.key().is_none() {
                let text = format!("a reader gives up on the file: {disagreement}");
                findings.push(error(text).at(&file.path, disagreement.line()));
            }
        }
    }
    Ok(findings)
}

fn keys(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    for (file, document) in files(case, true)? {
        for (name, _, mapping) in mappings(case) {
            for key in mapping.keys() {
                let lines: Vec<usize> = document
                    .entries()
                    .filter(|e| e.key() == key)
                    .map(|e| e.line())
                    .collect();
                match lines.as_slice() {
                    [] => findings.push(
                        error(format!("{key} is not set"))
                            .wanted(format!("it belongs to the {name} database"))
                            .hint(set(&file.path, key, "VALUE"))
                            .at(&file.path, 0),
                    ),
                    [_] => {}
                    [.., last] => {
                        let all: Vec<String> = lines.iter().map(ToString::to_string).collect();
                        let text = format!("{key} is set on lines {}; the last one counts", all.join(", "));
                        findings.push(warning(text).at(&file.path, *last));
                    }
                }
            }
        }
    }
    Ok(findings)
}

/// `localhost`, `LOCALHOST` and `127.0.0.1` are one machine.
pub(super) fn host_name(host: &str) -> String {
    match host {
        "127.0.0.1" | "::1" => "localhost".to_owned(),
        _ => host.to_lowercase(),
    }
}

/// `05432` and `5432` are one port.
pub(super) fn port_number(port: &str) -> String {
    port.parse::<u16>()
        .map_or_else(|_| port.to_owned(), |port| port.to_string())
}

fn one_instance(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    let target = &case.settings().target;
    let team = target_is_the_teams(case);
    for (file, document) in files(case, true)? {
        let hosts = mappings(case).filter_map(|(_, _, m)| Some((m.host.as_str(), value(document, &m.host)?)));
        let hosts: Vec<(&str, String)> = hosts.map(|(key, host)| (key, host_name(&host))).collect();
        let ports = mappings(case).filter_map(|(_, _, m)| Some((m.port.as_str(), value(document, &m.port)?)));
        let ports: Vec<(&str, String)> = ports.map(|(key, port)| (key, port_number(&port))).collect();
        for (values, own) in [(hosts, host_name(&target.host)), (ports, target.port.to_string())] {
            let Some(usual) = usual(&values, &own) else {
                continue;
            };
            let there = values.iter().filter(|(_, found)| *found == usual).count();
            let others = match there + 1 == values.len() {
                true => "the other databases are",
                false => "another database is",
            };
            for (key, found) in values.iter().filter(|(_, found)| *found != usual) {
                let finding = error(format!(
                    "{key} is {}, while {others} on {}",
                    shown(found),
                    shown(&usual)
                ))
                .wanted("one instance for all databases")
                .at(&file.path, line(document, key));
                // Where most are may be an old instance: only the target is the place for all.
                findings.push(match team || !is_template(&file.path) {
                    true => advise(case, finding, &file.path, key, &own),
                    false => finding,
                });
            }
        }
    }
    Ok(findings)
}

/// The target's value if anyone has it, and else the one that most mappings have.
fn usual(values: &[(&str, String)], own: &str) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, value) in values {
        *counts.entry(value).or_default() += 1;
    }
    let best = counts
        .iter()
        .max_by_key(|(value, count)| (**value == own, **count));
    best.map(|(value, _)| (*value).to_owned())
}

/// A template holds the team's port; a machine that moved its own says nothing of it.
fn target_is_the_teams(case: &Case<'_>) -> bool {
    ["target.host", "target.port"]
        .iter()
        .all(|setting| super::settings::is_the_teams(case, setting))
}

fn target(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    let target = &case.settings().target;
    let team = target_is_the_teams(case);
    for (file, document) in files(case, team)? {
        let value = |key: &str| value(document, key);
        let hosts =
            mappings(case).filter_map(|(_, _, m)| Some((m.host.as_str(), host_name(&value(&m.host)?))));
        let ports =
            mappings(case).filter_map(|(_, _, m)| Some((m.port.as_str(), port_number(&value(&m.port)?))));
        for (values, wanted) in [
            (hosts.collect::<Vec<(&str, String)>>(), &host_name(&target.host)),
            (ports.collect(), &target.port.to_string()),
        ] {
            // One that stayed behind is the business of `env.one-instance`; this is about all of them.
            let Some(usual) = usual(&values, wanted).filter(|usual| usual != wanted) else {
                continue;
            };
            if let Some((key, _)) = values.iter().find(|(_, value)| *value == usual) {
                let finding = error(format!(
                    "{key} is {}, and the target is on {wanted}",
                    shown(&usual)
                ))
                .at(&file.path, line(document, key));
                findings.push(advise(case, finding, &file.path, key, wanted));
            }
        }
    }
    Ok(findings)
}

fn names(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    for (file, document) in files(case, true)? {
        for (_, wanted, mapping) in mappings(case) {
            let Some(found) = value(document, &mapping.name).filter(|found| found != wanted) else {
                continue;
            };
            let finding = error(format!(
                "{} is {} instead of {wanted}",
                mapping.name,
                shown(&found)
            ))
            .at(&file.path, line(document, &mapping.name));
            findings.push(advise(case, finding, &file.path, &mapping.name, wanted));
        }
    }
    Ok(findings)
}

fn roles(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    for (file, document) in files(case, true)? {
        for (name, database) in &case.settings().databases {
            let (mapping, wanted) = (&database.env, database.login_on(&case.settings().target));
            let Some(found) = value(document, &mapping.user).filter(|found| found != wanted) else {
                continue;
            };
            if was_made(case, name, &found) {
                continue;
            }
            let finding = warning(format!(
                "{} is {}, and its role on the target is {wanted}",
                mapping.user,
                shown(&found)
            ))
            .wanted(format!(
                "{wanted}, or a role {} that was made on the target",
                shown(&found)
            ))
            .at(&file.path, line(document, &mapping.user));
            findings.push(advise(case, finding, &file.path, &mapping.user, wanted));
        }
    }
    Ok(findings)
}

/// Whether this role was made on the target (`--roles preserve`): it logs in there, and may do what it has to.
fn was_made(case: &Case<'_>, name: &str, role: &str) -> bool {
    let Some(seen) = case.instance else { return false };
    let mut mappings = seen.env_files.iter().filter_map(|file| file.mappings.get(name));
    let is_login = mappings.next().and_then(|mapping| mapping.user.value.as_deref()) == Some(role);
    let works =
        |refused: &Option<Result<Vec<_>, String>>| matches!(refused, Some(Ok(refused)) if refused.is_empty());
    is_login
        && seen
            .databases
            .get(name)
            .is_some_and(|database| works(&database.application_role))
}

fn readers_agree(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    for (file, document) in files(case, true)? {
        for disagreement in document.disagreements(&READERS) {
            let Some(key) = disagreement.key() else { continue };
            let ours = mappings(case).any(|(_, _, mapping)| mapping.keys().contains(&key));
            let text = format!("readers differ: {disagreement}");
            let finding = if ours { error(text) } else { warning(text) };
            findings.push(
                finding
                    .hint(format!("cargo xtask env check {}", shell_path(&file.path)))
                    .at(&file.path, disagreement.line()),
            );
        }
    }
    Ok(findings)
}

fn placeholders(case: &Case<'_>) -> Looked {
    let files = files(case, false)?;
    let mut findings = Vec::new();
    for (file, document) in files {
        let mut seen = std::collections::BTreeSet::new();
        for entry in document.entries().filter(|entry| seen.insert(entry.key())) {
            let key = entry.key();
            if value(document, key).is_some_and(|value| is_placeholder(&value)) {
                findings.push(
                    error(format!("{key} still has the template's value"))
                        .wanted("the real value")
                        .hint(set(&file.path, key, "-"))
                        .at(&file.path, line(document, key)),
                );
            }
        }
    }
    Ok(findings)
}

fn not_committed(case: &Case<'_>) -> Looked {
    let config = case.config()?;
    if config.tracked.is_empty() {
        return Err(NotLooked::because("there is no checkout"));
    }
    let mut findings = Vec::new();
    for checkout in &config.tracked {
        let files = match &checkout.files {
            Ok(files) => files,
            Err(why) => {
                findings.push(
                    error(format!(
                        "git does not say what it tracks in {}: {why}",
                        checkout.root.display()
                    ))
                    .wanted("an answer: without it nobody can say that no secret is committed"),
                );
                continue;
            }
        };
        for file in files.iter().filter(|file| !is_template(file)) {
            let path = checkout.root.join(file);
            let bytes = std::fs::read(&path).unwrap_or_default();
            let document = Document::parse(bytes);
            let secret = document.entries().find(|entry| is_secret_key(entry.key()));
            findings.push(
                error(format!("git tracks {}", file.display()))
                    .wanted("only templates under version control")
                    .hint(format!(
                        "git -C {} rm --cached {}",
                        shell_path(&checkout.root),
                        shell_path(file)
                    ))
                    .at(&path, secret.map_or(1, |entry| entry.line())),
            );
        }
    }
    Ok(findings)
}

fn example_secrets(case: &Case<'_>) -> Looked {
    let config = case.config()?;
    let all: Vec<&EnvText> = config.examples.iter().chain(&config.other_examples).collect();
    if all.is_empty() {
        return Err(NotLooked::because("there is no template"));
    }
    let development = case
        .settings()
        .target
        .password
        .as_ref()
        .map(infra::Secret::expose);
    let mut findings: Vec<Finding> = Vec::new();
    for file in all {
        let Ok(document) = &file.document else { continue };
        for entry in document.entries() {
            let Some(value) = value(document, entry.key()) else {
                continue;
            };
            // The development password stands in the platform's Compose file: it is no secret.
            let known = |secret: &str| is_placeholder(secret) || Some(secret) == development;
            if secret_part(entry.key(), &value).is_some_and(|secret| !known(secret)) {
                findings.push(
                    error(format!("{} holds a value that is no placeholder", entry.key()))
                        .wanted("change_me; a template is published")
                        .hint(set(&file.path, entry.key(), "change_me"))
                        .at(&file.path, entry.line()),
                );
            }
        }
    }
    Ok(findings)
}
