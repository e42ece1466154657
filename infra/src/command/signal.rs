//! Signals to processes that we started, or that those started.

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// What Ctrl-C sends.
    Interrupt,
    /// A polite request to end.
    Terminate,
    /// The end, at once; the process learns nothing of it.
    Kill,
}

/// Sends a signal to one process. `false` when it was not delivered: there is no such process any more, it belongs to
/// somebody else, or this system has no signals.
pub fn send(pid: u32, signal: Signal) -> bool {
    #[cfg(unix)]
    return raw(pid).is_some_and(|pid| rustix::process::kill_process(pid, signal.into()).is_ok());
    #[cfg(not(unix))]
    {
        let _ = (pid, signal);
        false
    }
}

/// Sends a signal to whole process groups.
pub(super) fn send_groups(pids: &[u32], signal: Signal) {
    #[cfg(unix)]
    for pid in pids.iter().filter_map(|pid| raw(*pid)) {
        // The group may be gone already.
        let _ = rustix::process::kill_process_group(pid, signal.into());
    }
    #[cfg(not(unix))]
    let _ = (pids, signal);
}

#[cfg(unix)]
fn raw(pid: u32) -> Option<rustix::process::Pid> {
    i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw)
}

#[cfg(unix)]
impl From<Signal> for rustix::process::Signal {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::INT,
            Signal::Terminate => Self::TERM,
            Signal::Kill => Self::KILL,
        }
    }
}
