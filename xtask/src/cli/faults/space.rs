//! Mounts of a round's own: a small disk, a read-only folder. They live in a mount namespace that a helper holds, and
//! go with it, however the suite ends. Needs Linux and root.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use infra::command::Child;
use infra::{Cmd, Runner};

/// The file that fills a disk.
const BALLAST: &str = "ballast";

/// A mount namespace.
#[derive(Debug)]
pub(super) struct Space {
    /// Holds the namespace open until its standard input closes.
    holder: Option<Child>,
    pid: u32,
    runner: Runner,
}

impl Space {
    /// Whether this machine lets us have one; else why not.
    pub(super) fn possible(runner: &Runner) -> Result<(), String> {
        if !cfg!(target_os = "linux") || !infra::command::is_root() {
            return Err("small disks and read-only folders need root on Linux".to_owned());
        }
        let cmd = Cmd::new("unshare", "make a mount namespace").args(["--mount", "true"]);
        runner.run(&cmd).map(drop).map_err(|error| error.to_string())
    }

    /// A new one, equal to ours so far.
    pub(super) fn open(runner: &Runner) -> anyhow::Result<Self> {
        let cmd = Cmd::new("unshare", "make a mount namespace").args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            "echo here; read -r _",
        ]);
        let mut holder = runner.spawn(&cmd, None)?;
        let line = holder.read_line().context("failed to make a mount namespace")?;
        ensure!(
            line.as_deref() == Some("here"),
            "failed to make a mount namespace"
        );
        let pid = holder.pid().context("the namespace has no process")?;
        Ok(Self {
            holder: Some(holder),
            pid,
            runner: runner.clone(),
        })
    }

    /// The same command, inside.
    pub(super) fn enter(&self, cmd: &Cmd) -> Cmd {
        cmd.through("nsenter", ["--target", &self.pid.to_string(), "--mount", "--"])
    }

    /// How a path inside is seen from outside.
    pub(super) fn seen(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid));
        path.strip_prefix("/")
            .map_or_else(|_| path.to_owned(), |path| root.join(path))
    }

    /// An empty disk of this many bytes over a folder that exists.
    pub(super) fn small_disk(&self, at: &Path, bytes: u64) -> anyhow::Result<()> {
        self.mount(&["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"], at)
    }

    /// A small disk with what the folder holds, and this many bytes to spare.
    pub(super) fn small_copy(&self, at: &Path, spare: u64) -> anyhow::Result<()> {
        let used = infra::files::dir_size(at).context("failed to measure a folder")?;
        let held = at.with_extension("held");
        std::fs::create_dir_all(&held).context("failed to make a mount point")?;
        self.run(
            Cmd::new("mount", "keep the folder at hand")
                .arg("--bind")
                .arg(at)
                .arg(&held),
        )?;
        // Blocks are counted, not bytes.
        self.small_disk(at, used + used / 8 + spare)?;
        let from = held.join(".");
        self.run(
            Cmd::new("cp", "copy onto the small disk")
                .arg("-a")
                .arg(from)
                .arg(at),
        )
    }

    /// Fills a small disk until this many bytes are left.
    pub(super) fn fill(&self, at: &Path, left: usize) -> anyhow::Result<()> {
        let ballast = at.join(BALLAST);
        // It ends with an error when the disk is full: that is its purpose.
        let fill = Cmd::new("dd", "fill a disk").args(["if=/dev/zero", "bs=4096"]);
        let fill = fill.arg(format!("of={}", ballast.display()));
        self.runner.output(&self.enter(&fill))?;
        let cut = Cmd::new("truncate", "leave some room").args(["-s", &format!("-{left}")]);
        self.run(cut.arg(ballast))
    }

    /// Somebody makes room again.
    pub(super) fn make_room(&self, at: &Path) -> anyhow::Result<()> {
        self.run(Cmd::new("rm", "make room").arg("-f").arg(at.join(BALLAST)))
    }

    /// Nothing below a folder can be written.
    pub(super) fn read_only(&self, at: &Path) -> anyhow::Result<()> {
        let text = at.to_string_lossy();
        self.mount(&["--bind", &text], at)?;
        self.mount(&["-o", "remount,bind,ro"], at)
    }

    /// It can be written again.
    pub(super) fn writable(&self, at: &Path) -> anyhow::Result<()> {
        self.mount(&["-o", "remount,bind,rw"], at)
    }

    fn mount(&self, args: &[&str], at: &Path) -> anyhow::Result<()> {
        self.run(
            Cmd::new("mount", format!("mount {}", at.display()))
                .args(args)
                .arg(at),
        )
    }

    fn run(&self, cmd: Cmd) -> anyhow::Result<()> {
        self.runner.run(&self.enter(&cmd))?;
        Ok(())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        if let Some(holder) = self.holder.take() {
            holder.finish(Duration::from_secs(5));
        }
    }
}
