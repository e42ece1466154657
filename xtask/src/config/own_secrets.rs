//! `.xtask/secrets.env`: passwords of this machine, by the names that this tool looks for.

use std::path::Path;

use super::{ConfigError, SecretName, Settings};
use crate::model::nearest;

/// How people call the file.
const PLACE: &str = ".xtask/secrets.env";

/// Its names and values; nothing where there is no file.
///
/// # Errors
/// When it cannot be read, or holds a name that nothing asks for: a password that is never found looks like one that was
/// never given.
pub(super) fn read(file: &Path, settings: &Settings) -> Result<Vec<(String, String)>, ConfigError> {
    if !file.is_file() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(file).map_err(|error| ConfigError {
        place: PLACE.to_owned(),
        why: error.to_string(),
    })?;
    parse(&text, settings)
}

fn parse(text: &str, settings: &Settings) -> Result<Vec<(String, String)>, ConfigError> {
    let text = text.trim_start_matches('\u{feff}');
    let mut pairs = Vec::new();
    for pair in dotenvy::from_read_iter(text.as_bytes()) {
        match pair {
            Ok(pair) => pairs.push(pair),
            // The library's error quotes the line, which may hold a secret.
            Err(error) => {
                let line = line_of(text, &error, pairs.len());
                let wanted =
                    "this line is not KEY=VALUE; a value with blanks, quotes or # stands in single quotes";
                return Err(wrong(line, wanted.to_owned()));
            }
        }
    }
    let known = variables(settings);
    for (index, (name, _)) in pairs.iter().enumerate() {
        if known.contains(name) {
            continue;
        }
        let mut why = format!("nothing reads {name}");
        match nearest(name, known.iter().map(String::as_str)) {
            Some(nearest) => why += &format!("; the nearest is {nearest}"),
            None => why += &format!("; there is {}", known.join(", ")),
        }
        return Err(wrong(assignments(text).nth(index), why));
    }
    Ok(pairs)
}

fn wrong(line: Option<usize>, why: String) -> ConfigError {
    ConfigError {
        place: line.map_or_else(|| PLACE.to_owned(), |line| format!("{PLACE}:{line}")),
        why,
    }
}

/// The line that a reader gave up on: the one that it quotes, else the one behind those that it could read.
fn line_of(text: &str, error: &dotenvy::Error, read: usize) -> Option<usize> {
    let quoted = match error {
        dotenvy::Error::LineParse(line, _) => line.trim_end(),
        _ => "",
    };
    let at = (!quoted.is_empty()).then(|| text.find(quoted)).flatten();
    at.map(|at| text[..at].matches('\n').count() + 1)
        .or_else(|| assignments(text).nth(read))
}

/// The lines that assign something, from 1. Lines within a value of several lines are none of the reader's.
fn assignments(text: &str) -> impl Iterator<Item = usize> {
    let document = backend_env::Document::parse(text.as_bytes());
    let lines: Vec<usize> = document.entries().map(|entry| entry.line()).collect();
    lines.into_iter()
}

/// Every variable that the settings know.
pub(super) fn variables(settings: &Settings) -> Vec<String> {
    let named = settings
        .databases
        .keys()
        .flat_map(|name| [SecretName::Source(name.clone()), SecretName::Login(name.clone())]);
    let all = [SecretName::Target].into_iter().chain(named);
    all.map(|name| name.variable()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let settings: Settings = toml_edit::de::from_str(infra::MIGRATION_TOML).unwrap();
        parse(text, &settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_that_nothing_reads_is_told_with_its_line_and_the_nearest() {
        let error =
            read("# mine\nXTASK_SOURCE_USERS_PASSWORD='a\nb'\nXTASK_TARGET_PASWORD=hunter2\n").unwrap_err();
        assert_eq!(
            error,
            ".xtask/secrets.env:4: nothing reads XTASK_TARGET_PASWORD; the nearest is XTASK_TARGET_PASSWORD"
        );
        assert!(
            read("HTTP=x\n")
                .unwrap_err()
                .contains("there is XTASK_TARGET_PASSWORD, XTASK_SOURCE_")
        );
    }

    #[test]
    fn a_line_that_cannot_be_read_is_told_by_its_number_and_never_by_its_text() {
        for (text, line) in [
            ("XTASK_TARGET_PASSWORD=a\n\nhunter2\n", 3),
            ("# mine\nXTASK_TARGET_PASSWORD=hunter2 and more\n", 2),
            ("XTASK_TARGET_PASSWORD='hunter2\nmore\n", 1),
            (
                "XTASK_TARGET_PASSWORD=a\r\nXTASK_SOURCE_USERS_PASSWORD=\"hunter2\r\n",
                2,
            ),
            ("XTASK_TARGET_PASSWORD: hunter2\n", 1),
        ] {
            let error = read(text).unwrap_err();
            assert!(
                error.starts_with(&format!(".xtask/secrets.env:{line}: ")),
                "{text}\n{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_byte_order_mark_and_names_of_every_database_are_fine() {
        let text = "\u{feff}XTASK_TARGET_PASSWORD=a\nexport XTASK_LOGIN_USERS_PASSWORD='b c'\n";
        let pairs = read(text).unwrap();
        assert_eq!(pairs[0], ("XTASK_TARGET_PASSWORD".to_owned(), "a".to_owned()));
        assert_eq!(pairs[1].1, "b c");
    }
}
