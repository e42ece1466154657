//! What runs now, for `verify`: the instance with its databases, the application, and what the migration left.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use infra::http::Answer;
use infra::postgres::Server;
use infra::postgres::ailments::{self, CollationMismatch};
use infra::postgres::health::{self, DatabaseHealth, Refused};
use infra::site::Site;

use super::held::{held, newest};
use super::{DockerSeen, EnvSeen, Eyes, LabelerSeen, TargetSeen, docker, env, repositories, servers, target};
use crate::config::{Application, Probe, SecretName, Vault};
use crate::model::RunDir;
use crate::model::backup::{BackupManifest, DatabaseBackup};
use crate::model::examine::examine_own;

/// The target instance.
pub struct InstanceSeen {
    /// Docker and its containers.
    pub docker: DockerSeen,
    /// The instance.
    pub target: TargetSeen,
    /// The labeler's checkout.
    pub labeler: Option<LabelerSeen>,
    /// Its `.env` files, there or not.
    pub env_files: Vec<EnvSeen>,
    /// The databases that are there, by the name people use.
    pub databases: BTreeMap<String, DatabaseSeen>,
    /// Databases whose rows a backup of this workspace holds, each with its run.
    pub held: BTreeMap<String, String>,
    /// Databases whose collation rules changed under them, or why that is not known; `None` when nobody answers.
    pub collations: Option<Result<Vec<CollationMismatch>, String>>,
}

/// One database of the target.
pub struct DatabaseSeen {
    /// Its state, or why it cannot be told.
    pub health: Result<DatabaseHealth, String>,
    /// What the application's role may not do, or why it cannot log in; `None` where no `.env` names a login.
    pub application_role: Option<Result<Vec<Refused>, String>>,
    /// `LC_COLLATE` of the last backup; `None` without one.
    pub collate_before: Option<String>,
    /// The run that took the last backup of it, or that backup's own id.
    pub backup: Option<String>,
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

/// A complete backup that was read again.
#[derive(Clone, Debug)]
pub struct BackupSeen {
    /// The run that took it.
    pub run: String,
    /// What is not as it was written, or why that cannot be told.
    pub differences: Result<Vec<String>, String>,
}

/// The application and Redis.
pub struct ApplicationSeen {
    /// The port it answers on, where the settings name no address.
    pub port: Option<u16>,
    /// Every probe with the answer.
    pub answers: Vec<(Probe, Result<Answer, String>)>,
    /// What Redis said.
    pub redis: Result<infra::redis::Pong, String>,
    /// The application's log, or why it cannot be read; `None` where none of the settings' is there.
    pub log: Option<Result<LogSeen, String>>,
}

/// The end of a log.
#[derive(Clone, Debug)]
pub struct LogSeen {
    /// The file.
    pub path: PathBuf,
    /// Lines that tell of an error since the last start, each with its number.
    pub errors: Vec<(usize, String)>,
}

/// What the migration left.
pub struct BackupsSeen {
    /// The last complete backup of a run.
    pub last: Option<BackupSeen>,
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
    let table = labeler.as_ref().and_then(LabelerSeen::version_table);
    let target = target::look(eyes, &docker, table, vault, &mut findings);
    let server = servers::target(eyes.settings, vault, "");
    let newest = newest(eyes.workspace);
    let databases = target.databases.keys().map(|name| {
        let real = eyes
            .settings
            .databases
            .get(name)
            .map_or(name.as_str(), |d| d.name.as_str());
        let seen = DatabaseSeen {
            health: health::database(eyes.runner, &server, real).map_err(|error| error.to_string()),
            application_role: application_role(eyes, &target, &env_files, vault, name, real),
            collate_before: newest.get(name).and_then(|(_, folder)| {
                let backup = DatabaseBackup::read(folder, name).ok()??;
                Some(backup.manifest.collate)
            }),
            rows: newest
                .get(name)
                .map(|(_, folder)| rows(eyes, &server, folder, name, real)),
            backup: newest.get(name).map(|(id, _)| id.to_string()),
        };
        (name.clone(), seen)
    });
    InstanceSeen {
        databases: databases.collect(),
        held: held(eyes.workspace),
        collations: target.server.is_some().then(|| {
            let maintenance = &eyes.settings.target.maintenance_database;
            ailments::collations(eyes.runner, &server, maintenance).map_err(|error| error.to_string())
        }),
        docker,
        target,
        labeler,
        env_files,
    }
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
    let place = (
        mapping.host.value.as_deref()?,
        mapping.port.value.as_ref()?.parse().ok()?,
    );
    let container = target.container.as_ref();
    let server = servers::as_application(label, place, user, password, settings, container);
    let server = Server {
        options: servers::options(settings),
        ..server
    };
    Some(health::refused(eyes.runner, &server, real).map_err(|error| {
        let last = error.tail().lines().last().unwrap_or_default().to_owned();
        if last.is_empty() { error.to_string() } else { last }
    }))
}

fn rows(
    eyes: &Eyes<'_>,
    server: &Server,
    folder: &Path,
    name: &str,
    real: &str,
) -> Result<Vec<RowsSeen>, String> {
    let backup = DatabaseBackup::read(folder, name).map_err(|error| format!("{error:#}"))?;
    let backup = backup.ok_or_else(|| format!("{} has lost its document of {name}", folder.display()))?;
    let counted = backup
        .manifest
        .tables
        .iter()
        .filter(|(_, facts)| facts.not_counted.is_none());
    let before: Vec<(&str, u64)> = counted
        .map(|(table, facts)| (table.as_str(), facts.rows))
        .collect();
    let tables: Vec<&str> = before.iter().map(|(table, _)| *table).collect();
    let now = health::counts(eyes.runner, server, real, &tables).map_err(|error| error.to_string())?;
    let all = before.iter().map(|(table, rows)| RowsSeen {
        table: (*table).to_owned(),
        before: *rows,
        now: now.get(*table).copied().flatten(),
    });
    Ok(all.collect())
}

/// Asks the application and Redis.
pub fn look_at_application(eyes: &Eyes<'_>) -> ApplicationSeen {
    let settings = &eyes.settings.application;
    let answers_on = |port: u16| {
        let path = settings.probes.first().map_or("/", |probe| probe.path.as_str());
        infra::http::get(&format!("http://127.0.0.1:{port}{path}"), 5).is_ok()
    };
    let mut ports = settings.ports.iter().copied();
    let port = match settings.address() {
        Some(_) => None,
        None => ports.find(|port| answers_on(*port)),
    };
    let base = base_of(settings, port);
    let ask = |probe: &Probe| {
        let site = Site {
            base: base.as_deref()?,
            runner: eyes.runner,
        };
        Some((probe.clone(), site.get(&probe.path, 20)))
    };
    let redis = &eyes.settings.redis;
    ApplicationSeen {
        answers: settings.probes.iter().filter_map(ask).collect(),
        port,
        redis: infra::redis::ping(&redis.host, redis.port, Duration::from_secs(3))
            .map_err(|error| error.to_string()),
        log: log(eyes),
    }
}

/// Where the application is asked: at the address of the settings, or on the port where it was found.
pub fn base_of(settings: &Application, port: Option<u16>) -> Option<String> {
    let found = || Some(format!("http://127.0.0.1:{}", port?));
    settings.address().map(str::to_owned).or_else(found)
}

/// The newest log of the settings, looked through from the application's last start.
fn log(eyes: &Eyes<'_>) -> Option<Result<LogSeen, String>> {
    let root = repositories::first_dir(eyes, &eyes.settings.labeler.repository)?;
    let files = eyes.settings.application.logs.iter().map(|file| root.join(file));
    let changed = |path: &PathBuf| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let path = files.filter(|path| path.is_file()).max_by_key(changed)?;
    let read = std::fs::File::open(&path).and_then(|file| errors(BufReader::new(file)));
    Some(match read {
        Ok(errors) => Ok(LogSeen { path, errors }),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    })
}

/// What uvicorn writes when it starts: what stands before it, nobody can repair any more.
const START: &str = "Started server process";

/// Lines of a level above warning, and the first line of each traceback. Streams: logs grow large.
fn errors(mut log: impl BufRead) -> std::io::Result<Vec<(usize, String)>> {
    let (mut errors, mut bytes, mut number) = (Vec::new(), Vec::new(), 0);
    loop {
        bytes.clear();
        if log.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(errors);
        }
        number += 1;
        let line = String::from_utf8_lossy(&bytes);
        if line.contains(START) {
            errors.clear();
        } else if is_error(&line) {
            errors.push((number, line.trim_end().to_owned()));
        }
    }
}

/// The level is among the first words, behind date, time and logger.
fn is_error(line: &str) -> bool {
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric()).take(14);
    let access = line.contains("\"GET /") || line.contains("\"POST /");
    let level = words.any(|word| matches!(word, "ERROR" | "CRITICAL" | "FATAL"));
    (level && !access) || line.starts_with("Traceback (most recent call last)")
}

/// Reads the last backup again and lists what is left of the old world.
pub fn look_at_backups(eyes: &Eyes<'_>, docker: &DockerSeen) -> BackupsSeen {
    let runs = RunDir::all(&eyes.workspace.runs());
    let complete = |run: &&RunDir| BackupManifest::path(&run.backup()).is_file();
    let incomplete = runs
        .iter()
        .filter(|run| !complete(run))
        .map(|run| run.id.to_string());
    let last = runs.iter().rev().find(complete).map(|run| BackupSeen {
        run: run.id.to_string(),
        differences: examine_own(run, &run.backup(), &[]).map_err(|error| format!("{error:#}")),
    });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_log_are_those_since_the_last_start() {
        let text = "ERROR:    old one\nINFO:     Started server process [7]\nINFO:     \"GET /ERROR\" 200\n\
                    2026-11-23 10:00:00,123 app.db ERROR login failed\nTraceback (most recent call last):\n  File\n\
                    WARNING: an ERRORLESS day\n2026-11-23T10:00:00Z [CRITICAL] disk\n";
        let found: Vec<usize> = errors(text.as_bytes())
            .unwrap()
            .into_iter()
            .map(|(line, _)| line)
            .collect();
        assert_eq!(found, [4, 5, 8]);
        assert!(errors("".as_bytes()).unwrap().is_empty());
    }
}
