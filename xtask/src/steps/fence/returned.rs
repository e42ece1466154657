//! Proof that an old instance serves again as it did before the fence: it answers a query, it is found at its old addresses,
//! its data folder belongs to the same owner, and its database holds what it held.

use std::time::Duration;

use infra::docker::{self, Container, Published};
use infra::postgres::container::data_folder;
use infra::postgres::manifest::{self, CompareOptions, DatabaseManifest, Difference};
use infra::postgres::{Reach, Server, facts, greeting};
use serde::{Deserialize, Serialize};

use crate::model::RunDir;
use crate::model::backup::DatabaseBackup;
use crate::model::run_dir::read_json;
use crate::plan::action::{Fence, Fenced, Instance};
use crate::plan::{Action, Plan};
use crate::steps::restore::MANIFEST_WORKERS;
use crate::steps::{Failure, World, unlogged, wait_for_query};

/// How long an old server may take to answer; it may have to replay the WAL of a crash.
const LIMIT: Duration = Duration::from_secs(300);
/// How long a port may take to answer once the server in its container does.
const PORT_LIMIT: Duration = Duration::from_secs(10);
/// How many differences are named.
const SHOWN: usize = 5;

/// What was seen of a container before it was stopped.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    /// Where PostgreSQL answered.
    addresses: Vec<Published>,
    /// Owner and mode of the data folder; `None` where the container does not tell.
    folder: Option<String>,
}

fn before(database: &str) -> String {
    format!("before-{database}")
}

fn relations(database: &str) -> String {
    format!("relations-{database}")
}

/// Remembers how a running container serves, before it is stopped. Later calls change nothing.
pub(super) fn remember(action: &Fence, world: &World<'_>) -> Result<(), Failure> {
    let Fenced::Container { name, .. } = &action.fenced else {
        return Ok(());
    };
    let Some(old) = docker::container(&world.runner, name)?.filter(|old| old.status == "running") else {
        return Ok(());
    };
    let state = before(&action.database);
    if !action.ran() || world.run.load::<Before>(&state)?.is_some() {
        return Ok(());
    }
    let mut addresses = docker::published(&world.runner, name)?;
    addresses.retain(|at| greeting::answers(&at.host, at.port, PORT_LIMIT));
    let folder = folder(&old, world);
    Ok(world.run.save(&state, &Before { addresses, folder })?)
}

/// Remembers how much the database held when its reader answered first.
pub(super) fn remember_relations(action: &Fence, server: &Server, world: &World<'_>) -> Result<(), Failure> {
    let state = relations(&action.database);
    if world.run.load::<u64>(&state)?.is_none() {
        let seen = facts::database(&world.runner, server, &action.source_database)?;
        world.run.save(&state, &seen.relations)?;
    }
    Ok(())
}

/// `owner:group mode` of the data folder.
fn folder(container: &Container, world: &World<'_>) -> Option<String> {
    let (name, data) = (&container.name, data_folder(container));
    let what = format!("ask {name} who owns its data folder");
    let cmd = infra::Cmd::new(docker::PROGRAM, what).args(["exec", name, "stat", "-c", "%u:%g %a", &data]);
    let text = world.runner.run(&cmd).ok()?.stdout_text();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Proves that an old instance that was started again serves as before.
///
/// # Errors
/// What is different, with the program's own error first.
pub(super) fn prove(action: &Fence, world: &World<'_>) -> Result<(), Failure> {
    if !action.ran() {
        return Ok(());
    }
    let Some(server) = server(action, world) else {
        return Ok(());
    };
    wait_for_query(world, &server, &action.source_database, LIMIT)
        .map_err(|failure| silent(action, failure, world))?;
    if let Fenced::Container { name, .. } = &action.fenced
        && let Some(before) = world.run.load::<Before>(&before(&action.database))?
    {
        addresses(action, name, &before.addresses, world)?;
        let now = docker::container(&world.runner, name)?.and_then(|old| folder(&old, world));
        if let (Some(was), Some(now)) = (&before.folder, &now)
            && was != now
        {
            return Err(Failure::new(format!(
                "the data folder of container {name} has owner and mode {now}; before the migration it had {was}"
            )));
        }
    }
    let held = holds(action, &server, world)?;
    Ok(world.run.save(&proof(&action.database), &held)?)
}

fn proof(database: &str) -> String {
    format!("returned-{database}")
}

/// What was proven of an old database when it was brought back.
pub fn proven(database: &str, run: &RunDir) -> Option<String> {
    run.load(&proof(database)).ok().flatten()
}

/// The old server itself, not its reader.
fn server(action: &Fence, world: &World<'_>) -> Option<Server> {
    let reach = match &action.fenced {
        Fenced::Container { name, port, .. } => Reach::Container {
            name: name.clone(),
            host: crate::observe::servers::INSIDE.to_owned(),
            port: Some(*port),
        },
        Fenced::Cluster { was_on, .. } => Reach::Tcp {
            host: "127.0.0.1".to_owned(),
            port: (*was_on)?,
        },
        Fenced::Volume { .. } | Fenced::External(_) => return None,
    };
    let instance = Instance {
        label: format!("the old instance of {}", action.database),
        reach,
        ..action.reader()
    };
    Some(instance.server(world.vault))
}

/// A server that does not answer, with what a person can do.
fn silent(action: &Fence, failure: Failure, world: &World<'_>) -> Failure {
    let Fenced::Container { name, .. } = &action.fenced else {
        return failure;
    };
    // One that the engine starts again and again runs at times.
    let runs = docker::container(&world.runner, name)
        .is_ok_and(|old| old.is_some_and(|old| old.status == "running" && old.restart_count == 0));
    if runs || failure.interrupted {
        return failure;
    }
    given_up(
        action,
        failure.hint(format!("docker logs --tail 50 {name}")),
        world,
    )
}

/// A failure that typing `rollback` again does not change, with where the data are.
fn given_up(action: &Fence, failure: Failure, world: &World<'_>) -> Failure {
    let (database, run) = (&action.database, &world.run.id);
    let folder = world.run.backup();
    let mut failure = failure.for_good();
    if matches!(DatabaseBackup::read(&folder, database), Ok(Some(_))) {
        let lies = format!("\nits backup lies in {}", folder.display());
        failure.message.push_str(&lies);
        failure = failure.hint(format!("cargo xtask restore {run} --database {database}"));
    }
    if let Fenced::Container { data: Some(data), .. } = &action.fenced {
        failure.message.push_str(&format!("\nits data lie in {data}"));
    }
    failure
}

/// A container that is not there any more cannot be started.
pub(super) fn is_there(action: &Fence, world: &World<'_>) -> Result<(), Failure> {
    let Fenced::Container { name, .. } = &action.fenced else {
        return Ok(());
    };
    if !action.ran() || docker::container(&world.runner, name)?.is_some() {
        return Ok(());
    }
    let gone = format!("container {name} is gone; make it again with its Compose file and start it");
    Err(given_up(action, Failure::new(gone), world))
}

/// Every address at which the server answered before answers again.
fn addresses(action: &Fence, name: &str, before: &[Published], world: &World<'_>) -> Result<(), Failure> {
    let now = docker::published(&world.runner, name)?;
    for was in before {
        if now.contains(was) {
            let answers = || greeting::answers(&was.host, was.port, Duration::from_secs(2)).then_some(());
            if infra::wait::until(world.runner.interrupt(), PORT_LIMIT, answers).is_err() {
                return Err(Failure::new(format!(
                    "container {name} runs, but nobody answers at {}:{}",
                    was.host, was.port
                )));
            }
            continue;
        }
        let Some(new) = now.iter().find(|new| new.inside == was.inside) else {
            return Err(Failure::new(format!(
                "container {name} runs, but its port {} is published no more; it was {}:{}",
                was.inside, was.host, was.port
            )));
        };
        let lines = env_lines(was.port, new.port, world)?;
        // A person has written the new port already.
        if lines.is_empty() {
            continue;
        }
        let moved = Failure::new(format!(
            "the old instance of {} answers on port {} now; before the migration the engine had picked port {}, and .env \
             names that",
            action.database, new.port, was.port
        ));
        return Err(lines.into_iter().fold(moved, Failure::hint));
    }
    Ok(())
}

/// The lines that give every key of `.env` that names the old port the new one.
fn env_lines(old: u16, new: u16, world: &World<'_>) -> Result<Vec<String>, Failure> {
    use backend_env::{Document, Reader, Reading};
    let plan = read_json::<Plan>(&world.run.plan())?;
    let mut lines = Vec::new();
    for step in plan.iter().flat_map(|plan| &plan.steps) {
        let Action::Cutover(cutover) = &step.action else {
            continue;
        };
        for file in &cutover.files {
            let Ok(bytes) = infra::files::read_regular(&file.path) else {
                continue;
            };
            let document = Document::parse(bytes);
            let path = infra::command::shell_path(&file.path);
            let names_old = |key: &str| {
                let read = document.read(key, Reader::PythonDotenv);
                matches!(read, Reading::Value(found) if found == old.to_string().as_bytes())
            };
            let keys = file.changes.iter().map(|change| &change.key);
            lines.extend(
                keys.filter(|key| names_old(key))
                    .map(|key| format!("cargo xtask env set {path} {key}={new}")),
            );
        }
    }
    Ok(lines)
}

/// Compares what the database holds with what it held, and says with what it was compared.
fn holds(action: &Fence, server: &Server, world: &World<'_>) -> Result<String, Failure> {
    let (name, source) = (&action.database, &action.source_database);
    let backup = DatabaseBackup::read(&world.run.backup(), name)?;
    let ours = backup.filter(|backup| backup.run == world.run.id.as_str());
    let Some(backup) = ours.filter(|backup| backup.manifest.comparable().is_ok()) else {
        return holds_as_many(action, server, world);
    };
    let found = manifest::collect(&world.runner, server, source, None, MANIFEST_WORKERS, &|_| {})?;
    let emptied = unlogged::emptied(world, server, name, source)?;
    let mut differences = manifest::compare(&backup.manifest, &found, &CompareOptions::default());
    differences.retain(|difference| !emptied.contains(&difference.object));
    let (lost, changed): (Vec<_>, Vec<_>) = differences
        .into_iter()
        .partition(|difference| is_lost(difference, &backup.manifest, &found));
    if !lost.is_empty() {
        let text = format!(
            "the old database of {name} holds less than its backup:{}",
            list(&lost)
        );
        return Err(given_up(action, Failure::new(text), world));
    }
    if !changed.is_empty() {
        world.progress.warn(&format!(
            "the old database of {name} was written to after its backup was taken; it keeps what was written:{}",
            list(&changed)
        ));
        return Ok("holds every row count and sequence of its backup, and what was written since".to_owned());
    }
    Ok("holds what its backup holds".to_owned())
}

/// Without a completed backup: as many relations as there were.
fn holds_as_many(action: &Fence, server: &Server, world: &World<'_>) -> Result<String, Failure> {
    let now = facts::database(&world.runner, server, &action.source_database)?.relations;
    match world.run.load::<u64>(&relations(&action.database))? {
        Some(was) if now < was => Err(Failure::new(format!(
            "database {} has {now} tables, views and sequences; before the migration it had {was}",
            action.source_database
        ))),
        Some(_) => Ok(format!(
            "holds its {now} tables, views and sequences; no backup was completed to compare the rows with"
        )),
        None => {
            Ok("was stopped, never read and started again; there is nothing to compare it with".to_owned())
        }
    }
}

/// Whether a difference means that something is gone, and not that something was added or changed.
fn is_lost(difference: &Difference, expected: &DatabaseManifest, found: &DatabaseManifest) -> bool {
    let name = &difference.object;
    match difference.class.as_str() {
        "rows" => match (expected.tables.get(name), found.tables.get(name)) {
            (Some(was), Some(now)) => now.rows < was.rows,
            (was, _) => was.is_some(),
        },
        "sequences" => match (expected.sequences.get(name), found.sequences.get(name)) {
            (Some(was), Some(now)) => now.last_value < was.last_value,
            (was, _) => was.is_some(),
        },
        "large objects" => found.large_objects.count < expected.large_objects.count,
        _ => difference.actual.is_none(),
    }
}

fn list(differences: &[Difference]) -> String {
    let mut text = String::new();
    for difference in differences.iter().take(SHOWN) {
        text.push_str(&format!("\n  {difference}"));
    }
    if differences.len() > SHOWN {
        text.push_str(&format!("\n  and {} more", differences.len() - SHOWN));
    }
    text
}
