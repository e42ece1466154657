//! What people and programs read. Decides nothing.

pub mod documents;
mod github;
mod junit;
mod progress;
mod summary;
mod verdicts;

pub use github::{annotations, job_summary, masks};
pub use junit::junit;
pub use progress::Terminal;
pub use summary::summary;
pub use verdicts::{VerifyDocument, text};
