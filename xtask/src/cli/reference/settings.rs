//! `docs/reference/settings.md`: what the doc comments of the settings say, and what `infra/migration.toml` sets.
//!
//! The comments are read from the source text. That source is ours and plain (one field per line), and a test fails
//! when a key of `infra/migration.toml` is not found in it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

/// The source whose comments are the reference.
const SOURCE: &str = concat!(
    include_str!("../../config/settings.rs"),
    include_str!("../../config/connection.rs")
);
/// Where the description starts.
const ROOT: &str = "Settings";

const INTRODUCTION: &str = "# Settings\n\n\
    Generated from `xtask/src/config/settings.rs` and `infra/migration.toml` by `cargo xtask ci --write-docs`; a test \
    keeps it fresh.\n\n\
    Each layer may hold any part of the settings; the later one wins. `cargo xtask status --settings` shows every \
    value and where it came from. An unknown key or a wrong type is an error (exit code 2) that shows the place.\n\n\
    1. the values below, built into the program\n\
    2. `infra/migration.toml`: the team's\n\
    3. `.xtask/local.toml`: this machine's, not under version control\n\
    4. `[profiles.NAME]` of these files, with `--profile NAME`\n\
    5. environment variables: `XTASK_TARGET__PORT=5440` is `target.port`\n\
    6. `--set target.port=5440`\n\
    7. of an external server, what is still empty or as this program brings it: the entry of the connection service file that \
    `connection.service` names; for the target also `PGSERVICE`, `PGHOST`, `PGHOSTADDR`, `PGPORT`, `PGUSER`, `PGSSLMODE`, \
    `PGSSLROOTCERT`, `PGCONNECT_TIMEOUT`, `PGAPPNAME`\n\n\
    Passwords have variables: `XTASK_TARGET_PASSWORD`, `XTASK_SOURCE_NAME_PASSWORD`, `XTASK_LOGIN_NAME_PASSWORD`, with \
    the database's name in capitals. They are looked for in the environment, then in `.xtask/secrets.env`; of an \
    external server then in `PGPASSWORD` (the target's role), the password file (`PGPASSFILE`, `~/.pgpass`), and from \
    `connection.password-command`. `target.password` serves development only and is refused for an external server.\n";

/// A struct or an enum of the source.
#[derive(Default)]
struct Shape {
    doc: String,
    /// Fields with their types, or variants without.
    entries: Vec<Entry>,
}

struct Entry {
    key: String,
    doc: String,
    r#type: String,
}

/// The file's text.
pub(super) fn markdown() -> String {
    let shapes = shapes(SOURCE);
    // Built in, and every test of the layers reads it: it parses.
    let values = toml_edit::de::from_str(infra::MIGRATION_TOML).unwrap_or_default();
    let mut sections = Sections {
        shapes: &shapes,
        values: &values,
        out: INTRODUCTION.to_owned(),
    };
    sections.table("The top level", ROOT, "");
    sections.out
}

struct Sections<'a> {
    shapes: &'a BTreeMap<String, Shape>,
    values: &'a Value,
    out: String,
}

impl Sections<'_> {
    /// One table of keys, then the tables inside it.
    fn table(&mut self, title: &str, shape: &str, path: &str) {
        let mut rows = String::new();
        let mut inner = Vec::new();
        self.rows(shape, path, "", &mut rows, &mut inner);
        let _ = write!(self.out, "\n## {title}\n");
        if !rows.is_empty() {
            let _ = write!(
                self.out,
                "\n| Key | Type | Value | Meaning |\n|---|---|---|---|\n{rows}"
            );
        }
        for (title, shape, path) in inner {
            self.table(&title, &shape, &path);
        }
    }

    fn rows(
        &self,
        shape: &str,
        path: &str,
        prefix: &str,
        rows: &mut String,
        inner: &mut Vec<(String, String, String)>,
    ) {
        let Some(shape) = self.shapes.get(shape) else {
            return;
        };
        for entry in &shape.entries {
            let name = content(&entry.r#type);
            let path = match (path, entry.r#type.starts_with("BTreeMap")) {
                ("", false) => entry.key.clone(),
                ("", true) => format!("{}.*", entry.key),
                (path, _) => format!("{path}.{}", entry.key),
            };
            let key = format!("{prefix}{}", entry.key);
            match self.shapes.get(name) {
                // A profile holds any of the other tables.
                Some(_) if name == ROOT => {
                    let _ = writeln!(rows, "| `{key}.NAME` | tables | | {} |", entry.doc);
                }
                Some(shape) if shape.doc.starts_with("`[") => {
                    inner.push((shape.doc.clone(), name.to_owned(), path));
                }
                Some(shape) if shape.entries.iter().all(|entry| entry.r#type.is_empty()) => {
                    let words: Vec<String> = shape.entries.iter().map(|e| format!("`{}`", e.key)).collect();
                    // Where only some of the words make sense, the comment names them.
                    let named = words.iter().any(|word| entry.doc.contains(word));
                    let meaning = if named {
                        entry.doc.clone()
                    } else {
                        format!("{} One of {}.", entry.doc, words.join(", "))
                    };
                    self.row(&key, "word", &path, &meaning, rows);
                }
                Some(_) => self.rows(name, &path, &format!("{key}."), rows, inner),
                None => self.row(&key, &type_words(&entry.r#type), &path, &entry.doc, rows),
            }
        }
    }

    fn row(&self, key: &str, r#type: &str, path: &str, meaning: &str, rows: &mut String) {
        let value = if r#type == SECRET {
            "not shown".to_owned()
        } else {
            self.value(path)
        };
        let _ = writeln!(
            rows,
            "| `{key}` | {type} | {} | {meaning} |",
            value.replace('|', "\\|")
        );
    }

    /// The value at a dotted path; `*` stands for every name, and a list of tables gives the value of each.
    fn value(&self, path: &str) -> String {
        let start = vec![(String::new(), Some(self.values))];
        let found = path.split('.').fold(start, |found, key| {
            found
                .into_iter()
                .flat_map(|(name, value)| step(name, value, key))
                .collect()
        });
        let shown = |value: &Option<&Value>| {
            value.map_or_else(|| "not set".to_owned(), |value| format!("`{}`", toml(value)))
        };
        let values: Vec<(String, String)> = found
            .iter()
            .map(|(name, value)| (name.clone(), shown(value)))
            .collect();
        match values.as_slice() {
            [] => String::new(),
            [(_, first), rest @ ..] if rest.iter().all(|(_, value)| value == first) => first.clone(),
            several => {
                let lines: Vec<String> = several
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect();
                lines.join("<br>")
            }
        }
    }
}

/// What stands under `key`, with the name of the table it stands in where there are several.
fn step<'a>(name: String, value: Option<&'a Value>, key: &str) -> Vec<(String, Option<&'a Value>)> {
    match value {
        Some(Value::Object(table)) if key == "*" => table
            .iter()
            .map(|(name, value)| (name.clone(), Some(value)))
            .collect(),
        Some(Value::Array(tables)) => {
            let name = |table: &Value| table["path"].as_str().unwrap_or_default().to_owned();
            tables.iter().map(|table| (name(table), table.get(key))).collect()
        }
        other => vec![(name, other.and_then(|table| table.get(key)))],
    }
}

/// A value as the settings file spells it.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(table) => {
            let entries: Vec<String> = table
                .iter()
                .map(|(key, value)| format!("{key} = {}", toml(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

const SECRET: &str = "secret";

/// A type of the source in words.
fn type_words(r#type: &str) -> String {
    match r#type {
        "bool" => "true or false".to_owned(),
        "PathBuf" => "path".to_owned(),
        "u16" | "u32" | "u64" | "usize" => "number".to_owned(),
        "Secret" => SECRET.to_owned(),
        "infra::command::Account" => "`{ uid, gid }`".to_owned(),
        "String" | "infra::compose::Program" => "text".to_owned(),
        _ => match (r#type.strip_prefix("Vec<"), r#type.strip_prefix("Option<")) {
            (Some(rest), _) => format!("list of {}", type_words(rest.trim_end_matches('>'))),
            (_, Some(rest)) => type_words(rest.trim_end_matches('>')),
            _ => "names and text".to_owned(),
        },
    }
}

/// The type inside `Vec<..>`, `Option<..>` and `BTreeMap<String, ..>`.
fn content(r#type: &str) -> &str {
    let inner = r#type
        .split_once('<')
        .map_or(r#type, |(_, inner)| inner.trim_end_matches('>'));
    inner.strip_prefix("String, ").unwrap_or(inner)
}

/// Structs and enums with the comments of their fields and variants.
fn shapes(source: &str) -> BTreeMap<String, Shape> {
    let mut shapes: BTreeMap<String, Shape> = BTreeMap::new();
    let mut current: Option<String> = None;
    let mut doc: Vec<&str> = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push(text.trim());
            continue;
        }
        if line.starts_with("#[") {
            continue;
        }
        let text = std::mem::take(&mut doc).join(" ");
        let opened = line
            .strip_prefix("pub struct ")
            .or_else(|| line.strip_prefix("pub enum "));
        if let Some(name) = opened.and_then(|rest| rest.strip_suffix(" {")) {
            shapes.insert(
                name.to_owned(),
                Shape {
                    doc: text,
                    entries: Vec::new(),
                },
            );
            current = Some(name.to_owned());
        } else if line == "}" {
            current = None;
        } else if let Some(shape) = current.as_ref().and_then(|name| shapes.get_mut(name))
            && let Some(declared) = line.strip_suffix(',')
        {
            let (name, r#type) = declared.split_once(": ").unwrap_or((declared, ""));
            let name = name.strip_prefix("pub ").unwrap_or(name);
            shape.entries.push(Entry {
                key: kebab(name),
                doc: text,
                r#type: r#type.to_owned(),
            });
        }
    }
    shapes
}

/// `snake_case` and `CamelCase` as the settings spell them.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            out.push('-');
        }
        out.push(if letter == '_' {
            '-'
        } else {
            letter.to_ascii_lowercase()
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_settings_file_is_described() {
        let values: Value = toml_edit::de::from_str(infra::MIGRATION_TOML).unwrap();
        let text = markdown();
        let mut keys = Vec::new();
        leaves(&values, &mut keys);
        assert!(keys.len() > 20);
        for key in keys {
            let row = |line: &str| {
                // A list of tables has a row for each of their keys.
                let described = |k: &str| k.ends_with(&key) || k.contains(&format!("{key}."));
                line.starts_with("| `") && line.split('`').nth(1).is_some_and(described)
            };
            assert!(text.lines().any(row), "{key}");
        }
    }

    fn leaves(value: &Value, keys: &mut Vec<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            match value {
                // Its keys are those of the application's answer, or of a `.env` file.
                Value::Object(own)
                    if matches!(key.as_str(), "json" | "body")
                        || own.keys().any(|k| k.contains(char::is_uppercase)) =>
                {
                    keys.push(key.clone());
                }
                Value::Object(_) => leaves(value, keys),
                Value::Array(items) if items.iter().any(Value::is_object) => {
                    items.iter().for_each(|item| leaves(item, keys));
                }
                _ => keys.push(key.clone()),
            }
        }
    }

    #[test]
    fn every_setting_has_a_comment_and_no_other_spelling_than_its_name() {
        for (name, shape) in shapes(SOURCE) {
            for entry in &shape.entries {
                assert!(!entry.doc.is_empty(), "{name}.{}", entry.key);
            }
        }
        assert!(
            !SOURCE.contains("serde(rename ="),
            "the reference would show a key that does not exist"
        );
    }

    #[test]
    fn a_password_is_not_in_the_reference() {
        let values: Value = toml_edit::de::from_str(infra::MIGRATION_TOML).unwrap();
        let password = values["target"]["password"].as_str().unwrap();
        assert!(!markdown().contains(password));
    }
}
