//! The `.env` files: which instance each database is said to live on, and who logs in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use backend_env::{Document, Environment, Reader, Reading};
use infra::{Runner, Secret};
use serde::{Deserialize, Serialize};

use super::{ConfigSeen, Eyes, LabelerSeen};
use crate::config::{EnvMapping, SecretName, Settings, Vault};
use crate::model::secret_key;

/// One `.env` file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvSeen {
    /// The file.
    pub path: PathBuf,
    /// Whether it can be read.
    pub exists: bool,
    /// Why it cannot.
    pub problem: Option<String>,
    /// Why it cannot be replaced by a changed one, when it can be read.
    #[serde(default)]
    pub locked: Option<String>,
    /// SHA-256 of its bytes.
    pub sha256: Option<String>,
    /// Readers that give up on the whole file; the application's own comes first.
    #[serde(default)]
    pub rejected: Vec<Rejected>,
    /// The databases it names.
    pub mappings: BTreeMap<String, MappingSeen>,
}

/// A reader that gives up on a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rejected {
    /// Its name.
    pub reader: String,
    /// Whether the application reads through it.
    pub application: bool,
    /// Where and why.
    pub fault: Fault,
}

/// Why something cannot be read; holds no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The reason.
    pub why: String,
}

/// The five keys of one database.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MappingSeen {
    /// Host.
    pub host: KeySeen,
    /// Port.
    pub port: KeySeen,
    /// Database name.
    pub name: KeySeen,
    /// Role.
    pub user: KeySeen,
    /// Password: only whether it is there and whether it is a placeholder.
    pub password: KeySeen,
}

/// One key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeySeen {
    /// Its name.
    pub key: String,
    /// What the application reads; always `None` for passwords.
    pub value: Option<String>,
    /// Lines that assign it, from 1.
    pub lines: Vec<usize>,
    /// Whether the value is one that a template leaves to be filled in.
    pub placeholder: bool,
    /// Whether the value is empty.
    #[serde(default)]
    pub empty: bool,
    /// A key that differs in case only, with its line: pydantic-settings takes both, and the last one counts.
    #[serde(default)]
    pub other_spelling: Option<(String, usize)>,
    /// Why the application gets no value although a line assigns one, where the rest of the file can be read.
    #[serde(default)]
    pub fault: Option<Fault>,
}

impl MappingSeen {
    /// The keys with what was found.
    pub fn keys(&self) -> [&KeySeen; 5] {
        [&self.host, &self.port, &self.name, &self.user, &self.password]
    }
}

pub(super) fn look(eyes: &Eyes<'_>, labeler: Option<&LabelerSeen>, vault: &mut Vault) -> Vec<EnvSeen> {
    let Some(labeler) = labeler else { return Vec::new() };
    let paths = eyes
        .settings
        .labeler
        .env_files
        .iter()
        .map(|file| labeler.root.join(file));
    paths.map(|path| one(eyes, &path, vault)).collect()
}

fn one(eyes: &Eyes<'_>, path: &Path, vault: &mut Vault) -> EnvSeen {
    let mut seen = EnvSeen {
        path: path.to_owned(),
        exists: path.exists(),
        problem: None,
        locked: infra::files::replaceable(path)
            .err()
            .map(|error| error.to_string()),
        sha256: None,
        rejected: Vec::new(),
        mappings: BTreeMap::new(),
    };
    let bytes = match infra::files::read_regular(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            seen.problem = Some(error.to_string());
            return seen;
        }
    };
    seen.sha256 = Some(infra::files::sha256_bytes(&bytes));
    let document = Document::parse(bytes.as_slice());
    learn(eyes.settings, eyes.runner, &document);
    seen.rejected = rejections(&document);
    for (database, settings) in &eyes.settings.databases {
        let mapping = mapping(&document, &settings.env);
        if let Some(password) = text(&document, &settings.env.password)
            && !is_placeholder(&password)
        {
            vault.insert_found(
                eyes.runner,
                SecretName::Source(database.clone()),
                Secret::new(password),
            );
        }
        seen.mappings.insert(database.clone(), mapping);
    }
    seen
}

/// Teaches the runner to mask what is secret in `.env` files and their templates: programs quote it when they complain, and
/// a check repeats what it found.
pub fn learn_config(settings: &Settings, runner: &Runner, seen: &ConfigSeen) {
    let files = seen.env_files.iter().chain(&seen.examples);
    for document in files.filter_map(|file| file.document.as_ref().ok()) {
        learn(settings, runner, document);
    }
}

fn learn(settings: &Settings, runner: &Runner, document: &Document) {
    let databases = settings.databases.values();
    let passwords: Vec<&str> = databases.map(|one| one.env.password.as_str()).collect();
    for entry in document.entries() {
        let Some(value) = text(document, entry.key()).filter(|value| !is_placeholder(value)) else {
            continue;
        };
        // `12345` is no secret under every key that sounds like one, but under a password's it is.
        if passwords.contains(&entry.key()) {
            runner.learn(&Secret::new(value.as_str()));
        }
        for secret in secret_key::secrets_of(entry.key(), &value) {
            runner.learn(&Secret::new(secret));
        }
    }
}

/// Who gives up on the file.
fn rejections(document: &Document) -> Vec<Rejected> {
    let rejected = Reader::ALL.iter().filter_map(|reader| {
        let rejection = document.read_all(*reader, &Environment::empty()).rejection()?;
        Some(Rejected {
            reader: reader.name().to_owned(),
            application: *reader == APPLICATION,
            fault: Fault {
                line: rejection.line,
                why: rejection.why.to_owned(),
            },
        })
    });
    rejected.collect()
}

/// The sources' passwords as a kept copy of a `.env` file has them: after the cutover only the copy knows.
pub fn learn_kept(settings: &Settings, runner: &Runner, bytes: &[u8], vault: &mut Vault) {
    let document = Document::parse(bytes);
    for (database, settings) in &settings.databases {
        if let Some(password) = text(&document, &settings.env.password) {
            vault.insert_found(
                runner,
                SecretName::Source(database.clone()),
                Secret::new(password),
            );
        }
    }
}

fn mapping(document: &Document, keys: &EnvMapping) -> MappingSeen {
    let key = |name: &str, secret: bool| {
        let value = text(document, name);
        let entries = document.entries().filter(|entry| entry.key() == name);
        let lines: Vec<usize> = entries.map(|entry| entry.line()).collect();
        KeySeen {
            key: name.to_owned(),
            fault: lines.last().and_then(|line| fault(document, name, *line)),
            lines,
            other_spelling: document
                .entries()
                .find(|entry| entry.key() != name && entry.key().eq_ignore_ascii_case(name))
                .map(|entry| (entry.key().to_owned(), entry.line())),
            placeholder: value.as_deref().is_some_and(is_placeholder),
            empty: value.as_deref() == Some(""),
            value: if secret { None } else { value },
        }
    };
    MappingSeen {
        host: key(&keys.host, false),
        port: key(&keys.port, false),
        name: key(&keys.name, false),
        user: key(&keys.user, false),
        password: key(&keys.password, true),
    }
}

/// The application's reader: pydantic-settings reads through python-dotenv.
const APPLICATION: Reader = Reader::PythonDotenv;

/// Why the application gets nothing for a key that `line` assigns.
fn fault(document: &Document, key: &str, line: usize) -> Option<Fault> {
    let (line, why) = match document.read(key, APPLICATION) {
        // A rejected file is told once, not for every key.
        Reading::FileRejected { .. } => return None,
        Reading::Value(bytes) if std::str::from_utf8(&bytes).is_ok() => return None,
        Reading::Value(_) => (line, "the value is not UTF-8"),
        Reading::Unset => (line, "the line is skipped"),
        Reading::Unknown { line, why } => (line, why),
    };
    Some(Fault {
        line,
        why: why.to_owned(),
    })
}

/// The value as the application reads it.
fn text(document: &Document, key: &str) -> Option<String> {
    match document.read(key, APPLICATION) {
        Reading::Value(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// How values begin that templates of the field leave to be filled in.
const PLACEHOLDERS: [&str; 9] = [
    "change_me",
    "changeme",
    "change_this",
    "changethis",
    "replace_me",
    "replaceme",
    "replace_with",
    "replace_this",
    "your_",
];

/// Whether a template left this value to be filled in: `change_me`, `<your-password>`, `xxxxx`.
pub fn is_placeholder(value: &str) -> bool {
    let lower = value.trim().to_lowercase().replace('-', "_");
    PLACEHOLDERS.iter().any(|start| lower.starts_with(start))
        || (lower.starts_with('<') && lower.ends_with('>'))
        || lower.contains("xxxxx")
}

/// `.env.example`, `.env.sample`, `example.env` and the like are meant to be committed.
pub fn is_template(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    ["example", "sample", "template", "dist"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_up_on_a_file_is_kept_with_line_and_reason() {
        let document = Document::parse(b"A=1\nB=\"caf\xe9\"\n".as_slice());
        let rejected = rejections(&document);
        assert!(rejected.iter().any(|one| one.application), "{rejected:?}");
        assert!(
            rejected
                .iter()
                .all(|one| one.fault.line > 0 && !one.fault.why.is_empty()),
            "{rejected:?}"
        );
        assert_eq!(fault(&document, "A", 1), None);
        assert!(rejections(&Document::parse("A=1\n")).is_empty());
    }

    #[test]
    fn a_rejection_of_another_reader_is_not_the_applications() {
        let rejected = rejections(&Document::parse("A=1\nB='open\n"));
        assert!(!rejected.is_empty());
        assert!(rejected.iter().all(|one| !one.application), "{rejected:?}");
    }

    #[test]
    fn a_key_that_only_the_editor_sees_has_a_fault() {
        let document = Document::parse("A=1\nB='open\n");
        assert_eq!(fault(&document, "A", 1), None);
        let found = fault(&document, "B", 2).map(|fault| fault.line);
        assert_eq!(found, Some(2));
    }

    #[test]
    fn placeholders_are_recognised_and_ordinary_passwords_are_not() {
        for value in [
            "change_me",
            "CHANGE-ME",
            "<get-from-platform-team>",
            "db.xxxxx.rds.amazonaws.com",
            "your_password",
            "REPLACE_ME_NOW",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in ["devpass", "labeler", "x<y>z", ""] {
            assert!(!is_placeholder(value), "{value}");
        }
    }
}
