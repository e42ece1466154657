//! `cargo xtask`: moves three PostgreSQL instances into one, checked at every step.

mod cli;
mod config;
mod model;

use std::process::ExitCode;

/// The profile that is the settings file itself.
const DEFAULT_PROFILE: &str = "development";

fn main() -> ExitCode {
    cli::main().into()
}
