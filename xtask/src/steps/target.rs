//! Start the new instance and wait for a query.

use std::time::Duration;

use infra::docker;
use infra::postgres::cluster::Cluster;
use serde_json::{Value, json};

use super::{Failure, Probe, World, wait_for_query};
use crate::model::run_dir::read_json;
use crate::plan::action::{StartTarget, TargetControl};
use crate::plan::{Action, Plan};

pub(super) fn probe(action: &StartTarget, world: &World<'_>) -> Result<Probe, Failure> {
    // Compose decides itself what is missing, and `up` is safe to repeat; a running cluster is not started again.
    let answers = || {
        let server = action.instance.server(world.vault);
        server
            .answers(&world.runner, &action.maintenance_database)
            .is_ok()
    };
    match &action.control {
        TargetControl::Compose { .. } => Ok(Probe::Absent),
        TargetControl::Cluster(cluster) if !cluster.is_running(&world.runner)? => Ok(Probe::Absent),
        TargetControl::Cluster(_) | TargetControl::External if answers() => Ok(Probe::Satisfied),
        TargetControl::Cluster(_) | TargetControl::External => Ok(Probe::Absent),
    }
}

pub(super) fn apply(action: &StartTarget, world: &World<'_>) -> Result<Value, Failure> {
    match &action.control {
        TargetControl::Compose { container, .. } => {
            for cmd in action.commands(world.vault) {
                let started = world.runner.stream(&cmd, |_| {});
                started.map_err(|error| {
                    Failure::from(error).hint(format!("docker logs --tail 20 {container}"))
                })?;
            }
        }
        TargetControl::Cluster(cluster) => {
            if !comes_up(action, cluster, world)? {
                world.runner.run(&action.start_cluster(cluster))?;
            }
        }
        TargetControl::External => {}
    }
    Ok(json!({ "host": action.published.0, "port": action.published.1, "user": action.instance.user }))
}

/// Whether the server that runs on the cluster answers sooner or later. One that was killed is listed a moment longer,
/// and never does.
fn comes_up(action: &StartTarget, cluster: &Cluster, world: &World<'_>) -> Result<bool, Failure> {
    let server = action.instance.server(world.vault);
    let limit = Duration::from_secs(action.limit_seconds);
    if cluster.is_running(&world.runner)? {
        let looked = infra::wait::until(world.runner.interrupt(), limit, || {
            let answers = server
                .answers(&world.runner, &action.maintenance_database)
                .is_ok();
            let runs = || cluster.is_running(&world.runner).unwrap_or(true);
            answers.then_some(true).or_else(|| (!runs()).then_some(false))
        });
        // When time ran out, the check that follows says what the server complains about.
        return Ok(looked.unwrap_or(true));
    }
    Ok(false)
}

/// A query over TCP, and the port where the application will look for it.
pub(super) fn verify(action: &StartTarget, world: &World<'_>) -> Result<(), Failure> {
    answers_in_time(action, world)?;
    let (host, port) = &action.published;
    if !infra::ports::is_open(host, *port, Duration::from_secs(5)) {
        return Err(Failure::new(format!(
            "the target answers, but not on {host}:{port} where .env will point"
        ))
        .hint("cargo xtask migrate --set target.port=PORT"));
    }
    Ok(())
}

/// Waits for a query.
fn answers_in_time(action: &StartTarget, world: &World<'_>) -> Result<(), Failure> {
    let server = action.instance.server(world.vault);
    let limit = Duration::from_secs(action.limit_seconds);
    wait_for_query(world, &server, &action.maintenance_database, limit)
}

/// Does something on a target that does not answer: started as the run's plan says, and stopped again unless it ran before
/// the run. One whose data are gone holds nothing. The answer is whether it could be done: an external target is not ours
/// to start.
pub(super) fn while_it_runs(
    world: &World<'_>,
    act: impl FnOnce() -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let plan = read_json::<Plan>(&world.run.plan())?;
    let steps = plan.map(|plan| plan.steps).unwrap_or_default();
    let start = steps.into_iter().find_map(|step| match step.action {
        Action::StartTarget(start) => Some(start),
        _ => None,
    });
    let Some(start) = start else {
        return Err(Failure::new("the target does not answer"));
    };
    match &start.control {
        TargetControl::External => return Ok(false),
        TargetControl::Cluster(cluster) if !cluster.data.is_dir() => return Ok(true),
        TargetControl::Cluster(_) | TargetControl::Compose { .. } => {}
    }
    let done = apply(&start, world)
        .and_then(|_| answers_in_time(&start, world))
        .and_then(|()| act());
    // Whatever came of it, what we started does not stay.
    let stopped = undo(&start, world);
    done.and(stopped).map(|()| true)
}

/// Stops what we started; nothing that ran before.
pub(super) fn undo(action: &StartTarget, world: &World<'_>) -> Result<(), Failure> {
    let runner = &world.runner;
    match &action.control {
        TargetControl::Compose { container, .. } => {
            let target = docker::container(runner, container)?;
            if let Some(target) = target.filter(|target| target.is_running() && !action.was_running) {
                // In the middle of its first start it would be left with half a cluster; one that exits or never answers is
                // stopped as it is.
                if target.status == "running"
                    && let Err(failure) = answers_in_time(action, world)
                    && failure.interrupted
                {
                    return Err(failure);
                }
                runner.run(&docker::stop(container))?;
            }
        }
        TargetControl::Cluster(cluster) => {
            // One whose data are gone runs no more.
            if !action.was_running && cluster.data.is_dir() {
                cluster.end(runner)?;
            }
        }
        TargetControl::External => {}
    }
    Ok(())
}
