//! PostgreSQL through its own client programs.
//!
//! A [`Server`] says how to reach an instance: over TCP, through a socket folder, or from inside a container. SQL goes
//! to `psql` on standard input and answers come back as one JSON document; values are `\set` variables, identifiers
//! are quoted by [`quote::ident`] or psql's `:"name"`, and passwords travel in the environment.

pub mod access;
pub mod activity;
pub mod ailments;
pub mod archive;
pub mod cluster;
pub mod container;
pub mod facts;
pub mod greeting;
pub mod health;
pub mod manifest;
pub mod plain;
pub mod programs;
pub mod quote;
pub mod release;
mod script;
mod server;
pub mod snapshot;
pub mod unprivileged;

pub use script::Script;
pub use server::{CONNECT_SECONDS, Clients, Reach, Server};
pub use snapshot::Snapshot;

/// `180003` is `18.3`; from version 10 on the first number is the major version.
pub fn version_text(version_num: u32) -> String {
    format!("{}.{}", version_num / 10_000, version_num % 10_000)
}

/// The major version of a `server_version_num`.
pub fn major(version_num: u32) -> u32 {
    version_num / 10_000
}
