//! The real binary on real PostgreSQL: what it refuses, what it moves, and what it leaves when a step fails.
//!
//! Tests that need Docker carry `#[ignore = "needs Docker"]`; all others run on local clusters and need neither Docker
//! nor root. Every test works in a folder of its own and takes away what it made, also when it fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot be prepared fails")]

mod containers;
mod facts;
mod failures;
mod refusals;
mod roles;
mod support;
