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
    /// It went back: the old instance is in use again.
    RolledBack(String),
    /// It cannot be told, and why.
    Unknown(String, String),
}
