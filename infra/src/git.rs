//! The two git commands the guide needs.

use std::path::{Path, PathBuf};

use crate::command::{Cmd, CommandError, Runner};

/// `git pull --ff-only origin BRANCH` in a checkout: never a merge, never a rebase of somebody's work.
pub fn pull(checkout: &Path, branch: &str) -> Cmd {
    Cmd::new("git", "pull the platform's infrastructure")
        .args(["pull", "--ff-only", "origin", branch])
        .cwd(checkout)
        .env("GIT_TERMINAL_PROMPT", "0")
}

/// The commit a checkout stands at.
///
/// # Errors
/// When git is missing or the folder is not a checkout.
pub fn head(runner: &Runner, checkout: &Path) -> Result<String, CommandError> {
    let cmd = Cmd::new("git", "read the checkout's commit")
        .args(["rev-parse", "HEAD"])
        .cwd(checkout);
    Ok(runner.run(&cmd)?.stdout_text().trim().to_owned())
}

/// The `.env` files of any folder that git tracks, relative to `checkout`. Empty when `checkout` is no git checkout.
///
/// # Errors
/// Any [`CommandError`]: without an answer nobody may say that nothing is tracked.
pub fn tracked_env_files(runner: &Runner, checkout: &Path) -> Result<Vec<PathBuf>, CommandError> {
    if !checkout.ancestors().any(|dir| dir.join(".git").exists()) {
        return Ok(Vec::new());
    }
    let cmd = Cmd::new("git", "list the .env files that git tracks")
        .args([
            "ls-files",
            "-z",
            "--",
            ":(glob)**/.env",
            ":(glob)**/.env.*",
            ":(glob)**/*.env",
        ])
        .cwd(checkout);
    let text = runner.run(&cmd)?.stdout_text();
    Ok(text
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .collect())
}
