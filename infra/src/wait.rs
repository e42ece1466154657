//! The one place that waits for something to become true.

use std::time::{Duration, Instant};

use crate::interrupt::Interrupt;

/// Why waiting ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The deadline passed.
    TimedOut,
    /// Ctrl-C.
    Interrupted,
}

/// Asks `probe` until it answers, at most for `limit`. Asks at once, then at growing intervals from 20 ms to 500 ms.
///
/// # Errors
/// [`Stopped`] says whether time ran out or the person interrupted.
pub fn until<T>(
    interrupt: &Interrupt,
    limit: Duration,
    probe: impl FnMut() -> Option<T>,
) -> Result<T, Stopped> {
    let grow = |pause: Duration| (pause * 3 / 2).min(Duration::from_millis(500));
    ask(interrupt, limit, Duration::from_millis(20), grow, probe)
}

/// As [`until`], asking again every `every`: for what must be seen soon after it happens.
///
/// # Errors
/// As [`until`].
pub fn watch<T>(
    interrupt: &Interrupt,
    limit: Duration,
    every: Duration,
    probe: impl FnMut() -> Option<T>,
) -> Result<T, Stopped> {
    ask(interrupt, limit, every, |pause| pause, probe)
}

fn ask<T>(
    interrupt: &Interrupt,
    limit: Duration,
    mut pause: Duration,
    next: impl Fn(Duration) -> Duration,
    mut probe: impl FnMut() -> Option<T>,
) -> Result<T, Stopped> {
    let deadline = Instant::now() + limit;
    loop {
        if interrupt.is_set() {
            return Err(Stopped::Interrupted);
        }
        if let Some(answer) = probe() {
            return Ok(answer);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Stopped::TimedOut);
        }
        std::thread::park_timeout(pause.min(left));
        pause = next(pause);
    }
}
