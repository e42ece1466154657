//! What `doctor` looks at beside everything else: each login of `.env` tried as the application does it, the target's last
//! words, who holds its connections, and what stands in the application's way inside the databases. Changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use infra::postgres::ailments::{self, CollationMismatch, Connections, Foreign, Missing};
use infra::postgres::{Script, Server, plain, programs};
use infra::{CommandError, docker};

use super::kept_rows::{self, Held};
use super::volume;
use super::{Eyes, MappingSeen, Observed, SpaceSeen, observe, servers};
use crate::config::{Control, SecretName, Vault};

/// How many last lines of a log are shown.
const LOG_LINES: u32 = 12;

/// Free bytes below which it is worth knowing what takes the space: the next backup may not fit.
pub const SCARCE: u64 = 2 << 30;

/// Everything that was looked at.
pub struct Checkup {
    /// Everything that `migrate` looks at.
    pub seen: Observed,
    /// The logins of `.env`, by database.
    pub logins: BTreeMap<String, LoginSeen>,
    /// The last lines of the target's log, when it does not answer.
    pub log: Vec<String>,
    /// The target's server, when it answers.
    pub inside: Option<Inside>,
    /// Who holds the target's connections, by the titles of its processes, when it runs and lets nobody in.
    pub sessions: Vec<String>,
    /// The newest client programs of this machine, when those that the settings name are older than the server.
    pub newer_clients: Option<(u32, PathBuf)>,
    /// The client programs' version, or why it cannot be told; `None` when there is nothing to compare it with.
    pub client: Option<Result<(u32, u32), String>>,
    /// Space on disks.
    pub space: Vec<Space>,
    /// What earlier runs left, the largest first; only when space is scarce.
    pub left: Vec<(u64, String)>,
    /// The volume of a target that has no container: its name, that there is none, or why that cannot be told. Absent where
    /// Compose does not make the container.
    pub target_volume: Option<Result<Option<String>, String>>,
    /// The newest complete backup of each database.
    pub backups: BTreeMap<String, Held>,
}

/// A login that a `.env` file names.
pub struct LoginSeen {
    /// The file.
    pub file: PathBuf,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// Role.
    pub role: String,
    /// Whether something accepts connections there.
    pub reached: bool,
    /// Whether it works; the error is what the server or the system said.
    pub works: Result<(), String>,
}

/// What the target says of itself.
pub struct Inside {
    /// Its connections.
    pub connections: Result<Connections, String>,
    /// Databases whose collation rules changed.
    pub collations: Result<Vec<CollationMismatch>, String>,
    /// Each of our databases that is there and that `.env` names, by the name people use.
    pub databases: BTreeMap<String, DatabaseInside>,
}

/// One database, for the role that `.env` names.
pub struct DatabaseInside {
    /// The role.
    pub role: String,
    /// What it may not do.
    pub missing: Result<Missing, String>,
    /// What it does not own.
    pub foreign: Result<Vec<Foreign>, String>,
}

/// Space where something is kept.
pub struct Space {
    /// What is kept there.
    pub what: String,
    /// Where.
    pub place: String,
    /// Free bytes.
    pub free: u64,
}

/// Looks. Secrets that are met go into `vault`.
pub fn look_for_problems(eyes: &Eyes<'_>, vault: &mut Vault) -> Checkup {
    let seen = observe(eyes, vault);
    let logins = logins(eyes, &seen, vault);
    let answers = seen.target.server.is_some();
    let inside = answers.then(|| inside(eyes, &seen, vault));
    let client = answers.then(|| client(eyes));
    let space = space(eyes, &seen);
    let scarce = space.iter().any(|space| space.free < SCARCE);
    Checkup {
        sessions: sessions(eyes, &seen),
        newer_clients: newer_clients(eyes, &seen, client.as_ref()),
        left: if scarce { left(eyes, &seen) } else { Vec::new() },
        log: if answers {
            Vec::new()
        } else {
            last_lines(eyes, &seen)
        },
        space,
        target_volume: seen
            .target
            .place
            .as_ref()
            .map(|place| volume::existing(place.as_ref().map_err(Clone::clone)?, &seen)),
        backups: kept_rows::look(eyes, &seen, vault),
        logins,
        inside,
        client,
        seen,
    }
}

fn logins(eyes: &Eyes<'_>, seen: &Observed, vault: &Vault) -> BTreeMap<String, LoginSeen> {
    let mut logins = BTreeMap::new();
    for file in seen.env_files.iter().rev() {
        for (name, mapping) in &file.mappings {
            if let Some(login) = login(eyes, seen, vault, &file.path, name, mapping) {
                logins.insert(name.clone(), login);
            }
        }
    }
    logins
}

/// The login as the application makes it; `None` where `.env` names none that could be tried.
fn login(
    eyes: &Eyes<'_>,
    seen: &Observed,
    vault: &Vault,
    file: &Path,
    name: &str,
    mapping: &MappingSeen,
) -> Option<LoginSeen> {
    let (host, role) = (mapping.host.value.clone()?, mapping.user.value.clone()?);
    let (port, database) = (
        mapping.port.value.as_ref()?.parse().ok()?,
        mapping.name.value.clone()?,
    );
    let password = vault.get(&SecretName::Source(name.to_owned())).cloned();
    let settings = &eyes.settings.target;
    let label = format!("{host}:{port} as {role}");
    let knocked = infra::ports::knock(&host, port, Duration::from_secs(3));
    let reached = knocked.is_ok();
    let works = match knocked {
        // In the words of libpq, which the application's log shows.
        Err(error) => Err(format!(
            "connection to server at \"{host}\", port {port} failed: {}",
            said(&error)
        )),
        Ok(()) => {
            let container = seen.docker.publisher(port);
            let server = servers::as_application(label, (&host, port), &role, password, settings, container);
            ask(eyes, &server, &database)
        }
    };
    Some(LoginSeen {
        file: file.to_owned(),
        host,
        port,
        database,
        role,
        reached,
        works,
    })
}

/// What the system says, without Rust's `(os error N)`.
fn said(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn ask(eyes: &Eyes<'_>, server: &Server, database: &str) -> Result<(), String> {
    let cmd = server.psql(
        database,
        &Script::new("SELECT 1;"),
        format!("log in to {}", server.label),
    );
    eyes.runner
        .run(&cmd.limit(Duration::from_secs(30)))
        .map(|_| ())
        .map_err(|error| complaint(&error))
}

/// What a program said, else what happened to it.
fn complaint(error: &CommandError) -> String {
    match error.tail().trim() {
        "" => error.to_string(),
        tail => tail.to_owned(),
    }
}

fn inside(eyes: &Eyes<'_>, seen: &Observed, vault: &Vault) -> Inside {
    let server = servers::target(eyes.settings, vault, "");
    let maintenance = &eyes.settings.target.maintenance_database;
    let text = |error: CommandError| error.to_string();
    let databases = seen.target.databases.iter().filter_map(|(name, database)| {
        let mapping = seen.env_files.iter().find_map(|file| file.mappings.get(name))?;
        let role = mapping.user.value.clone()?;
        let real = &database.facts.name;
        let inside = DatabaseInside {
            missing: ailments::missing_privileges(eyes.runner, &server, real, &role).map_err(text),
            foreign: ailments::foreign_objects(eyes.runner, &server, real, &role).map_err(text),
            role,
        };
        Some((name.clone(), inside))
    });
    Inside {
        databases: databases.collect(),
        connections: ailments::connections(eyes.runner, &server, maintenance).map_err(text),
        collations: ailments::collations(eyes.runner, &server, maintenance).map_err(text),
    }
}

fn client(eyes: &Eyes<'_>) -> Result<(u32, u32), String> {
    let clients = servers::clients(&eyes.settings.target, "");
    plain::psql_version(eyes.runner, &clients).map_err(|error| error.to_string())
}

/// Programs that could take the place of client programs which are older than the server.
fn newer_clients(
    eyes: &Eyes<'_>,
    seen: &Observed,
    client: Option<&Result<(u32, u32), String>>,
) -> Option<(u32, PathBuf)> {
    let server = infra::postgres::major(seen.target.server.as_ref()?.version_num);
    let (client, _) = client?.as_ref().ok()?;
    if *client >= server {
        return None;
    }
    programs::newest_clients(eyes.runner).filter(|(newest, _)| *newest >= server)
}

fn sessions(eyes: &Eyes<'_>, seen: &Observed) -> Vec<String> {
    if seen.target.server.is_some() || !seen.target.running {
        return Vec::new();
    }
    let settings = &eyes.settings.target;
    let container = seen.target.container.as_ref().map(|one| one.name.as_str());
    let parent = match settings.control {
        Control::PgCtl => servers::target_cluster(settings).running_pid(),
        _ => None,
    };
    if container.is_none() && parent.is_none() {
        return Vec::new();
    }
    programs::sessions_by_title(eyes.runner, container, parent)
}

/// What earlier runs left on the target and in the workspace, the largest first.
fn left(eyes: &Eyes<'_>, seen: &Observed) -> Vec<(u64, String)> {
    let server = seen.target.server.iter();
    let mut sizes: Vec<(u64, String)> = server
        .flat_map(|server| &server.databases)
        .filter(|(name, _)| name.contains("__"))
        .filter_map(|(name, entry)| Some((entry.bytes?, format!("database {name}"))))
        .collect();
    for folder in [eyes.workspace.runs(), eyes.workspace.backups()] {
        let runs = std::fs::read_dir(folder).into_iter().flatten().flatten();
        sizes.extend(runs.filter_map(|run| {
            let size = infra::files::dir_size(&run.path()).ok()?;
            Some((size, run.path().display().to_string()))
        }));
    }
    sizes.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    sizes
}

/// The target's last words.
fn last_lines(eyes: &Eyes<'_>, seen: &Observed) -> Vec<String> {
    let settings = &eyes.settings.target;
    let text = match (&seen.target.container, settings.control) {
        (Some(container), _) => docker::logs(eyes.runner, &container.name, LOG_LINES),
        (None, Control::PgCtl) => {
            let log = servers::target_cluster(settings).log();
            let bytes = std::fs::read(log).unwrap_or_default();
            eyes.runner
                .redactor()
                .redact_output(&String::from_utf8_lossy(&bytes))
        }
        _ => String::new(),
    };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let first = lines.len().saturating_sub(LOG_LINES as usize);
    lines[first..].iter().map(|line| (*line).to_owned()).collect()
}

fn space(eyes: &Eyes<'_>, seen: &Observed) -> Vec<Space> {
    let mut all = Vec::new();
    if let Some(free) = seen.free_bytes {
        all.push(Space {
            what: "runs and backups".to_owned(),
            place: eyes.workspace.runs().display().to_string(),
            free,
        });
    }
    all.extend(seen.target.space.iter().map(|SpaceSeen { place, free }| Space {
        what: "the target's data".to_owned(),
        place: place.clone(),
        free: *free,
    }));
    all
}
