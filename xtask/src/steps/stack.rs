//! Start the rest of the platform's stack where nothing stands in the way. The databases are moved by then, so that what
//! hinders a service is a warning and never a failure.

use infra::{CommandError, docker};
use serde_json::{Value, json};

use super::{Failure, Probe, World};
use crate::observe::holder;
use crate::plan::action::{LeftOut, StackService, StartStack};

/// The file of the run that names what was started, for the way back.
const STARTED: &str = "stack-started";

pub(super) fn probe(_: &StartStack, _: &World<'_>) -> Result<Probe, Failure> {
    // What hinders a service may have come or gone since the last look.
    Ok(Probe::Absent)
}

pub(super) fn apply(action: &StartStack, world: &World<'_>) -> Result<Value, Failure> {
    let mut left_out = action.left_out.clone();
    let mut start = Vec::new();
    for service in &action.services {
        let hindered = |why: String| LeftOut {
            name: service.name.clone(),
            why,
            typeable: true,
        };
        match look(action, service, world) {
            Ok(Look::Runs) => {}
            Ok(Look::Free) => start.push(service),
            Ok(Look::Hindered(why)) => left_out.push(hindered(why)),
            Err(error) if error.is_interrupt() => return Err(error.into()),
            Err(error) => left_out.push(hindered(error.to_string())),
        }
    }
    let mut started: Vec<String> = world.run.load(STARTED)?.unwrap_or_default();
    started.extend(start.iter().map(|service| service.name.clone()));
    world.run.save(STARTED, &started)?;
    if let Some(cmd) = action.up(&start) {
        match world.runner.stream(&cmd, |_| {}) {
            Ok(_) => {}
            Err(error) if error.is_interrupt() => return Err(error.into()),
            Err(error) => {
                world.progress.warn(&format!(
                    "not every service of the platform's stack was started: {error}"
                ));
                for service in start {
                    if !matches!(look(action, service, world), Ok(Look::Runs)) {
                        left_out.push(LeftOut {
                            name: service.name.clone(),
                            why: "Compose could not start it".to_owned(),
                            typeable: true,
                        });
                    }
                }
            }
        }
    }
    let said: Vec<String> = left_out.iter().map(ToString::to_string).collect();
    Ok(json!({ "started": started, "not_started": said, "line": action.line(&left_out) }))
}

/// What stands in a service's way.
enum Look {
    Runs,
    Free,
    Hindered(String),
}

fn look(action: &StartStack, service: &StackService, world: &World<'_>) -> Result<Look, CommandError> {
    let runner = &world.runner;
    let containers = docker::containers(runner)?;
    let own = |container: &&docker::Container| action.is(service, container);
    if containers.iter().filter(own).any(docker::Container::is_running) {
        return Ok(Look::Runs);
    }
    let held = service
        .ports
        .iter()
        .find_map(|port| Some((port, holder(&containers, *port, runner)?)));
    Ok(match held {
        Some((port, holder)) => Look::Hindered(format!("port {port} is used by {holder}")),
        None if docker::image_id(runner, &service.image)?.is_none() => {
            Look::Hindered(format!("image {} is not on this machine", service.image))
        }
        None => Look::Free,
    })
}

/// What could not be started was reported.
pub(super) fn verify(_: &StartStack, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}

/// Stops what was started here.
pub(super) fn undo(action: &StartStack, world: &World<'_>) -> Result<(), Failure> {
    let started: Vec<String> = world.run.load(STARTED)?.unwrap_or_default();
    let ours = |container: &&docker::Container| {
        let mut services = action.services.iter();
        container.is_running()
            && services.any(|service| started.contains(&service.name) && action.is(service, container))
    };
    for container in docker::containers(&world.runner)?.iter().filter(ours) {
        world.runner.run(&docker::stop(&container.name))?;
    }
    Ok(())
}
