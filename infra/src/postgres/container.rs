//! A container as a PostgreSQL server: where its data lie, what stopping it destroys, and how the same server starts again.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::command::{Cmd, CommandError, Runner};
use crate::docker::{self, Container, Mount, Volume};

/// Data folder of the official images before 18, and of every image that does not set `PGDATA`.
pub const DATA: &str = "/var/lib/postgresql/data";
/// PostgreSQL's default port.
pub const PORT: u16 = 5432;
/// Programs that with `-c` run a text: settings after it would not reach PostgreSQL.
const SHELLS: [&str; 4] = ["sh", "bash", "ash", "dash"];

/// The data folder, as the command line or else the environment says.
pub fn data_folder(container: &Container) -> String {
    argument(container, "-D", "data_directory")
        .or_else(|| container.variables.get("PGDATA").cloned())
        .unwrap_or_else(|| DATA.to_owned())
}

/// The port inside the container, as the command line, the environment, or the only port that it publishes says.
pub fn port(container: &Container) -> u16 {
    let said = argument(container, "-p", "port").or_else(|| container.variables.get("PGPORT").cloned());
    let mut published = container.ports.iter().filter(|(_, hosts)| !hosts.is_empty());
    let only = match (published.next(), published.next()) {
        (Some((port, _)), None) => *port,
        _ => PORT,
    };
    said.and_then(|port| port.parse().ok()).unwrap_or(only)
}

/// The last value that the command line gives a setting, in any of postgres's spellings: `-D x`, `-Dx`, `-c name=x`, `--name=x`.
fn argument(container: &Container, short: &str, long: &str) -> Option<String> {
    let words: Vec<&str> = container
        .entrypoint
        .iter()
        .chain(&container.command)
        .map(String::as_str)
        .collect();
    let assigned = |text: &str| {
        let (name, value) = text.split_once('=')?;
        (name.replace('-', "_") == long).then(|| value.to_owned())
    };
    let mut found = None;
    for (index, word) in words.iter().enumerate() {
        let next = words.get(index + 1).copied();
        let value = match *word {
            "-c" => next.and_then(assigned),
            word if word == short => next.map(str::to_owned),
            word => word.strip_prefix("--").and_then(assigned).or_else(|| {
                let joined = word.strip_prefix("-c").and_then(assigned);
                joined.or_else(|| word.strip_prefix(short).map(str::to_owned))
            }),
        };
        found = value.or(found);
    }
    found
}

/// Where a data folder lies, and what becomes of it when its container stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// In a volume or a folder of this machine: a stop changes nothing.
    Kept(Mount),
    /// In an anonymous volume of a container that the engine removes when it stops: the volume goes with it.
    RemovedWithContainer,
    /// In a volume with a name, or a folder of this machine, of a container that the engine removes when it stops.
    LosesContainer(Mount),
    /// In memory: empty after the stop.
    Memory,
    /// In the container's own layer: no other container can read it.
    Layer,
}

/// Where a data folder of a container lies.
pub fn storage(container: &Container, folder: &str, volumes: &[Volume]) -> Storage {
    let Some(mount) = container.mount_of(folder) else {
        return Storage::Layer;
    };
    let in_memory = |name: &String| volumes.iter().any(|volume| volume.name == *name && volume.memory);
    if mount.memory || mount.volume.as_ref().is_some_and(in_memory) {
        return Storage::Memory;
    }
    match (container.auto_remove, mount.is_anonymous()) {
        (false, _) => Storage::Kept(mount.clone()),
        (true, true) => Storage::RemovedWithContainer,
        (true, false) => Storage::LosesContainer(mount.clone()),
    }
}

/// How a server was started: everything of its container but network and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Image, by its id where a container was made from it.
    pub image: String,
    /// `UID:GID` or a name; empty: the image's.
    #[serde(default)]
    pub user: String,
    /// Program and first arguments; empty: the image's.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// Arguments after that.
    pub command: Vec<String>,
    /// Variables that PostgreSQL reads at its start.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Size of `/dev/shm` in bytes; 0: the engine's default.
    #[serde(default)]
    pub shm_bytes: u64,
    /// Folders in memory.
    #[serde(default)]
    pub memory: Vec<String>,
}

impl Start {
    /// How a container's server was started.
    ///
    /// # Errors
    /// When the container runs a shell script: settings cannot be added to it.
    pub fn of(container: &Container) -> Result<Self, String> {
        let words = container.entrypoint.iter().chain(&container.command);
        let words: Vec<&str> = words.map(String::as_str).collect();
        let is_shell = |word: &str| {
            let name = Path::new(word).file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| SHELLS.contains(&name))
        };
        let runs_text =
            |pair: &[&str]| is_shell(pair[0]) && pair[1].starts_with('-') && pair[1].ends_with('c');
        if words.windows(2).any(runs_text) {
            return Err(words.join(" "));
        }
        let memory = container.mounts.iter().filter(|mount| mount.memory);
        Ok(Self {
            image: match container.image_id.as_str() {
                "" => container.image.clone(),
                id => id.to_owned(),
            },
            user: container.user.clone(),
            entrypoint: container.entrypoint.clone(),
            command: container.command.clone(),
            variables: container.variables.clone(),
            shm_bytes: container.shm_bytes,
            memory: memory.map(|mount| mount.destination.clone()).collect(),
        })
    }

    /// How a server starts on a volume whose container is gone, mounted at [`DATA`]: as the owner of its files, so that none
    /// of them changes hands.
    pub fn on_volume(image: &str, found: &Found) -> Self {
        Self {
            image: image.to_owned(),
            user: found.owner.clone(),
            entrypoint: Vec::new(),
            command: vec!["postgres".to_owned()],
            variables: [("PGDATA".to_owned(), found.path_in(DATA))].into(),
            shm_bytes: 0,
            memory: Vec::new(),
        }
    }

    /// Completes `docker run ...` so that the same server starts, with further settings.
    pub fn run(&self, mut cmd: Cmd, settings: &[(&str, &str)]) -> Cmd {
        if !self.user.is_empty() {
            cmd = cmd.args(["--user", &self.user]);
        }
        if self.shm_bytes > 0 {
            cmd = cmd.args(["--shm-size", &self.shm_bytes.to_string()]);
        }
        for folder in &self.memory {
            cmd = cmd.args(["--tmpfs", folder]);
        }
        for (name, value) in &self.variables {
            cmd = cmd.args(["-e", &format!("{name}={value}")]);
        }
        let mut words = self.entrypoint.iter();
        if let Some(program) = words.next() {
            cmd = cmd.args(["--entrypoint", program]);
        }
        cmd = cmd.arg(&self.image).args(words).args(&self.command);
        settings.iter().fold(cmd, |cmd, (name, value)| {
            cmd.args(["-c", &format!("{name}={value}")])
        })
    }
}

/// A data folder found in a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Path below the volume's root; empty: the root itself.
    pub folder: String,
    /// `UID:GID` of its files.
    pub owner: String,
}

impl Found {
    /// The folder, where the volume is mounted at `root`.
    pub fn path_in(&self, root: &str) -> String {
        format!("{root}/{}", self.folder).trim_end_matches('/').to_owned()
    }
}

/// The data folders in a volume or a folder of this machine, by their `global/pg_control`: it is looked at read-only from a
/// container of `image`.
///
/// # Errors
/// Any [`CommandError`]; an image without `find` and `stat` is one.
pub fn data_folders(runner: &Runner, source: &str, image: &str) -> Result<Vec<Found>, CommandError> {
    const ROOT: &str = "/xtask";
    const CONTROL: &str = "/global/pg_control";
    let cmd = Cmd::new(docker::PROGRAM, format!("look for a data folder in {source}"))
        .args(["run", "--rm", "--network", "none", "--user", "0:0"])
        .args([
            "-v",
            &format!("{source}:{ROOT}:ro"),
            "--entrypoint",
            "find",
            image,
        ])
        .args([
            ROOT,
            "-maxdepth",
            "6",
            "-path",
            &format!("*{CONTROL}"),
            "-exec",
            "stat",
            "-c",
            "%u:%g %n",
            "{}",
            ";",
        ]);
    let text = runner.run(&cmd)?.stdout_text();
    let found = text.lines().filter_map(|line| {
        let (owner, path) = line.split_once(' ')?;
        let folder = path.strip_prefix(ROOT)?.strip_suffix(CONTROL)?;
        Some(Found {
            folder: folder.trim_start_matches('/').to_owned(),
            owner: owner.to_owned(),
        })
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(change: impl FnOnce(&mut Container)) -> Container {
        let mut container = serde_json::from_value(serde_json::json!({
            "id": "a", "name": "old", "image": "postgres:16-alpine", "image_id": "sha256:1", "status": "running", "health": null,
            "restart": "no", "mounts": [], "ports": {}, "address": null, "labels": {},
            "entrypoint": ["docker-entrypoint.sh"], "command": ["postgres"],
        }))
        .unwrap();
        change(&mut container);
        container
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn data_folder_and_port_follow_the_command_line_before_the_environment() {
        let of = |command: &str| {
            let container = container(|container| {
                container.command = words(command);
                container.variables = [("PGDATA", "/env"), ("PGPORT", "5500")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into();
            });
            (data_folder(&container), port(&container))
        };
        assert_eq!(of("postgres"), ("/env".to_owned(), 5500));
        assert_eq!(of("postgres -D /a -p 5501"), ("/a".to_owned(), 5501));
        assert_eq!(of("postgres -D/a -c port=5502"), ("/a".to_owned(), 5502));
        assert_eq!(
            of("postgres --data-directory=/b --port=5503"),
            ("/b".to_owned(), 5503)
        );
        assert_eq!(of("-p 1 -cport=2"), ("/env".to_owned(), 2));
        let configured =
            container(|container| container.ports = [(5432, vec![]), (7777, vec![25_605])].into());
        assert_eq!(port(&configured), 7777);
        let plain = container(|_| ());
        assert_eq!((data_folder(&plain), port(&plain)), (DATA.to_owned(), PORT));
    }

    #[test]
    fn what_a_stop_destroys_is_told_from_what_it_keeps() {
        let mount = |volume: Option<&str>, destination: &str, memory| Mount {
            volume: volume.map(str::to_owned),
            memory,
            read_only: false,
            source: String::new(),
            destination: destination.to_owned(),
        };
        let anonymous = "0".repeat(64);
        let memory_volume = Volume {
            name: "fast".to_owned(),
            labels: BTreeMap::new(),
            memory: true,
        };
        let of = |mounts: Vec<Mount>, auto_remove| {
            let container = container(|container| {
                container.mounts = mounts;
                container.auto_remove = auto_remove;
            });
            storage(&container, DATA, std::slice::from_ref(&memory_volume))
        };
        let named = mount(Some("data"), DATA, false);
        let unnamed = mount(Some(&anonymous), DATA, false);
        assert_eq!(of(vec![named.clone()], false), Storage::Kept(named.clone()));
        assert_eq!(of(vec![unnamed.clone()], false), Storage::Kept(unnamed.clone()));
        assert_eq!(of(vec![unnamed.clone()], true), Storage::RemovedWithContainer);
        assert_eq!(
            of(vec![named.clone()], true),
            Storage::LosesContainer(named.clone())
        );
        assert_eq!(of(vec![mount(None, DATA, true)], false), Storage::Memory);
        assert_eq!(of(vec![mount(Some("fast"), DATA, false)], false), Storage::Memory);
        assert_eq!(
            of(vec![mount(Some("data"), "/pgdata", false)], false),
            Storage::Layer
        );
        // The deepest mount holds the folder.
        let above = mount(Some("data"), "/var/lib/postgresql", false);
        assert_eq!(of(vec![above, unnamed.clone()], false), Storage::Kept(unnamed));
    }

    #[test]
    fn the_same_server_is_started_with_further_settings_at_the_end() {
        let old = container(|container| {
            container.user = "65534:65534".to_owned();
            container.command = words("postgres -c max_prepared_transactions=5");
            container.variables = [("PGDATA".to_owned(), "/x/y".to_owned())].into();
            container.shm_bytes = 268_435_456;
        });
        let cmd = Start::of(&old)
            .unwrap()
            .run(Cmd::new("docker", "start").arg("run"), &[("autovacuum", "off")]);
        assert_eq!(
            cmd.to_string(),
            "docker run --user 65534:65534 --shm-size 268435456 -e PGDATA=/x/y --entrypoint docker-entrypoint.sh sha256:1 \
             postgres -c max_prepared_transactions=5 -c autovacuum=off"
        );
    }

    #[test]
    fn a_server_inside_a_shell_script_cannot_be_given_settings() {
        let scripted = container(|container| {
            container.entrypoint = words("/bin/sh");
            container.command = words("-c exec");
        });
        assert_eq!(Start::of(&scripted).unwrap_err(), "/bin/sh -c exec");
        let file = container(|container| container.entrypoint = words("/bin/sh /entrypoint.sh"));
        assert!(Start::of(&file).is_ok());
    }
}
