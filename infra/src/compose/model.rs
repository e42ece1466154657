//! What a Compose program makes of a file: one model of both programs' answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::secret::Secret;

/// The image's own data folder, and the folder around it that newer images use.
const DATA: &str = "/var/lib/postgresql/data";
const AROUND: &str = "/var/lib/postgresql";
/// PostgreSQL's port inside a container.
const PORT: u16 = 5432;

/// The services of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The first of the files that were asked about.
    pub path: PathBuf,
    /// The services in the order of their names, those that only a profile starts among them.
    pub services: Vec<Service>,
    /// Names of volumes by key; `None` where the program tells none.
    volumes: BTreeMap<String, Option<String>>,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The file that names it; the first file where none or several do.
    pub file: PathBuf,
    /// The line of its name, from 1; 0 where it is not known.
    pub line: usize,
    /// Its image.
    pub image: Option<String>,
    /// Whether it is built here.
    pub builds: bool,
    /// `container_name`.
    pub container_name: Option<String>,
    /// Whether it is on the host's own network, where nothing is published.
    pub host_network: bool,
    /// Ports it publishes on the host. Those that Docker chooses itself are not among them.
    pub ports: Vec<Published>,
    /// Ports of its container that it publishes or exposes.
    pub inside: Vec<u16>,
    /// Its environment, files of `env_file` included.
    pub environment: BTreeMap<String, Secret>,
    /// Profiles that start it; without any it is always started.
    pub profiles: Vec<String>,
    /// Whether it has a health check.
    pub health_check: bool,
    /// Bind mounts and named volumes.
    pub mounts: Vec<Mount>,
    /// Words of `entrypoint` and `command`.
    pub command: Vec<String>,
}

/// A port of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The address it is bound to; `None` for all.
    pub address: Option<String>,
    /// The port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Absolute path of a folder or file, or the key of a volume.
    pub source: String,
    /// Path in the container.
    pub target: String,
}

/// Where data lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A volume, by its full name. It may not exist yet.
    Volume(String),
    /// A folder of this machine.
    Folder(PathBuf),
}

impl Config {
    /// The model of an answer to `config`. `files` are the files that were asked about, with their texts.
    ///
    /// # Errors
    /// When the answer has no `services`.
    pub fn of(answer: &Value, files: &[(PathBuf, String)]) -> Result<Self, String> {
        let services = answer.get("services").and_then(Value::as_object);
        let services = services.ok_or("the answer has no services")?;
        let volumes = object(answer.get("volumes")).map(|(key, volume)| {
            let outside = text(volume.get("external")).as_deref() == Some("true");
            let name = text(volume.get("name")).or_else(|| outside.then(|| key.clone()));
            (key.clone(), name)
        });
        let service = |(name, node): (&String, &Value)| {
            let (file, line) = locate(files, name);
            service(
                Service {
                    name: name.clone(),
                    file,
                    line,
                    ..Service::default()
                },
                node,
            )
        };
        Ok(Self {
            path: files.first().map(|(path, _)| path.clone()).unwrap_or_default(),
            services: services.iter().map(service).collect(),
            volumes: volumes.collect(),
        })
    }

    /// A service by its name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The volume or folder that holds the data of a PostgreSQL service; `None` when no mount does. `project` is the
    /// project's name.
    pub fn data_place(&self, service: &str, project: &str) -> Option<Place> {
        let mount = self.service(service)?.data_mount()?;
        if mount.source.contains(['/', '\\']) {
            return Some(Place::Folder(PathBuf::from(&mount.source)));
        }
        let named = self.volumes.get(&mount.source).cloned().flatten();
        Some(Place::Volume(
            named.unwrap_or_else(|| format!("{project}_{}", mount.source)),
        ))
    }
}

impl Published {
    /// Whether both cannot be published at the same time.
    pub fn collides(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.is_everywhere() || other.is_everywhere() || self.address == other.address)
    }

    /// Whether other machines can reach it.
    pub fn is_everywhere(&self) -> bool {
        matches!(self.address.as_deref(), None | Some("0.0.0.0" | "::" | ""))
    }
}

impl Service {
    /// A value of the environment that is not empty. Passwords are asked of [`Service::environment`].
    pub fn variable(&self, name: &str) -> Option<&str> {
        let value = self.environment.get(name)?.expose();
        Some(value).filter(|value| !value.is_empty())
    }

    /// Whether it is a PostgreSQL server: its image is one, or it has PostgreSQL's port. A job that only runs client programs, and
    /// an application with a server's variables, is none.
    pub fn is_postgres(&self) -> bool {
        let known = |image: &String| {
            matches!(
                image_name(image),
                "postgres" | "postgresql" | "postgis" | "pgvector" | "timescaledb" | "timescaledb-ha"
            )
        };
        let mentions = |words: &[&str]| {
            let mut all = self.command.iter();
            all.any(|text| words.iter().any(|word| text.contains(word)))
        };
        let client = || {
            mentions(&["pg_dump", "psql", "pg_restore", "pg_basebackup"])
                && !mentions(&["docker-entrypoint.sh"])
        };
        self.inside.contains(&PORT) || (self.image.as_ref().is_some_and(known) && !client())
    }

    /// Whether it is a Redis.
    pub fn is_redis(&self) -> bool {
        let known = |image: &String| matches!(image_name(image), "redis" | "redis-stack-server" | "valkey");
        self.image.as_ref().is_some_and(known)
    }

    /// Whether it has profiles, and none of another service of its file that has some: one is the alternative to the other.
    pub fn is_alternative_to(&self, other: &Self) -> bool {
        let both = !self.profiles.is_empty() && !other.profiles.is_empty();
        both && !self.profiles.iter().any(|name| other.profiles.contains(name))
    }

    /// The mount that holds the data of a PostgreSQL server.
    pub fn data_mount(&self) -> Option<&Mount> {
        let set = self.variable("PGDATA");
        let holds = |mount: &&Mount| {
            let target = mount.target.as_str();
            Path::new(set.unwrap_or(DATA)).starts_with(target) || set.is_none() && target.starts_with(AROUND)
        };
        self.mounts
            .iter()
            .filter(holds)
            .max_by_key(|mount| mount.target.len())
    }
}

/// The last part of an image's name, without registry, tag and digest.
pub fn image_name(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or(image);
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split(':').next().unwrap_or(last)
}

/// The tag of an image; `None` without one. A digest counts as a tag.
pub fn image_tag(image: &str) -> Option<&str> {
    if let Some((_, digest)) = image.split_once('@') {
        return Some(digest);
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split_once(':').map(|(_, tag)| tag)
}

fn service(mut service: Service, node: &Value) -> Service {
    service.image = text(node.get("image"));
    service.builds = node.get("build").is_some_and(|build| !build.is_null());
    service.container_name = text(node.get("container_name"));
    service.host_network = text(node.get("network_mode")).as_deref() == Some("host");
    service.environment = environment(node.get("environment"));
    service.profiles = texts(node.get("profiles"));
    service.health_check = health_check(node.get("healthcheck"));
    service.mounts = items(node.get("volumes")).filter_map(mount).collect();
    service.command = [texts(node.get("entrypoint")), texts(node.get("command"))].concat();
    for port in items(node.get("ports")) {
        let (inside, published) = ports(port);
        service.inside.extend(inside);
        service.ports.extend(published);
    }
    let exposed = texts(node.get("expose"));
    service.inside.extend(
        exposed
            .iter()
            .flat_map(|port| range(port.split('/').next().unwrap_or_default())),
    );
    service
}

/// The text of a scalar. Both programs write `$$` for the `$` of a value.
fn text(node: Option<&Value>) -> Option<String> {
    match node? {
        Value::String(text) => Some(text.replace("$$", "$")),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        _ => None,
    }
}

fn items(node: Option<&Value>) -> impl Iterator<Item = &Value> {
    node.and_then(Value::as_array).into_iter().flatten()
}

fn object(node: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    node.and_then(Value::as_object).into_iter().flatten()
}

/// A text, or a list of texts.
fn texts(node: Option<&Value>) -> Vec<String> {
    let all = items(node).chain(node.filter(|node| !node.is_array()));
    all.filter_map(|node| text(Some(node))).collect()
}

/// A mapping, or a list of `NAME=value`. What has no value is left to the caller's environment.
fn environment(node: Option<&Value>) -> BTreeMap<String, Secret> {
    let mapped = object(node).filter_map(|(name, value)| Some((name.clone(), text(Some(value))?)));
    let listed = items(node).filter_map(|item| {
        let item = text(Some(item))?;
        let (name, value) = item.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let all = mapped.chain(listed);
    all.map(|(name, value)| (name, Secret::new(value))).collect()
}

fn health_check(node: Option<&Value>) -> bool {
    let Some(node) = node else { return false };
    let disabled = text(node.get("disable")).as_deref() == Some("true");
    let test = texts(node.get("test"));
    !disabled && test.first().is_some_and(|word| word != "NONE")
}

/// `[address:][host:]container[/protocol]`, with ranges, or the long form: ports of the container, and those of the host.
fn ports(node: &Value) -> (Vec<u16>, Vec<Published>) {
    let (address, host, container, protocol) = match text(Some(node)) {
        Some(port) => {
            let (ports, protocol) = port.split_once('/').unwrap_or((&port, "tcp"));
            let (front, container) = ports.rsplit_once(':').unwrap_or(("", ports));
            // An IPv6 address stands in brackets and holds colons itself.
            let (address, host) = front
                .rsplit_once(':')
                .map_or((None, front), |(a, h)| (Some(a), h));
            (
                address.map(|a| a.trim_matches(['[', ']']).to_owned()),
                host.to_owned(),
                container.to_owned(),
                protocol.to_owned(),
            )
        }
        None => {
            let field = |key: &str| text(node.get(key));
            (
                field("host_ip"),
                field("published").unwrap_or_default(),
                field("target").unwrap_or_default(),
                field("protocol").unwrap_or_else(|| "tcp".to_owned()),
            )
        }
    };
    let published = range(&host).into_iter().map(|port| Published {
        address: address.clone(),
        port,
        protocol: protocol.clone(),
    });
    (range(&container), published.collect())
}

/// `8000` or `8000-8010`; nothing when it is neither.
fn range(text: &str) -> Vec<u16> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) => (first..=last).collect(),
        _ => Vec::new(),
    }
}

/// `source:target[:mode]` or the long form; `None` for a volume without a name.
fn mount(node: &Value) -> Option<Mount> {
    let Some(text_of) = text(Some(node)) else {
        return Some(Mount {
            source: text(node.get("source"))?,
            target: text(node.get("target"))?,
        });
    };
    // The target is absolute and begins behind the first `:/` that is not a drive's (`C:/data`).
    let bytes = text_of.as_bytes();
    let drive = bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.get(1) == Some(&b':');
    let skip = if drive { 2 } else { 0 };
    let at = skip + text_of.get(skip..)?.find(":/")?;
    let target = text_of[at + 1..].split(':').next()?;
    Some(Mount {
        source: text_of[..at].to_owned(),
        target: target.to_owned(),
    })
}

/// The place in the files where a service is defined: the one line below `services` that names it.
fn locate(files: &[(PathBuf, String)], name: &str) -> (PathBuf, usize) {
    let mut found = Vec::new();
    for (path, text) in files {
        let (mut inside, mut level) = (false, None);
        for (at, line) in text.lines().enumerate() {
            let bare = line.trim();
            if bare.is_empty() || bare.starts_with('#') {
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            if indent == 0 {
                (inside, level) = (bare.starts_with("services:"), None);
            } else if inside && *level.get_or_insert(indent) == indent {
                let key = bare.split(':').next().unwrap_or_default().trim();
                if key.trim_matches(['"', '\'']) == name {
                    found.push((path.clone(), at + 1));
                }
            }
        }
    }
    let first = files.first().map(|(path, _)| path.clone()).unwrap_or_default();
    match found.as_slice() {
        [only] => only.clone(),
        _ => (first, 0),
    }
}

#[cfg(test)]
mod tests;
