//! `docs/reference/cli.md`: every command's long help, and the exit codes.

use std::fmt::Write;

use clap::{Command, CommandFactory};

use crate::cli::Cli;
use crate::model::Exit;

/// Columns of the help texts, whatever terminal this runs in.
const WIDTH: usize = 100;

/// The file's text.
pub(super) fn markdown() -> String {
    let mut command = Cli::command().term_width(WIDTH);
    command.build();
    let mut out = String::from(
        "# The command line\n\n\
         Generated from the program by `cargo xtask ci --write-docs`; a test keeps it fresh.\n\n\
         ## Exit codes\n\n| Code | Meaning |\n|---|---|\n",
    );
    // Writing to a String cannot fail.
    for (_, code, meaning) in Exit::ALL {
        let _ = writeln!(out, "| {code} | {meaning} |");
    }
    describe(&mut command, "cargo xtask", &mut out);
    out
}

fn describe(command: &mut Command, name: &str, out: &mut String) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(out, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim());
    for inner in command.get_subcommands_mut() {
        if inner.get_name() != "help" && !inner.is_hide_set() {
            let name = format!("{name} {}", inner.get_name());
            describe(inner, &name, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_every_exit_code_is_described() {
        let text = markdown();
        for command in Cli::command().get_subcommands() {
            assert!(text.contains(&format!("\n## cargo xtask {}\n", command.get_name())));
        }
        for (_, code, meaning) in Exit::ALL {
            assert!(text.contains(&format!("| {code} | {meaning} |")));
        }
    }
}
