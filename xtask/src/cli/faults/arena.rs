//! A prepared rehearsal to provoke faults in: its servers, its files, and this program run in it as a person would.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use backend_env::{Document, Reader, Reading};
use infra::command::{Signal, send};
use infra::postgres::Server;
use infra::postgres::cluster::Cluster;
use infra::{Cmd, Interrupt, Runner, Secret, wait};

use super::space::Space;
use super::stand_in::StandIns;
use crate::config::{self, Settings, Workspace};
use crate::engine::{Journal, JournalEvent};
use crate::model::{Exit, RunDir};
use crate::observe::servers;

/// Annotations in the labeler database: few, because a fault's place matters and not its size.
const ROWS: &str = "300";
/// What any command may take before the suite calls it stuck.
const LIMIT: Duration = Duration::from_secs(300);
/// How often a run is looked at for the moment to strike.
const LOOK: Duration = Duration::from_millis(5);

/// The place where faults are provoked. Dropping it stops its servers and removes it.
pub(super) struct Arena {
    pub(super) runner: Runner,
    pub(super) settings: Settings,
    pub(super) workspace: Workspace,
    pub(super) stand_ins: StandIns,
    /// `.env` as it was before any migration.
    pub(super) env: Vec<u8>,
    /// Mounts of its own, while a round needs some.
    pub(super) space: Option<Space>,
    /// The time that this program is told, while a round needs another.
    pub(super) clock: Option<&'static str>,
    program: PathBuf,
    home: PathBuf,
    env_file: PathBuf,
    /// How many commands were run: each writes to a file of its own.
    commands: AtomicUsize,
    keep: bool,
}

/// How a command of this program ended.
pub(super) struct Ran {
    /// Exit code; `None` when a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stderr: String,
    pub(super) took: Duration,
    /// How long it went on after the blow, when one struck.
    pub(super) after_blow: Option<Duration>,
}

impl Ran {
    /// Whether it ended with this code.
    pub(super) fn is(&self, exit: Exit) -> bool {
        self.code == Some(i32::from(exit.code()))
    }

    /// The end of what it said, for a person.
    pub(super) fn said(&self) -> String {
        let lines: Vec<&str> = self.stderr.lines().filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(12)..].join("\n      ")
    }
}

/// What is done to a run, and when. Called again and again with the process; `true` once it has struck.
pub(super) type Blow<'a> = &'a mut dyn FnMut(u32, Duration) -> bool;

impl Arena {
    /// Makes one below `home`. `cache` is where rehearsals keep what they share.
    pub(super) fn make(interrupt: &Interrupt, home: &Path, cache: &Path) -> anyhow::Result<Self> {
        let runner = Runner::new(interrupt.clone());
        let program = std::env::current_exe().context("failed to find this program")?;
        fs::create_dir_all(home).with_context(|| format!("failed to make {}", home.display()))?;
        let prepare = tool(&program, home)
            .args([
                "rehearse",
                "--prepare",
                "--runtime",
                "local",
                "--rows",
                ROWS,
                "--cache",
            ])
            .arg(cache)
            .limit(Duration::from_secs(1200));
        let made = match runner.run(&prepare) {
            Ok(made) => made,
            Err(error) => {
                // What a failed preparation leaves.
                let _ = Runner::new(Interrupt::default())
                    .output(&tool(&program, home).args(["rehearse", "--stop"]));
                return Err(error.into());
            }
        };
        let workspace = Workspace::at(made.stdout_text().trim());
        let local = workspace.private().join("local.toml");
        let text = fs::read_to_string(&local).context("failed to read the rehearsal's settings")?;
        let mut document: toml_edit::DocumentMut = text
            .parse()
            .context("failed to understand the rehearsal's settings")?;
        let real = document["target"]["bin"].as_str().unwrap_or_default().to_owned();
        let stand_ins = StandIns::make(home, Path::new(&real)).context("failed to make the stand-ins")?;
        let bin = stand_ins.bin.to_string_lossy().into_owned();
        document["target"]["bin"] = toml_edit::value(&bin);
        let loaded = config::load(&workspace, crate::DEFAULT_PROFILE, &[], &[])?;
        for name in loaded.settings.databases.keys() {
            document["databases"][name]["source"]["bin"] = toml_edit::value(&bin);
        }
        infra::files::write_private(&local, document.to_string().as_bytes())
            .context("failed to write the rehearsal's settings")?;
        let settings = config::load(&workspace, crate::DEFAULT_PROFILE, &[], &[])?.settings;
        let labeler = settings
            .labeler
            .repository
            .first()
            .context("the rehearsal has no labeler")?;
        let env_file = labeler.join("backend").join(".env");
        let arena = Self {
            env: fs::read(&env_file).context("failed to read the rehearsal's .env")?,
            runner,
            settings,
            workspace,
            stand_ins,
            space: None,
            clock: None,
            program,
            home: home.to_owned(),
            env_file,
            commands: AtomicUsize::new(0),
            keep: false,
        };
        arena.hasten()?;
        Ok(arena)
    }

    /// A killed program loses nothing that the kernel has: without fsync the same faults take a third of the time.
    fn hasten(&self) -> anyhow::Result<()> {
        for cluster in self.clusters() {
            let path = cluster.data.join("postgresql.conf");
            let mut file = infra::files::append_private(&path).context("failed to open postgresql.conf")?;
            std::io::Write::write_all(&mut file, b"fsync = off\n")
                .context("failed to write postgresql.conf")?;
            if cluster.is_running(&self.runner)? {
                let reload = Cmd::new(cluster.bin.join("pg_ctl"), "reload the server's settings")
                    .arg("-D")
                    .arg(&cluster.data)
                    .arg("reload")
                    .account(cluster.account);
                self.runner.run(&reload.cwd(self.home.as_path()))?;
            }
        }
        Ok(())
    }

    /// Names of the databases that are moved.
    pub(super) fn databases(&self) -> impl Iterator<Item = &String> {
        self.settings.databases.keys()
    }

    /// The cluster of an old instance.
    pub(super) fn source_cluster(&self, database: &str) -> Cluster {
        servers::source_cluster(&self.settings.databases[database].source)
    }

    /// The cluster of the new instance.
    pub(super) fn target_cluster(&self) -> Cluster {
        servers::target_cluster(&self.settings.target)
    }

    fn clusters(&self) -> Vec<Cluster> {
        let sources = self.databases().map(|name| self.source_cluster(name));
        sources.chain([self.target_cluster()]).collect()
    }

    /// The new instance.
    pub(super) fn target(&self) -> Server {
        let target = &self.settings.target;
        let password = target.password.clone();
        servers::over_tcp(
            "the target".into(),
            "127.0.0.1",
            target.port,
            &target.user,
            password,
            target,
        )
    }

    /// An old instance where `.env` named it before the migration.
    pub(super) fn source(&self, database: &str) -> anyhow::Result<Server> {
        let keys = &self.settings.databases[database].env;
        let document = Document::parse(self.env.as_slice());
        let read = |key: &str| match document.read(key, Reader::PythonDotenv) {
            Reading::Value(value) => Ok(String::from_utf8_lossy(&value).into_owned()),
            _ => bail!("{key} is not in the rehearsal's .env"),
        };
        let port = read(&keys.port)?.parse().context("a port is no number")?;
        let (user, password) = (read(&keys.user)?, Secret::new(read(&keys.password)?));
        let label = format!("source {database}");
        let target = &self.settings.target;
        Ok(servers::over_tcp(
            label,
            "127.0.0.1",
            port,
            &user,
            Some(password),
            target,
        ))
    }

    /// `.env` as it is now.
    pub(super) fn env_now(&self) -> anyhow::Result<Vec<u8>> {
        fs::read(&self.env_file).context("failed to read .env")
    }

    /// The mounts of this round.
    pub(super) fn space(&self) -> anyhow::Result<&Space> {
        self.space.as_ref().context("this round has no mounts of its own")
    }

    /// Where `.env` lies.
    pub(super) fn env_file(&self) -> &Path {
        &self.env_file
    }

    /// The arena's folder.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// Runs, the oldest first.
    pub(super) fn runs(&self) -> Vec<RunDir> {
        let runs = self.workspace.runs();
        RunDir::all(
            &self
                .space
                .as_ref()
                .map_or(runs.clone(), |space| space.seen(&runs)),
        )
    }

    /// The newest run.
    pub(super) fn run(&self) -> Option<RunDir> {
        self.runs().pop()
    }

    /// Lines of a run's journal.
    pub(super) fn lines(&self, run: &RunDir) -> usize {
        Journal::read(&run.journal()).map_or(0, |entries| entries.len())
    }

    /// What a run's journal says.
    pub(super) fn events(&self, run: &RunDir) -> anyhow::Result<Vec<JournalEvent>> {
        Ok(Journal::read(&run.journal())?
            .into_iter()
            .map(|entry| entry.event)
            .collect())
    }

    /// This program, in the arena.
    pub(super) fn cmd(&self, args: &[&str]) -> Cmd {
        let mut cmd = tool(&self.program, self.workspace.root()).args(args);
        if let Some(clock) = self.clock {
            cmd = cmd.env(crate::model::time::CLOCK, clock);
        }
        match &self.space {
            Some(space) => space.enter(&cmd),
            None => cmd,
        }
    }

    /// Runs a command of this program to its end.
    pub(super) fn xtask(&self, args: &[&str]) -> anyhow::Result<Ran> {
        self.meet(self.cmd(args), &mut |_, _| true).map(|ran| Ran {
            after_blow: None,
            ..ran
        })
    }

    /// Runs a command that meets a fault.
    pub(super) fn meet(&self, cmd: Cmd, blow: Blow<'_>) -> anyhow::Result<Ran> {
        // Commands may run beside each other.
        let said = self.home.join(format!(
            "said-{}.txt",
            self.commands.fetch_add(1, Ordering::SeqCst)
        ));
        let started = Instant::now();
        let child = self.runner.spawn(&cmd, Some(&said))?;
        let pid = child.pid().context("the program has no process id")?;
        let mut struck = None;
        let ended = wait::watch(self.runner.interrupt(), LIMIT, LOOK, || {
            if struck.is_none() && blow(pid, started.elapsed()) {
                struck = Some(Instant::now());
            }
            child.ended()
        });
        let ended_at = Instant::now();
        let code = match ended {
            Ok(code) => code,
            Err(wait::Stopped::Interrupted) => bail!("interrupted"),
            Err(wait::Stopped::TimedOut) => {
                send(pid, Signal::Kill);
                bail!("`{cmd}` did not end within {} s", LIMIT.as_secs());
            }
        };
        Ok(Ran {
            code,
            stderr: read_and_remove(&said),
            took: ended_at - started,
            after_blow: struck.map(|at| ended_at - at),
        })
    }

    /// Kills the server on this data directory with SIGKILL; `false` when none runs.
    pub(super) fn kill_server(cluster: &Cluster) -> bool {
        let text = fs::read_to_string(cluster.data.join("postmaster.pid")).unwrap_or_default();
        let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
        pid.is_some_and(|pid| send(pid, Signal::Kill))
    }

    /// Leaves everything where it is when this goes: somebody wants to look.
    pub(super) fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = self.stand_ins.disarm();
        self.space = None;
        // A runner of its own: the interrupt that ended the suite must not end the tidying as well.
        let runner = Runner::new(Interrupt::default());
        if self.keep {
            for cluster in self.clusters() {
                let _ = runner.output(&cluster.stop());
            }
            return;
        }
        let stopped = runner.output(&tool(&self.program, &self.home).args(["rehearse", "--stop"]));
        if stopped.is_ok_and(|output| output.success()) {
            let _ = fs::remove_dir_all(&self.home);
        }
    }
}

fn read_and_remove(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let _ = fs::remove_file(path);
    String::from_utf8_lossy(&text).into_owned()
}

/// This program in a workspace, without what our own environment would say to it.
fn tool(program: &Path, workspace: &Path) -> Cmd {
    let cmd = Cmd::new(program, "run cargo xtask")
        .arg("--workspace")
        .arg(workspace);
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("XTASK_") && name != "XTASK_PG_BIN" || name == "CARGO_MANIFEST_DIR")
        .fold(cmd, Cmd::env_remove)
}
