//! What people and programs read. Decides nothing.

mod diagnoses;
pub mod documents;
mod github;
mod html;
mod junit;
mod markdown;
mod progress;
mod run_report;
mod summary;
mod verdicts;

pub use diagnoses::{DoctorDocument, Repaired, diagnoses};
pub use github::{annotations, job_summary, masks};
pub use html::checks_page;
pub use junit::junit;
pub use progress::Terminal;
pub use run_report::write_reports;
pub use summary::summary;
pub use verdicts::{VerifyDocument, text};
