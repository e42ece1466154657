//! An S3 server, a workspace that is set to it, and a backup.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use infra::postgres::manifest::{Checksum, DatabaseManifest, LargeObjects};
use infra::s3::server::{Programs, Server};
use infra::{Cmd, ports, python};
use serde_json::{Value, json};

use crate::support::{Environment, Ran, Shared, cache, folder, run, runner, with_env, write, xtask};

/// Must show nowhere: the runner of these tests masks nothing.
pub const SECRET: &str = "wJalrXUtnFEMI-this-is-secret";

/// Bytes of the one large file: more than the client sends in one request.
pub const LARGE: usize = 11 << 20;

/// The programs, installed by whoever needs them first.
pub fn programs() -> Programs {
    let python = python::find(&runner()).expect("Python 3 is on this machine");
    Programs::ensure(&runner(), &python, &cache()).unwrap()
}

/// A server with the folder of its log; both go with it.
pub struct TestServer {
    /// Its address.
    pub url: String,
    folder: PathBuf,
    _server: Server,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A server of its own.
#[track_caller]
pub fn start_server() -> TestServer {
    let port = ports::free(1).unwrap()[0];
    let folder = folder("s3");
    let server = programs()
        .start(&runner(), port, &folder.join("server.log"))
        .unwrap();
    TestServer {
        url: server.url.clone(),
        folder,
        _server: server,
    }
}

/// One server for all tests that do not stop it or give it rules: each has a bucket of its own.
fn server() -> Arc<TestServer> {
    static SERVER: Shared<TestServer> = Shared::new();
    SERVER.get(start_server)
}

/// A workspace and a bucket.
pub struct Stage {
    /// The workspace.
    pub root: PathBuf,
    /// The server's address.
    pub url: String,
    /// The bucket.
    pub bucket: String,
    /// Variables for the tool and the client.
    pub env: Environment,
    aws: PathBuf,
    _server: Option<Arc<TestServer>>,
}

impl Stage {
    /// On the shared server, with a bucket.
    #[track_caller]
    pub fn new(name: &str) -> Self {
        let server = server();
        let mut stage = Self::at(name, &server.url);
        stage._server = Some(server);
        stage
            .aws(&["s3api", "create-bucket", "--bucket", &stage.bucket])
            .ends(0);
        stage
    }

    /// With settings for this address; no bucket is made.
    #[track_caller]
    pub fn at(name: &str, url: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let root = folder(name);
        let nothing = root.join("nothing").display().to_string();
        let config = root.join("config").display().to_string();
        let stage = Self {
            bucket: format!("{name}-{number}"),
            url: url.to_owned(),
            aws: programs().aws(),
            // Nothing of this machine's configuration.
            env: vec![
                variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
                variable("AWS_SECRET_ACCESS_KEY", SECRET),
                variable("AWS_CONFIG_FILE", &config),
                variable("AWS_SHARED_CREDENTIALS_FILE", &nothing),
                variable("AWS_EC2_METADATA_DISABLED", "true"),
            ],
            root,
            _server: None,
        };
        stage.settings(url, "");
        stage.configure("max_concurrent_requests = 1");
        stage
    }

    /// Writes the client's own settings of its copies. One request at a time, so that faults strike at an exact one.
    pub fn configure(&self, line: &str) {
        write(&self.root.join("config"), format!("[default]\ns3 =\n  {line}\n"));
    }

    /// Writes `[storage]` with this address and further lines, which win.
    pub fn settings(&self, url: &str, more: &str) {
        let mut settings: toml_edit::DocumentMut = more.parse().unwrap();
        let defaults = format!(
            "bucket = \"{}\"\nendpoint-url = \"{url}\"\nregion = \"us-east-1\"\nprogram = '{}'\n\
             attempts = 2\nconnect-timeout-seconds = 2\n",
            self.bucket,
            self.aws.display(),
        );
        let defaults: toml_edit::DocumentMut = defaults.parse().unwrap();
        for (key, value) in defaults.iter().filter(|(key, _)| !more.contains(key)) {
            settings.insert(key, value.clone());
        }
        let text = format!("[storage]\n{settings}");
        write(&self.root.join(".xtask").join("local.toml"), text);
    }

    /// The tool in this workspace.
    pub fn cmd(&self, args: &[&str]) -> Cmd {
        with_env(xtask(&self.root), &self.env).args(args)
    }

    /// Runs the tool; no secret may show.
    #[track_caller]
    pub fn xtask(&self, args: &[&str]) -> Ran {
        let ran = run(self.cmd(args));
        ran.never_says(SECRET);
        let log = std::fs::read_to_string(self.root.join(".xtask").join("storage.log")).unwrap_or_default();
        assert!(!log.contains(SECRET), "the log holds the secret");
        ran
    }

    /// Runs the client.
    #[track_caller]
    pub fn aws(&self, args: &[&str]) -> Ran {
        let cmd = Cmd::new(&self.aws, "run aws")
            .args(args)
            .args([
                "--endpoint-url",
                &self.url,
                "--region",
                "us-east-1",
                "--output",
                "json",
            ])
            .env("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required");
        run(with_env(cmd, &self.env))
    }

    /// Every object of the bucket: name, bytes, and what tells one content from another.
    #[track_caller]
    pub fn objects(&self) -> BTreeMap<String, (u64, String)> {
        let ran = self.aws(&["s3api", "list-objects-v2", "--bucket", &self.bucket]);
        let list = ran.ends(0).json();
        let entries = list["Contents"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        entries
            .map(|entry| {
                let size = entry["Size"].as_u64().unwrap();
                (text(&entry["Key"]), (size, text(&entry["ETag"])))
            })
            .collect()
    }

    /// Whether any upload in the bucket counts as complete.
    pub fn is_complete(&self) -> bool {
        self.objects().keys().any(|key| key.ends_with("/complete.json"))
    }

    /// Puts an object as somebody else would.
    #[track_caller]
    pub fn put(&self, key: &str, bytes: &[u8], args: &[&str]) {
        let file = self.root.join("object");
        write(&file, bytes);
        let file = file.display().to_string();
        let put = [
            "s3api",
            "put-object",
            "--bucket",
            &self.bucket,
            "--key",
            key,
            "--body",
            &file,
        ];
        self.aws(&[&put[..], args].concat()).ends(0);
    }

    /// An object as a local file.
    #[track_caller]
    pub fn read(&self, key: &str) -> PathBuf {
        let file = self.root.join("object");
        let get = ["s3api", "get-object", "--bucket", &self.bucket, "--key", key];
        self.aws(&[&get[..], &[&file.display().to_string()]].concat())
            .ends(0);
        file
    }

    /// A small backup that is what its manifests say, with one file that the client sends in parts. Its archives hold no data that
    /// pg_restore could read.
    pub fn backup(&self, run: &str) -> PathBuf {
        let path = self.root.join(".xtask").join("backups").join(run);
        make_backup(&path, run);
        path
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// A backup's folder.
pub fn make_backup(path: &Path, run: &str) {
    let large: Vec<u8> = (0..LARGE).map(|n| (n * 31 + n / 251) as u8).collect();
    let files = [
        ("3001.dat", large),
        ("3002.dat", format!("rows of {run}\n").into_bytes()),
    ];
    let files: Vec<Value> = files
        .iter()
        .map(|(name, bytes)| {
            write(&path.join("labeler").join(name), bytes);
            json!({ "name": name, "size": bytes.len(), "sha256": infra::files::sha256_bytes(bytes) })
        })
        .collect();
    let document = json!({
        "schema_version": 1,
        "name": "labeler",
        "source_database": "labeler",
        "taken_at": "2026-12-09T14:15:02.000Z",
        "manifest": manifest(),
        "settings": [],
        "files": files,
    });
    let document = document.to_string();
    write(&path.join("labeler.json"), &document);
    let sha256 = infra::files::sha256_bytes(document.as_bytes());
    let manifest = json!({
        "schema_version": 1,
        "run": run,
        "created_at": "2026-12-09T14:15:03.000Z",
        "databases": { "labeler": sha256 },
    });
    write(&path.join("manifest.json"), manifest.to_string());
}

fn manifest() -> DatabaseManifest {
    DatabaseManifest {
        format: 1,
        database: "labeler".to_owned(),
        server_version_num: 160_000,
        encoding: "UTF8".to_owned(),
        collate: "C".to_owned(),
        ctype: "C".to_owned(),
        locale_provider: "c".to_owned(),
        locale: None,
        comment: None,
        bytes: 0,
        settings: BTreeMap::new(),
        role_settings: BTreeMap::new(),
        unknown_options: BTreeMap::new(),
        extension_versions: BTreeMap::new(),
        tables: BTreeMap::new(),
        sequences: BTreeMap::new(),
        large_objects: LargeObjects {
            count: 0,
            checksum: Checksum::default(),
        },
        schema: BTreeMap::new(),
    }
}

/// Every file of a folder with its bytes.
pub fn tree(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![path.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                open.push(entry);
            } else {
                let name = entry.strip_prefix(path).unwrap().display().to_string();
                found.insert(name, std::fs::read(&entry).unwrap());
            }
        }
    }
    found
}

/// Names in a folder that only work in progress needs.
pub fn leftovers(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with(infra::files::TEMPORARY))
        .collect()
}
