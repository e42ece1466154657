//! Waits for a server to answer, and sees when it cannot any more because its container has exited.

use std::time::Duration;

use infra::docker;
use infra::postgres::{Reach, Server};

use super::{Failure, World};

/// Waits until a server answers a query; its last complaint is the error. A refused password is an answer too: asking
/// again does not change it. A container that has exited is not waited for: what it printed last is the error.
///
/// # Errors
/// When it does not within `limit`, exits or refuses the password, or somebody interrupts.
pub fn wait_for_query(
    world: &World<'_>,
    server: &Server,
    database: &str,
    limit: Duration,
) -> Result<(), Failure> {
    let mut complaint = None;
    let mut restarts = None;
    let answered = infra::wait::until(world.runner.interrupt(), limit, || {
        match server.answers(&world.runner, database) {
            Ok(()) => Some(Ok(())),
            Err(error) if error.to_string().contains("password authentication failed") => {
                Some(Err(error.into()))
            }
            Err(error) => {
                complaint = Some(error);
                exited(server, world, &mut restarts).map(Err)
            }
        }
    });
    match answered {
        Ok(answer) => answer,
        Err(infra::wait::Stopped::Interrupted) => {
            Err(Failure::interrupted(format!("wait for {}", server.label)))
        }
        Err(infra::wait::Stopped::TimedOut) => {
            let limit = humantime::format_duration(limit);
            let complaint = complaint.map_or_else(String::new, |error| format!("\n{error}"));
            Err(Failure::new(format!(
                "{} answers no query within {limit}{complaint}{}",
                server.label,
                log_of(server, world)
            )))
        }
    }
}

/// Why a server in a container will not answer any more: its container is gone, has exited, or exits again and again.
/// `restarts` keeps how often the engine had started it again when it was looked at first.
fn exited(server: &Server, world: &World<'_>, restarts: &mut Option<u64>) -> Option<Failure> {
    let Reach::Container { name, .. } = &server.reach else {
        return None;
    };
    let label = &server.label;
    // An engine that does not answer says nothing about the container.
    let Some(container) = docker::container(&world.runner, name).ok()? else {
        return Some(Failure::new(format!(
            "{label} cannot answer: container {name} is gone"
        )));
    };
    let first = *restarts.get_or_insert(container.restart_count);
    let what = match container.status.as_str() {
        "exited" | "dead" | "removing" => "has exited",
        "restarting" => "exits again and again",
        _ if container.restart_count > first => "exits again and again",
        _ => return None,
    };
    let words = docker::last_words(&world.runner, name);
    Some(Failure::new(format!(
        "{label} cannot answer: container {name} {what}: {words}"
    )))
}

/// The last lines of a container that runs and does not answer.
fn log_of(server: &Server, world: &World<'_>) -> String {
    match &server.reach {
        Reach::Container { name, .. } => format!("\n{}", docker::last_words(&world.runner, name)),
        Reach::Tcp { .. } | Reach::Socket { .. } => String::new(),
    }
}
