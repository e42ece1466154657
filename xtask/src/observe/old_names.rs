//! What still names the place of an old database and is not changed by the cutover: other keys, addresses, `.env` files beside the
//! one that the settings name, `environment:` in Compose files, exported variables. It is looked for before the plan and after
//! the cutover.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use backend_env::{Document, Environment, Reader};
use infra::ports::is_this_machine;
use serde::{Deserialize, Serialize};

use super::{EnvSeen, LabelerSeen, PlatformSeen, SourceSeen, SourceState, is_template};
use crate::config::{Settings, Target};
use crate::model::Finding;

/// The id of what is found.
pub const OLD_PLACE: &str = "env.old-place";

/// Names of old databases' places, and where they are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldNames {
    /// The places.
    places: Vec<OldPlace>,
    /// Keys that the cutover sets, in the files of the settings only.
    keys: BTreeSet<String>,
    /// The `.env` files of the settings.
    own: Vec<PathBuf>,
    /// Other `.env` files, and Compose files.
    others: Vec<PathBuf>,
}

/// The place of one old database, which is not the target's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OldPlace {
    database: String,
    /// What the application may call the host.
    hosts: Vec<String>,
    port: String,
    /// Whether the port differs from the target's.
    port_tells: bool,
    /// Names of hosts that stand for nothing else: those of containers, and another machine's.
    names: Vec<String>,
}

impl OldNames {
    /// What to look for, and where.
    pub(super) fn of(
        settings: &Settings,
        env_files: &[EnvSeen],
        sources: &BTreeMap<String, SourceSeen>,
        labeler: Option<&LabelerSeen>,
        platform: Option<&PlatformSeen>,
    ) -> Self {
        let mut places = Vec::new();
        for (database, source) in sources {
            let mappings = env_files.iter().filter_map(|file| file.mappings.get(database));
            for mapping in mappings {
                let said = (mapping.host.value.as_deref(), mapping.port.value.as_deref());
                let (Some(host), Some(port)) = said else { continue };
                let place = OldPlace::new(database, host, port, source, &settings.target);
                let is_target = !place.port_tells && place.has_host(&settings.target.host);
                if !is_target && !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        let own: Vec<PathBuf> = env_files.iter().map(|file| file.path.clone()).collect();
        let mut others = BTreeSet::new();
        let folders = own.iter().filter_map(|file| file.parent());
        let roots = labeler.map(|labeler| labeler.root.as_path());
        for folder in folders.chain(roots) {
            others.extend(env_files_in(folder).filter(|file| !own.contains(file)));
        }
        let of_labeler = labeler.map(|one| [&one.compose_file, &one.compose_override]);
        let of_platform = platform.map(|one| [&one.compose_file, &one.compose_override]);
        let compose = of_labeler.into_iter().chain(of_platform).flatten();
        others.extend(compose.flatten().cloned());
        let databases = settings.databases.values();
        Self {
            places,
            keys: databases
                .flat_map(|database| database.env.keys())
                .map(str::to_uppercase)
                .collect(),
            own,
            others: others.into_iter().collect(),
        }
    }

    /// Reads the files and the exported variables. Values are never repeated: an address holds a password.
    pub fn still_there(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.places.is_empty() {
            return findings;
        }
        for file in &self.own {
            let is_set = |key: &str| self.keys.contains(&key.to_uppercase());
            let lines = assignments(file).into_iter().filter(|one| !is_set(&one.key));
            findings.extend(lines.filter_map(|one| self.finding(&one, Some(file))));
        }
        for file in &self.others {
            findings.extend(
                assignments(file)
                    .iter()
                    .filter_map(|one| self.finding(one, Some(file))),
            );
        }
        let exported = std::env::vars_os().filter_map(|(key, value)| {
            Some(Assignment {
                key: key.into_string().ok()?,
                value: value.into_string().ok()?,
                line: 0,
            })
        });
        findings.extend(exported.filter_map(|one| self.finding(&one, None)));
        findings
    }

    fn finding(&self, one: &Assignment, file: Option<&Path>) -> Option<Finding> {
        let place = self.places.iter().find(|place| place.is_named_by(one))?;
        let what = match file {
            Some(_) => one.key.clone(),
            None => format!("the exported variable {}", one.key),
        };
        let found = format!(
            "{what} names the old place of {}, {}:{}; the cutover does not change it",
            place.database, place.hosts[0], place.port
        );
        let finding = Finding::warning(OLD_PLACE, found);
        Some(match file {
            Some(file) => finding
                .wanted(
                    "whoever reads it must find the target: change it after the migration, if it is in use",
                )
                .at(file, one.line),
            None => finding.wanted("start the application without it: it wins over .env"),
        })
    }
}

impl OldPlace {
    fn new(database: &str, host: &str, port: &str, source: &SourceSeen, target: &Target) -> Self {
        let mut hosts = vec![host.to_owned()];
        if is_this_machine(host) {
            let same = ["localhost", "127.0.0.1", "[::1]", "host.docker.internal"];
            hosts.extend(same.iter().filter(|one| **one != host).map(ToString::to_string));
        }
        let mut names = Vec::new();
        if !is_this_machine(host) && !host.eq_ignore_ascii_case(&target.host) {
            names.push(host.to_owned());
        }
        if let SourceState::Container(container) = &source.state {
            names.push(container.name.clone());
            names.extend(container.labels.get("com.docker.compose.service").cloned());
        }
        Self {
            database: database.to_owned(),
            hosts,
            port: port.to_owned(),
            port_tells: port.parse() != Ok(target.port),
            names,
        }
    }

    fn has_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|one| one.eq_ignore_ascii_case(host))
    }

    /// `HOST:PORT` anywhere, a container's name as a host, or the port alone under a key that says it is one.
    fn is_named_by(&self, one: &Assignment) -> bool {
        let address = |host: &String| holds(&one.value, &format!("{host}:{}", self.port));
        let key = one.key.to_uppercase();
        let is_port = self.port_tells && key.ends_with("PORT") && one.value == self.port;
        let is_host = |name: &String| key.ends_with("HOST") && one.value == *name;
        let in_url = |name: &String| holds(&one.value, &format!("@{name}"));
        self.hosts.iter().any(address)
            || is_port
            || self.names.iter().any(|name| is_host(name) || in_url(name))
    }
}

/// Whether a text holds these words, and they are no part of a longer name or number.
fn holds(text: &str, words: &str) -> bool {
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.match_indices(words).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + words.len()..]);
        (words.starts_with('@') || !before.ends_with(of_a_name)) && !after.starts_with(of_a_name)
    })
}

struct Assignment {
    key: String,
    value: String,
    line: usize,
}

/// What a `.env` file sets, or the variables of a Compose file. A file that cannot be read has a finding of its own.
fn assignments(file: &Path) -> Vec<Assignment> {
    let Ok(bytes) = infra::files::read_regular(file) else {
        return Vec::new();
    };
    let is_compose = file.extension().is_some_and(|end| end == "yml" || end == "yaml");
    if is_compose {
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().enumerate();
        return lines.filter_map(|(at, line)| variable(line, at + 1)).collect();
    }
    let document = Document::parse(bytes);
    let readings = document.read_all(Reader::PythonDotenv, &Environment::empty());
    let keys = readings.keys();
    keys.into_iter()
        .filter_map(|(key, line)| {
            Some(Assignment {
                key: key.to_owned(),
                value: String::from_utf8(readings.get(key).value()?.to_vec()).ok()?,
                line,
            })
        })
        .collect()
}

/// `KEY: value` or `- KEY=value` on a line of a Compose file, where the key is written as variables are.
fn variable(line: &str, at: usize) -> Option<Assignment> {
    let text = line
        .trim_start()
        .trim_start_matches("- ")
        .trim_start_matches(['"', '\'']);
    let end = text.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))?;
    let value = text[end..]
        .trim_start_matches(['"', '\''])
        .strip_prefix([':', '='])?;
    let value = value.split(" #").next().unwrap_or(value);
    (end > 0).then(|| Assignment {
        key: text[..end].to_owned(),
        value: value.trim().trim_matches(['"', '\'']).to_owned(),
        line: at,
    })
}

/// `.env` files of a folder; templates and kept copies are read by nobody.
fn env_files_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path()).filter(|path| path.is_file());
    paths.filter(|path| {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        let kept = ["bak", "backup", "old", "orig", "save", "before", "~"];
        let is_env = name == ".env" || name.starts_with(".env.");
        is_env && !is_template(path) && !kept.iter().any(|end| name.ends_with(end))
    })
}

#[cfg(test)]
mod tests;
