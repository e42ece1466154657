//! Alembic's history, read from its files without importing the application.

mod history;
mod script;
mod tables;

pub use history::{History, HistoryError, Revision, revision_files};
pub use tables::tables;
