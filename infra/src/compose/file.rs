//! What a Compose file says: its services, each fact with its line.

use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// `network_mode`; on the host's own network nothing is published.
    pub network_mode: Option<Located>,
    /// Ports it publishes on the host. Those that Docker chooses itself are not among them.
    pub ports: Vec<Published>,
    /// Its environment.
    pub environment: BTreeMap<String, Located>,
    /// Files that set more of its environment; a later one wins over an earlier one. Reading them is left to the caller.
    pub env_files: Vec<EnvFile>,
    /// Profiles that start it; without any it is always started.
    pub profiles: Vec<String>,
    /// The line of its health check; `None` without one, and when it is disabled.
    pub health_check: Option<usize>,
    /// Bind mounts and volumes.
    pub mounts: Vec<FileMount>,
}

/// A file of `env_file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFile {
    /// The file.
    pub path: PathBuf,
    /// Whether Compose stops without it.
    pub required: bool,
}

/// A text with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The text, variables filled in.
    pub text: String,
    /// The file.
    pub file: PathBuf,
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
    /// The file.
    pub file: PathBuf,
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

    /// Whether both say the same, wherever they stand.
    pub fn repeats(&self, other: &Self) -> bool {
        self.address == other.address
            && self.port == other.port
            && self.protocol == other.protocol
            && self.container == other.container
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

    /// Whether it has profiles, and none of another service of its file that has some: one is the alternative to the other.
    pub fn is_alternative_to(&self, other: &Self) -> bool {
        let both = !self.profiles.is_empty() && !other.profiles.is_empty();
        both && !self.profiles.iter().any(|name| other.profiles.contains(name))
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
