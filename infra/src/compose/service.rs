//! One service, from its node, those that it extends and those that are laid over it, in the short and the long forms of the Compose specification.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::file::{EnvFile, FileMount, Located, Published, Service};
use super::interpolate::{Lookup, interpolate};
use super::yaml::{Kind, Node};

/// A service as one file writes it.
pub(super) struct Layer {
    pub(super) node: Node,
    /// The file that writes it; its paths begin there.
    pub(super) home: PathBuf,
    /// The file in which its facts stand, and the line when that is not their own.
    pub(super) file: PathBuf,
    pub(super) line: Option<usize>,
}

impl Layer {
    fn place(&self, own: usize) -> (PathBuf, usize) {
        (self.file.clone(), self.line.unwrap_or(own))
    }
}

/// Everything that files say of a service, the first of them before those that are laid over it.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) layers: Vec<Layer>,
}

/// One service: single values from the last layer that has them, lists from all.
pub(super) fn service(draft: &Draft, lookup: Lookup<'_>) -> Service {
    let layers = draft.layers.as_slice();
    let last = |key: &str| {
        let layer = layers.iter().rev().find(|layer| layer.node.get(key).is_some())?;
        Some((layer, layer.node.get(key)?))
    };
    let located = |key: &str| {
        let (layer, node) = last(key)?;
        let (file, line) = layer.place(node.line);
        Some(Located {
            text: interpolate(node.text()?, lookup),
            file,
            line,
        })
    };
    let mut built = Service {
        name: draft.name.clone(),
        file: draft.file.clone(),
        line: draft.line,
        image: located("image"),
        builds: last("build").is_some_and(|(_, node)| node.kind != Kind::Null),
        container_name: located("container_name"),
        network_mode: located("network_mode"),
        health_check: health_check(since(layers, "healthcheck")),
        ..Service::default()
    };
    for (layer, port) in items(layers, "ports") {
        for port in published(layer, port, lookup) {
            if !built.ports.iter().any(|known| known.repeats(&port)) {
                built.ports.push(port);
            }
        }
    }
    for (_, profile) in items(layers, "profiles") {
        let profile = profile.text().map(|text| interpolate(text, lookup));
        built.profiles.extend(profile);
    }
    for layer in since(layers, "environment") {
        let node = layer.node.get("environment");
        built
            .environment
            .extend(node.into_iter().flat_map(|node| environment(layer, node, lookup)));
    }
    for layer in since(layers, "env_file") {
        let node = layer.node.get("env_file");
        built
            .env_files
            .extend(node.into_iter().flat_map(|node| env_files(layer, node, lookup)));
    }
    for (layer, mount) in items(layers, "volumes") {
        let Some(mount) = mount_of(mount, lookup) else {
            continue;
        };
        built.mounts.retain(|other| other.target != mount.target);
        built.mounts.push(FileMount {
            line: layer.place(mount.line).1,
            ..mount
        });
    }
    built
}

/// The layers from the last one that replaces what those before it say of a key.
fn since<'a>(layers: &'a [Layer], key: &str) -> &'a [Layer] {
    let replaces = |layer: &Layer| layer.node.get(key).is_some_and(|node| node.replaces);
    &layers[layers.iter().rposition(replaces).unwrap_or(0)..]
}

/// The items of a list, of all layers.
fn items<'a>(layers: &'a [Layer], key: &'a str) -> impl Iterator<Item = (&'a Layer, &'a Node)> {
    since(layers, key).iter().flat_map(move |layer| {
        let items = layer.node.get(key).map(Node::items).unwrap_or_default();
        items.iter().map(move |item| (layer, item))
    })
}

/// A mapping, or a list of `NAME=value`.
fn environment(layer: &Layer, node: &Node, lookup: Lookup<'_>) -> BTreeMap<String, Located> {
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
        .map(|(name, text, line)| {
            let (file, line) = layer.place(line);
            (name, Located { text, file, line })
        })
        .collect()
}

/// A text, or a list of texts and of mappings with `path` and `required`.
fn env_files(layer: &Layer, node: &Node, lookup: Lookup<'_>) -> Vec<EnvFile> {
    let one = |node: &Node| {
        let path = interpolate(node.get("path").unwrap_or(node).text()?, lookup);
        Some(EnvFile {
            // Messages read better without the dot.
            path: layer.home.with_file_name(path.trim_start_matches("./")),
            required: node.get("required").and_then(Node::text) != Some("false"),
        })
    };
    let itself = node.text().map(|_| node);
    node.items().iter().chain(itself).filter_map(one).collect()
}

/// Each key of a health check from the last layer that has it.
fn health_check(layers: &[Layer]) -> Option<usize> {
    let last = |key: &str| {
        layers.iter().rev().find_map(|layer| {
            let node = layer.node.get("healthcheck")?.get(key)?;
            Some((node, layer.place(node.line).1))
        })
    };
    if last("disable").and_then(|(node, _)| node.text()) == Some("true") {
        return None;
    }
    let (test, line) = last("test")?;
    let none = match &test.kind {
        Kind::List(items) => items.first().and_then(Node::text) == Some("NONE"),
        Kind::Scalar(text) => text == "NONE",
        _ => true,
    };
    (!none).then_some(line)
}

/// `[address:][host:]container[/protocol]`, with ranges, or the long form.
fn published(layer: &Layer, node: &Node, lookup: Lookup<'_>) -> Vec<Published> {
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
    let (file, line) = layer.place(node.line);
    range(&host)
        .into_iter()
        .enumerate()
        .map(|(at, port)| Published {
            address: address.clone(),
            port,
            protocol: protocol.clone(),
            container: inside.get(at).copied(),
            file: file.clone(),
            line,
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
