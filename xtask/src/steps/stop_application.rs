//! Stop the application before its databases are taken from it.

use std::time::Duration;

use infra::{ports, process, wait};
use serde_json::{Value, json};

use super::{Failure, Probe, World};
use crate::model::Finding;
use crate::plan::action::StopApplication;

/// How long it may take to finish its requests.
const LIMIT: Duration = Duration::from_secs(30);

/// Satisfied when none of the processes listens any more.
pub(super) fn probe(action: &StopApplication, world: &World<'_>) -> Result<Probe, Failure> {
    let mut satisfied = true;
    for (port, planned) in &action.running {
        if ports::is_free(*port) {
            continue;
        }
        satisfied = false;
        let listens = ports::listener(&world.runner, *port);
        if listens.as_ref() != Some(planned) {
            let now = listens.map_or_else(|| "another process".to_owned(), |other| other.to_string());
            let finding = Finding::error(
                "application.changed",
                format!("port {port} was held by {planned} and is held by {now} now"),
            );
            return Ok(Probe::Conflict(finding.wanted("the application stopped")));
        }
    }
    Ok(if satisfied {
        Probe::Satisfied
    } else {
        Probe::Absent
    })
}

pub(super) fn apply(action: &StopApplication, world: &World<'_>) -> Result<Value, Failure> {
    for (port, planned) in &action.running {
        if ports::is_free(*port) {
            continue;
        }
        world.runner.run(&process::end(planned.pid))?;
        wait::until(world.runner.interrupt(), LIMIT, || {
            ports::is_free(*port).then_some(())
        })
        .map_err(|stopped| match stopped {
            wait::Stopped::Interrupted => Failure::interrupted("stop the application"),
            wait::Stopped::TimedOut => Failure::new(format!(
                "{planned} still holds port {port} {} after it was asked to end",
                humantime::format_duration(LIMIT)
            ))
            .hint("end it in its own terminal with Ctrl-C"),
        })?;
    }
    Ok(
        json!({ "stopped": action.running.iter().map(|(_, listener)| listener.to_string()).collect::<Vec<_>>() }),
    )
}

pub(super) fn verify(action: &StopApplication, world: &World<'_>) -> Result<(), Failure> {
    match probe(action, world)? {
        Probe::Satisfied => Ok(()),
        _ => Err(Failure::new("the application runs again")),
    }
}

/// It ran in somebody's terminal, with that terminal's environment: its owner starts it again.
pub(super) fn undo(_: &StopApplication, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}
