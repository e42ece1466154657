//! What people and programs read. Decides nothing.

pub mod documents;
mod progress;
mod summary;

pub use progress::Terminal;
pub use summary::summary;
