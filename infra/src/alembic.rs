//! Alembic's history, read from its files without importing the application.

mod history;
mod script;

pub use history::{History, HistoryError, Revision};
