//! The outside world, and nothing else: every program the migration drives, every SQL query, every Compose file.
//!
//! Only this crate starts processes ([`command`]). It knows how to talk to things, not when or why: decisions
//! live in `xtask`.

pub mod alembic;
pub mod browser;
pub mod command;
pub mod compose;
pub mod disk;
pub mod docker;
pub mod files;
pub mod git;
pub mod hash;
pub mod http;
pub mod images;
pub mod interrupt;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod python;
pub mod redis;
pub mod rehearsal;
pub mod s3;
pub mod secret;
pub mod site;
pub mod wait;

pub use command::{Cmd, CommandError, Output, Runner};
pub use interrupt::Interrupt;
pub use secret::Secret;

/// The team's settings as they stood when the program was built: the layer under all others.
pub const MIGRATION_TOML: &str = include_str!("../migration.toml");
