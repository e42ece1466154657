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

/// Where a checkout was cloned from, without a login in the address; `None` when git does not say.
pub fn origin(runner: &Runner, checkout: &Path) -> Option<String> {
    let cmd = Cmd::new("git", "read where the checkout came from")
        .args(["remote", "get-url", "origin"])
        .cwd(checkout);
    let output = runner.output(&cmd).ok().filter(|output| output.success())?;
    Some(without_login(output.stdout_text().trim())).filter(|url| !url.is_empty())
}

/// `https://user:token@host/x` as `https://host/x`; anything else as it is.
fn without_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    match host.rsplit_once('@') {
        // `ssh://git@host`: the name is part of the address, not a secret.
        Some((login, host)) if scheme != "ssh" || login.contains(':') => format!("{scheme}://{host}/{path}"),
        _ => url.to_owned(),
    }
}

/// The address of a repository that lies beside another: its last part replaced.
pub fn sibling(url: &str, name: &str) -> Option<String> {
    let (front, last) = url.trim_end_matches('/').rsplit_once(['/', ':'])?;
    let separator = &url[front.len()..=front.len()];
    let end = if last.ends_with(".git") { ".git" } else { "" };
    Some(format!("{front}{separator}{name}{end}"))
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

/// Which of these files git tracks, relative to `checkout`. Empty when `checkout` is no git checkout.
///
/// # Errors
/// Any [`CommandError`]: without an answer nobody may say that nothing is tracked.
pub fn tracked(runner: &Runner, checkout: &Path, files: &[PathBuf]) -> Result<Vec<PathBuf>, CommandError> {
    if files.is_empty() || !checkout.ancestors().any(|dir| dir.join(".git").exists()) {
        return Ok(Vec::new());
    }
    let cmd = Cmd::new("git", "ask git which .env files it tracks")
        .args(["--literal-pathspecs", "ls-files", "-z", "--"])
        .args(files)
        .cwd(checkout);
    let text = runner.run(&cmd)?.stdout_text();
    Ok(text
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_beside_this_one_is_found_and_no_login_shows() {
        for (origin, wanted) in [
            (
                "https://host.example/team/tool.git",
                "https://host.example/team/labeler.git",
            ),
            (
                "https://me:token@host.example/team/tool",
                "https://host.example/team/labeler",
            ),
            (
                "git@host.example:team/tool.git",
                "git@host.example:team/labeler.git",
            ),
            ("git@host.example:tool.git", "git@host.example:labeler.git"),
            (
                "ssh://git@host.example/tool.git",
                "ssh://git@host.example/labeler.git",
            ),
            ("/srv/git/tool", "/srv/git/labeler"),
        ] {
            assert_eq!(
                sibling(&without_login(origin), "labeler").as_deref(),
                Some(wanted)
            );
        }
    }
}
