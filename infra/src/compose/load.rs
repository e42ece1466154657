//! Reads a Compose file without Docker.
//!
//! Variables are filled in from what the caller knows, else from their defaults. `include` and `extends` are followed.
//! A service knows the file that defines it; what it takes from another file stands on the line of its `extends`.

use std::path::{Path, PathBuf};

use super::file::{ComposeFile, Service};
use super::interpolate::{Lookup, interpolate};
use super::service::{Layer, service};
use super::yaml::{self, Node, YamlError};

/// More files or services than anybody nests: one that names itself never ends.
const DEEPEST: usize = 16;

/// Reads a Compose file, and those that it includes.
///
/// # Errors
/// When it is not YAML, has no `services`, or names a file or a service that is not there.
pub fn read(path: &Path, text: &str, lookup: Lookup<'_>) -> Result<ComposeFile, YamlError> {
    let mut services = Vec::new();
    collect(path, text, lookup, 0, &mut services)?;
    Ok(ComposeFile {
        path: path.to_owned(),
        services,
    })
}

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

#[cfg(test)]
mod tests;
