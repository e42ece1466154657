//! Stop one old instance and read it in isolation.

pub(super) mod external;
pub(super) mod held;
pub(super) mod returned;

use std::time::Duration;

use infra::docker::{self, Container};
use infra::postgres::facts::{self, ServerFacts};
use serde_json::{Value, json};

use super::{Failure, Probe, World, unlogged, wait_for_query};
use crate::model::Finding;
use crate::plan::action::{Fence, Fenced};

/// How long a reader may take; it may have to replay the WAL of a crash.
const READER_LIMIT: Duration = Duration::from_secs(300);

/// Satisfied when the old instance is down and the reader answers.
pub(super) fn probe(action: &Fence, world: &World<'_>) -> Result<Probe, Failure> {
    let runner = &world.runner;
    match &action.fenced {
        Fenced::Container { name, id, .. } => match docker::container(runner, name)? {
            Some(old) if old.id == *id => {
                let reader = docker::container(runner, &action.reader_name())?;
                let reads = reader.is_some_and(|reader| reader.status == "running");
                Ok(if reads && !old.is_running() {
                    Probe::Satisfied
                } else {
                    Probe::Absent
                })
            }
            found => Ok(Probe::Conflict(changed(action, found))),
        },
        Fenced::Volume { .. } => {
            let reader = docker::container(runner, &action.reader_name())?;
            Ok(if reader.is_some_and(|r| r.status == "running") {
                Probe::Satisfied
            } else {
                Probe::Absent
            })
        }
        Fenced::Cluster { cluster, .. } => {
            // One that was killed is listed a moment longer, and answers no more.
            let reads = || {
                action
                    .reader()
                    .server(world.vault)
                    .answers(runner, "template1")
                    .is_ok()
            };
            let done = cluster.is_running(runner)? && is_reader(action) && reads();
            Ok(if done { Probe::Satisfied } else { Probe::Absent })
        }
        Fenced::External(fenced) => external::probe(action, fenced, world),
    }
}

pub(super) fn apply(action: &Fence, world: &World<'_>) -> Result<Value, Failure> {
    let runner = &world.runner;
    if let Fenced::Container { name, .. } = &action.fenced
        && let Probe::Conflict(finding) = probe(action, world)?
    {
        return Err(Failure::from(finding).hint(format!("docker inspect {name}")));
    }
    match &action.fenced {
        Fenced::Cluster {
            cluster, socket_dir, ..
        } => {
            // The old server, or a reader that does not answer: both must be down before the reader starts.
            cluster.end(runner)?;
            infra::files::private_dir(socket_dir)
                .and_then(|()| infra::postgres::cluster::give(socket_dir, cluster.account))
                .map_err(|e| Failure::new(format!("failed to make {}: {e}", socket_dir.display())))?;
            run_all(runner, action.start_reader())?;
        }
        Fenced::Container { .. } | Fenced::Volume { .. } => {
            returned::remember(action, world)?;
            run_all(runner, action.stop())?;
            remove_reader(action, world)?;
            nobody_else_uses(action, world)?;
            run_all(runner, action.start_reader())?;
        }
        Fenced::External(fenced) => return external::apply(action, fenced, world),
    }
    Ok(json!({ "reader": action.reader().server(world.vault).connect_hint(&action.source_database) }))
}

/// The reader answers, and it is the database that was meant. What else there is comes not along, and is told unless the
/// preflight could.
pub(super) fn verify(action: &Fence, world: &World<'_>) -> Result<(), Failure> {
    if let Fenced::External(fenced) = &action.fenced {
        return external::verify(action, fenced, world);
    }
    let instance = reads(action, world)?;
    if !action.ran() {
        let server = action.reader().server(world.vault);
        for other in facts::with_content(&world.runner, &server, &instance, &action.source_database)? {
            world.progress.warn(&format!(
                "the old instance of {} also holds {}; it does not come along and stays in the old data",
                action.database,
                other.in_words()
            ));
        }
    }
    Ok(())
}

/// The reader answers, and it is the database that was meant.
pub(super) fn reads(action: &Fence, world: &World<'_>) -> Result<ServerFacts, Failure> {
    let server = action.reader().server(world.vault);
    if let Err(failure) = wait_for_query(world, &server, "template1", READER_LIMIT) {
        // A stopped server could not be asked for its password before.
        return Err(match failure.message.contains("password authentication failed") {
            true => failure.hint(format!(
                "cargo xtask rollback {}, then correct the password where it is set, then: cargo xtask migrate",
                world.run.id
            )),
            false => failure,
        });
    }
    let seen = facts::server(&world.runner, &server, "template1")?;
    if !seen.read_only && action.external().is_none() {
        return Err(Failure::new(format!(
            "the reader of {} does not only read: its start-up command leaves out default_transaction_read_only",
            action.database
        ))
        .hint(format!("cargo xtask rollback {}", world.run.id)));
    }
    if !seen.databases.contains_key(&action.source_database) {
        let have: Vec<&str> = seen.databases.keys().map(String::as_str).collect();
        return Err(Failure::new(format!(
            "the instance holds no database {}; it holds {}",
            action.source_database,
            have.join(", ")
        )));
    }
    returned::remember_relations(action, &server, world)?;
    let (database, source) = (&action.database, &action.source_database);
    unlogged::remember(world, &server, database, source)?;
    // Whether that matters, the backup decides: complete, it holds their rows.
    let emptied = unlogged::emptied(world, &server, database, source)?;
    if !emptied.is_empty() {
        world.progress.warn(&format!(
            "the server that read {database} was killed; PostgreSQL emptied its unlogged tables: {}",
            emptied.join(", ")
        ));
    }
    Ok(seen)
}

/// The reader goes, the old instance comes back as it was.
pub(super) fn undo(action: &Fence, world: &World<'_>) -> Result<(), Failure> {
    let runner = &world.runner;
    match &action.fenced {
        Fenced::Cluster {
            cluster,
            was_on,
            socket_dir,
            ..
        } => {
            if is_reader(action) {
                cluster.end(runner)?;
                tell_when_killed(action, world, cluster.was_killed(runner)?)?;
            }
            if was_on.is_some() && !cluster.is_running(runner)? {
                run_all(runner, action.bring_back())?;
            }
            let _ = std::fs::remove_dir_all(socket_dir);
            returned::prove(action, world)?;
        }
        Fenced::Container { .. } | Fenced::Volume { .. } => {
            let reader = docker::container(runner, &action.reader_name())?;
            tell_when_killed(action, world, reader.is_some_and(|reader| !reader.is_running()))?;
            remove_reader(action, world)?;
            returned::is_there(action, world)?;
            run_all(runner, action.bring_back()).map_err(|failure| match in_its_place(action, world) {
                Some(holder) => told_who(failure, &holder),
                None => failure,
            })?;
            returned::prove(action, world)?;
        }
        Fenced::External(fenced) => external::undo(action, fenced, world)?,
    }
    Ok(())
}

/// The running container that has the port of a stopped old instance.
pub fn in_its_place(action: &Fence, world: &World<'_>) -> Option<String> {
    let Fenced::Container { name, .. } = &action.fenced else {
        return None;
    };
    let containers = docker::containers(&world.runner).ok()?;
    crate::observe::in_the_place_of(&containers, name).map(|holder| holder.name.clone())
}

/// An old instance that cannot start, with who is in its way.
fn told_who(failure: Failure, holder: &str) -> Failure {
    Failure {
        message: format!("{}\ncontainer {holder} has its port", failure.message),
        ..failure
    }
    .hint(format!("docker stop {holder}"))
}

fn run_all(runner: &infra::Runner, commands: impl IntoIterator<Item = infra::Cmd>) -> Result<(), Failure> {
    for cmd in commands {
        runner.run(&cmd)?;
    }
    Ok(())
}

/// What comes back is not what was fenced when the reader was killed meanwhile.
fn tell_when_killed(action: &Fence, world: &World<'_>, killed: bool) -> Result<(), Failure> {
    let tables = unlogged::remembered(world, &action.database)?;
    if killed && !tables.is_empty() {
        world.progress.warn(&format!(
            "the server that read {} was killed; PostgreSQL empties its unlogged tables when it starts again: {}",
            action.database,
            tables.join(", ")
        ));
    }
    Ok(())
}

/// Ends a reader that is no longer needed; the fence stays: the old instance is not started.
pub(super) fn release(action: &Fence, world: &World<'_>) -> Result<(), Failure> {
    match &action.fenced {
        Fenced::Cluster {
            cluster, socket_dir, ..
        } => {
            if is_reader(action) {
                cluster.end(&world.runner)?;
            }
            let _ = std::fs::remove_dir_all(socket_dir);
            Ok(())
        }
        // It stays closed, as an old container stays stopped.
        Fenced::External(_) => Ok(()),
        _ => remove_reader(action, world),
    }
}

/// Whether the old instance or its reader runs.
pub(super) fn something_runs(action: &Fence, world: &World<'_>) -> Result<bool, Failure> {
    let runs = |name: &str| -> Result<bool, Failure> {
        Ok(docker::container(&world.runner, name)?.is_some_and(|container| container.is_running()))
    };
    match &action.fenced {
        Fenced::Cluster { cluster, .. } => Ok(cluster.is_running(&world.runner)?),
        Fenced::Volume { .. } => runs(&action.reader_name()),
        Fenced::External(_) => Ok(false),
        Fenced::Container { name, .. } => Ok(runs(name)? || runs(&action.reader_name())?),
    }
}

/// What of an old instance runs at this moment; `None` when it is stopped and its fence holds.
///
/// # Errors
/// When it cannot be told.
pub fn what_runs(action: &Fence, world: &World<'_>) -> Result<Option<String>, Failure> {
    let database = &action.database;
    Ok(match &action.fenced {
        Fenced::Container { name, .. } => docker::container(&world.runner, name)?
            .filter(Container::is_running)
            .map(|_| format!("container {name}, the old instance of {database}, runs")),
        Fenced::Cluster { cluster, .. } => (cluster.is_running(&world.runner)? && !is_reader(action))
            .then(|| format!("the old instance of {database} runs")),
        Fenced::Volume { .. } | Fenced::External(_) => None,
    }
    .or(nobody_else_uses(action, world)
        .err()
        .map(|failure| failure.message)))
}

/// Stops the reader cleanly before its container goes, so that the volume needs no recovery.
fn remove_reader(action: &Fence, world: &World<'_>) -> Result<(), Failure> {
    let name = action.reader_name();
    let Some(reader) = docker::container(&world.runner, &name)? else {
        return Ok(());
    };
    if reader.is_running() {
        world.runner.run(&docker::stop(&name))?;
    }
    // Without -v: the volume belongs to the old instance.
    let remove = infra::Cmd::new(docker::PROGRAM, format!("remove container {name}")).args(["rm", &name]);
    world.runner.run(&remove)?;
    Ok(())
}

/// Two servers on one volume destroy it, and across containers PostgreSQL's own lock file does not notice.
fn nobody_else_uses(action: &Fence, world: &World<'_>) -> Result<(), Failure> {
    let data = match &action.fenced {
        Fenced::Container { data, .. } => data.clone(),
        Fenced::Volume { volume, .. } => Some(volume.clone()),
        Fenced::Cluster { .. } | Fenced::External(_) => None,
    };
    let Some(data) = data else { return Ok(()) };
    let uses = |container: &Container| {
        container.is_running() && has_data(container, &data) && container.name != action.reader_name()
    };
    match docker::containers(&world.runner)?.into_iter().find(uses) {
        None => Ok(()),
        Some(other) => Err(
            Failure::new(format!("container {} still runs on volume {data}", other.name))
                .hint(format!("docker stop {}", other.name)),
        ),
    }
}

/// Whether a container may write to this volume or host folder. One that may only read it, as a helper of ours that looks for
/// the data folder, is no server.
pub(super) fn has_data(container: &Container, data: &str) -> bool {
    let mut mounts = container.mounts.iter().filter(|mount| !mount.read_only);
    mounts.any(|mount| mount.volume.as_deref() == Some(data) || mount.source == data)
}

/// Whether the server that runs on the cluster is our reader: it was started with our socket folder or port.
fn is_reader(action: &Fence) -> bool {
    let Fenced::Cluster {
        cluster,
        socket_dir,
        reader_port,
        ..
    } = &action.fenced
    else {
        return false;
    };
    let options = cluster.start_options().unwrap_or_default();
    let mark = if cfg!(unix) {
        socket_dir.display().to_string()
    } else {
        format!("port={reader_port}")
    };
    options.contains(&mark)
}

fn changed(action: &Fence, found: Option<Container>) -> Finding {
    let id = format!("source.{}.changed", action.database);
    match found {
        None => Finding::error(id, format!("the container that held {} is gone", action.database)),
        Some(other) => Finding::error(
            id,
            format!("container {} was made anew since the plan was made", other.name),
        ),
    }
    .wanted("the container that the plan was made for")
    .hint("cargo xtask migrate")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_container_that_may_only_read_the_data_is_no_server_on_it() {
        let check = |read_only: bool| {
            let container = serde_json::from_value(serde_json::json!({
                "id": "a", "name": "a", "image": "i", "status": "running", "health": null, "restart": "no", "ports": {},
                "address": null, "labels": {},
                "mounts": [{ "volume": "data", "read_only": read_only, "source": "/v", "destination": "/x" }],
            }));
            super::has_data(&container.unwrap(), "data")
        };
        assert!(check(false) && !check(true));
    }

    use super::{Failure, told_who};

    #[test]
    fn an_old_instance_that_cannot_start_says_who_has_its_port() {
        let failure = told_who(Failure::new("port is already allocated"), "platform-postgres");
        assert_eq!(
            failure.message,
            "port is already allocated\ncontainer platform-postgres has its port"
        );
        assert_eq!(failure.hints, ["docker stop platform-postgres"]);
    }
}
