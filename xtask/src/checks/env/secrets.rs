//! What a file or a template holds that it must not: placeholders, and secrets that are published.

use backend_env::Document;
use infra::command::shell_path;

use super::{files, line, set, values};
use crate::checks::{Case, Looked, NotLooked, error};
use crate::model::Finding;
use crate::model::secret_key::{is_secret_key, secret_part};
use crate::observe::{EnvText, is_placeholder, is_template};

pub fn placeholders(case: &Case<'_>) -> Looked {
    let files = files(case, false)?;
    let mut findings = Vec::new();
    for (file, document) in files {
        let mut seen = std::collections::BTreeSet::new();
        let value = values(document);
        for entry in document.entries().filter(|entry| seen.insert(entry.key())) {
            let key = entry.key();
            if value(key).is_some_and(|value| is_placeholder(&value)) {
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

pub fn not_committed(case: &Case<'_>) -> Looked {
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

pub fn example_secrets(case: &Case<'_>) -> Looked {
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
        let value = values(document);
        for entry in document.entries() {
            let Some(value) = value(entry.key()) else {
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
