//! `cargo xtask man`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::Cli;
use super::output::out_line;
use crate::model::Exit;

/// Man: write the manual pages into a folder, for example `~/.local/share/man`
///
/// Makes DIR/man1/cargo-xtask.1 and a page for each command: `man cargo-xtask`, `man cargo-xtask-migrate`. They hold
/// what `--help` says, and the exit codes. Read them without installing: `man -M DIR cargo-xtask`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ManArgs {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Runs the command.
pub(crate) fn cmd_man(args: &ManArgs) -> anyhow::Result<Exit> {
    let folder = args.folder.join("man1");
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    for (name, page) in pages()? {
        let path = folder.join(format!("{name}.1"));
        write(&path, &page)?;
        out_line(path.display())?;
    }
    Ok(Exit::Ok)
}

fn write(path: &Path, page: &[u8]) -> anyhow::Result<()> {
    infra::files::write_shared(path, page).with_context(|| format!("failed to write {}", path.display()))
}

/// Every page with its name.
fn pages() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    collect(&command, "cargo-xtask", &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    pages.push((name.to_owned(), page(command, name)?));
    let shown = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    for inner in command.get_subcommands().filter(shown) {
        collect(inner, &format!("{name}-{}", inner.get_name()), pages)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> anyhow::Result<Vec<u8>> {
    // The name of the page is not what people type; the synopsis shows that.
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    // `Onboard: make ...` repeats the name that stands before it.
    let about = about
        .split_once(": ")
        .map_or(about.clone(), |(_, rest)| rest.to_owned());
    let described = command
        .clone()
        .about(about)
        .display_name(name.to_owned())
        .disable_help_subcommand(true);
    let mut page = Vec::new();
    Man::new(described)
        .title(name.to_uppercase())
        .manual("cargo xtask")
        .render(&mut page)
        .context("failed to render a manual page")?;
    page.extend_from_slice(exit_status().as_bytes());
    Ok(page)
}

/// The exit codes as a section.
fn exit_status() -> String {
    let codes = Exit::ALL.iter();
    let codes =
        codes.map(|(_, code, meaning)| format!(".TP\n\\fB{code}\\fR\n{}\n", meaning.replace('-', "\\-")));
    format!(".SH \"EXIT STATUS\"\n{}", codes.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_options_and_the_exit_codes() {
        let pages = pages().unwrap();
        let text = |name: &str| {
            let page = pages.iter().find(|(own, _)| own == name);
            String::from_utf8(page.unwrap_or_else(|| panic!("no page {name}")).1.clone()).unwrap()
        };
        for command in Cli::command().get_subcommands() {
            text(&format!("cargo-xtask-{}", command.get_name()));
        }
        let migrate = text("cargo-xtask-migrate");
        assert!(
            migrate.contains("dry\\-run") && migrate.contains("cargo xtask migrate"),
            "{migrate}"
        );
        assert!(
            migrate.contains("EXIT STATUS") && migrate.contains("\\fB21\\fR"),
            "{migrate}"
        );
        text("cargo-xtask-env-set");
    }
}
