//! Docker through its command line.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::{Cmd, CommandError, Runner};

/// The client program.
pub const PROGRAM: &str = "docker";
/// Label on every container that a run starts; its value is the run id.
pub const RUN_LABEL: &str = "xtask.run";

/// A container as `docker inspect` shows it, reduced to what decides something here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Image as it was asked for.
    pub image: String,
    /// `running`, `exited`, `created`, `restarting`, `paused`, `dead`.
    pub status: String,
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
    /// `POSTGRES_USER` of its environment; passwords are never kept.
    pub postgres_user: Option<String>,
    /// `PGDATA` of its environment.
    pub pgdata: Option<String>,
}

/// A mount of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Volume name; `None` for a bind mount.
    pub volume: Option<String>,
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

    /// The mount that holds the cluster.
    pub fn data_mount(&self) -> Option<&Mount> {
        let data = self.pgdata.as_deref().unwrap_or("/var/lib/postgresql/data");
        self.mounts
            .iter()
            .filter(|mount| Path::new(data).starts_with(&mount.destination))
            .max_by_key(|mount| mount.destination.len())
    }

    /// The Compose project that made it.
    pub fn compose_project(&self) -> Option<&str> {
        self.labels.get("com.docker.compose.project").map(String::as_str)
    }
}

/// A named volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its full name.
    pub name: String,
    /// Labels; Compose writes its project and the short name here.
    pub labels: BTreeMap<String, String>,
}

/// The engine's version, when one answers.
///
/// # Errors
/// When the client is missing or no engine answers.
pub fn engine_version(runner: &Runner) -> Result<String, CommandError> {
    let cmd = Cmd::new(PROGRAM, "ask the Docker engine for its version")
        .args(["version", "--format", "{{.Server.Version}}"])
        .limit(Duration::from_secs(20));
    Ok(runner.run(&cmd)?.stdout_text().trim().to_owned())
}

/// All containers, running or not.
///
/// # Errors
/// Any [`CommandError`].
pub fn containers(runner: &Runner) -> Result<Vec<Container>, CommandError> {
    let cmd = Cmd::new(PROGRAM, "list containers").args(["ps", "-aq", "--no-trunc"]);
    let ids = runner.run(&cmd)?.stdout_text();
    let ids: Vec<&str> = ids.split_whitespace().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // A container may vanish between the two calls: `docker inspect` then exits 1 and still prints the others.
    let cmd = Cmd::new(PROGRAM, "inspect containers")
        .args(["inspect", "--type", "container"])
        .args(ids);
    parse_containers(&runner.output(&cmd)?.stdout)
}

/// One container by name or id; `None` when there is none.
///
/// # Errors
/// Any [`CommandError`] but "no such container".
pub fn container(runner: &Runner, name: &str) -> Result<Option<Container>, CommandError> {
    let cmd =
        Cmd::new(PROGRAM, format!("inspect container {name}")).args(["inspect", "--type", "container", name]);
    let output = runner.output(&cmd)?;
    if output.success() {
        return Ok(parse_containers(&output.stdout)?.pop());
    }
    if output.stderr.to_ascii_lowercase().contains("no such") {
        return Ok(None);
    }
    Err(CommandError::Failed {
        what: cmd.what().to_owned(),
        line: cmd.to_string(),
        code: output.code,
        tail: output.stderr,
    })
}

/// All named volumes.
///
/// # Errors
/// Any [`CommandError`].
pub fn volumes(runner: &Runner) -> Result<Vec<Volume>, CommandError> {
    let names = runner
        .run(&Cmd::new(PROGRAM, "list volumes").args(["volume", "ls", "-q"]))?
        .stdout_text();
    let names: Vec<&str> = names.split_whitespace().collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Raw {
        name: String,
        labels: Option<BTreeMap<String, String>>,
    }
    let cmd = Cmd::new(PROGRAM, "inspect volumes")
        .args(["volume", "inspect"])
        .args(names);
    let raw: Vec<Raw> = parse(&cmd, &runner.output(&cmd)?.stdout)?;
    Ok(raw
        .into_iter()
        .map(|v| Volume {
            name: v.name,
            labels: v.labels.unwrap_or_default(),
        })
        .collect())
}

/// All volumes with their sizes as Docker shows them; a size that Docker cannot tell is `unknown size`.
///
/// # Errors
/// Any [`CommandError`].
pub fn volume_sizes(runner: &Runner) -> Result<BTreeMap<String, String>, CommandError> {
    let mut sizes: BTreeMap<String, String> = volumes(runner)?
        .into_iter()
        .map(|volume| (volume.name, "unknown size".to_owned()))
        .collect();
    let cmd = Cmd::new(PROGRAM, "ask for the sizes of volumes").args([
        "system",
        "df",
        "-v",
        "--format",
        "{{range .Volumes}}{{.Name}}\t{{.Size}}\n{{end}}",
    ]);
    // Only for people to read: a Docker that cannot tell does not stop anything.
    if let Ok(output) = runner.run(&cmd) {
        for line in output.stdout_text().lines() {
            if let Some((name, size)) = line.split_once('\t')
                && let Some(entry) = sizes.get_mut(name)
            {
                *entry = size.to_owned();
            }
        }
    }
    Ok(sizes)
}

/// The id of a local image; `None` when it is not here.
///
/// # Errors
/// When docker itself fails.
pub fn image_id(runner: &Runner, image: &str) -> Result<Option<String>, CommandError> {
    let cmd =
        Cmd::new(PROGRAM, format!("look for image {image}")).args(["image", "ls", "-q", "--no-trunc", image]);
    let text = runner.run(&cmd)?.stdout_text();
    Ok(text.split_whitespace().next().map(str::to_owned))
}

/// `docker pull`.
pub fn pull(image: &str, limit: Duration) -> Cmd {
    Cmd::new(PROGRAM, format!("pull image {image}"))
        .args(["pull", image])
        .limit(limit)
}

/// `docker stop` with time for PostgreSQL's shutdown checkpoint.
pub fn stop(name: &str) -> Cmd {
    Cmd::new(PROGRAM, format!("stop container {name}")).args(["stop", "-t", "120", name])
}

/// `docker start`.
pub fn start(name: &str) -> Cmd {
    Cmd::new(PROGRAM, format!("start container {name}")).args(["start", name])
}

/// `docker rm -f -v`: only for containers that we made; anonymous volumes of ours go with them.
pub fn remove(name: &str) -> Cmd {
    Cmd::new(PROGRAM, format!("remove container {name}")).args(["rm", "-f", "-v", name])
}

/// Changes a restart policy: an engine restart must not bring a fenced container back.
pub fn set_restart(name: &str, policy: &str) -> Cmd {
    Cmd::new(PROGRAM, format!("set the restart policy of {name} to {policy}")).args([
        "update",
        "--restart",
        policy,
        name,
    ])
}

/// The last lines a container printed.
pub fn logs(runner: &Runner, name: &str, lines: u32) -> String {
    let cmd = Cmd::new(PROGRAM, format!("read the log of {name}")).args([
        "logs",
        "--tail",
        &lines.to_string(),
        name,
    ]);
    match runner.output(&cmd) {
        Ok(output) => runner
            .redactor()
            .redact(&format!("{}{}", output.stdout_text(), output.stderr)),
        Err(error) => error.to_string(),
    }
}

/// Containers of a run that are still there.
///
/// # Errors
/// Any [`CommandError`].
pub fn of_run(runner: &Runner, run: &str) -> Result<Vec<Container>, CommandError> {
    Ok(containers(runner)?
        .into_iter()
        .filter(|container| container.labels.get(RUN_LABEL).is_some_and(|value| value == run))
        .collect())
}

/// `--user UID:GID`, so that files in a bind mount belong to the person; nothing where the engine maps owners itself.
pub fn user_args() -> Vec<String> {
    #[cfg(target_os = "linux")]
    return vec![
        "--user".to_owned(),
        format!(
            "{}:{}",
            rustix::process::getuid().as_raw(),
            rustix::process::getgid().as_raw()
        ),
    ];
    #[cfg(not(target_os = "linux"))]
    Vec::new()
}

fn parse<T: serde::de::DeserializeOwned>(cmd: &Cmd, bytes: &[u8]) -> Result<T, CommandError> {
    serde_json::from_slice(bytes).map_err(|error| CommandError::Unreadable {
        what: cmd.what().to_owned(),
        why: format!("the answer is not the expected JSON: {error}"),
    })
}

fn parse_containers(bytes: &[u8]) -> Result<Vec<Container>, CommandError> {
    let raw: Vec<raw::Container> = parse(&Cmd::new(PROGRAM, "inspect containers"), bytes)?;
    Ok(raw.into_iter().map(Container::from).collect())
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
        state: State,
        config: Config,
        host_config: HostConfig,
        mounts: Vec<Mount>,
        network_settings: Network,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct State {
        status: String,
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
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct HostConfig {
        restart_policy: Option<Restart>,
        port_bindings: Option<BTreeMap<String, Option<Vec<Binding>>>>,
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

    impl From<Container> for super::Container {
        fn from(raw: Container) -> Self {
            let env = raw.config.env.unwrap_or_default();
            let variable = |name: &str| {
                env.iter()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                    .map(str::to_owned)
            };
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
                status: raw.state.status,
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
                        source: mount.source,
                        destination: mount.destination,
                    })
                    .collect(),
                ports,
                address: networks
                    .into_values()
                    .map(|end| end.address)
                    .find(|address| !address.is_empty()),
                labels: raw.config.labels.unwrap_or_default(),
                postgres_user: variable("POSTGRES_USER"),
                pgdata: variable("PGDATA"),
            }
        }
    }
}
