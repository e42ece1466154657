//! A local cluster (data directory) controlled with pg_ctl.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::{Account, Cmd, CommandError, Runner, shell_word};
use crate::secret::Secret;

/// A data directory, the programs that serve it, and the account they run as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Folder with initdb, pg_ctl and postgres.
    pub bin: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// The account to run as, when we are root.
    pub account: Option<Account>,
}

impl Cluster {
    /// `initdb`: UTF-8, C locale (the embedded builds carry no other), page checksums, passwords everywhere.
    /// The superuser's password is read from `password_file`, which the caller deletes.
    pub fn initdb(&self, superuser: &str, password_file: &Path) -> Cmd {
        self.program("initdb", "create a cluster")
            .arg("-D")
            .arg(&self.data)
            .args([
                "-U",
                superuser,
                "--encoding=UTF8",
                "--locale=C",
                "--data-checksums",
                "--no-sync",
            ])
            .args(["--auth=scram-sha-256"])
            .arg("--pwfile")
            .arg(password_file)
    }

    /// Starts the server with these `-c` settings over those of the data directory, and waits until it accepts
    /// connections.
    pub fn start(&self, settings: &[(&str, &str)], log: &Path) -> Cmd {
        // pg_ctl hands this one string to a shell (sh, or cmd.exe on Windows).
        let word = |text: String| {
            if cfg!(windows) {
                format!("\"{text}\"")
            } else {
                shell_word(&text)
            }
        };
        let options: Vec<String> = settings
            .iter()
            .map(|(name, value)| format!("-c {}", word(format!("{name}={value}"))))
            .collect();
        self.program("pg_ctl", "start the server")
            .arg("-D")
            .arg(&self.data)
            .args(["-w", "-t", "60", "-l"])
            .arg(log)
            .args(["-o", &options.join(" "), "start"])
            .limit(Duration::from_secs(90))
    }

    /// Stops the server: sessions are ended, data is flushed.
    pub fn stop(&self) -> Cmd {
        self.program("pg_ctl", "stop the server")
            .arg("-D")
            .arg(&self.data)
            .args(["-w", "-t", "120", "-m", "fast", "stop"])
            .limit(Duration::from_secs(150))
    }

    /// Stops the server when one runs. One that ends by itself meanwhile is no fault.
    ///
    /// # Errors
    /// When it goes on running, or pg_ctl cannot tell.
    pub fn end(&self, runner: &Runner) -> Result<(), CommandError> {
        if !self.is_running(runner)? {
            return Ok(());
        }
        match runner.run(&self.stop()) {
            Err(error) if error.is_interrupt() || self.is_running(runner)? => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether a server runs on this data directory (`pg_ctl status`: 0 yes, 3 no).
    ///
    /// # Errors
    /// When pg_ctl cannot tell (4: no data directory).
    pub fn is_running(&self, runner: &Runner) -> Result<bool, CommandError> {
        let cmd = self
            .program("pg_ctl", "ask whether the server runs")
            .arg("-D")
            .arg(&self.data)
            .arg("status");
        let output = runner.output(&cmd)?;
        match output.code {
            Some(0) => Ok(true),
            Some(3) => Ok(false),
            code => Err(CommandError::Failed {
                what: cmd.what().to_owned(),
                line: cmd.to_string(),
                code,
                tail: format!("{}{}", output.stdout_text(), output.stderr),
            }),
        }
    }

    /// The server's log. It lies beside the data directory, where the cluster's account may write.
    pub fn log(&self) -> PathBuf {
        let name = self
            .data
            .file_name()
            .map_or_else(|| "server".into(), |name| name.to_string_lossy());
        let folder = self.data.parent().unwrap_or(Path::new("."));
        folder.join(format!("{name}.log"))
    }

    /// Whether the last server on this data directory was ended without shutting down (`pg_controldata`). Only when
    /// none runs.
    ///
    /// # Errors
    /// When pg_controldata cannot tell.
    pub fn was_killed(&self, runner: &Runner) -> Result<bool, CommandError> {
        let cmd = self
            .program("pg_controldata", "ask how the server ended")
            .arg("-D")
            .arg(&self.data);
        let text = runner.run(&cmd)?.stdout_text();
        let state = text
            .lines()
            .find_map(|line| line.strip_prefix("Database cluster state:"));
        Ok(state.is_none_or(|state| state.trim() != "shut down"))
    }

    /// The settings a running server was started with (`postmaster.opts`), as PostgreSQL wrote them.
    pub fn start_options(&self) -> Option<String> {
        std::fs::read_to_string(self.data.join("postmaster.opts")).ok()
    }

    /// The port that its own files name, which the next start uses; `None` when they name none.
    pub fn configured_port(&self) -> Option<u16> {
        // What ALTER SYSTEM wrote comes last and wins.
        let files = ["postgresql.conf", "postgresql.auto.conf"];
        let texts = files.map(|name| std::fs::read_to_string(self.data.join(name)).unwrap_or_default());
        texts
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(port_line)
            .next_back()
    }

    /// The first process of a running server, from `postmaster.pid` (first line).
    pub fn running_pid(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// The port a running server listens on, from `postmaster.pid` (fourth line).
    pub fn running_port(&self) -> Option<u16> {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        text.lines().nth(3)?.trim().parse().ok()
    }

    fn program(&self, name: &str, what: &str) -> Cmd {
        let data = self
            .data
            .file_name()
            .map_or_else(String::new, |n| format!(" {}", n.to_string_lossy()));
        Cmd::new(self.bin.join(name), format!("{what}{data}"))
            .account(self.account)
            // PostgreSQL changes into its data directory; a folder that its account may not enter stops it before.
            .cwd(self.data.ancestors().nth(1).unwrap_or(Path::new("/")))
            .env_remove("PGDATA")
            .env_remove("PGPORT")
            .env("LC_ALL", "C")
    }
}

/// Writes a password for `initdb --pwfile`, readable by `account` only.
///
/// # Errors
/// Any I/O error.
pub fn write_password_file(path: &Path, password: &Secret, account: Option<Account>) -> std::io::Result<()> {
    crate::files::write_private(path, format!("{}\n", password.expose()).as_bytes())?;
    give(path, account)
}

/// Gives a file or folder to an account (as root on Unix; elsewhere nothing to do).
///
/// # Errors
/// Any I/O error.
pub fn give(path: &Path, account: Option<Account>) -> std::io::Result<()> {
    #[cfg(unix)]
    if let Some(account) = account {
        std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid))?;
    }
    #[cfg(not(unix))]
    let _ = (path, account);
    Ok(())
}

/// The port of a line `port = 5432`.
fn port_line(line: &str) -> Option<u16> {
    let rest = line.trim().strip_prefix("port")?.trim_start();
    let value = rest.strip_prefix('=').unwrap_or(rest);
    let value = value.split('#').next().unwrap_or_default();
    value.trim().trim_matches('\'').parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_port_is_read_as_the_server_reads_it() {
        let lines = [
            "port = 5433",
            " port=5433 # ours",
            "port '5433'",
            "#port = 1",
            "portal = 2",
        ];
        let read: Vec<Option<u16>> = lines.iter().map(|line| super::port_line(line)).collect();
        assert_eq!(read, [Some(5433), Some(5433), Some(5433), None, None]);
    }
}
