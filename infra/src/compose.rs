//! Docker Compose: the plugin (`docker compose`) and the old program (`docker-compose` 1.29), which users both have.

pub mod model;
mod read;
pub mod yaml;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::{Cmd, Runner, find_program};
use crate::docker;

pub use model::{Config, Place, Service};
pub use read::Refused;

/// Names that Compose looks for by itself, the first one first.
pub const NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// Names of the file that Compose lays over one of those by itself, the first one first.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// The file that Compose lays over this one by itself: one beside it, when it found this one by itself too. A folder or a link that
/// leads nowhere counts: Compose stops at it.
pub fn override_of(path: &Path) -> Option<PathBuf> {
    let found = path
        .file_name()
        .is_some_and(|name| NAMES.iter().any(|known| name == *known));
    OVERRIDES
        .iter()
        .map(|name| path.with_file_name(name))
        .find(|over| found && over.symlink_metadata().is_ok())
}

/// Which of the two commands this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// `docker compose`.
    #[serde(rename = "docker compose")]
    Plugin,
    /// `docker-compose`.
    #[serde(rename = "docker-compose")]
    Standalone,
}

impl Program {
    /// How people type it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plugin => "docker compose",
            Self::Standalone => "docker-compose",
        }
    }

    fn cmd(self, what: impl Into<String>) -> Cmd {
        match self {
            Self::Plugin => Cmd::new(docker::PROGRAM, what).arg("compose"),
            Self::Standalone => Cmd::new("docker-compose", what),
        }
    }

    /// The version this program reports; `None` when it is not there.
    pub fn version(self, runner: &Runner) -> Option<String> {
        let cmd = self
            .cmd("ask Compose for its version")
            .args(["version", "--short"]);
        let output = runner.output(&cmd.limit(Duration::from_secs(20))).ok()?;
        output.success().then(|| output.stdout_text().trim().to_owned())
    }
}

/// Finds Compose: the one that is wanted, else the plugin first, because Docker maintains it.
pub fn detect(runner: &Runner, wanted: Option<Program>) -> Option<(Program, String)> {
    let candidates = wanted.map_or(vec![Program::Plugin, Program::Standalone], |program| {
        vec![program]
    });
    candidates
        .into_iter()
        .find_map(|program| program.version(runner).map(|version| (program, version)))
}

/// As [`detect`], without asking `docker-compose` for its version: it takes half a second for the answer.
pub fn find(runner: &Runner, wanted: Option<Program>) -> Option<Program> {
    let plugin = || Program::Plugin.version(runner).map(|_| Program::Plugin);
    let standalone = || find_program("docker-compose").map(|_| Program::Standalone);
    match wanted {
        Some(Program::Plugin) => plugin(),
        Some(Program::Standalone) => standalone(),
        None => plugin().or_else(standalone),
    }
}

/// A Compose file with the program that reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// The command.
    pub program: Program,
    /// The file.
    pub file: PathBuf,
    /// The file that is laid over it ([`override_of`]); Compose looks for none by itself when it is told a file.
    pub laid_over: Option<PathBuf>,
    /// Project name, when it must not follow from the folder's name.
    pub name: Option<String>,
    /// Variables for the file, shown when a command is printed: no secrets.
    pub env: Vec<(String, String)>,
}

impl Project {
    /// A Compose command in the file's folder, where its `.env` lies.
    pub fn cmd<'a>(&self, what: impl Into<String>, args: impl IntoIterator<Item = &'a str>) -> Cmd {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let mut cmd = self.program.cmd(what).cwd(folder).arg("-f").arg(&self.file);
        if let Some(over) = &self.laid_over {
            cmd = cmd.arg("-f").arg(over);
        }
        if let Some(name) = &self.name {
            cmd = cmd.args(["-p", name]);
        }
        for (name, value) in &self.env {
            cmd = cmd.env(name, value);
        }
        cmd.args(args)
    }

    /// `up -d` for everything in the file.
    pub fn up(&self) -> Cmd {
        self.cmd(
            format!("start the services of {}", self.file.display()),
            ["up", "-d"],
        )
    }

    /// `up -d` for these services alone, without those that they depend on.
    pub fn up_only<'a>(&self, services: impl IntoIterator<Item = &'a str>) -> Cmd {
        let services: Vec<&str> = services.into_iter().collect();
        let what = format!("start {} of {}", services.join(", "), self.file.display());
        self.cmd(what, ["up", "-d", "--no-deps"].into_iter().chain(services))
    }
}

/// Our own Compose file with what it mounts, for machines without the platform's repository: name and text.
pub const UNIFIED: &[(&str, &str)] = &[("unified.yaml", include_str!("../compose/unified.yaml"))];
