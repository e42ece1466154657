//! The real binary on real PostgreSQL and a real S3 server: what it refuses, what it moves, and what it leaves when a step
//! fails.
//!
//! Tests that need Docker carry `#[ignore = "needs Docker"]`, those of external servers
//! `#[ignore = "needs PostgreSQL with TLS"]`; all others run on local clusters and need neither Docker
//! nor root. Every test works in a folder of its own and takes away what it made, also when it fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot be prepared fails")]

mod address;
mod alembic;
mod application;
mod back;
mod by_hand;
mod cleaning;
mod containers;
mod doctor;
mod doctor_containers;
mod doctor_data;
mod doctor_roles;
mod doctor_schema;
#[cfg(target_os = "linux")]
mod engine_restart;
mod external;
mod facts;
mod failures;
mod kept_data;
mod killed_containers;
mod late;
#[path = "../../../infra/tests/support/left_out.rs"]
#[expect(clippy::print_stdout, reason = "a test says what it left out")]
mod left_out;
mod onboarding;
mod pull;
mod read_back;
mod refusals;
mod releases;
mod roles;
#[cfg(unix)]
mod same_server;
mod secrets;
mod shapes;
mod stack;
mod storage;
mod support;
mod verify;
mod watched;
