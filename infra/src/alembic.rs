//! Alembic's history, read from its files without importing the application.

mod history;
mod locations;
mod script;
mod tables;

pub use history::{History, HistoryError, Revision};
pub use locations::{Locations, locations, revision_files};
pub use script::assigned_line;
pub use tables::tables;
