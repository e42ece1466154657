//! A PostgreSQL server as we reach it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Script, quote};
use crate::command::{Cmd, CommandError, Runner};
use crate::docker;
use crate::secret::Secret;

/// How long a connection attempt may take, in seconds.
pub const CONNECT_SECONDS: &str = "10";

/// The way to an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Over TCP from this machine.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Through a socket folder on this machine.
    Socket {
        /// The folder that holds the socket.
        dir: PathBuf,
        /// The port in the socket's name.
        port: u16,
    },
    /// From inside its container: clients run there or join its network.
    Container {
        /// The container's name.
        name: String,
        /// The address clients use inside; `127.0.0.1` asks over TCP, which a first-run bootstrap server refuses.
        host: String,
        /// The port inside; `None`: as the container's own environment says.
        #[serde(default)]
        port: Option<u16>,
    },
}

/// Where the client programs come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clients {
    /// Programs on this machine: a `bin` folder, or PATH when there is none.
    Machine {
        /// Folder with psql, pg_dump and pg_restore.
        bin: Option<PathBuf>,
    },
    /// An image with the client programs, run beside the server's container for dump and restore.
    Image {
        /// Image name with tag.
        image: String,
        /// Label value that marks containers of this run.
        run: String,
    },
}

impl Clients {
    /// A client program that reads `folder` and connects to nothing; in a container it has no network. Returns the
    /// command and the path under which the program sees the folder.
    pub fn offline(&self, program: &str, folder: &Path, what: impl Into<String>) -> (Cmd, PathBuf) {
        match self {
            Self::Image { image, run } => {
                let mount = format!("type=bind,source={},target=/backup,readonly", folder.display());
                let cmd = Cmd::new(docker::PROGRAM, what)
                    .args(["run", "--rm", "-i", "--network", "none"])
                    .args(["--label", &format!("{}={run}", docker::RUN_LABEL)])
                    .args(["--mount", &mount])
                    .args(docker::user_args())
                    .args(["--entrypoint", program, image]);
                (cmd, PathBuf::from("/backup"))
            }
            Self::Machine { .. } => (Cmd::new(self.program(program), what), folder.to_owned()),
        }
    }

    /// Asks a client program for its version; in a container it has neither network nor folder.
    pub fn version(&self, program: &str) -> Cmd {
        let what = format!("ask {program} of {self} for its version");
        let cmd = match self {
            Self::Image { image, .. } => Cmd::new(docker::PROGRAM, what).args([
                "run",
                "--rm",
                "--network",
                "none",
                "--entrypoint",
                program,
                image,
            ]),
            Self::Machine { .. } => Cmd::new(self.program(program), what),
        };
        cmd.arg("--version").limit(Duration::from_secs(60))
    }

    /// The program's path on this machine.
    fn program(&self, name: &str) -> PathBuf {
        match self {
            Self::Machine { bin: Some(bin) } => bin.join(name),
            _ => PathBuf::from(name),
        }
    }
}

/// Where they are, for people.
impl std::fmt::Display for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image { image, .. } => write!(f, "image {image}"),
            Self::Machine { bin: Some(bin) } => write!(f, "{}", bin.display()),
            Self::Machine { bin: None } => f.write_str("PATH"),
        }
    }
}

/// An instance, a role and the programs to talk to it. Not serialisable: it may hold a password.
#[derive(Clone, Debug)]
pub struct Server {
    /// How people call it, for example `source labeler`.
    pub label: String,
    /// The way to it.
    pub reach: Reach,
    /// The role we connect as.
    pub user: String,
    /// Its password, when one is known.
    pub password: Option<Secret>,
    /// The client programs.
    pub clients: Clients,
    /// Further libpq settings. A name in capitals is a variable of the environment (`PGSSLMODE`); any other is a parameter
    /// that has none (`keepalives_idle`) and goes into the connection string.
    pub options: Vec<(String, String)>,
}

/// Variables that would change what our clients do behind our back.
const FOREIGN: [&str; 17] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSERVICE",
    "PGOPTIONS",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGSERVICEFILE",
    "PGREQUIRESSL",
    "PGTZ",
    "PGDATESTYLE",
    "PGCLIENTENCODING",
    "PGTARGETSESSIONATTRS",
];

impl Server {
    /// A client program connected to `database`, for short questions: in a container it runs through `docker exec`.
    pub fn client(&self, program: &str, database: &str, what: impl Into<String>) -> Cmd {
        let cmd = match &self.reach {
            Reach::Container { name, host, port } => {
                let cmd = Cmd::new(docker::PROGRAM, what)
                    .args(["exec", "-i"])
                    .args(self.docker_env());
                let cmd = self.with_password(cmd).args([name, program, "-h", host]);
                cmd.args(port_args(*port))
            }
            Reach::Tcp { host, port } if let Clients::Image { image, run } = &self.clients => {
                let cmd = Cmd::new(docker::PROGRAM, what)
                    .args(["run", "--rm", "-i"])
                    .args(host_network())
                    .args(["--label", &format!("{}={run}", docker::RUN_LABEL)])
                    .args(self.docker_env());
                let cmd = self.with_password(cmd).args(["--entrypoint", program, image]);
                cmd.args(["-h", &from_container(host)])
                    .args(port_args(Some(*port)))
            }
            Reach::Tcp { .. } | Reach::Socket { .. } => self.machine_client(program, what),
        };
        cmd.args(["-U", &self.user, "-d", &self.dbname(database)])
    }

    /// A database for `-d`: its name, with the parameters of [`Server::options`] where there are some.
    pub fn dbname(&self, database: &str) -> String {
        let parameters: Vec<(&str, &str)> = self
            .options
            .iter()
            .filter(|(name, _)| !is_variable(name))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        if parameters.is_empty() {
            return quote::dbname(database);
        }
        quote::conninfo([("dbname", database)].into_iter().chain(parameters))
    }

    /// The name under which our sessions show on the server.
    pub fn application_name(&self) -> &str {
        let own = self.options.iter().rev().find(|(name, _)| name == "PGAPPNAME");
        own.map_or("xtask", |(_, value)| value)
    }

    /// The same server with one more option; it wins over those before it.
    #[must_use]
    pub fn with_option(mut self, name: &str, value: impl Into<String>) -> Self {
        self.options.push((name.to_owned(), value.into()));
        self
    }

    /// A client program for bulk work: in a container world it runs in a container of its own that joins the server's
    /// network and sees `folder` as `/backup` (read-only when `read_only`). Returns the command and the path under
    /// which the program sees the folder.
    pub fn bulk_client(
        &self,
        program: &str,
        folder: &Path,
        read_only: bool,
        what: impl Into<String>,
    ) -> (Cmd, PathBuf) {
        match (&self.reach, &self.clients) {
            (Reach::Container { name, host, port }, Clients::Image { image, run }) => {
                let mut mount = format!("type=bind,source={},target=/backup", folder.display());
                if read_only {
                    mount.push_str(",readonly");
                }
                let cmd = Cmd::new(docker::PROGRAM, what)
                    .args(["run", "--rm", "-i", "--network", &format!("container:{name}")])
                    .args(["--label", &format!("{}={run}", docker::RUN_LABEL)])
                    .args(["--mount", &mount])
                    .args(docker::user_args())
                    .args(self.docker_env());
                let cmd = self
                    .with_password(cmd)
                    .args(["--entrypoint", program, image, "-h", host])
                    .args(port_args(*port));
                (cmd.args(["-U", &self.user]), PathBuf::from("/backup"))
            }
            _ => (
                self.machine_client(program, what).args(["-U", &self.user]),
                folder.to_owned(),
            ),
        }
    }

    /// `psql` that reads this script; anything but success on every statement is an error.
    pub fn psql(&self, database: &str, script: &Script, what: impl Into<String>) -> Cmd {
        self.psql_session(database, what)
            .stdin(script.input())
            .shown_stdin(script.shown())
    }

    /// `psql` waiting for lines, quiet and exact: no start-up file, unaligned tuples, first error ends it.
    pub fn psql_session(&self, database: &str, what: impl Into<String>) -> Cmd {
        self.client("psql", database, what)
            .args(["-XqAtw", "-v", "ON_ERROR_STOP=1", "-f", "-"])
    }

    /// Runs a script for its effect.
    ///
    /// # Errors
    /// Any [`CommandError`].
    pub fn execute(
        &self,
        runner: &Runner,
        database: &str,
        script: &Script,
        what: impl Into<String>,
    ) -> Result<String, CommandError> {
        Ok(runner.run(&self.psql(database, script, what))?.stdout_text())
    }

    /// Runs a query that answers with one JSON document.
    ///
    /// # Errors
    /// Any [`CommandError`]; an answer that does not have the expected shape is one.
    pub fn json<T: DeserializeOwned>(
        &self,
        runner: &Runner,
        database: &str,
        script: &Script,
        what: impl Into<String>,
    ) -> Result<T, CommandError> {
        let cmd = self.psql(database, script, what).limit(Duration::from_secs(3600));
        let text = runner.run(&cmd)?.stdout_text();
        serde_json::from_str(text.trim()).map_err(|error| CommandError::Unreadable {
            what: cmd.what().to_owned(),
            why: format!("the answer is not the expected JSON: {error}"),
        })
    }

    /// Whether a query is answered now. Over TCP on purpose: the bootstrap server of a new container listens on its
    /// socket only and answers `pg_isready` long before the real server starts.
    pub fn answers(&self, runner: &Runner, database: &str) -> Result<(), CommandError> {
        let cmd = self.psql(
            database,
            &Script::new("SELECT 1;"),
            format!("ask {} for a query", self.label),
        );
        runner.run(&cmd.limit(Duration::from_secs(20))).map(|_| ())
    }

    /// The same server under another role.
    #[must_use]
    pub fn as_role(&self, user: &str, password: Option<Secret>) -> Self {
        Self {
            user: user.to_owned(),
            password,
            ..self.clone()
        }
    }

    /// How a person connects by hand.
    pub fn connect_hint(&self, database: &str) -> String {
        let database = crate::command::shell_word(&quote::dbname(database));
        let user = crate::command::shell_word(&self.user);
        match &self.reach {
            Reach::Tcp { host, port } => format!("psql -h {host} -p {port} -U {user} -d {database}"),
            Reach::Socket { dir, port } => {
                format!("psql -h {} -p {port} -U {user} -d {database}", dir.display())
            }
            Reach::Container { name, .. } => format!("docker exec -it {name} psql -U {user} -d {database}"),
        }
    }

    fn machine_client(&self, program: &str, what: impl Into<String>) -> Cmd {
        let mut cmd = Cmd::new(self.clients.program(program), what);
        for name in FOREIGN {
            if !self.options.iter().any(|(own, _)| own == name) {
                cmd = cmd.env_remove(name);
            }
        }
        cmd = cmd
            .env("PGAPPNAME", "xtask")
            .env("PGCONNECT_TIMEOUT", CONNECT_SECONDS);
        for (name, value) in self.options.iter().filter(|(name, _)| is_variable(name)) {
            cmd = cmd.env(name, value);
        }
        let cmd = self.with_password(cmd);
        match &self.reach {
            Reach::Tcp { host, port } => cmd.args(["-h", host, "-p", &port.to_string()]),
            Reach::Socket { dir, port } => cmd.arg("-h").arg(dir).args(["-p", &port.to_string()]),
            // Unreachable by construction: containers are asked through docker.
            Reach::Container { host, .. } => cmd.args(["-h", host]),
        }
    }

    /// Names of variables that docker copies from our environment into the client's.
    fn docker_env(&self) -> Vec<String> {
        let mut args = vec!["-e".to_owned(), "PGAPPNAME=xtask".to_owned()];
        args.extend(["-e".to_owned(), format!("PGCONNECT_TIMEOUT={CONNECT_SECONDS}")]);
        for (name, value) in self.options.iter().filter(|(name, _)| is_variable(name)) {
            args.extend(["-e".to_owned(), format!("{name}={value}")]);
        }
        if self.password.is_some() {
            args.extend(["-e".to_owned(), "PGPASSWORD".to_owned()]);
        }
        args
    }

    fn with_password(&self, cmd: Cmd) -> Cmd {
        match &self.password {
            Some(password) => cmd.secret_env("PGPASSWORD", password),
            // Without a password, fail rather than ask on the terminal.
            None => cmd,
        }
    }
}

fn port_args(port: Option<u16>) -> Vec<String> {
    port.map_or_else(Vec::new, |port| vec!["-p".to_owned(), port.to_string()])
}

/// The network of this machine for a client in a container. Docker Desktop's engine runs in a machine of its own, whose
/// network is another one.
fn host_network() -> &'static [&'static str] {
    match cfg!(target_os = "linux") {
        true => &["--network", "host"],
        false => &[],
    }
}

/// How a client in a container calls a host of this machine: Docker Desktop has a name for it.
fn from_container(host: &str) -> String {
    match !cfg!(target_os = "linux") && crate::ports::is_this_machine(host) {
        true => "host.docker.internal".to_owned(),
        false => host.to_owned(),
    }
}

/// Whether an option is a variable of the environment.
fn is_variable(name: &str) -> bool {
    name.starts_with("PG")
}
