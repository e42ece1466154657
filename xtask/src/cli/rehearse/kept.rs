//! What a rehearsal made, written down before it is made, so that it can be removed whatever happens.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use infra::Runner;
use infra::compose::Project;
use infra::docker;
use infra::postgres::cluster::Cluster;
use infra::process;
use serde::{Deserialize, Serialize};

use crate::engine::{Held, Lock};
use crate::model::run_dir::read_json;

/// A rehearsal's belongings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Its short name.
    pub(super) name: String,
    /// Its folder.
    base: PathBuf,
    /// Whether it uses containers.
    docker: bool,
    /// Clusters it started.
    pub(super) clusters: Vec<Cluster>,
    /// Compose projects it started.
    pub(super) projects: Vec<Project>,
    /// Port of the Redis server it started.
    pub(super) redis: Option<u16>,
    /// The S3 server it started.
    #[serde(default)]
    pub(super) storage: Option<StorageServer>,
    /// How to connect, for people.
    pub(super) connect: Vec<String>,
}

/// An S3 server that may outlive its rehearsal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StorageServer {
    /// Its process.
    pub(super) pid: u32,
    /// Its port.
    pub(super) port: u16,
}

impl Kept {
    pub(super) fn new(name: &str, base: &Path, docker: bool) -> Self {
        Self {
            name: name.to_owned(),
            base: base.to_owned(),
            docker,
            clusters: Vec::new(),
            projects: Vec::new(),
            redis: None,
            storage: None,
            connect: Vec::new(),
        }
    }

    /// Every rehearsal that was not removed.
    pub(super) fn all(home: &Path) -> anyhow::Result<Vec<Self>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(home)
            .with_context(|| format!("failed to read {}", home.display()))?
            .flatten()
        {
            if entry.file_name().to_string_lossy().ends_with(".kept.json")
                && let Some(kept) = read_json(&entry.path())?
            {
                all.push(kept);
            }
        }
        Ok(all)
    }

    pub(super) fn write(&self, home: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self).context("failed to write the rehearsal's belongings")?;
        infra::files::write_private(&self.path(home), &text)
            .context("failed to write the rehearsal's belongings")
    }

    /// Stops servers and removes containers with their volumes; folders stay.
    pub(super) fn stop(&self, runner: &Runner) -> anyhow::Result<()> {
        for cluster in &self.clusters {
            if cluster.data.is_dir() && cluster.is_running(runner)? {
                runner.run(&cluster.stop())?;
            }
        }
        self.remove_sockets();
        if let Some(port) = self.redis {
            shutdown_redis(port);
        }
        if let Some(storage) = &self.storage {
            storage.stop(runner)?;
        }
        if self.docker {
            // Readers and clients of runs: they hold the volumes.
            for container in docker::containers(runner)? {
                let mounts = container
                    .mounts
                    .iter()
                    .any(|m| m.volume.as_ref().is_some_and(|v| self.owns(v)));
                if container.labels.contains_key(docker::RUN_LABEL) && mounts {
                    runner.run(&docker::remove(&container.name))?;
                }
            }
            for project in &self.projects {
                if project.file.is_file() {
                    let what = format!("remove the services of {}", project.file.display());
                    runner.run(&project.cmd(what, ["down", "-v", "--remove-orphans", "-t", "5"]))?;
                }
            }
        }
        Ok(())
    }

    /// Removes everything but the runs: their backup, logs and reports stay until the next `--stop`.
    pub(super) fn tidy(&self, home: &Path) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(&self.base)
            .context("failed to read the rehearsal's folder")?
            .flatten()
        {
            if entry.file_name() != "workspace" {
                let path = entry.path();
                let removed = if path.is_dir() {
                    std::fs::remove_dir_all(&path)
                } else {
                    std::fs::remove_file(&path)
                };
                removed.with_context(|| format!("failed to remove {}", path.display()))?;
            }
        }
        // The newest rehearsal's runs are kept, older ones go.
        for other in Self::all(home)?
            .iter()
            .filter(|other| other.name != self.name && other.is_empty())
        {
            other.forget(home)?;
        }
        Self {
            clusters: Vec::new(),
            projects: Vec::new(),
            redis: None,
            storage: None,
            connect: Vec::new(),
            ..self.clone()
        }
        .write(home)
    }

    /// Stops everything and removes the folder.
    pub(super) fn remove(&self, runner: &Runner, home: &Path) -> anyhow::Result<()> {
        self.stop(runner)?;
        self.forget(home)
    }

    fn is_empty(&self) -> bool {
        self.clusters.is_empty() && self.projects.is_empty() && self.redis.is_none()
    }

    fn forget(&self, home: &Path) -> anyhow::Result<()> {
        if self.base.is_dir() {
            std::fs::remove_dir_all(&self.base)
                .with_context(|| format!("failed to remove {}", self.base.display()))?;
        }
        let _ = std::fs::remove_dir_all(self.lock_folder(home));
        std::fs::remove_file(self.path(home)).context("failed to forget the rehearsal")
    }

    /// The folder of the lock that a rehearsal holds while it is at work.
    pub(super) fn lock_folder(&self, home: &Path) -> PathBuf {
        home.join(format!("{}.at-work", self.name))
    }

    /// Who is at work in it: the rehearsal itself, or a migration in its workspace.
    pub(super) fn holder(&self, home: &Path) -> Option<Held> {
        let workspace = self.base.join("workspace").join(".xtask");
        Lock::holder(&self.lock_folder(home)).or_else(|| Lock::holder(&workspace))
    }

    /// Socket folders of readers: a run that failed leaves them.
    fn remove_sockets(&self) {
        let runs = self.base.join("workspace").join(".xtask").join("runs");
        for entry in std::fs::read_dir(runs).into_iter().flatten().flatten() {
            let run = entry.file_name().to_string_lossy().into_owned();
            for database in ["platform", "users", "labeler"] {
                // They are gone already after a run that ended well.
                let _ = std::fs::remove_dir_all(crate::plan::socket_dir(&run, database));
            }
        }
    }

    fn owns(&self, volume: &str) -> bool {
        self.projects
            .iter()
            .filter_map(|project| project.name.as_ref())
            .any(|name| volume.starts_with(name.as_str()))
    }

    fn path(&self, home: &Path) -> PathBuf {
        home.join(format!("{}.kept.json", self.name))
    }
}

impl StorageServer {
    /// Ends it, unless its number is another program's by now.
    fn stop(&self, runner: &Runner) -> anyhow::Result<()> {
        let line = process::command_line(runner, self.pid).unwrap_or_default();
        if line.contains("moto_server") && line.ends_with(&format!("-p {}", self.port)) {
            runner.run(&process::end(self.pid))?;
        }
        Ok(())
    }
}

/// Redis ends itself when asked; it needs no process id for that.
fn shutdown_redis(port: u16) {
    use std::io::Write;
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    if let Ok(mut stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
        // It closes the connection instead of answering.
        let _ = stream.write_all(b"SHUTDOWN NOSAVE\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_storage_server_that_was_kept_is_ended_and_no_other_process() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("moto_server");
        infra::files::write_private(&program, b"while :; do sleep 0.1; done\n").unwrap();
        let runner = Runner::default();
        let cmd = infra::Cmd::new("sh", "stand in for an S3 server")
            .arg(&program)
            .args(["-H", "127.0.0.1", "-p", "4711"]);
        let child = runner.spawn_server(&cmd, &folder.path().join("log")).unwrap();
        let pid = child.pid().unwrap();
        let stop = |port| {
            let mut kept = Kept::new("one", folder.path(), false);
            kept.storage = Some(StorageServer { pid, port });
            kept.stop(&runner).unwrap();
        };
        stop(711);
        assert_eq!(child.ended(), None);
        stop(4711);
        let ended = infra::wait::until(runner.interrupt(), Duration::from_secs(20), || child.ended());
        assert_eq!(ended, Ok(None), "a signal ended it");
    }
}
