//! A Compose file read without Docker: its services, each fact with its line.
//!
//! Variables are filled in from what the caller knows, else from their defaults. `include` and `extends` are followed.
//! A service knows the file that defines it; what it takes from another file stands on the line of its `extends`.

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
    /// The file that defines it.
    pub file: PathBuf,
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

/// More files or services than anybody nests: one that names itself never ends.
const DEEPEST: usize = 16;

/// Reads a Compose file, and those that it includes.
///
/// # Errors
/// When it is not YAML, has no `services`, or names a file or a service that is not there.
pub fn read(
    path: &Path,
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<ComposeFile, YamlError> {
    let mut services = Vec::new();
    collect(path, text, lookup, 0, &mut services)?;
    Ok(ComposeFile {
        path: path.to_owned(),
        services,
    })
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

fn collect(
    path: &Path,
    text: &str,
    lookup: Lookup<'_>,
    depth: usize,
    services: &mut Vec<Service>,
) -> Result<(), YamlError> {
    let root = yaml::parse(text)?;
    let included = root.get("include").map(included).unwrap_or_default();
    if root.get("services").is_none() && included.is_empty() {
        return Err(YamlError {
            line: 1,
            why: "there is no `services`".to_owned(),
        });
    }
    for (name, line) in included {
        let (file, text) = open(path, &name, line, depth, lookup)?;
        collect(&file, &text, lookup, depth + 1, services).map_err(|error| within(&file, line, &error))?;
    }
    for (key, node) in root.get("services").map(Node::entries).unwrap_or_default() {
        let layers = layers(path, &root, node, lookup, depth)?;
        services.push(service(path, &key.text, key.line, &layers, lookup));
    }
    Ok(())
}

/// The files of `include`: a text, or a mapping whose `path` is one or several.
fn included(node: &Node) -> Vec<(String, usize)> {
    let text = |node: &Node| Some((node.text()?.to_owned(), node.line));
    let one = |node: &Node| -> Vec<(String, usize)> {
        let path = node.get("path").unwrap_or(node);
        path.items().iter().filter_map(text).chain(text(path)).collect()
    };
    node.items().iter().flat_map(one).collect()
}

/// A file that another one names.
fn open(
    from: &Path,
    name: &str,
    line: usize,
    depth: usize,
    lookup: Lookup<'_>,
) -> Result<(PathBuf, String), YamlError> {
    let error = |why: String| YamlError { line, why };
    if depth >= DEEPEST {
        return Err(error(format!("{name} is nested too deep; does it name itself?")));
    }
    let name = interpolate(name, lookup);
    // Messages read better without the dot.
    let file = from.with_file_name(name.trim_start_matches("./"));
    let text =
        std::fs::read_to_string(&file).map_err(|e| error(format!("cannot read {}: {e}", file.display())))?;
    Ok((file, text.trim_start_matches('\u{feff}').to_owned()))
}

/// A fault inside a file that another one names, on the line that names it.
fn within(file: &Path, line: usize, error: &YamlError) -> YamlError {
    YamlError {
        line,
        why: format!("{}: {error}", file.display()),
    }
}

/// A service as it is written, and the line on which its facts stand when that is not their own.
struct Layer {
    node: Node,
    line: Option<usize>,
}

/// What a service extends, the first of all before it.
fn layers(
    path: &Path,
    root: &Node,
    node: &Node,
    lookup: Lookup<'_>,
    depth: usize,
) -> Result<Vec<Layer>, YamlError> {
    let own = Layer {
        node: node.clone(),
        line: None,
    };
    let Some(extends) = node.get("extends") else {
        return Ok(vec![own]);
    };
    let line = extends.line;
    let service = extends.get("service").unwrap_or(extends);
    let name = interpolate(service.text().unwrap_or_default(), lookup);
    let missing = |file: &Path| YamlError {
        line,
        why: format!(
            "it extends service {name}, which {} does not have",
            file.display()
        ),
    };
    let find = |root: &Node| root.get("services").and_then(|all| all.get(&name)).cloned();
    let mut all = match extends.get("file").and_then(Node::text) {
        Some(file) => {
            let (file, text) = open(path, file, line, depth, lookup)?;
            let other = yaml::parse(&text).map_err(|error| within(&file, line, &error))?;
            let base = find(&other).ok_or_else(|| missing(&file))?;
            let mut bases = layers(&file, &other, &base, lookup, depth + 1)
                .map_err(|error| within(&file, line, &error))?;
            for base in &mut bases {
                base.line = Some(line);
            }
            bases
        }
        None if depth >= DEEPEST => {
            return Err(YamlError {
                line,
                why: format!("service {name} is nested too deep; does it extend itself?"),
            });
        }
        None => {
            let base = find(root).ok_or_else(|| missing(path))?;
            layers(path, root, &base, lookup, depth + 1)?
        }
    };
    all.push(own);
    Ok(all)
}

/// One service: single values from the last layer that has them, lists from all.
fn service(path: &Path, name: &str, line: usize, layers: &[Layer], lookup: Lookup<'_>) -> Service {
    let last = |key: &str| {
        layers.iter().rev().find_map(|layer| {
            let node = layer.node.get(key)?;
            Some((node, layer.line.unwrap_or(node.line)))
        })
    };
    let located = |key: &str| {
        let (node, line) = last(key)?;
        Some(Located {
            text: interpolate(node.text()?, lookup),
            line,
        })
    };
    let mut built = Service {
        name: name.to_owned(),
        file: path.to_owned(),
        line,
        image: located("image"),
        builds: last("build").is_some(),
        container_name: located("container_name"),
        health_check: last("healthcheck").and_then(|(node, line)| health_check(node).map(|_| line)),
        ..Service::default()
    };
    for layer in layers {
        let at = |own: usize| layer.line.unwrap_or(own);
        let items = |key: &str| layer.node.get(key).map(Node::items).unwrap_or_default();
        for port in items("ports").iter().flat_map(|port| published(port, lookup)) {
            built.ports.push(Published {
                line: at(port.line),
                ..port
            });
        }
        let variables = layer
            .node
            .get("environment")
            .map(|node| environment(node, lookup));
        for (name, value) in variables.unwrap_or_default() {
            let line = at(value.line);
            built.environment.insert(name, Located { line, ..value });
        }
        for mount in items("volumes")
            .iter()
            .filter_map(|mount| mount_of(mount, lookup))
        {
            built.mounts.retain(|other| other.target != mount.target);
            built.mounts.push(FileMount {
                line: at(mount.line),
                ..mount
            });
        }
    }
    built
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
fn mount_of(node: &Node, lookup: Lookup<'_>) -> Option<FileMount> {
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

    /// The services of the first of these files.
    fn parse_all(files: &[(&str, &str)]) -> Result<ComposeFile, YamlError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            crate::files::write_shared(&folder.path().join(name), text.as_bytes()).unwrap();
        }
        read(&folder.path().join(files[0].0), files[0].1, &|_| None)
    }

    #[test]
    fn what_a_file_includes_belongs_to_it() {
        let file = parse_all(&[
            (
                "compose.yml",
                "include:\n  - db.yml\n  - path: ./${MORE:-cache.yml}\nservices:\n  api:\n    image: api:1\n",
            ),
            (
                "db.yml",
                "\nservices:\n  db:\n    image: postgres:16\n    ports: [\"5432:5432\"]\n",
            ),
            ("cache.yml", "services:\n  cache:\n    image: redis:7\n"),
        ])
        .unwrap();
        let names: Vec<(&str, &str, usize)> = file
            .services
            .iter()
            .map(|s| {
                (
                    s.name.as_str(),
                    s.file.file_name().unwrap().to_str().unwrap(),
                    s.line,
                )
            })
            .collect();
        assert_eq!(
            names,
            [
                ("db", "db.yml", 3),
                ("cache", "cache.yml", 2),
                ("api", "compose.yml", 5)
            ]
        );
        assert!(file.services[0].is_postgres());
    }

    #[test]
    fn a_service_has_what_it_extends_and_its_own_word_wins() {
        let file = parse_all(&[
            (
                "compose.yml",
                "services:\n  db:\n    extends:\n      file: base.yml\n      service: postgres\n    image: postgres:17\n    \
                 environment:\n      POSTGRES_DB: platform\n    ports: [\"5433:5432\"]\n  same:\n    extends: db\n",
            ),
            (
                "base.yml",
                "services:\n  any:\n    healthcheck:\n      test: pg_isready\n  postgres:\n    extends: {service: any}\n    \
                 image: postgres:16\n    environment: [POSTGRES_USER=admin, POSTGRES_DB=x]\n    ports: [\"5432:5432\"]\n",
            ),
        ])
        .unwrap();
        let db = &file.services[0];
        assert_eq!(
            db.image.as_ref().map(|image| image.text.as_str()),
            Some("postgres:17")
        );
        assert_eq!(db.environment["POSTGRES_DB"].text, "platform");
        assert_eq!(db.environment["POSTGRES_USER"].line, 4, "on the line of extends");
        let ports: Vec<(u16, usize)> = db.ports.iter().map(|port| (port.port, port.line)).collect();
        assert_eq!(ports, [(5432, 4), (5433, 9)]);
        assert!(db.health_check.is_some());
        assert_eq!(file.services[1].ports.len(), 2);
    }

    #[test]
    fn what_is_not_there_or_never_ends_is_an_error_with_the_line_that_names_it() {
        for (text, line, why) in [
            ("include: [gone.yml]\n", 1, "cannot read"),
            (
                "services:\n  a:\n    extends:\n      service: b\n",
                4,
                "it extends service b, which",
            ),
            ("services:\n  a:\n    extends: a\n", 3, "does it extend itself"),
            (
                "services: {}\ninclude:\n  - compose.yml\n",
                3,
                "does it name itself",
            ),
            (
                "services:\n  a:\n    extends:\n      file: compose.yml\n      service: a\n",
                4,
                "name itself",
            ),
        ] {
            let error = parse_all(&[("compose.yml", text)]).unwrap_err();
            assert!(error.why.contains(why), "{error}");
            assert_eq!(error.line, line, "{error}");
        }
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
