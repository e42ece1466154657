//! The generated files of `docs/reference`: the command line from clap, the settings from their doc comments.

mod commands;
mod settings;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The files, from the workspace's folder, and their text. Nothing in them depends on this machine.
fn files() -> [(&'static str, String); 2] {
    [
        ("docs/reference/cli.md", commands::markdown()),
        ("docs/reference/settings.md", settings::markdown()),
    ]
}

/// Writes the files anew and says which they are.
///
/// # Errors
/// Any I/O error.
pub(super) fn write(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (name, text) in files() {
        let path = root.join(name);
        let context = || format!("failed to write {}", path.display());
        std::fs::create_dir_all(path.parent().unwrap_or(root)).with_context(context)?;
        infra::files::write_shared(&path, text.as_bytes()).with_context(context)?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_documentation_is_fresh() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for (name, text) in files() {
            let found = std::fs::read_to_string(root.join(name))
                .unwrap_or_default()
                .replace("\r\n", "\n");
            let line = found
                .lines()
                .zip(text.lines())
                .take_while(|(found, wanted)| found == wanted)
                .count();
            assert!(
                found == text,
                "{name} differs from what the program says, from line {}; refresh it with: cargo xtask ci --write-docs",
                line + 1
            );
        }
    }

    #[test]
    fn nothing_of_this_machine_is_in_the_generated_documentation() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap()
            .display()
            .to_string();
        for (name, text) in files() {
            assert!(!text.contains(&root), "{name}");
        }
    }
}
