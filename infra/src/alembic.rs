//! Alembic's history, read from its files without importing the application.

mod fault;
mod history;
mod locations;
mod script;
mod tables;

pub use fault::HistoryError;
pub use history::{History, Revision};
pub use locations::{Locations, locations, revision_files};
pub use script::assigned_line;
pub use tables::tables;
