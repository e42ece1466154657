//! What a run needs: looked for all at once, fetched where it can be.

use std::path::PathBuf;

use anyhow::Context as _;
use infra::{browser, docker};
use xshell::{Shell, cmd};

use super::{Ci, Wanted};
use crate::cli::{Ending, refuse, rehearse};
use crate::model::{Exit, Finding};
use crate::steps::Progress;

/// What was found and set up.
pub(super) struct Prepared {
    /// PostgreSQL for the tests: `bin` folders.
    pub(super) postgres: Vec<PathBuf>,
    /// Whether a Docker engine takes part.
    pub(super) docker: bool,
    /// Whether the machine's own PostgreSQL speaks TLS.
    pub(super) tls: bool,
    /// Whether a browser takes part.
    pub(super) browser: bool,
    /// What cannot be checked here.
    pub(super) left_out: Vec<String>,
}

impl Ci<'_> {
    /// Looks for everything that is needed, all at once, and fetches what can be fetched.
    pub(super) fn prepare(&self, wanted: Wanted, in_browser: Wanted) -> anyhow::Result<Prepared> {
        std::fs::create_dir_all(&self.logs)
            .with_context(|| format!("failed to make {}", self.logs.display()))?;
        let mut findings = Vec::new();
        let mut left_out = Vec::new();
        let version = self.components(&mut findings)?;
        let engine = match wanted {
            Wanted::Off => Err("--docker off".to_owned()),
            Wanted::Auto | Wanted::Required => {
                docker::engine_version(self.runner).map_err(|error| error.to_string())
            }
        };
        let said = engine.as_ref().map_or_else(
            |_| "without Docker".to_owned(),
            |engine| format!("Docker {engine}"),
        );
        self.terminal.line(&format!("{version}, {said}"));
        let postgres = self.postgres(&mut findings, &mut left_out);
        self.packages(&mut findings);
        let docker = engine.is_ok();
        if let Err(why) = engine {
            if wanted == Wanted::Required {
                let finding = Finding::error("ci.docker", why).wanted("a Docker engine that answers");
                findings.push(finding.hint(start_docker()).hint("cargo xtask ci --docker auto"));
            } else {
                left_out.push(format!(
                    "tests that need Docker: {}",
                    why.lines().next().unwrap_or_default()
                ));
            }
        }
        let browser = self.browser(in_browser, &mut findings, &mut left_out);
        if self.runner.interrupt().is_set() {
            return Err(Ending::new(Exit::Interrupted, "interrupted; nothing was checked").into());
        }
        if !findings.is_empty() {
            return Err(refuse(&findings).into());
        }
        let tls = rehearse::tls_postgres(self.runner);
        if let Err(error) = &tls {
            let why = error.to_string();
            left_out.push(format!(
                "tests that need TLS: {}",
                why.lines().next().unwrap_or_default()
            ));
        }
        Ok(Prepared {
            postgres,
            docker,
            tls: tls.is_ok(),
            browser,
            left_out,
        })
    }

    /// Chromium, and what drives it; fetched into target/browser when it is not there.
    fn browser(&self, wanted: Wanted, findings: &mut Vec<Finding>, left_out: &mut Vec<String>) -> bool {
        let folder = self
            .root
            .join("target")
            .join("browser")
            .join(browser::ENVIRONMENT);
        let found = match wanted {
            Wanted::Off => Err("--browser off".to_owned()),
            Wanted::Auto | Wanted::Required => {
                self.terminal.note("looking for a browser and what drives it");
                browser::ensure(self.runner, &folder).map(|_| ())
            }
        };
        let Err(why) = found else { return true };
        if wanted == Wanted::Required {
            let finding = Finding::error("ci.browser", why).wanted("Chromium and chromedriver");
            findings.push(finding.hint(browser::HINT).hint("cargo xtask ci --browser auto"));
        } else {
            let why = why.lines().next().unwrap_or_default();
            left_out.push(format!("tests in a browser: {why} ({})", browser::HINT));
        }
        false
    }

    /// The parts of the toolchain that are not always there. Answers cargo's version.
    fn components(&self, findings: &mut Vec<Finding>) -> anyhow::Result<String> {
        let shell = Shell::new().context("failed to look at this machine")?;
        let cargo = &self.cargo;
        for (command, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
            let asked = cmd!(shell, "{cargo} {command} --version")
                .quiet()
                .ignore_stdout()
                .ignore_stderr();
            if asked.run().is_err() {
                let found = format!("cargo {command} is not on this machine");
                let finding = Finding::error(format!("ci.{component}"), found);
                findings.push(finding.hint(format!("rustup component add {component}")));
            }
        }
        Ok(cmd!(shell, "{cargo} --version")
            .quiet()
            .read()
            .unwrap_or_default())
    }

    /// The embedded PostgreSQL builds: the versions that this project is about, whatever the machine has. Where they
    /// cannot be had, the machine's own version must do.
    fn postgres(&self, findings: &mut Vec<Finding>, left_out: &mut Vec<String>) -> Vec<PathBuf> {
        self.terminal.note("looking for the embedded PostgreSQL builds");
        let why = match rehearse::embedded_postgres(self.root, self.runner) {
            Ok(folders) => return folders,
            Err(error) => format!("{error:#}"),
        };
        if rehearse::has_postgres() {
            let why = why.lines().next().unwrap_or_default();
            left_out.push(format!("tests on the embedded PostgreSQL 16 and 18: {why}"));
        } else {
            let finding = Finding::error("ci.postgresql", why).wanted("PostgreSQL's programs for the tests");
            findings.push(
                finding
                    .hint("sudo apt-get install postgresql")
                    .hint("sudo apt-get install python3 python3-pip"),
            );
        }
        Vec::new()
    }

    /// An S3 server and a client for the tests of object storage, and a Python with Alembic.
    fn packages(&self, findings: &mut Vec<Finding>) {
        self.terminal
            .note("looking for Alembic and an S3 server for the tests");
        let storage = rehearse::storage_programs(self.root, self.runner).map(drop);
        let alembic = rehearse::sample_environment(self.root, self.runner).map(drop);
        for (id, wanted, got) in [
            (
                "ci.storage",
                "an S3 server and the aws client from PyPI, for the tests",
                storage,
            ),
            ("ci.alembic", "Alembic from PyPI, for the tests", alembic),
        ] {
            if let Err(error) = got {
                let finding = Finding::error(id, format!("{error:#}")).wanted(wanted);
                findings.push(finding.hint("sudo apt-get install python3 python3-venv python3-pip"));
            }
        }
    }
}

/// How one starts Docker here.
fn start_docker() -> &'static str {
    match std::env::consts::OS {
        "linux" => "sudo systemctl start docker",
        "macos" => "open -a Docker",
        _ => "start Docker Desktop",
    }
}
