//! The programs that a development machine needs, and how each system installs them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::{Cmd, Runner, find_program};

/// A program that people install themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// Fetches the checkouts.
    Git,
    /// Runs the labeler's backend.
    Python,
    /// Runs the containers.
    Docker,
    /// Starts them from a Compose file.
    Compose,
    /// PostgreSQL's client programs, where the target is not a container.
    Psql,
    /// Reaches object storage.
    Aws,
    /// Asks the application over TLS.
    Curl,
}

/// What installs programs on a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manager {
    /// Debian, Ubuntu.
    Apt,
    /// macOS.
    Brew,
    /// Windows.
    Winget,
}

impl Manager {
    /// The one of this machine; `None` where none of the three is there.
    pub fn detect() -> Option<Self> {
        [
            (Self::Apt, "apt-get"),
            (Self::Brew, "brew"),
            (Self::Winget, "winget"),
        ]
        .into_iter()
        .find(|(_, program)| find_program(program).is_some())
        .map(|(manager, _)| manager)
    }
}

impl Program {
    /// Those that every development machine needs.
    pub const ALL: [Self; 5] = [Self::Git, Self::Python, Self::Docker, Self::Compose, Self::Psql];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Python => "python",
            Self::Docker => "docker",
            Self::Compose => "compose",
            Self::Psql => "psql",
            Self::Aws => "aws",
            Self::Curl => "curl",
        }
    }

    /// The command that installs it.
    pub fn install(self, manager: Manager) -> &'static str {
        match (self, manager) {
            (Self::Git, Manager::Apt) => "sudo apt-get install git",
            (Self::Git, Manager::Brew) => "brew install git",
            (Self::Git, Manager::Winget) => "winget install --id Git.Git",
            (Self::Python, Manager::Apt) => "sudo apt-get install python3 python3-venv",
            (Self::Python, Manager::Brew) => "brew install python@3.12",
            (Self::Python, Manager::Winget) => "winget install --id Python.Python.3.12",
            (Self::Docker, Manager::Apt) => "sudo apt-get install docker.io",
            (Self::Docker | Self::Compose, Manager::Brew) => "brew install --cask docker",
            (Self::Docker | Self::Compose, Manager::Winget) => "winget install --id Docker.DockerDesktop",
            (Self::Compose, Manager::Apt) => "sudo apt-get install docker-compose",
            (Self::Psql, Manager::Apt) => "sudo apt-get install postgresql-client",
            (Self::Psql, Manager::Brew) => "brew install libpq",
            (Self::Psql, Manager::Winget) => "winget install --id PostgreSQL.PostgreSQL.16",
            (Self::Aws, Manager::Apt) => "python3 -m pip install --user awscli",
            (Self::Aws, Manager::Brew) => "brew install awscli",
            (Self::Aws, Manager::Winget) => "winget install --id Amazon.AWSCLI",
            (Self::Curl, Manager::Apt) => "sudo apt-get install curl",
            (Self::Curl, Manager::Brew) => "brew install curl",
            (Self::Curl, Manager::Winget) => "winget install --id cURL.cURL",
        }
    }

    /// Where people read how to install it, when this machine has no manager that we know.
    pub fn page(self) -> &'static str {
        match self {
            Self::Git => "https://git-scm.com/downloads",
            Self::Python => "https://www.python.org/downloads",
            Self::Docker => "https://docs.docker.com/get-docker",
            Self::Compose => "https://docs.docker.com/compose/install",
            Self::Psql => "https://www.postgresql.org/download",
            Self::Aws => "https://aws.amazon.com/cli",
            Self::Curl => "https://curl.se/download.html",
        }
    }

    /// The command that installs it on this machine, or the page that tells how.
    pub fn hint(self, manager: Option<Manager>) -> &'static str {
        manager.map_or_else(|| self.page(), |manager| self.install(manager))
    }
}

/// What `PROGRAM --version` says; `None` when the program is not there.
pub fn version(runner: &Runner, program: &str) -> Option<String> {
    let path = find_program(program)?;
    let cmd = Cmd::new(path, format!("ask {program} for its version"))
        .arg("--version")
        .limit(Duration::from_secs(30));
    let output = runner.output(&cmd).ok().filter(|output| output.success())?;
    output
        .stdout_text()
        .lines()
        .next()
        .map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_a_command_for_every_system() {
        for program in Program::ALL.into_iter().chain([Program::Aws, Program::Curl]) {
            for (manager, word) in [
                (Manager::Apt, "apt-get install"),
                (Manager::Brew, "brew install"),
                (Manager::Winget, "winget install"),
            ] {
                // Debian 12 has an aws client that is too old.
                let word = if (program, manager) == (Program::Aws, Manager::Apt) {
                    "pip install"
                } else {
                    word
                };
                assert!(program.install(manager).contains(word), "{program:?} {manager:?}");
            }
            assert!(program.hint(None).starts_with("https://"));
        }
    }
}
