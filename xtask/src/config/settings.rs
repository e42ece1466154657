//! The shape of the settings. The doc comments are the reference: `docs/reference/settings.md` is made from them and
//! from the values in `infra/migration.toml`.
//!
//! Every table has defaults so that a layer may hold any part of it; unknown keys are errors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use infra::Secret;
use serde::Deserialize;

use super::Connection;

/// All settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Version of this file's shape; this program reads 1.
    pub schema_version: u32,
    /// The labeler repository.
    pub labeler: Labeler,
    /// The platform repository.
    pub platform: Platform,
    /// The one new instance.
    pub target: Target,
    /// The databases to move, by the name people use.
    pub databases: BTreeMap<String, Database>,
    /// Alembic.
    pub schema: Schema,
    /// Redis.
    pub redis: Redis,
    /// The application and the questions it is asked.
    pub application: Application,
    /// What `onboard` fills in on a new machine.
    pub onboarding: Onboarding,
    /// Docker.
    pub docker: Docker,
    /// Object storage for backups.
    pub storage: Storage,
    /// When a production run is expected.
    pub maintenance: Maintenance,
    /// What `verify` leaves standing.
    pub verify: Verify,
    /// Parallelism, memory and time limits.
    pub limits: Limits,
    /// Named variations; `--profile NAME` lays one over everything above.
    pub profiles: BTreeMap<String, Settings>,
    /// Dotted paths of the values that the team or a person wrote: they win over what is guessed.
    #[serde(skip)]
    pub chosen: BTreeSet<String>,
}

impl Settings {
    /// The database whose old instance is a container of this name.
    pub fn old_container_of(&self, container: &str) -> Option<&str> {
        let old = |database: &Database| database.source.containers.iter().any(|name| name == container);
        let mut databases = self.databases.iter();
        let found = databases.find(|(_, database)| container != self.target.container && old(database));
        found.map(|(name, _)| name.as_str())
    }

    /// Names of hosts, roles, databases, services, containers and images. Messages are about them, so they stay readable also where
    /// a password is spelled like one.
    pub fn names(&self) -> Vec<String> {
        let target = &self.target;
        let of_target = [
            &target.service,
            &target.container,
            &target.image,
            &target.host,
            &target.user,
            &target.maintenance_database,
        ];
        let of_databases = self.databases.values().flat_map(|database| {
            let source = &database.source;
            let own = [
                &database.name,
                &database.login,
                &source.user,
                &source.database,
                &source.image,
            ];
            own.into_iter().chain(&source.containers)
        });
        let names: Vec<&String> = of_target.into_iter().chain(of_databases).collect();
        let parts = names.iter().flat_map(|name| name.split(['/', ':', '-']));
        let all = parts.chain(names.iter().map(|name| name.as_str()));
        all.filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

/// `[verify]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Verify {
    /// Findings that stay as they are: `{ id = "env.keys", file = "backend/.env", reason = "..." }`. Each becomes a note; one that
    /// matches nothing is reported.
    pub accept: Vec<Accepted>,
}

/// A finding that the team accepts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The check's id.
    pub id: String,
    /// The file of the finding, or the end of its path; empty for a finding without a file.
    #[serde(default)]
    pub file: PathBuf,
    /// Why it is accepted.
    pub reason: String,
}

/// `[labeler]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Labeler {
    /// Folders where the checkout may lie; the first that exists is used.
    pub repository: Vec<PathBuf>,
    /// Where it is cloned from; without it, the address of this repository with the other's name.
    pub url: String,
    /// The backend's folder in it.
    pub backend: PathBuf,
    /// The `.env` files that name the databases; all are rewritten at cutover.
    pub env_files: Vec<PathBuf>,
    /// The template beside them.
    pub env_example: PathBuf,
    /// Names its Compose file may have.
    pub compose_files: Vec<PathBuf>,
    /// Virtual environments that may hold the application's packages; `onboard` makes the first.
    pub virtual_environments: Vec<PathBuf>,
    /// What is installed into it, from the backend's folder.
    pub requirements: PathBuf,
    /// Variables for its Compose file.
    pub compose_env: BTreeMap<String, String>,
    /// Compose project name, when it must not follow from the folder's name.
    pub compose_project: String,
}

/// `[platform]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Platform {
    /// Folders where the checkout may lie; the first that exists is used. Without one, `infra/compose/unified.yaml`
    /// serves.
    pub repository: Vec<PathBuf>,
    /// Where it is cloned from; without it, the address of this repository with the other's name.
    pub url: String,
    /// The infrastructure's folder in it; both layouts occur.
    pub infrastructure: Vec<PathBuf>,
    /// Names its Compose file may have.
    pub compose_files: Vec<PathBuf>,
    /// The branch that `--pull` takes.
    pub branch: String,
    /// Variables for its Compose file.
    pub compose_env: BTreeMap<String, String>,
    /// Compose project name, when it must not follow from the folder's name.
    pub compose_project: String,
}

/// How an instance is controlled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// Through a Compose file.
    #[default]
    Compose,
    /// A plain container.
    Container,
    /// A data directory on this machine, through pg_ctl.
    PgCtl,
    /// We may only connect.
    External,
    /// Not at all: left out.
    None,
}

/// `[target]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Target {
    /// `compose`, `pg-ctl` or `external`.
    pub control: Control,
    /// The Compose service that is PostgreSQL.
    pub service: String,
    /// The container's name.
    pub container: String,
    /// Its image, for the client programs of dump and restore.
    pub image: String,
    /// Host as the application reaches it.
    pub host: String,
    /// Port as the application reaches it.
    pub port: u16,
    /// The role that owns everything in mode `unify`.
    pub user: String,
    /// Its password in development. Elsewhere `XTASK_TARGET_PASSWORD` or `.xtask/secrets.env`.
    pub password: Option<Secret>,
    /// A database that always exists, to connect to while others are created and renamed.
    pub maintenance_database: String,
    /// `pg-ctl`: the data directory.
    pub data: PathBuf,
    /// `pg-ctl`: folder with the server's programs. Also where psql and pg_dump come from outside containers.
    pub bin: PathBuf,
    /// `pg-ctl`: the account to run as, when we are root.
    pub account: Option<infra::command::Account>,
    /// `external`: TLS, time limits, where the password comes from.
    pub connection: Connection,
}

/// Whose a database is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Ours: it is moved, and the role that `.env` names owns it.
    #[default]
    Owner,
    /// Another team's: it is on the target already, only `.env` follows, and the role may only read.
    ReadOnly,
}

/// `[databases.NAME]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Database {
    /// Its name on the target.
    pub name: String,
    /// Whether a missing source forbids the migration.
    pub required: bool,
    /// Its key in the application's answers about its health; empty: it has none.
    pub health_key: String,
    /// `owner`: ours, and moved. `read-only`: another team's, on the target already; only `.env` follows.
    pub access: Access,
    /// The role that `.env` names on the target; empty: the target's role. Its password comes from
    /// `XTASK_LOGIN_NAME_PASSWORD` (with the database's name in capitals).
    pub login: String,
    /// The keys that name it in `.env` files.
    pub env: EnvMapping,
    /// The old instance.
    pub source: Source,
}

impl Database {
    /// The role that `.env` names on the target.
    pub fn login_on<'a>(&'a self, target: &'a Target) -> &'a str {
        match self.login.as_str() {
            "" => &target.user,
            login => login,
        }
    }
}

/// The five keys of one database in a `.env` file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EnvMapping {
    /// Key of the host.
    pub host: String,
    /// Key of the port.
    pub port: String,
    /// Key of the database name.
    pub name: String,
    /// Key of the role.
    pub user: String,
    /// Key of the password.
    pub password: String,
}

impl EnvMapping {
    /// The five keys, password last.
    pub fn keys(&self) -> [&str; 5] {
        [&self.host, &self.port, &self.name, &self.user, &self.password]
    }
}

/// `[databases.NAME.source]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Source {
    /// `container`, `pg-ctl` or `external`.
    pub control: Control,
    /// Names the container may have.
    pub containers: Vec<String>,
    /// Short names the Compose volume may have; Compose puts the project's name before them.
    pub volumes: Vec<String>,
    /// Image to read a volume whose container is gone.
    pub image: String,
    /// The database in the old instance.
    pub database: String,
    /// The bootstrap superuser of the old instance; unless it is set, `POSTGRES_USER` of the container. `external`: the role
    /// that reads it; empty: the role of `.env`.
    pub user: String,
    /// `external`: its host; empty: the host of `.env`. Others: one more name of this machine, as `.env` may spell it.
    pub host: String,
    /// `external`: its port; 0: the port of `.env`. Containers: the port inside; 0: as the container was started.
    pub port: u16,
    /// `external`: a database beside the one that is moved, to connect to while that one is closed; empty: `postgres`.
    pub maintenance_database: String,
    /// `external`: TLS, time limits, where the password comes from.
    pub connection: Connection,
    /// `pg-ctl`: the data directory. Containers: the data folder inside (`PGDATA`); empty: as the container was started, or
    /// as a volume shows it.
    pub data: PathBuf,
    /// `pg-ctl`: folder with the server's programs.
    pub bin: PathBuf,
    /// `pg-ctl`: the account to run as, when we are root.
    pub account: Option<infra::command::Account>,
}

/// `[schema]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Schema {
    /// The database that Alembic manages; empty: none.
    pub database: String,
    /// The project's own script; where it is missing, `alembic upgrade head` is run.
    pub script: PathBuf,
    /// The answer to the script's question.
    pub answer: String,
    /// Time limit.
    pub timeout_seconds: u64,
}

/// `[redis]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Redis {
    /// `compose` (the labeler's Compose file), `external` (only asked) or `none`.
    pub control: Control,
    /// The Compose service.
    pub service: String,
    /// Its container's name.
    pub container: String,
    /// Host it answers on.
    pub host: String,
    /// Port it answers on.
    pub port: u16,
}

/// `[application]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Application {
    /// Arguments for the virtual environment's Python, run in the backend's folder. Empty: not started.
    pub command: Vec<String>,
    /// Where it runs when it is not on this machine, for example `https://labeler.example`: then nothing is started, and
    /// that address is asked. `http://` only on this machine. Empty: as `command` and `ports` say.
    pub url: String,
    /// How long a migration asks there until every answer is good: people have to restart the application meanwhile.
    pub url_timeout_seconds: u64,
    /// Ports where a running application is looked for.
    pub ports: Vec<u16>,
    /// How long it may take to answer.
    pub start_timeout_seconds: u64,
    /// The questions.
    pub probes: Vec<Probe>,
    /// Files of the labeler's checkout that it may write its log to; the newest is looked through.
    pub logs: Vec<PathBuf>,
    /// What `verify --write-probe` creates, reads and deletes again.
    pub write_probes: Vec<WriteProbe>,
}

/// `[[application.probes]]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Probe {
    /// Path to ask for.
    pub path: String,
    /// Values that the JSON body must hold.
    pub json: BTreeMap<String, String>,
    /// Keys that the JSON body must have.
    pub require: Vec<String>,
    /// What every value of some keys must be.
    pub every: Option<Every>,
    /// What `Content-Type` must begin with.
    pub content_type: String,
}

/// What every value of the matching keys must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Every {
    /// Which keys: those that end like this.
    pub keys_ending: String,
    /// The value.
    pub equals: String,
    /// Keys that may say something else.
    pub except: Vec<String>,
}

/// `[onboarding]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Onboarding {
    /// Values for keys of a new `.env` beside those of the databases, and for keys that still hold a template's value.
    /// `{random}`, `{redis.host}` and `{redis.port}` are filled in.
    pub env: BTreeMap<String, String>,
}

/// `[[application.write-probes]]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WriteProbe {
    /// Path that creates with `POST`, lists with `GET`, and behind which `/ID` reads and deletes.
    pub path: String,
    /// Values of what is created.
    pub body: BTreeMap<String, String>,
    /// Values that are taken from the first one of the list, such as the id of what it belongs to.
    pub borrow: Vec<String>,
    /// Key of the id in the answer.
    pub id: String,
}

/// `[docker]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Docker {
    /// Which Compose command to use, where both are there; without it, the plugin `docker compose` before
    /// `docker-compose`.
    pub compose: Option<infra::compose::Program>,
}

/// `[storage]`
#[derive(Clone, Debug, Default, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Storage {
    /// The bucket that backups are uploaded to; empty: none. Credentials are no setting: the `aws` client finds them by
    /// its own means.
    pub bucket: String,
    /// The folder in it; a backup lies in `PREFIX/YYYYMMDD/RUN/`.
    pub prefix: String,
    /// The bucket's region; empty: as the environment or the profile says.
    pub region: String,
    /// Address of a server other than Amazon's (R2, MinIO); empty: Amazon S3.
    pub endpoint_url: String,
    /// Whether `http://` to another machine is allowed: everybody on the way could read the backup.
    pub allow_plain_http: bool,
    /// Profile of the `aws` client; empty: as the environment says.
    pub profile: String,
    /// File with the client's credentials, which this program never reads; empty: the client's own.
    pub credentials_file: PathBuf,
    /// The `aws` client; empty: the one on PATH.
    pub program: PathBuf,
    /// Encryption of new objects.
    pub encryption: Encryption,
    /// Key of encryption `kms`; empty: the account's own.
    pub kms_key: String,
    /// How long a connection may take.
    pub connect_timeout_seconds: u64,
    /// How long a connection may be silent.
    pub read_timeout_seconds: u64,
    /// Attempts for one request.
    pub attempts: u32,
    /// Kibibytes per second that a transfer must reach on the whole.
    pub minimum_kibibytes_per_second: u64,
}

/// Encryption of objects where they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// As the bucket says.
    #[default]
    Bucket,
    /// `AES256`, keys of the storage service.
    Aes256,
    /// `aws:kms`.
    Kms,
}

/// `[maintenance]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Maintenance {
    /// Days on which it begins, as `mon` to `sun`; empty: every day.
    pub days: Vec<String>,
    /// Its begin in UTC, `HH:MM`; empty: a run is expected at any time.
    pub from: String,
    /// Its end in UTC, `HH:MM`; before `from`, it ends on the next day.
    pub to: String,
}

/// `[limits]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Jobs within one dump or restore; 0: one per processor.
    pub jobs: u32,
    /// Memory for index builds while restoring.
    pub maintenance_work_mem: String,
    /// How long the target may take to answer a query.
    pub target_start_seconds: u64,
    /// How long one image may take to arrive.
    pub image_pull_seconds: u64,
    /// Connections that all services together may open; compared with the target's `max_connections`.
    pub expected_connections: u32,
    /// How many finished runs, and set-ups of this machine, `cleanup` keeps.
    pub keep_runs: usize,
}

impl Limits {
    /// Jobs for one database.
    pub fn jobs(&self) -> u32 {
        let processors =
            std::thread::available_parallelism().map_or(2, |n| u32::try_from(n.get()).unwrap_or(2));
        if self.jobs == 0 {
            processors.clamp(1, 8)
        } else {
            self.jobs
        }
    }
}
