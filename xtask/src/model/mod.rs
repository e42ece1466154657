//! Words shared by everything to the right: exit codes, findings, run ids, secrets by name.

pub mod backup;
pub mod examine;
pub mod exit;
pub mod finding;
mod nearest;
pub mod readers;
pub mod run_dir;
pub mod run_id;
pub mod secret_key;
pub mod time;
pub mod typed;
pub mod upload;

/// How the names of a rehearsal, its Compose projects and its containers begin.
pub const REHEARSAL: &str = "rehearsal-";

pub use exit::Exit;
pub use finding::{Finding, Severity};
pub use nearest::nearest;
pub use run_dir::RunDir;
pub use run_id::RunId;
