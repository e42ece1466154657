//! What every command starts from: the workspace, its settings, a runner, the secrets.

use std::path::Path;

use infra::{Interrupt, Runner};

use super::{Ending, Global};
use crate::config::{self, ConfigError, Loaded, Vault, Workspace};
use crate::engine::Lock;
use crate::model::{Exit, RunDir, RunId};
use crate::report::Terminal;

/// The world of a command.
pub(crate) struct Context {
    /// Where we are.
    pub(crate) workspace: Workspace,
    /// The settings.
    pub(crate) loaded: Loaded,
    /// Runs programs.
    pub(crate) runner: Runner,
    /// Secrets.
    pub(crate) vault: Vault,
    /// Standard error.
    pub(crate) terminal: Terminal,
    /// Settings of the command line.
    sets: Vec<String>,
}

/// The variables that say something to this tool.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| {
            // Our own, libpq's, and where the files lie that libpq reads.
            name.starts_with("XTASK_")
                || name.starts_with("PG")
                || matches!(name.as_str(), "HOME" | "APPDATA")
        })
        .collect()
}

impl Context {
    /// For the workspace we stand in.
    pub(crate) fn new(global: &Global) -> anyhow::Result<Self> {
        Self::at(workspace(global)?, global, Interrupt::install()?)
    }

    /// For a given workspace.
    pub(crate) fn at(workspace: Workspace, global: &Global, interrupt: Interrupt) -> anyhow::Result<Self> {
        let environment = environment();
        let loaded = config::load(&workspace, &global.profile, &environment, &global.sets)?;
        let runner = Runner::new(interrupt);
        runner.redactor().add_names(loaded.settings.names());
        let vault = Vault::load(&runner, &workspace, &loaded.settings, &environment)?;
        let color = match global.color.as_str() {
            "always" => Some(true),
            "never" => Some(false),
            _ => None,
        };
        let terminal = Terminal::new(color);
        // A process may make several worlds, and has one environment.
        static TOLD: std::sync::Once = std::sync::Once::new();
        TOLD.call_once(|| {
            for variable in &loaded.unread {
                terminal.line(&format!("warning: {variable}"));
            }
        });
        Ok(Self {
            workspace,
            loaded,
            runner,
            vault,
            terminal,
            sets: global.sets.clone(),
        })
    }

    /// The settings as they are now: somebody may have changed a file.
    pub(crate) fn reloaded(&self) -> Result<Loaded, ConfigError> {
        config::load(&self.workspace, &self.loaded.profile, &environment(), &self.sets)
    }

    /// The run a person names, or the newest.
    pub(crate) fn run(&self, name: Option<&str>) -> anyhow::Result<RunDir> {
        let runs = RunDir::all(&self.workspace.runs());
        let found = match name {
            None => runs.into_iter().next_back(),
            Some(name) => runs
                .into_iter()
                .find(|run| RunId::parse(name).as_ref() == Some(&run.id)),
        };
        found.ok_or_else(|| {
            let what = name.map_or_else(
                || "there is no run yet".to_owned(),
                |name| format!("there is no run {name}"),
            );
            Ending::new(Exit::Preconditions, what)
                .hint("cargo xtask status")
                .into()
        })
    }
}

/// The workspace that was named, or the one we stand in.
///
/// # Errors
/// When there is none.
pub(crate) fn workspace(global: &Global) -> anyhow::Result<Workspace> {
    match &global.workspace {
        Some(root) if !root.is_dir() => {
            let what = format!(
                "no such folder: {} (--workspace, XTASK_WORKSPACE)",
                root.display()
            );
            Err(Ending::new(Exit::Preconditions, what).into())
        }
        Some(root) => Ok(Workspace::at(root)),
        None => Workspace::find(),
    }
}

/// Takes the workspace's lock, or says who has it.
pub(crate) fn lock(context: &Context, purpose: &str) -> anyhow::Result<Lock> {
    lock_from(context, purpose, "another command")
}

/// [`lock`], with words for whoever has it.
pub(crate) fn lock_from(context: &Context, purpose: &str, other: &str) -> anyhow::Result<Lock> {
    take(&context.workspace.private(), purpose, other)
}

fn take(private: &Path, purpose: &str, other: &str) -> anyhow::Result<Lock> {
    let lock = Lock::take(private, purpose).map_err(|error| {
        let message = format!("{error:#}; nothing was changed");
        Ending::new(Exit::Preconditions, message).hint(format!(
            "make {} a folder that this account may write to (ls -ld shows what it is)",
            private.display()
        ))
    })?;
    lock.map_err(|held| {
        Ending::new(Exit::Preconditions, format!("{other} is at work: {}", held.0))
            .hint("cargo xtask status")
            .into()
    })
}

/// Standard error, coloured as asked for.
pub(crate) fn terminal(global: &Global) -> Terminal {
    Terminal::new(match global.color.as_str() {
        "always" => Some(true),
        "never" => Some(false),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_folder_that_cannot_be_used_is_a_missing_precondition() {
        let folder = tempfile::tempdir().unwrap();
        infra::files::write_private(&folder.path().join(".xtask"), b"").unwrap();
        let error = take(&folder.path().join(".xtask"), "test", "another command").unwrap_err();
        let ending = error.downcast_ref::<Ending>().unwrap();
        assert_eq!(ending.exit, Exit::Preconditions);
        assert!(ending.message.contains(".xtask"), "{ending}");
    }

    #[test]
    fn a_workspace_that_is_not_there_is_a_missing_precondition() {
        let folder = tempfile::tempdir().unwrap();
        let at = |root: std::path::PathBuf| Global {
            profile: String::new(),
            sets: Vec::new(),
            workspace: Some(root),
            color: "never".to_owned(),
        };
        assert!(workspace(&at(folder.path().to_owned())).is_ok());
        let error = workspace(&at(folder.path().join("absent"))).unwrap_err();
        let ending = error.downcast_ref::<Ending>().unwrap();
        assert_eq!(ending.exit, Exit::Preconditions);
        assert!(ending.message.starts_with("no such folder: "), "{ending}");
    }
}
