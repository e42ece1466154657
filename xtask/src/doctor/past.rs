//! What the newest migration left of a database: whether its cutover stands.

use std::time::SystemTime;

/// The newest run that took a database along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Past {
    /// Its cutover stands.
    Stands {
        /// The run.
        run: String,
        /// When its last step ended.
        ended: SystemTime,
    },
    /// It went back: the old instance is in charge again.
    RolledBack(String),
    /// It neither came to its end nor went back.
    Open(String),
    /// It is on its way back, and cannot go forward any more.
    GoingBack(String),
    /// It cannot be told, and why.
    Unknown(String, String),
}

impl Past {
    /// What decides about a run in the middle, as lines to type; none for one that is at an end.
    pub(super) fn decisions(&self) -> Vec<String> {
        let back = |run: &String| format!("cargo xtask rollback {run}");
        match self {
            Self::Open(run) => vec![format!("cargo xtask migrate --resume {run}"), back(run)],
            Self::GoingBack(run) => vec![back(run)],
            Self::Stands { .. } | Self::RolledBack(_) | Self::Unknown(..) => Vec::new(),
        }
    }
}
