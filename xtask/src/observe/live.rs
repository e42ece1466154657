//! What runs now, for `verify`: the instance with its databases, the application, and what the migration left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use infra::Cmd;
use infra::http::Answer;
use infra::postgres::Server;
use infra::postgres::health::{self, DatabaseHealth, Refused};

use super::{DockerSeen, EnvSeen, Eyes, LabelerSeen, TargetSeen, docker, env, repositories, servers, target};
use crate::config::{Probe, SecretName, Vault};
use crate::model::RunDir;
use crate::model::backup::{BackupManifest, DatabaseBackup};

/// The target instance.
pub struct InstanceSeen {
    /// Docker and its containers.
    pub docker: DockerSeen,
    /// The instance.
    pub target: TargetSeen,
    /// The labeler's checkout.
    pub labeler: Option<LabelerSeen>,
    /// The databases that are there, by the name people use.
    pub databases: BTreeMap<String, DatabaseSeen>,
    /// The tables of Alembic's head as `schema.table`, or why they are not known.
    pub expected_tables: Result<BTreeSet<(String, String)>, String>,
    /// The run that took the last complete backup.
    pub backup: Option<String>,
}

/// One database of the target.
pub struct DatabaseSeen {
    /// Its state, or why it cannot be told.
    pub health: Result<DatabaseHealth, String>,
    /// What the application's role may not do, or why it cannot log in; `None` where no `.env` names a login.
    pub application_role: Option<Result<Vec<Refused>, String>>,
    /// The tables of the last backup, or why they cannot be counted; `None` without a backup.
    pub rows: Option<Result<Vec<RowsSeen>, String>>,
}

/// The rows of a table in the last backup and now.
#[derive(Clone, Debug)]
pub struct RowsSeen {
    /// The table, quoted, with its schema.
    pub table: String,
    /// Rows in the backup.
    pub before: u64,
    /// Rows now; `None`: there is no such table.
    pub now: Option<u64>,
}

/// An archive that was read again, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct ArchiveSeen {
    /// The database.
    pub name: String,
    /// Whether every byte is as it was written.
    pub checked: Result<(), String>,
}

/// The application and Redis.
pub struct ApplicationSeen {
    /// The port it answers on.
    pub port: Option<u16>,
    /// Every probe with the answer.
    pub answers: Vec<(Probe, Result<Answer, String>)>,
    /// What Redis said.
    pub redis: Result<infra::redis::Pong, String>,
}

/// What the migration left.
pub struct BackupsSeen {
    /// The last run with a complete backup, and what re-reading each archive said.
    pub last: Option<(String, Vec<ArchiveSeen>)>,
    /// Runs whose backup never became complete.
    pub incomplete: Vec<String>,
    /// Old containers with their state.
    pub containers: Vec<(String, String)>,
    /// Old volumes.
    pub volumes: Vec<String>,
}

/// Looks at the instance.
pub fn look_at_instance(eyes: &Eyes<'_>, vault: &mut Vault) -> InstanceSeen {
    let docker = docker::look(eyes);
    let labeler = repositories::labeler(eyes);
    let env_files = env::look(eyes, labeler.as_ref(), vault);
    let mut findings = Vec::new();
    let target = target::look(eyes, &docker, vault, &mut findings);
    let server = servers::target(eyes.settings, vault, "");
    let backup = last_backup(eyes);
    let databases = target.databases.keys().map(|name| {
        let real = eyes
            .settings
            .databases
            .get(name)
            .map_or(name.as_str(), |d| d.name.as_str());
        let seen = DatabaseSeen {
            health: health::database(eyes.runner, &server, real).map_err(|error| error.to_string()),
            application_role: application_role(eyes, &target, &env_files, vault, name, real),
            rows: backup
                .as_ref()
                .and_then(|run| rows(eyes, &server, run, name, real)),
        };
        (name.clone(), seen)
    });
    InstanceSeen {
        databases: databases.collect(),
        expected_tables: expected_tables(eyes, labeler.as_ref()),
        backup: backup.map(|run| run.id.to_string()),
        docker,
        target,
        labeler,
    }
}

/// The newest run whose backup is complete.
fn last_backup(eyes: &Eyes<'_>) -> Option<RunDir> {
    let mut runs = RunDir::all(&eyes.workspace.runs());
    runs.reverse();
    runs.into_iter()
        .find(|run| BackupManifest::path(&run.backup()).is_file())
}

/// The same server as the application logs in: role and password of `.env`, over an address that wants the password.
fn application_role(
    eyes: &Eyes<'_>,
    target: &TargetSeen,
    env_files: &[EnvSeen],
    vault: &Vault,
    name: &str,
    real: &str,
) -> Option<Result<Vec<Refused>, String>> {
    let mapping = env_files.iter().find_map(|file| file.mappings.get(name))?;
    let user = mapping.user.value.as_deref()?;
    let password = vault.get(&SecretName::Source(name.to_owned())).cloned();
    let label = format!("the target as {user}");
    let settings = &eyes.settings.target;
    let server = match &target.container {
        Some(container) => {
            let address = container.address.as_deref()?;
            servers::in_container(label, container, address, user, password, settings)
        }
        None => {
            let port = mapping.port.value.as_ref()?.parse().ok()?;
            servers::over_tcp(
                label,
                mapping.host.value.as_deref()?,
                port,
                user,
                password,
                settings,
            )
        }
    };
    Some(health::refused(eyes.runner, &server, real).map_err(|error| {
        let last = error.tail().lines().last().unwrap_or_default().to_owned();
        if last.is_empty() { error.to_string() } else { last }
    }))
}

fn rows(
    eyes: &Eyes<'_>,
    server: &Server,
    run: &RunDir,
    name: &str,
    real: &str,
) -> Option<Result<Vec<RowsSeen>, String>> {
    let backup = match DatabaseBackup::read(&run.backup(), name) {
        Ok(backup) => backup?,
        Err(error) => return Some(Err(format!("{error:#}"))),
    };
    let counted = backup
        .manifest
        .tables
        .iter()
        .filter(|(_, facts)| facts.not_counted.is_none());
    let before: Vec<(&str, u64)> = counted
        .map(|(table, facts)| (table.as_str(), facts.rows))
        .collect();
    let tables: Vec<&str> = before.iter().map(|(table, _)| *table).collect();
    let now = match health::counts(eyes.runner, server, real, &tables) {
        Ok(now) => now,
        Err(error) => return Some(Err(error.to_string())),
    };
    let all = before.iter().map(|(table, rows)| RowsSeen {
        table: (*table).to_owned(),
        before: *rows,
        now: now.get(*table).copied().flatten(),
    });
    Some(Ok(all.collect()))
}

/// Renders Alembic's history as SQL and reads the tables from it; nothing connects to a database.
fn expected_tables(
    eyes: &Eyes<'_>,
    labeler: Option<&LabelerSeen>,
) -> Result<BTreeSet<(String, String)>, String> {
    let labeler = labeler.ok_or("the labeler's checkout is not here")?;
    let python = labeler.python.as_ref().filter(|_| labeler.has_alembic);
    let python = python.ok_or("the labeler's virtual environment with Alembic is not here")?;
    let cmd = Cmd::new(python, "render Alembic's history as SQL")
        .args(["-m", "alembic", "upgrade", "head", "--sql"])
        .cwd(&labeler.backend)
        .env("PYTHONIOENCODING", "utf-8")
        .limit(Duration::from_secs(120));
    let output = eyes.runner.run(&cmd).map_err(|error| error.to_string())?;
    Ok(infra::alembic::tables(&output.stdout_text()))
}

/// Asks the application and Redis.
pub fn look_at_application(eyes: &Eyes<'_>) -> ApplicationSeen {
    let settings = &eyes.settings.application;
    let answers_on = |port: u16| {
        let path = settings.probes.first().map_or("/", |probe| probe.path.as_str());
        infra::http::get(&format!("http://127.0.0.1:{port}{path}"), 5).is_ok()
    };
    let port = settings.ports.iter().copied().find(|port| answers_on(*port));
    let ask = |probe: &Probe| {
        let port = port?;
        let answer = infra::http::get(&format!("http://127.0.0.1:{port}{}", probe.path), 20);
        Some((probe.clone(), answer))
    };
    let redis = &eyes.settings.redis;
    ApplicationSeen {
        answers: settings.probes.iter().filter_map(ask).collect(),
        port,
        redis: infra::redis::ping(&redis.host, redis.port, Duration::from_secs(3))
            .map_err(|error| error.to_string()),
    }
}

/// Reads the last backup again and lists what is left of the old world.
pub fn look_at_backups(eyes: &Eyes<'_>, docker: &DockerSeen) -> BackupsSeen {
    let runs = RunDir::all(&eyes.workspace.runs());
    let complete = |run: &&RunDir| BackupManifest::path(&run.backup()).is_file();
    let incomplete = runs
        .iter()
        .filter(|run| !complete(run))
        .map(|run| run.id.to_string());
    let last = runs
        .iter()
        .rev()
        .find(complete)
        .map(|run| (run.id.to_string(), read_again(run)));
    let sources = || eyes.settings.databases.values().map(|database| &database.source);
    let old = docker.containers.iter().filter(|container| {
        let ours = sources().any(|source| source.containers.contains(&container.name));
        ours && container.name != eyes.settings.target.container
    });
    let volumes = docker.volumes.iter().filter(|volume| {
        let short = volume.labels.get("com.docker.compose.volume");
        sources().any(|source| {
            source
                .volumes
                .iter()
                .any(|name| volume.name == *name || short == Some(name))
        })
    });
    BackupsSeen {
        incomplete: incomplete.collect(),
        containers: old.map(|c| (c.name.clone(), c.status.clone())).collect(),
        volumes: volumes.map(|volume| volume.name.clone()).collect(),
        last,
    }
}

fn read_again(run: &RunDir) -> Vec<ArchiveSeen> {
    let folder = run.backup();
    let manifest = match BackupManifest::read(&folder) {
        Ok(Some(manifest)) => manifest,
        Ok(None) => return Vec::new(),
        Err(error) => {
            return vec![ArchiveSeen {
                name: "manifest.json".to_owned(),
                checked: Err(format!("{error:#}")),
            }];
        }
    };
    let names = manifest.databases.iter();
    names
        .map(|(name, sum)| ArchiveSeen {
            name: name.clone(),
            checked: check(&folder, name, sum).map_err(|error| format!("{error:#}")),
        })
        .collect()
}

fn check(folder: &std::path::Path, name: &str, sum: &str) -> anyhow::Result<()> {
    let (found, _) = infra::files::sha256(&DatabaseBackup::path(folder, name))?;
    anyhow::ensure!(
        found == sum,
        "{name}.json has another SHA-256 than manifest.json says"
    );
    let backup = DatabaseBackup::read(folder, name)?;
    backup
        .ok_or_else(|| anyhow::anyhow!("{name}.json is missing"))?
        .check_files(folder)
}
