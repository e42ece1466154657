//! `cargo xtask`: moves three PostgreSQL instances into one, checked at every step.
//!
//! Data flows one way, and a module imports only from those before it:
//! model, config, observe, plan, steps, engine, checks, doctor, report, cli.

mod checks;
mod cli;
mod config;
mod doctor;
mod engine;
mod model;
mod observe;
mod plan;
mod report;
mod steps;

use std::process::ExitCode;

/// The profile that is the settings file itself.
const DEFAULT_PROFILE: &str = "development";

fn main() -> ExitCode {
    cli::main().into()
}
