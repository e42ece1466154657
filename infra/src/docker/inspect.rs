//! What `docker inspect` says of containers and volumes, reduced to what decides something here.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::PROGRAM;
use crate::command::{Cmd, CommandError};

/// A container as `docker inspect` shows it, reduced to what decides something here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Image as it was asked for.
    pub image: String,
    /// Id of the image it was made from; the tag may name a newer one by now.
    #[serde(default)]
    pub image_id: String,
    /// `running`, `exited`, `created`, `restarting`, `paused`, `dead`.
    pub status: String,
    /// How often the engine started it again after it exited.
    #[serde(default)]
    pub restart_count: u64,
    /// When it was last started, as the engine writes it.
    #[serde(default)]
    pub started_at: Option<String>,
    /// `healthy`, `unhealthy`, `starting`; `None` without a health check.
    pub health: Option<String>,
    /// Restart policy: `no`, `always`, `unless-stopped`, `on-failure`.
    pub restart: String,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Published ports: container port to host ports.
    pub ports: BTreeMap<u16, Vec<u16>>,
    /// First IP address inside its networks.
    pub address: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether the engine removes it, with its anonymous volumes, when it stops.
    #[serde(default)]
    pub auto_remove: bool,
    /// User that its first process runs as; empty: the image's.
    #[serde(default)]
    pub user: String,
    /// Program and first arguments that the image or a person set.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// Arguments after the entrypoint.
    #[serde(default)]
    pub command: Vec<String>,
    /// Size of `/dev/shm` in bytes; 0: the engine's default.
    #[serde(default)]
    pub shm_bytes: u64,
    /// Variables that decide how PostgreSQL starts; no other is kept, and no password.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// A mount of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Volume name; `None` for a bind mount or memory.
    pub volume: Option<String>,
    /// Whether it is memory (`tmpfs`), empty after every stop.
    #[serde(default)]
    pub memory: bool,
    /// Whether the container may only read it.
    #[serde(default)]
    pub read_only: bool,
    /// Path on the host (bind mounts) or of the volume's data.
    pub source: String,
    /// Path in the container.
    pub destination: String,
}

impl Container {
    /// Whether its processes run now.
    pub fn is_running(&self) -> bool {
        matches!(self.status.as_str(), "running" | "restarting" | "paused")
    }

    /// The mount that a path of the container lies in.
    pub fn mount_of(&self, path: &str) -> Option<&Mount> {
        self.mounts
            .iter()
            .filter(|mount| Path::new(path).starts_with(&mount.destination))
            .max_by_key(|mount| mount.destination.len())
    }

    /// The Compose project that made it.
    pub fn compose_project(&self) -> Option<&str> {
        self.labels.get("com.docker.compose.project").map(String::as_str)
    }
}

impl Mount {
    /// Whether it is a volume that nobody named: `docker rm -v` and `docker-compose down -v` remove it with its container.
    pub fn is_anonymous(&self) -> bool {
        let hex = |name: &String| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
        self.volume.as_ref().is_some_and(hex)
    }
}

/// Whether a variable of a container decides how PostgreSQL starts. Passwords do not, and are not kept.
fn is_kept(variable: &str) -> bool {
    let secret = variable.contains("PASS");
    let ours = variable.starts_with("PG") || variable.starts_with("LC_");
    !secret
        && (ours
            || matches!(
                variable,
                "POSTGRES_USER" | "LANG" | "LANGUAGE" | "TZ" | "LD_LIBRARY_PATH" | "LD_PRELOAD"
            ))
}

/// A named volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its full name.
    pub name: String,
    /// Labels; Compose writes its project and the short name here.
    pub labels: BTreeMap<String, String>,
    /// Whether it is memory, empty once no container uses it.
    #[serde(default)]
    pub memory: bool,
}

fn parse<T: serde::de::DeserializeOwned>(cmd: &Cmd, bytes: &[u8]) -> Result<T, CommandError> {
    serde_json::from_slice(bytes).map_err(|error| CommandError::Unreadable {
        what: cmd.what().to_owned(),
        why: format!("the answer is not the expected JSON: {error}"),
    })
}

pub(super) fn parse_containers(bytes: &[u8]) -> Result<Vec<Container>, CommandError> {
    let raw: Vec<raw::Container> = parse(&Cmd::new(PROGRAM, "inspect containers"), bytes)?;
    Ok(raw.into_iter().map(Container::from).collect())
}

pub(super) fn parse_volumes(bytes: &[u8]) -> Result<Vec<Volume>, CommandError> {
    let raw: Vec<raw::Volume> = parse(&Cmd::new(PROGRAM, "inspect volumes"), bytes)?;
    Ok(raw.into_iter().map(Volume::from).collect())
}

/// The shape of `docker inspect`.
mod raw {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub(super) struct Container {
        id: String,
        name: String,
        #[serde(default)]
        image: String,
        state: State,
        #[serde(default)]
        restart_count: u64,
        config: Config,
        host_config: HostConfig,
        mounts: Vec<Mount>,
        network_settings: Network,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct State {
        status: String,
        started_at: Option<String>,
        health: Option<Health>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Health {
        status: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        image: String,
        env: Option<Vec<String>>,
        labels: Option<BTreeMap<String, String>>,
        #[serde(default)]
        user: String,
        entrypoint: Option<Vec<String>>,
        cmd: Option<Vec<String>>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct HostConfig {
        restart_policy: Option<Restart>,
        port_bindings: Option<BTreeMap<String, Option<Vec<Binding>>>>,
        #[serde(default)]
        auto_remove: bool,
        tmpfs: Option<BTreeMap<String, String>>,
        #[serde(default)]
        shm_size: u64,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Restart {
        name: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Binding {
        host_port: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Mount {
        r#type: String,
        name: Option<String>,
        #[serde(default)]
        source: String,
        destination: String,
        #[serde(rename = "RW", default = "writes")]
        writes: bool,
    }

    fn writes() -> bool {
        true
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Network {
        networks: Option<BTreeMap<String, Endpoint>>,
        ports: Option<BTreeMap<String, Option<Vec<Binding>>>>,
    }

    #[derive(Deserialize)]
    struct Endpoint {
        #[serde(rename = "IPAddress")]
        address: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub(super) struct Volume {
        name: String,
        labels: Option<BTreeMap<String, String>>,
        options: Option<BTreeMap<String, String>>,
    }

    impl From<Volume> for super::Volume {
        fn from(raw: Volume) -> Self {
            Self {
                name: raw.name,
                labels: raw.labels.unwrap_or_default(),
                memory: raw
                    .options
                    .is_some_and(|options| options.get("type").is_some_and(|kind| kind == "tmpfs")),
            }
        }
    }

    impl From<Container> for super::Container {
        fn from(raw: Container) -> Self {
            let env = raw.config.env.unwrap_or_default();
            let variables = env.iter().filter_map(|line| line.split_once('='));
            let variables = variables
                .filter(|(name, _)| super::is_kept(name))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let memory = raw.host_config.tmpfs.unwrap_or_default();
            let memory = memory.into_keys().map(|destination| super::Mount {
                volume: None,
                memory: true,
                read_only: false,
                source: String::new(),
                destination,
            });
            // What was asked for, which a stopped container still knows, and what a running one really got: a port that
            // the engine chose is only in the second.
            let asked = raw.host_config.port_bindings.unwrap_or_default();
            let given = raw.network_settings.ports.unwrap_or_default();
            let mut ports = BTreeMap::<u16, Vec<u16>>::new();
            for (port, hosts) in asked.into_iter().chain(given) {
                let Some(port) = port.split('/').next().and_then(|port| port.parse().ok()) else {
                    continue;
                };
                let known = ports.entry(port).or_default();
                for host in hosts
                    .iter()
                    .flatten()
                    .filter_map(|binding| binding.host_port.parse().ok())
                {
                    if host != 0 && !known.contains(&host) {
                        known.push(host);
                    }
                }
            }
            let networks = raw.network_settings.networks.unwrap_or_default();
            Self {
                id: raw.id,
                name: raw.name.trim_start_matches('/').to_owned(),
                image: raw.config.image,
                image_id: raw.image,
                auto_remove: raw.host_config.auto_remove,
                user: raw.config.user,
                entrypoint: raw.config.entrypoint.unwrap_or_default(),
                command: raw.config.cmd.unwrap_or_default(),
                shm_bytes: raw.host_config.shm_size,
                variables,
                status: raw.state.status,
                restart_count: raw.restart_count,
                started_at: raw.state.started_at,
                health: raw.state.health.map(|health| health.status),
                restart: raw
                    .host_config
                    .restart_policy
                    .map(|policy| policy.name)
                    .filter(|name| !name.is_empty())
                    .unwrap_or_else(|| "no".to_owned()),
                mounts: raw
                    .mounts
                    .into_iter()
                    .map(|mount| super::Mount {
                        volume: (mount.r#type == "volume").then_some(mount.name).flatten(),
                        memory: mount.r#type == "tmpfs",
                        read_only: !mount.writes,
                        source: mount.source,
                        destination: mount.destination,
                    })
                    .chain(memory)
                    .collect(),
                ports,
                address: networks
                    .into_values()
                    .map(|end| end.address)
                    .find(|address| !address.is_empty()),
                labels: raw.config.labels.unwrap_or_default(),
            }
        }
    }
}
