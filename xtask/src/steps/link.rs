//! A network that fails silently must not hold a step forever.
//!
//! A cut connection shows by itself only when the kernel's keepalives notice; somebody between the two ends may answer those.
//! So while a step works with an external server, a new connection asks it a question now and then. When none is answered
//! for long enough, the step's programs are ended, and the step fails as one that can be resumed.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use infra::postgres::{Script, Server};
use infra::{Interrupt, Runner};

use super::{Failure, World};
use crate::plan::action::Instance;

/// The application name of the heartbeat: it is no session that a fence counts.
pub(super) const NAME: &str = "xtask heartbeat";

/// Parameter of libpq that carries how long a server may be out of reach, in milliseconds.
const UNREACHABLE: &str = "tcp_user_timeout";

/// Runs `work` with a runner whose programs end when one of these servers stays out of reach.
pub(super) fn watched<'a, T>(
    instances: &[&Instance],
    world: &World<'a>,
    work: impl FnOnce(&World<'a>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let Some(first) = instances.first() else {
        return work(world);
    };
    let cut = world.runner.interrupt().child();
    let inner = World {
        vault: world.vault,
        runner: world.runner.interrupted_by(cut.clone()),
        run: world.run.clone(),
        progress: world.progress,
    };
    let mut servers: Vec<Server> = instances
        .iter()
        .map(|instance| instance.server(world.vault))
        .collect();
    servers.dedup_by(|a, b| a.reach == b.reach);
    let limit = unreachable(first);
    let (outcome, lost) = std::thread::scope(|scope| {
        let (working, finished) = mpsc::channel::<()>();
        let (servers, cut) = (&servers, &cut);
        let heart = scope.spawn(move || {
            let lost = beat(servers, world, limit, &finished);
            if lost.is_some() {
                cut.set();
            }
            lost
        });
        let outcome = work(&inner);
        drop(working);
        (outcome, heart.join().ok().flatten())
    });
    match (outcome, lost) {
        // Whatever the programs said when they were ended: this is why.
        (Err(failure), Some(lost)) if !world.runner.interrupt().is_set() => Err(Failure {
            interrupted: false,
            for_good: false,
            message: format!("{lost}\n{}", failure.message),
            hints: failure.hints,
        }),
        (outcome, _) => outcome,
    }
}

fn unreachable(instance: &Instance) -> Duration {
    let value = instance.options.iter().find(|(name, _)| name == UNREACHABLE);
    let milliseconds = value.and_then(|(_, value)| value.parse().ok());
    Duration::from_millis(milliseconds.unwrap_or(60_000))
}

/// Asks until the work is finished; the answer is why the servers are given up.
fn beat(
    servers: &[Server],
    world: &World<'_>,
    limit: Duration,
    finished: &mpsc::Receiver<()>,
) -> Option<String> {
    let pause = (limit / 4).clamp(Duration::from_millis(250), Duration::from_secs(15));
    let mut silent_since: Vec<Option<Instant>> = vec![None; servers.len()];
    let runner = Runner::new(Interrupt::default());
    for secret in world.vault.all() {
        runner.learn(secret);
    }
    while finished.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        for (server, since) in servers.iter().zip(&mut silent_since) {
            let Err(complaint) = ask(&runner, server, limit) else {
                *since = None;
                continue;
            };
            let began = *since.get_or_insert_with(Instant::now);
            // A server that is down says so to the programs themselves; this is for those that say nothing.
            if began.elapsed() >= limit {
                let limit = humantime::format_duration(limit);
                return Some(format!(
                    "the connection to {} is lost: no answer for {limit}; last: {complaint}",
                    server.label
                ));
            }
        }
    }
    None
}

/// The complaint, when there is no answer. A refusal is one: a server that says no is there.
fn ask(runner: &Runner, server: &Server, limit: Duration) -> Result<(), String> {
    let seconds = (limit.as_secs() / 2).clamp(2, 10);
    let server = server
        .clone()
        .with_option("PGAPPNAME", NAME)
        .with_option("PGCONNECT_TIMEOUT", seconds.to_string());
    let what = format!("ask whether {} is there", server.label);
    let cmd = server.psql("postgres", &Script::new("SELECT 1;"), what);
    let output = runner
        .output(&cmd.limit(Duration::from_secs(seconds + 2)))
        .map_err(|error| error.to_string())?;
    if output.success() || output.stderr.contains("FATAL:") {
        return Ok(());
    }
    Err(output.stderr.lines().last().unwrap_or("no answer").to_owned())
}
