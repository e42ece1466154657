//! Words shared by everything to the right: exit codes, findings, run ids, secrets by name.

pub mod backup;
pub mod exit;
pub mod finding;
pub mod readers;
pub mod run_dir;
pub mod run_id;
pub mod time;

pub use exit::Exit;
pub use finding::{Finding, Severity};
pub use run_dir::RunDir;
pub use run_id::RunId;
