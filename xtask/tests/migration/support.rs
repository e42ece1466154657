//! A prepared rehearsal for one test or for several that only look, and the tool run in it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::Duration;

use backend_env::{Document, Reader, Reading};
use infra::postgres::cluster::Cluster;
use infra::postgres::facts::{self, ServerFacts};
use infra::postgres::{Clients, Reach, Script, Server};
use infra::{Cmd, Interrupt, Runner, Secret};
use toml_edit::{DocumentMut, Item};

/// Annotations of a rehearsal: enough for every table to hold rows.
const ROWS: &str = "500";

/// No command of a test takes longer, on the slowest machine.
const LIMIT: Duration = Duration::from_secs(900);

/// The databases that are moved.
pub const DATABASES: [&str; 3] = ["platform", "users", "labeler"];

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Asserts the exit code.
    #[track_caller]
    pub fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "exit code; it said:\n{}", self.all());
        self
    }

    /// Asserts that standard error holds these words.
    #[track_caller]
    pub fn says(&self, words: &str) -> &Self {
        assert!(
            self.stderr.contains(words),
            "{words:?} is not in:\n{}",
            self.all()
        );
        self
    }

    /// Asserts that neither output holds these words.
    #[track_caller]
    pub fn never_says(&self, words: &str) -> &Self {
        assert!(!self.all().contains(words), "{words:?} is in:\n{}", self.all());
        self
    }

    /// Both outputs.
    pub fn all(&self) -> String {
        format!("{}\n--- standard error\n{}", self.stdout, self.stderr)
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}:\n{}", self.all()))
    }
}

/// A runner that knows no secrets, so that it masks none: a password in the output is seen.
pub fn runner() -> Runner {
    Runner::new(Interrupt::default())
}

/// Runs any program to its end.
#[track_caller]
pub fn run(cmd: Cmd) -> Ran {
    let output = runner().output(&cmd.limit(LIMIT)).unwrap();
    Ran {
        code: output.code.unwrap_or(-1),
        stdout: output.stdout_text(),
        stderr: output.stderr,
    }
}

/// The tool, without what this machine's environment would say to it.
pub fn xtask(workspace: &Path) -> Cmd {
    let cmd = Cmd::new(env!("CARGO_BIN_EXE_xtask"), "run the tool");
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("XTASK_") && name != "XTASK_PG_BIN" || name == "CARGO_MANIFEST_DIR")
        .fold(cmd, Cmd::env_remove)
        .env(infra::ports::FROM, next_ports().to_string())
        // As a flag it would be in every line to type.
        .env("XTASK_WORKSPACE", workspace)
}

/// Where a command begins to look for ports: eight further on than the one before, from a random start.
fn next_ports() -> u32 {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| {
        let start = RandomState::new().hash_one(0) % 12_000;
        AtomicU32::new(u32::try_from(start).unwrap())
    });
    NEXT.fetch_add(8, Ordering::Relaxed)
}

/// A folder of this test, below `target`, that everybody may enter: PostgreSQL runs as another account under root.
pub fn folder(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{name}-{}-{number}", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Packages and images: the same cache as `cargo xtask rehearse` of this checkout.
pub fn cache() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("rehearsal").join("cache")
}

/// A port on which nothing listens, and nothing will: servers of other tests are given higher ones.
pub fn closed_port() -> u16 {
    let closed = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (10_000..20_000).find(closed).unwrap()
}

/// Writes a file of a test.
#[track_caller]
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    infra::files::write_shared(path, bytes.as_ref()).unwrap();
}

/// A workspace with its labeler checkout.
pub struct Workspace {
    /// The folder for `--workspace`.
    pub root: PathBuf,
    /// The labeler checkout.
    pub labeler: PathBuf,
    /// `.xtask/local.toml`.
    pub settings: DocumentMut,
    /// Variables for everything that runs here.
    pub env: Environment,
}

/// Variables for a child.
pub type Environment = Vec<(String, String)>;

/// Gives a command these variables.
pub fn with_env(cmd: Cmd, env: &[(String, String)]) -> Cmd {
    env.iter().fold(cmd, |cmd, (name, value)| cmd.env(name, value))
}

impl Workspace {
    /// An existing one.
    #[track_caller]
    pub fn open(root: &Path) -> Self {
        let settings = std::fs::read_to_string(root.join(".xtask/local.toml")).unwrap();
        let settings: DocumentMut = settings.parse().unwrap();
        let labeler = settings["labeler"]["repository"][0].as_str().unwrap().into();
        Self {
            root: root.to_owned(),
            labeler,
            settings,
            env: Environment::new(),
        }
    }

    /// The tool in this workspace.
    pub fn cmd(&self, args: &[&str]) -> Cmd {
        with_env(xtask(&self.root), &self.env).args(args)
    }

    /// Runs the tool.
    #[track_caller]
    pub fn xtask(&self, args: &[&str]) -> Ran {
        run(self.cmd(args))
    }

    /// Changes one setting, `a.b.c`.
    pub fn set(&mut self, key: &str, value: impl Into<toml_edit::Value>) {
        let item: &mut Item = key
            .split('.')
            .fold(self.settings.as_item_mut(), |item, part| &mut item[part]);
        *item = toml_edit::value(value);
        let text = self.settings.to_string();
        infra::files::write_private(&self.root.join(".xtask/local.toml"), text.as_bytes()).unwrap();
    }

    /// One path of the settings.
    fn at(&self, key: &str) -> &Item {
        key.split('.').fold(self.settings.as_item(), |item, part| {
            match part.parse::<usize>() {
                Ok(index) => &item[index],
                Err(_) => &item[part],
            }
        })
    }

    /// A text of the settings.
    pub fn text(&self, key: &str) -> String {
        self.at(key).as_str().unwrap().to_owned()
    }

    /// A port of the settings.
    pub fn port(&self, key: &str) -> u16 {
        self.at(key).as_integer().unwrap().try_into().unwrap()
    }

    /// The application's `.env`.
    pub fn env_file(&self) -> PathBuf {
        self.labeler.join("backend").join(".env")
    }

    /// Its bytes.
    pub fn env_bytes(&self) -> Vec<u8> {
        std::fs::read(self.env_file()).unwrap()
    }

    /// What the application reads of a key.
    pub fn env(&self, key: &str) -> String {
        read_env(&self.env_bytes(), key)
    }

    /// Replaces text of a file in the checkout. The text must be there.
    #[track_caller]
    pub fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.labeler.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from:?} is not in {}", path.display());
        infra::files::write_shared(&path, text.replace(from, to).as_bytes()).unwrap();
    }

    /// Folders of runs.
    pub fn runs(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root.join(".xtask/runs"))
            .into_iter()
            .flatten();
        let mut runs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        runs.sort();
        runs
    }

    /// A local cluster: `target`, or the source of a database.
    pub fn cluster(&self, name: &str) -> Cluster {
        let table = match name {
            "target" => "target".to_owned(),
            source => format!("databases.{source}.source"),
        };
        let account = self.at(&table).get("account").map(|account| {
            let id = |key: &str| account[key].as_integer().unwrap().try_into().unwrap();
            infra::command::Account {
                uid: id("uid"),
                gid: id("gid"),
            }
        });
        Cluster {
            bin: self.text(&format!("{table}.bin")).into(),
            data: self.text(&format!("{table}.data")).into(),
            account,
        }
    }

    /// Whether a local cluster runs.
    pub fn runs_now(&self, name: &str) -> bool {
        self.cluster(name).is_running(&runner()).unwrap()
    }

    /// Starts a local cluster as it was made.
    pub fn start(&self, name: &str) {
        let cluster = self.cluster(name);
        let log = cluster.data.with_extension("test.log");
        runner().run(&cluster.start(&[], &log)).unwrap();
    }

    /// Stops it.
    pub fn stop(&self, name: &str) {
        runner().run(&self.cluster(name).stop()).unwrap();
    }

    /// The target as its administrator.
    pub fn target(&self) -> Server {
        let password = self.text("target.password");
        self.server("target", self.port("target.port"), "admin", &password)
    }

    /// A source on the port and with the login that these bytes of `.env` name.
    pub fn source(&self, database: &str, env: &[u8]) -> Server {
        let prefix = match database {
            "users" => "USER_DB",
            "platform" => "PLATFORM_DB",
            _ => "LABELER_DB",
        };
        let key = |end: &str| read_env(env, &format!("{prefix}_{end}"));
        let port = key("PORT").parse().unwrap();
        self.server(database, port, &key("USER"), &key("PASSWORD"))
    }

    /// A local server over TCP.
    pub fn server(&self, label: &str, port: u16, user: &str, password: &str) -> Server {
        Server {
            label: label.to_owned(),
            reach: Reach::Tcp {
                host: "127.0.0.1".to_owned(),
                port,
            },
            user: user.to_owned(),
            password: Some(Secret::new(password)),
            clients: Clients::Machine {
                bin: Some(self.text("target.bin").into()),
            },
            options: Vec::new(),
        }
    }

    /// What the target holds.
    pub fn target_facts(&self) -> ServerFacts {
        facts::server(&runner(), &self.target(), "postgres").unwrap()
    }

    /// The target's databases with their object ids.
    pub fn oids(&self) -> BTreeMap<String, u64> {
        let databases = self.target_facts().databases;
        databases
            .into_iter()
            .map(|(name, entry)| (name, entry.oid))
            .collect()
    }

    /// Nothing but looking has happened: the old instances run, the target does not, there is no run.
    #[track_caller]
    pub fn is_untouched(&self, env: &[u8]) {
        for database in DATABASES {
            assert!(
                self.runs_now(database),
                "the old instance of {database} was stopped"
            );
        }
        assert!(!self.runs_now("target"), "the target was started");
        assert!(self.env_bytes() == env, ".env was changed");
        assert_eq!(self.runs(), [] as [PathBuf; 0]);
    }
}

/// What the application reads of a key in these bytes.
#[track_caller]
pub fn read_env(bytes: &[u8], key: &str) -> String {
    match Document::parse(bytes).read(key, Reader::PythonDotenv) {
        Reading::Value(value) => String::from_utf8(value).unwrap(),
        _ => panic!("{key} is not set"),
    }
}

/// Runs docker.
#[track_caller]
pub fn docker(args: &[&str]) -> Ran {
    run(Cmd::new("docker", "run docker").args(args))
}

/// One answer of one query.
#[track_caller]
pub fn ask(server: &Server, database: &str, sql: &str) -> String {
    let text = server
        .execute(&runner(), database, &Script::new(sql), "ask")
        .unwrap();
    text.trim().to_owned()
}

/// A rehearsal of one test: everything prepared, nothing migrated.
pub struct Rehearsal {
    /// Its workspace.
    pub workspace: Workspace,
    _home: Home,
}

impl Rehearsal {
    /// On local clusters.
    #[track_caller]
    pub fn local(name: &str) -> Self {
        Self::prepare(name, &["--runtime", "local"], Environment::new())
    }

    /// With these arguments and this environment.
    #[track_caller]
    pub fn prepare(name: &str, args: &[&str], env: Environment) -> Self {
        // Made first, so that its Drop takes away what a failed preparation leaves.
        let mut home = Home::new(name);
        home.env.clone_from(&env);
        let ran = home.xtask(&[&["rehearse", "--prepare", "--rows", ROWS], args].concat());
        ran.ends(0);
        let workspace = Workspace {
            env,
            ..Workspace::open(Path::new(ran.stdout.trim()))
        };
        Self {
            workspace,
            _home: home,
        }
    }

    /// A second workspace on the same instances, with its own copy of the labeler checkout and its own settings: a
    /// test that spoils it disturbs no other.
    #[track_caller]
    pub fn copy(&self) -> Copy {
        let root = folder("copy");
        let labeler = root.join("labeler");
        copy_tree(&self.workspace.labeler, &labeler);
        infra::files::private_dir(&root.join(".xtask")).unwrap();
        let mut workspace = Workspace {
            labeler: labeler.clone(),
            settings: self.workspace.settings.clone(),
            env: self.workspace.env.clone(),
            root,
        };
        let mut repository = toml_edit::Array::new();
        repository.push(labeler.to_string_lossy().into_owned());
        workspace.set("labeler.repository", repository);
        Copy(workspace)
    }
}

/// A folder of rehearsals. All of them, and the folder, are taken away at the end.
pub struct Home {
    /// The folder.
    pub path: PathBuf,
    env: Environment,
}

impl Home {
    /// An empty one.
    pub fn new(name: &str) -> Self {
        Self {
            path: folder(name),
            env: Environment::new(),
        }
    }

    /// Runs `rehearse` or `faults` in it, with what other tests have built or fetched.
    pub fn xtask(&self, args: &[&str]) -> Ran {
        let cmd = with_env(xtask(&self.path), &self.env).args(args);
        run(match args {
            ["rehearse", ..] => cmd.arg("--cache").arg(cache()),
            _ => cmd,
        })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let stop = with_env(xtask(&self.path), &self.env).args(["rehearse", "--stop"]);
        match runner().output(&stop.limit(LIMIT)) {
            // 4: nothing was made yet.
            Ok(output) if matches!(output.code, Some(0 | 4)) => {
                let _ = std::fs::remove_dir_all(&self.path);
            }
            other => eprintln!("failed to remove {}: {other:?}", self.path.display()),
        }
    }
}

/// A workspace that goes with its test.
pub struct Copy(Workspace);

impl std::ops::Deref for Copy {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.0
    }
}

impl std::ops::DerefMut for Copy {
    fn deref_mut(&mut self) -> &mut Workspace {
        &mut self.0
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0.root);
    }
}

/// One value for all tests that only look at it; the last one to finish drops it.
pub struct Shared<T> {
    value: Mutex<Weak<T>>,
}

impl<T> Shared<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            value: Mutex::new(Weak::new()),
        }
    }

    /// The value, made by whoever needs it first.
    pub fn get(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let mut value = self
            .value
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        value.upgrade().unwrap_or_else(|| {
            let made = Arc::new(make());
            *value = Arc::downgrade(&made);
            made
        })
    }
}

/// Copies a folder of plain files.
#[track_caller]
pub fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
