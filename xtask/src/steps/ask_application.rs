//! Ask the application where it runs, until it is content: people restart it meanwhile, nobody here can.

use std::time::{Duration, Instant};

use infra::site::Site;
use infra::wait;
use serde_json::{Value, json};

use super::application::ask;
use super::fence::external;
use super::{Failure, Probe, World};
use crate::plan::action::{ANSWER_SECONDS, AskApplication};

/// How often it is asked: it serves others meanwhile.
const EVERY: Duration = Duration::from_secs(2);

/// Asked anew each time: yesterday's answer proves nothing.
pub(super) fn probe(_: &AskApplication, _: &World<'_>) -> Result<Probe, Failure> {
    Ok(Probe::Absent)
}

pub(super) fn apply(action: &AskApplication, world: &World<'_>) -> Result<Value, Failure> {
    let limit = Duration::from_secs(action.limit_seconds);
    let within = humantime::format_duration(limit);
    world.progress.warn(&format!(
        "restart the application now, so that it reads the new .env; {} is asked until all its answers are good, for {within} at most",
        action.url
    ));
    let deadline = Instant::now() + limit;
    let mut complaint = None;
    let content = wait::watch(world.runner.interrupt(), limit, EVERY, || {
        let left = deadline.saturating_duration_since(Instant::now()).as_secs();
        let answers = questions(action, world, left.clamp(1, ANSWER_SECONDS));
        let restarted = answers.and_then(|answers| left_old(action, world).map(|()| answers));
        restarted.map_err(|failure| complaint = Some(failure)).ok()
    });
    match (content, complaint) {
        (Ok(answers), _) => {
            for fence in &action.open {
                external::unwritten_since_cutover(fence, world)?;
            }
            Ok(json!({ "url": action.url, "answers": answers }))
        }
        (Err(wait::Stopped::Interrupted), _) => Err(Failure::interrupted("ask the application")),
        (Err(wait::Stopped::TimedOut), complaint) => {
            let last =
                complaint.map_or_else(String::new, |last| format!("; the last answer: {}", last.message));
            let message = format!("{} is not content within {within}{last}", action.url);
            let again = format!("cargo xtask migrate --resume {}", world.run.id);
            let mut hint = format!("restart the application, then: {again}");
            if external::name_inside(&action.open, world)? {
                hint.push_str(
                    "; or, when it was restarted and none of these sessions is its own, with --accept-unfenced-source",
                );
            }
            Err(Failure::new(message).hint(hint))
        }
    }
}

pub(super) fn verify(_: &AskApplication, _: &World<'_>) -> Result<(), Failure> {
    // Asking is the step itself.
    Ok(())
}

/// Nothing was started.
pub(super) fn undo(_: &AskApplication, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}

/// Asks once, without waiting for anybody.
///
/// # Errors
/// The first answer that is not good.
pub fn ask_once(action: &AskApplication, world: &World<'_>) -> Result<(), Failure> {
    questions(action, world, ANSWER_SECONDS).map(|_| ())
}

/// One that still works with an old database is content too. Where that cannot be closed, nobody else may be in it.
fn left_old(action: &AskApplication, world: &World<'_>) -> Result<(), Failure> {
    for fence in &action.open {
        external::nobody_inside(fence, world)?;
    }
    Ok(())
}

fn questions(action: &AskApplication, world: &World<'_>, seconds: u64) -> Result<Vec<String>, Failure> {
    let site = Site {
        base: &action.url,
        runner: &world.runner,
    };
    ask(&action.probes, &[], |path| site.get(path, seconds))
}
