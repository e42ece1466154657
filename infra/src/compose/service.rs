//! One service, from its node and those that it extends, in the short and the long forms of the Compose specification.

use std::collections::BTreeMap;
use std::path::Path;

use super::file::{FileMount, Located, Published, Service};
use super::interpolate::{Lookup, interpolate};
use super::yaml::{Kind, Node};

/// A service as it is written, and the line on which its facts stand when that is not their own.
pub(super) struct Layer {
    pub(super) node: Node,
    pub(super) line: Option<usize>,
}

/// One service: single values from the last layer that has them, lists from all.
pub(super) fn service(path: &Path, name: &str, line: usize, layers: &[Layer], lookup: Lookup<'_>) -> Service {
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
