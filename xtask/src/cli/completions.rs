//! `cargo xtask completions`

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use super::output::out;
use crate::model::Exit;

/// Completions: a script for your shell, to be sourced from its start-up file
///
/// Completes `cargo xtask ...` in bash, zsh and fish, and the program's own name, `xtask`, in every shell. Cargo knows
/// nothing of the words behind an alias: its own completion offers files there. The script puts itself in front of it
/// for `cargo xtask`, and leaves every other command of cargo to it. PowerShell and Elvish allow one completion for
/// each program, and cargo's keeps its place: there only a program `xtask` is completed (`cargo install --path xtask`).
/// docs/onboarding.md has the line for each shell.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The name that the scripts complete.
const NAME: &str = "xtask";

/// Runs the command.
pub(crate) fn cmd_completions(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    out(script(args.shell))?;
    Ok(Exit::Ok)
}

/// The shell's script for the program, and what lets `cargo xtask` find it.
fn script(shell: Shell) -> String {
    let mut command = Cli::command().name(NAME).bin_name(NAME);
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut command, NAME, &mut bytes);
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.push_str(match shell {
        Shell::Bash => include_str!("completions/cargo.bash"),
        Shell::Zsh => include_str!("completions/cargo.zsh"),
        Shell::Fish => include_str!("completions/cargo.fish"),
        _ => "",
    });
    text
}

#[cfg(test)]
mod tests;
