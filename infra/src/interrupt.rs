//! Ctrl-C, SIGTERM and a closed terminal as a flag that every wait looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once by the first Ctrl-C or SIGTERM; the second ends the program at once with exit code 130.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    flag: Arc<AtomicBool>,
    /// The interrupt that this one also obeys.
    parent: Option<Arc<Interrupt>>,
}

impl Interrupt {
    /// Registers the signal handlers of this process.
    ///
    /// # Errors
    /// When the operating system refuses to register a handler.
    pub fn install() -> std::io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        let mut signals = vec![signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];
        // The terminal was closed.
        #[cfg(unix)]
        signals.push(signal_hook::consts::SIGHUP);
        for signal in signals {
            // Order matters: the shutdown looks at the flag before the same signal sets it.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))?;
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self { flag, parent: None })
    }

    /// Whether the person asked to stop.
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::SeqCst) || self.parent.as_ref().is_some_and(|parent| parent.is_set())
    }

    /// A flag that is set with this one, and can be set without it: it stops a part of the work.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            flag: Arc::default(),
            parent: Some(Arc::new(self.clone())),
        }
    }

    /// Asks to stop, as Ctrl-C does (tests and nested runs).
    pub fn set(&self) {
        self.flag.store(true, Ordering::SeqCst);
    }
}
