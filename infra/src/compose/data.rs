//! Where a PostgreSQL service keeps its data, as Compose itself reads the file.

use std::path::{Path, PathBuf};

use super::Project;
use super::yaml::{self, Node};
use crate::command::{CommandError, Runner};

/// The image's own data folder, and the folder around it that newer images use.
const DATA: &str = "/var/lib/postgresql/data";
const AROUND: &str = "/var/lib/postgresql";

/// Where data lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A volume, by its full name. It may not exist yet.
    Volume(String),
    /// A folder of this machine.
    Folder(PathBuf),
}

impl Project {
    /// The volume or folder that holds the data of a PostgreSQL service; `None` when no mount does. `project` is the
    /// project's name.
    ///
    /// # Errors
    /// When Compose rejects the file.
    pub fn data_place(
        &self,
        runner: &Runner,
        service: &str,
        project: &str,
    ) -> Result<Option<Place>, CommandError> {
        let text = self.config(runner)?;
        let config = yaml::parse(&text).map_err(|error| CommandError::Unreadable {
            what: format!("read {}", self.file.display()),
            why: error.to_string(),
        })?;
        Ok(place(&config, service, project))
    }
}

fn place(config: &Node, service: &str, project: &str) -> Option<Place> {
    let service = config.get("services")?.get(service)?;
    let set = service.get("environment").and_then(|all| all.get("PGDATA"));
    let set = set.and_then(Node::text);
    let holds = |target: &str| {
        Path::new(set.unwrap_or(DATA)).starts_with(target) || set.is_none() && target.starts_with(AROUND)
    };
    let mounts = service.get("volumes")?.items().iter().filter_map(mount);
    let (source, _) = mounts
        .filter(|(_, target)| holds(target))
        .max_by_key(|(_, target)| target.len())?;
    // Compose has made every path absolute; what is none is a volume's key.
    if source.contains(['/', '\\']) {
        return Some(Place::Folder(source.into()));
    }
    let volume = config.get("volumes").and_then(|all| all.get(source));
    let text = |key: &str| volume.and_then(|volume| volume.get(key)).and_then(Node::text);
    Some(Place::Volume(match (text("name"), text("external")) {
        (Some(name), _) => name.to_owned(),
        (None, Some("true")) => source.to_owned(),
        _ => format!("{project}_{source}"),
    }))
}

/// Source and target of a mount, in either form that Compose prints.
fn mount(node: &Node) -> Option<(&str, &str)> {
    if let Some(text) = node.text() {
        let (source, target) = text.split_at(text.find(":/")?);
        return Some((source, target[1..].split(':').next()?));
    }
    Some((node.get("source")?.text()?, node.get("target")?.text()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `docker-compose` 1.29 prints.
    const STANDALONE: &str = "services:\n  db:\n    environment: {PGDATA: /data/pg}\n    volumes:\n    - /x/init:/docker-entrypoint-initdb.d:ro\n    \
                              - own:/data:rw\n  outside:\n    volumes:\n    - out:/var/lib/postgresql:rw\n  bound:\n    volumes:\n    \
                              - /x/data:/var/lib/postgresql/data:rw\n  bare: {}\nversion: '3.8'\nvolumes:\n  own: {}\n  out:\n    external: true\n    name: elsewhere\n";

    /// What the plugin prints.
    const PLUGIN: &str = "name: p\nservices:\n  db:\n    volumes:\n      - type: volume\n        source: own\n        target: /var/lib/postgresql/data\n        \
                          volume: {}\nvolumes:\n  own:\n    name: p_own\n";

    #[test]
    fn the_place_of_the_data_is_read_from_what_either_compose_prints() {
        let of = |text: &str, service: &str| place(&yaml::parse(text).unwrap(), service, "p");
        let volume = |name: &str| Some(Place::Volume(name.to_owned()));
        assert_eq!(of(STANDALONE, "db"), volume("p_own"));
        assert_eq!(of(STANDALONE, "outside"), volume("elsewhere"));
        assert_eq!(of(STANDALONE, "bound"), Some(Place::Folder("/x/data".into())));
        assert_eq!(of(STANDALONE, "bare"), None);
        assert_eq!(of(PLUGIN, "db"), volume("p_own"));
    }
}
