//! What a killed run leaves running: its programs, their sessions, its client containers.

use infra::postgres::{Script, Server};
use infra::{CommandError, Runner, docker};

use super::{Failure, World};

/// Ends the sessions that programs of an earlier run still hold in a database. The caller holds the workspace's lock, so
/// sessions under our application name that are not its own belong to nobody who lives.
pub(super) fn end(
    runner: &Runner,
    server: &Server,
    maintenance: &str,
    database: &str,
) -> Result<(), CommandError> {
    let end = Script::new(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
         WHERE datname = :'database' AND application_name = :'application' AND pid <> pg_backend_pid();",
    )
    .var("application", server.application_name())
    .var("database", database);
    let what = format!("end the sessions that a killed run left in database {database}");
    server.execute(runner, maintenance, &end, what)?;
    Ok(())
}

/// Removes client containers of this run (pg_dump, pg_restore) that outlived the program; its readers stay. Also the
/// temporary files of writes that were never finished.
///
/// # Errors
/// When docker cannot be asked, or a container does not go.
pub fn clear(world: &World<'_>, uses_docker: bool) -> Result<Vec<String>, Failure> {
    let mut cleared = Vec::new();
    if uses_docker {
        for container in docker::of_run(&world.runner, world.run.id.as_str())? {
            if !container.name.starts_with("xtask-reader-") {
                world.runner.run(&docker::remove(&container.name))?;
                cleared.push(format!("container {}", container.name));
            }
        }
    }
    for folder in [
        world.run.path().to_owned(),
        world.run.path().join("state"),
        world.run.path().join("env"),
        world.run.backup(),
    ] {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(infra::files::TEMPORARY) && std::fs::remove_file(entry.path()).is_ok() {
                cleared.push(format!("temporary file {name}"));
            }
        }
    }
    Ok(cleared)
}
