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
    mut probe: impl FnMut() -> Option<T>,
) -> Result<T, Stopped> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(20);
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
        pause = (pause * 3 / 2).min(Duration::from_millis(500));
    }
}
