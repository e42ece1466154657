//! The fence: the old instance stops, and the same data is served where nobody else can reach it.

use std::path::PathBuf;

use infra::postgres::cluster::Cluster;
use infra::postgres::container::{self, Start};
use infra::postgres::{Clients, Reach};
use infra::{Cmd, docker};
use serde::{Deserialize, Serialize};

use super::{Instance, Swap};
use crate::config::{SecretName, Vault};
use crate::model::RunId;

/// Settings of a reader: it must not write, and it must not need the 64 MB of a container's shared memory.
const READER_SETTINGS: [(&str, &str); 3] = [
    ("default_transaction_read_only", "on"),
    ("autovacuum", "off"),
    ("max_parallel_workers_per_gather", "0"),
];

/// One old instance to fence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fence {
    /// The database it holds.
    pub database: String,
    /// Its name in the old instance.
    pub source_database: String,
    /// What is fenced, and how.
    pub fenced: Fenced,
    /// Its superuser.
    pub user: String,
    /// The client programs that read it.
    pub clients: Clients,
    /// The client programs that restore it on the target; without them, the target's own.
    #[serde(default)]
    pub restored_with: Option<Clients>,
    /// The run, which marks the reader.
    pub run: RunId,
}

/// The ways an old instance occurs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fenced {
    /// A container.
    Container {
        /// Its name.
        name: String,
        /// Its id: a container made anew under the same name is another one.
        id: String,
        /// How its server was started.
        start: Start,
        /// The port inside.
        port: u16,
        /// Its restart policy, to be put back.
        restart: String,
        /// Whether it ran.
        was_running: bool,
        /// Name of the volume (or host folder) that holds the cluster.
        data: Option<String>,
    },
    /// A volume whose container is gone.
    Volume {
        /// The volume.
        volume: String,
        /// How a server is started on it.
        start: Start,
    },
    /// A local cluster.
    Cluster {
        /// The cluster.
        cluster: Cluster,
        /// The port it served, when it ran.
        was_on: Option<u16>,
        /// A private folder for the reader's socket.
        socket_dir: PathBuf,
        /// The port the reader uses: in the socket's name, or on loopback on Windows.
        reader_port: u16,
    },
    /// A server that we may only connect to.
    External(External),
}

/// A source on a server that is not ours. It is its own reader.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct External {
    /// The server.
    pub instance: Instance,
    /// A database to connect to while the other one is closed.
    pub maintenance_database: String,
    /// Whether our role may close the database, and open it again.
    pub closable: bool,
    /// Whether a person vouches that nobody writes, where the fence cannot.
    pub vouched: bool,
}

impl Fence {
    /// The container that reads a fenced volume.
    pub fn reader_name(&self) -> String {
        format!("xtask-reader-{}-{}", self.run, self.database)
    }

    /// Whether the old instance ran when the plan was made, and could be asked what it holds.
    pub fn ran(&self) -> bool {
        match &self.fenced {
            Fenced::Container { was_running, .. } => *was_running,
            Fenced::Cluster { was_on, .. } => was_on.is_some(),
            Fenced::Volume { .. } => false,
            Fenced::External(_) => true,
        }
    }

    /// The server of an external source.
    pub fn external(&self) -> Option<&Instance> {
        match &self.fenced {
            Fenced::External(external) => Some(&external.instance),
            _ => None,
        }
    }

    /// Whether an external source can be closed.
    pub fn is_closable(&self) -> bool {
        matches!(&self.fenced, Fenced::External(external) if external.closable)
    }

    /// The reader as an instance.
    pub fn reader(&self) -> Instance {
        let reach = match &self.fenced {
            Fenced::External(external) => return external.instance.clone(),
            Fenced::Container { .. } | Fenced::Volume { .. } => Reach::Container {
                name: self.reader_name(),
                host: crate::observe::servers::INSIDE.to_owned(),
                port: match &self.fenced {
                    Fenced::Container { port, .. } => Some(*port),
                    _ => None,
                },
            },
            Fenced::Cluster {
                socket_dir,
                reader_port,
                ..
            } if cfg!(unix) => Reach::Socket {
                dir: socket_dir.clone(),
                port: *reader_port,
            },
            Fenced::Cluster { reader_port, .. } => Reach::Tcp {
                host: "127.0.0.1".to_owned(),
                port: *reader_port,
            },
        };
        Instance {
            label: format!("source {}", self.database),
            reach,
            user: self.user.clone(),
            password: SecretName::Source(self.database.clone()),
            clients: self.clients.clone(),
            options: Vec::new(),
        }
    }

    /// Stops the old instance and keeps an engine restart from bringing it back.
    pub fn stop(&self) -> Vec<Cmd> {
        match &self.fenced {
            Fenced::Container {
                name,
                restart,
                was_running,
                ..
            } => {
                let keep_down = (restart != "no").then(|| docker::set_restart(name, "no"));
                keep_down
                    .into_iter()
                    .chain(was_running.then(|| docker::stop(name)))
                    .collect()
            }
            Fenced::Volume { .. } | Fenced::External(_) => Vec::new(),
            Fenced::Cluster { cluster, was_on, .. } => was_on.map(|_| cluster.stop()).into_iter().collect(),
        }
    }

    /// Starts the reader; an external source needs none.
    pub fn start_reader(&self) -> Option<Cmd> {
        Some(match &self.fenced {
            Fenced::External(_) => return None,
            Fenced::Container { name, start, .. } => self.reader_container(start, ["--volumes-from", name]),
            Fenced::Volume { volume, start } => {
                let mount = format!("type=volume,source={volume},target={}", container::DATA);
                self.reader_container(start, ["--mount", &mount])
            }
            Fenced::Cluster {
                cluster,
                socket_dir,
                reader_port,
                ..
            } => {
                let port = reader_port.to_string();
                let dir = socket_dir.display().to_string();
                let mut settings = READER_SETTINGS.to_vec();
                settings.push(("port", &port));
                if cfg!(unix) {
                    settings.extend([
                        ("listen_addresses", ""),
                        ("unix_socket_directories", dir.as_str()),
                    ]);
                } else {
                    settings.push(("listen_addresses", "127.0.0.1"));
                }
                cluster.start(&settings, &cluster.log())
            }
        })
    }

    /// Ends the reader; an external source has none.
    pub fn stop_reader(&self) -> Option<Cmd> {
        match &self.fenced {
            Fenced::Container { .. } | Fenced::Volume { .. } => Some(docker::remove(&self.reader_name())),
            Fenced::Cluster { cluster, .. } => Some(cluster.stop()),
            Fenced::External(_) => None,
        }
    }

    /// Brings the old instance back as it was.
    pub fn bring_back(&self) -> Vec<Cmd> {
        match &self.fenced {
            Fenced::Container {
                name,
                restart,
                was_running,
                ..
            } => {
                let policy = (restart != "no").then(|| docker::set_restart(name, restart));
                policy
                    .into_iter()
                    .chain(was_running.then(|| docker::start(name)))
                    .collect()
            }
            Fenced::Volume { .. } | Fenced::External(_) => Vec::new(),
            Fenced::Cluster { cluster, was_on, .. } => was_on
                .map(|_| cluster.start(&[], &cluster.log()))
                .into_iter()
                .collect(),
        }
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<Cmd> {
        let end = match &self.fenced {
            Fenced::External(external) => Some(external.instance.server(vault).psql(
                &external.maintenance_database,
                &Swap::end_sessions(&self.source_database),
                format!("end the sessions of database {}", self.source_database),
            )),
            _ => None,
        };
        let stop = self.stop().into_iter().chain(end);
        stop.chain(self.start_reader()).collect()
    }

    /// The same server on the same volume, without a network, and read-only.
    fn reader_container(&self, start: &Start, volumes: [&str; 2]) -> Cmd {
        let cmd = Cmd::new(
            docker::PROGRAM,
            format!("start the isolated reader of {}", self.database),
        )
        .args(["run", "-d", "--name", &self.reader_name(), "--network", "none"])
        .args(["--label", &format!("{}={}", docker::RUN_LABEL, self.run)])
        .args(volumes);
        start.run(cmd, &READER_SETTINGS)
    }
}
