//! A Compose file read without Docker: its services, each fact with its line.
//!
//! Variables are filled in from what the caller knows, else from their defaults. `extends` and `include` are not
//! followed: a check that needs them is a check for `docker compose config`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::interpolate::interpolate;
use super::yaml::{self, Kind, Node, YamlError};

/// A Compose file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComposeFile {
    /// The file.
    pub path: PathBuf,
    /// Its services in the order of the file.
    pub services: Vec<Service>,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The line of its name, from 1.
    pub line: usize,
    /// Its image.
    pub image: Option<Located>,
    /// Whether it is built here.
    pub builds: bool,
    /// `container_name`.
    pub container_name: Option<Located>,
    /// Ports it publishes on the host. Those that Docker chooses itself are not among them.
    pub ports: Vec<Published>,
    /// Its environment.
    pub environment: BTreeMap<String, Located>,
    /// The line of its health check; `None` without one, and when it is disabled.
    pub health_check: Option<usize>,
    /// Bind mounts and volumes.
    pub mounts: Vec<FileMount>,
}

/// A text with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The text, variables filled in.
    pub text: String,
    /// The line, from 1.
    pub line: usize,
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
    /// The container's port.
    pub container: Option<u16>,
    /// The line, from 1.
    pub line: usize,
}

/// A mount as the file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMount {
    /// Folder, file or volume.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// The line, from 1.
    pub line: usize,
}

impl Published {
    /// Whether both cannot be published at the same time.
    pub fn collides(&self, other: &Self) -> bool {
        let all = |address: &Option<String>| match address.as_deref() {
            None | Some("0.0.0.0" | "::" | "") => true,
            Some(_) => false,
        };
        self.port == other.port
            && self.protocol == other.protocol
            && (all(&self.address) || all(&other.address) || self.address == other.address)
    }
}

impl Service {
    /// Whether it is a PostgreSQL server: by its image's name, or by the variables only that image reads.
    pub fn is_postgres(&self) -> bool {
        let by_image = self.image.as_ref().is_some_and(|image| {
            let name = image_name(&image.text);
            matches!(
                name,
                "postgres" | "postgresql" | "postgis" | "pgvector" | "timescaledb" | "timescaledb-ha"
            )
        });
        // Temporal's auto-setup reads POSTGRES_USER as well; only the server's image reads these.
        by_image
            || self.environment.contains_key("POSTGRES_INITDB_ARGS")
            || (self.builds && self.environment.contains_key("POSTGRES_DB"))
    }

    /// Whether it is a Redis.
    pub fn is_redis(&self) -> bool {
        let known = |name: &str| matches!(name, "redis" | "redis-stack-server" | "valkey");
        self.image
            .as_ref()
            .is_some_and(|image| known(image_name(&image.text)))
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

/// Reads a Compose file.
///
/// # Errors
/// When it is not YAML, or has no `services`.
pub fn read(
    path: &Path,
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<ComposeFile, YamlError> {
    let root = yaml::parse(text)?;
    let Some(services) = root.get("services") else {
        return Err(YamlError {
            line: 1,
            why: "there is no `services`".to_owned(),
        });
    };
    let services = services
        .entries()
        .iter()
        .map(|(key, node)| service(&key.text, key.line, node, lookup));
    Ok(ComposeFile {
        path: path.to_owned(),
        services: services.collect(),
    })
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

fn service(name: &str, line: usize, node: &Node, lookup: Lookup<'_>) -> Service {
    let located = |key: &str| {
        node.get(key).and_then(|value| {
            Some(Located {
                text: interpolate(value.text()?, lookup),
                line: value.line,
            })
        })
    };
    Service {
        name: name.to_owned(),
        line,
        image: located("image"),
        builds: node.get("build").is_some(),
        container_name: located("container_name"),
        ports: node
            .get("ports")
            .map(|ports| {
                ports
                    .items()
                    .iter()
                    .flat_map(|port| published(port, lookup))
                    .collect()
            })
            .unwrap_or_default(),
        environment: node
            .get("environment")
            .map(|node| environment(node, lookup))
            .unwrap_or_default(),
        health_check: node.get("healthcheck").and_then(health_check),
        mounts: node
            .get("volumes")
            .map(|volumes| volumes.items().iter().filter_map(|m| mount(m, lookup)).collect())
            .unwrap_or_default(),
    }
}

/// A mapping, or a list of `NAME=value`.
fn environment(node: &Node, lookup: Lookup<'_>) -> BTreeMap<String, Located> {
    let from_map = node.entries().iter().map(|(key, value)| {
        let text = value.text().unwrap_or_default();
        (key.text.clone(), interpolate(text, lookup), key.line)
    });
    let from_list = node.items().iter().filter_map(|item| {
        let text = interpolate(item.text()?, lookup);
        let (name, value) = text.split_once('=').unwrap_or((&text, ""));
        Some((name.to_owned(), value.to_owned(), item.line))
    });
    from_map
        .chain(from_list)
        .map(|(name, text, line)| (name, Located { text, line }))
        .collect()
}

fn health_check(node: &Node) -> Option<usize> {
    if node.get("disable").and_then(Node::text) == Some("true") {
        return None;
    }
    let test = node.get("test")?;
    let none = match &test.kind {
        Kind::List(items) => items.first().and_then(Node::text) == Some("NONE"),
        Kind::Scalar(text) => text == "NONE",
        _ => true,
    };
    (!none).then_some(node.line)
}

/// `[address:][host:]container[/protocol]`, with ranges, or the long form.
fn published(node: &Node, lookup: Lookup<'_>) -> Vec<Published> {
    let text_of = |key: &str| {
        node.get(key)
            .and_then(Node::text)
            .map(|text| interpolate(text, lookup))
    };
    let (address, host, container, protocol) = if node.entries().is_empty() {
        let Some(text) = node.text() else {
            return Vec::new();
        };
        let text = interpolate(text, lookup);
        let (ports, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
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
    } else {
        (
            text_of("host_ip"),
            text_of("published").unwrap_or_default(),
            text_of("target").unwrap_or_default(),
            text_of("protocol").unwrap_or_else(|| "tcp".to_owned()),
        )
    };
    let inside: Vec<u16> = range(&container);
    range(&host)
        .into_iter()
        .enumerate()
        .map(|(at, port)| Published {
            address: address.clone(),
            port,
            protocol: protocol.clone(),
            container: inside.get(at).copied(),
            line: node.line,
        })
        .collect()
}

/// `8000` or `8000-8010`; nothing when it is neither.
fn range(text: &str) -> Vec<u16> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) => (first..=last).collect(),
        _ => Vec::new(),
    }
}

/// `source:target[:mode]` or the long form.
fn mount(node: &Node, lookup: Lookup<'_>) -> Option<FileMount> {
    if node.entries().is_empty() {
        let text = interpolate(node.text()?, lookup);
        // The target is absolute and begins behind the last `:/`, which also finds it behind `C:\path`.
        let at = text.find(":/")?;
        let target = &text[at + 1..];
        return Some(FileMount {
            source: text[..at].to_owned(),
            target: target.split(':').next().unwrap_or(target).to_owned(),
            line: node.line,
        });
    }
    Some(FileMount {
        source: interpolate(node.get("source")?.text()?, lookup),
        target: interpolate(node.get("target")?.text()?, lookup),
        line: node.line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ComposeFile {
        read(Path::new("compose.yml"), text, &|_| None).unwrap()
    }

    #[test]
    fn ports_are_read_in_every_form() {
        let file = parse(
            "services:\n  a:\n    ports:\n      - \"127.0.0.1:${P:-5432}:5432\"\n      - 80\n      - \"53:53/udp\"\n      \
             - \"9000-9001:9000-9001\"\n      - target: 5432\n        published: \"5440\"\n      - \"[::1]:81:80\"\n",
        );
        let ports: Vec<(Option<&str>, u16, &str, usize)> = file.services[0]
            .ports
            .iter()
            .map(|p| (p.address.as_deref(), p.port, p.protocol.as_str(), p.line))
            .collect();
        assert_eq!(
            ports,
            [
                (Some("127.0.0.1"), 5432, "tcp", 4),
                (None, 53, "udp", 6),
                (None, 9000, "tcp", 7),
                (None, 9001, "tcp", 7),
                (None, 5440, "tcp", 8),
                (Some("::1"), 81, "tcp", 10),
            ]
        );
        assert!(!file.services[0].ports[0].collides(&file.services[0].ports[4]));
    }

    #[test]
    fn two_ports_collide_on_one_address_only() {
        let port = |address: Option<&str>| Published {
            address: address.map(str::to_owned),
            port: 6379,
            protocol: "tcp".to_owned(),
            container: None,
            line: 1,
        };
        assert!(port(None).collides(&port(Some("127.0.0.1"))));
        assert!(!port(Some("127.0.0.2")).collides(&port(Some("127.0.0.1"))));
    }

    #[test]
    fn a_postgres_service_is_known_by_its_image_not_by_a_client_s_variables() {
        let file = parse(
            "services:\n  db:\n    image: registry:5000/x/pgvector:pg16\n  temporal:\n    image: temporalio/auto-setup:1.24\n    \
             environment:\n      - POSTGRES_USER=temporal\n",
        );
        assert!(file.services[0].is_postgres());
        assert!(!file.services[1].is_postgres());
        assert_eq!(file.services[1].environment["POSTGRES_USER"].line, 7);
        assert_eq!(image_tag("registry:5000/x/pgvector"), None);
        assert_eq!(image_tag("postgres:16-alpine"), Some("16-alpine"));
    }

    #[test]
    fn a_disabled_health_check_is_none() {
        let file = parse(
            "services:\n  a:\n    healthcheck:\n      disable: true\n  b:\n    healthcheck:\n      test: [NONE]\n  c:\n    \
             healthcheck:\n      test: pg_isready\n",
        );
        let found: Vec<bool> = file.services.iter().map(|s| s.health_check.is_some()).collect();
        assert_eq!(found, [false, false, true]);
    }
}
