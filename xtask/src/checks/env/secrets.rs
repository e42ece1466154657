//! What a file or a template holds that it must not: placeholders, and secrets that are published.

use std::path::PathBuf;

use backend_env::Document;
use infra::command::shell_path;

use super::{files, line, mappings, set, values};
use crate::checks::{Case, Looked, NotLooked, error};
use crate::model::Finding;
use crate::model::secret_key::{is_about_a_secret, is_secret_key, secret_part};
use crate::observe::is_placeholder;

/// Of the keys that the migration reads: what else a team fills in is the application's business.
pub fn placeholders(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    let ours: Vec<&str> = mappings(case)
        .flat_map(|(_, _, mapping)| mapping.keys())
        .collect();
    for (file, document) in files(case, false)? {
        let value = values(document);
        let mut keys: Vec<&str> = Vec::new();
        for key in document.entries().map(|entry| entry.key()) {
            if ours.contains(&key)
                && !keys.contains(&key)
                && value(key).is_some_and(|value| is_placeholder(&value))
            {
                keys.push(key);
            }
        }
        // A file that was only copied from its template gets one finding for all its keys.
        if let Some(first) = keys.first() {
            let still = if keys.len() == 1 {
                "still has"
            } else {
                "still have"
            };
            findings.push(
                error(format!("{} {still} the template's value", keys.join(", ")))
                    .wanted("the real value")
                    .hint(set(&file.path, &[(first, "-")]))
                    .at(&file.path, line(document, first)),
            );
        }
    }
    Ok(findings)
}

pub fn not_committed(case: &Case<'_>) -> Looked {
    let config = case.config()?;
    let root = super::super::settings::labeler(case)?;
    let files = match &config.tracked {
        Ok(files) => files,
        Err(why) => {
            return Err(NotLooked::because(format!(
                "git does not say what it tracks: {why}"
            )));
        }
    };
    let finding = |file: &PathBuf| {
        let path = root.join(file);
        let document = Document::parse(std::fs::read(&path).unwrap_or_default());
        let secret = document.entries().find(|entry| is_secret_key(entry.key()));
        error(format!("git tracks {}", file.display()))
            .wanted("only templates under version control")
            .hint(format!(
                "git -C {} rm --cached {}",
                shell_path(root),
                shell_path(file)
            ))
            .at(&path, secret.map_or(1, |entry| entry.line()))
    };
    Ok(files.iter().map(finding).collect())
}

pub fn example_secrets(case: &Case<'_>) -> Looked {
    let config = case.config()?;
    if config.examples.is_empty() {
        return Err(NotLooked::because("there is no template"));
    }
    let development = case
        .settings()
        .target
        .password
        .as_ref()
        .map(infra::Secret::expose);
    // Passwords of development stand in the settings, in the platform's Compose file and in every tutorial: they are no secrets.
    let published = config.platform_compose.as_ref();
    let known = |secret: &str| {
        is_placeholder(secret)
            || Some(secret) == development
            || infra::secret::is_ordinary(secret)
            || published.is_some_and(|seen| seen.text.contains(secret))
    };
    let mut findings: Vec<Finding> = Vec::new();
    for file in &config.examples {
        let Ok(document) = &file.document else { continue };
        let value = values(document);
        for entry in document.entries() {
            let Some(value) = value(entry.key()) else {
                continue;
            };
            if is_about_a_secret(entry.key()) {
                continue;
            }
            if secret_part(entry.key(), &value).is_some_and(|secret| !known(secret)) {
                findings.push(
                    error(format!("{} holds a value that is no placeholder", entry.key()))
                        .wanted("change_me; a template is published")
                        .hint(set(&file.path, &[(entry.key(), "change_me")]))
                        .at(&file.path, entry.line()),
                );
            }
        }
    }
    Ok(findings)
}
