//! Reads a Compose file without Docker.
//!
//! Variables are filled in from what the caller knows, else from their defaults. `include` and `extends` are followed.
//! A service knows the file that defines it; what it takes from another file stands on the line of its `extends`, and what is
//! laid over it in the file that does so.

use std::path::{Path, PathBuf};

use super::file::ComposeFile;
use super::interpolate::{Lookup, interpolate};
use super::service::{Draft, Layer, service};
use super::yaml::{self, Kind, Node, YamlError};

/// More files or services than anybody nests: one that names itself never ends.
const DEEPEST: usize = 16;

/// Names that Compose looks for by itself, the first one first.
pub const NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// Names of the file that Compose lays over one of those by itself, the first one first.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// Reads a Compose file, and those that it includes.
///
/// # Errors
/// When it is not YAML, has no `services`, or names a file or a service that is not there.
pub fn read(path: &Path, text: &str, lookup: Lookup<'_>) -> Result<ComposeFile, YamlError> {
    let mut drafts = Vec::new();
    collect(path, text, lookup, 0, &mut drafts)?;
    Ok(built(path, &drafts, lookup))
}

/// Reads a Compose file as Compose does that is started in its folder: with the override file beside it laid over it.
///
/// # Errors
/// Those of [`read`], for both files.
pub fn read_with_override(path: &Path, text: &str, lookup: Lookup<'_>) -> Result<ComposeFile, YamlError> {
    let mut drafts = Vec::new();
    collect(path, text, lookup, 0, &mut drafts)?;
    if let Some(over) = override_of(path) {
        let text = std::fs::read_to_string(&over).map_err(|error| YamlError {
            line: 1,
            why: format!("cannot read {}: {error}", over.display()),
        })?;
        let text = text.trim_start_matches('\u{feff}');
        let mut laid = Vec::new();
        // It may hold networks and volumes alone.
        let root = yaml::parse(text).map_err(|error| within(&over, 1, &error))?;
        if root.get("services").is_some() || root.get("include").is_some() {
            collect(&over, text, lookup, 0, &mut laid).map_err(|error| within(&over, 1, &error))?;
        }
        for draft in laid {
            lay(&mut drafts, draft);
        }
    }
    Ok(built(path, &drafts, lookup))
}

/// The file that Compose lays over this one by itself: one beside it, when it found this one by itself too. A folder or a link that
/// leads nowhere counts: Compose stops at it.
pub fn override_of(path: &Path) -> Option<PathBuf> {
    let found = path
        .file_name()
        .is_some_and(|name| NAMES.iter().any(|known| name == *known));
    OVERRIDES
        .iter()
        .map(|name| path.with_file_name(name))
        .find(|over| found && over.symlink_metadata().is_ok())
}

/// Lays what a later file says of a service over what is known of it.
fn lay(drafts: &mut Vec<Draft>, over: Draft) {
    let node = over.layers.last().map(|layer| &layer.node);
    let replaces = node.is_some_and(|node| node.replaces);
    let gone = replaces && node.is_some_and(|node| node.kind == Kind::Null);
    let Some(at) = drafts.iter().position(|draft| draft.name == over.name) else {
        drafts.extend((!gone).then_some(over));
        return;
    };
    if gone {
        drafts.remove(at);
    } else if replaces {
        drafts[at] = over;
    } else {
        drafts[at].layers.extend(over.layers);
    }
}

fn built(path: &Path, drafts: &[Draft], lookup: Lookup<'_>) -> ComposeFile {
    ComposeFile {
        path: path.to_owned(),
        services: drafts.iter().map(|draft| service(draft, lookup)).collect(),
    }
}

fn collect(
    path: &Path,
    text: &str,
    lookup: Lookup<'_>,
    depth: usize,
    drafts: &mut Vec<Draft>,
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
        collect(&file, &text, lookup, depth + 1, drafts).map_err(|error| within(&file, line, &error))?;
    }
    for (key, node) in root.get("services").map(Node::entries).unwrap_or_default() {
        drafts.push(Draft {
            name: key.text.clone(),
            file: path.to_owned(),
            line: key.line,
            layers: layers(path, &root, node, lookup, depth)?,
        });
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
        home: path.to_owned(),
        file: path.to_owned(),
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
                base.file = path.to_owned();
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
