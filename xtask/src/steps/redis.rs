//! Have a Redis that says `PONG`, whoever runs it.

use std::time::Duration;

use infra::redis::{self, Pong};
use infra::{docker, wait};
use serde_json::{Value, json};

use super::{Failure, Probe, World};
use crate::plan::action::StartRedis;

/// How long Redis may take to start.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn probe(action: &StartRedis, _: &World<'_>) -> Result<Probe, Failure> {
    // The platform's Redis publishes the same port; one that answers is enough, and two cannot run.
    Ok(if pongs(action) {
        Probe::Satisfied
    } else {
        Probe::Absent
    })
}

pub(super) fn apply(action: &StartRedis, world: &World<'_>) -> Result<Value, Failure> {
    if pongs(action) {
        return Ok(json!({ "answered_by": answered_by(action, world) }));
    }
    if action.project.is_none() {
        return Err(
            Failure::new(format!("no Redis answers on {}:{}", action.host, action.port))
                .hint("the same again with: --set redis.control=none"),
        );
    }
    for cmd in action.commands() {
        world.runner.stream(&cmd, |_| {})?;
    }
    verify(action, world)?;
    Ok(json!({ "answered_by": answered_by(action, world) }))
}

pub(super) fn verify(action: &StartRedis, world: &World<'_>) -> Result<(), Failure> {
    wait::until(world.runner.interrupt(), LIMIT, || pongs(action).then_some(())).map_err(|stopped| {
        match stopped {
            wait::Stopped::Interrupted => Failure::interrupted("wait for Redis"),
            wait::Stopped::TimedOut => Failure::new(format!(
                "Redis on {}:{} does not say PONG",
                action.host, action.port
            )),
        }
    })
}

/// Redis served the old world as well; it stays.
pub(super) fn undo(_: &StartRedis, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}

fn pongs(action: &StartRedis) -> bool {
    matches!(
        redis::ping(&action.host, action.port, Duration::from_secs(2)),
        Ok(Pong::Pong)
    )
}

fn answered_by(action: &StartRedis, world: &World<'_>) -> Option<String> {
    action.project.as_ref()?;
    let containers = docker::containers(&world.runner).ok()?;
    let publishes =
        |c: &docker::Container| c.is_running() && c.ports.values().any(|p| p.contains(&action.port));
    containers
        .into_iter()
        .find(publishes)
        .map(|container| container.name)
}
