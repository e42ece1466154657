//! The Docker engine is restarted in the middle: an engine of the test's own, so that nobody else's containers stop.

use std::path::PathBuf;
use std::time::Duration;

use infra::command::Child;
use infra::{Cmd, wait};

use super::killed_containers::migrate_and;
use super::left_out::left_out;
use super::support::{DATABASES, Environment, Ran, Rehearsal, docker, run, runner, with_env};

/// How long an engine may take to start or to stop.
const LIMIT: Duration = Duration::from_secs(120);

/// A Docker engine that touches neither the machine's own nor its firewall: ports are published by Docker's proxy, on
/// loopback.
struct Engine {
    folder: PathBuf,
    driver: String,
    bridge: Bridge,
    process: Option<Child>,
}

/// The number of the machine's default bridge. One that was removed and made again has another; containers that were on it
/// have lost their network.
fn default_bridge() -> Option<String> {
    std::fs::read_to_string("/sys/class/net/docker0/ifindex").ok()
}

/// A network of the machine's engine, whose interface the other engine uses: one that was told to have no bridge would
/// remove `docker0`.
struct Bridge(String);

impl Bridge {
    fn create() -> Self {
        // The name of a network interface has at most 15 characters.
        let name = format!("xtask{}", std::process::id());
        let option = format!("com.docker.network.bridge.name={name}");
        docker(&["network", "create", "--opt", &option, &name]).ends(0);
        Self(name)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        docker(&["network", "rm", &self.0]);
    }
}

impl Engine {
    /// `None`, said aloud, where this machine cannot have a second engine.
    fn start() -> Option<Self> {
        let root = run(Cmd::new("id", "ask who we are").args(["-u"])).stdout.trim() == "0";
        if !root || infra::command::find_program("dockerd").is_none() {
            left_out(
                "an engine that is restarted: it takes root and dockerd to have one that is nobody else's",
            );
            return None;
        }
        let info = docker(&["info", "--format", "{{.Driver}}"]);
        let driver = info.ends(0).stdout.trim().to_owned();
        // Sockets have short names; the workspace's folder may be deep.
        let folder = tempfile::Builder::new()
            .prefix("xtask-engine-")
            .tempdir()
            .unwrap()
            .keep();
        infra::files::write_private(&folder.join("daemon.json"), b"{}").unwrap();
        let mut engine = Self {
            folder,
            driver,
            bridge: Bridge::create(),
            process: None,
        };
        engine.begin();
        Some(engine)
    }

    fn socket(&self) -> String {
        format!("unix://{}", self.folder.join("engine.sock").display())
    }

    /// What sends the programs of a test to this engine.
    fn env(&self) -> Environment {
        vec![("DOCKER_HOST".to_owned(), self.socket())]
    }

    fn docker(&self, args: &[&str]) -> Ran {
        run(with_env(
            Cmd::new("docker", "ask the engine").args(args),
            &self.env(),
        ))
    }

    fn begin(&mut self) {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let cmd = Cmd::new("dockerd", "run an engine of the test's own")
            .args(["--config-file", &at("daemon.json"), "--host", &self.socket()])
            .args([
                "--data-root",
                &at("data"),
                "--exec-root",
                &at("exec"),
                "--pidfile",
                &at("pid"),
            ])
            .args(["--storage-driver", &self.driver, "--bridge", &self.bridge.0])
            // No `--default-address-pool`: an engine that has one and starts again removes the machine's `docker0`, whatever
            // bridge it was given (moby 20.10, initNetworkController). Networks take addresses that nothing here routes yet.
            .args(["--iptables=false", "--ip6tables=false"]);
        let log = self.folder.join("log");
        self.process = Some(runner().spawn_server(&cmd, &log).unwrap());
        let answers = || (self.docker(&["version"]).code == 0).then_some(());
        if wait::until(runner().interrupt(), LIMIT, answers).is_err() {
            panic!(
                "the engine does not answer:\n{}",
                std::fs::read_to_string(log).unwrap()
            );
        }
    }

    /// As a service manager ends it: the engine stops its containers and then itself.
    fn end(&mut self) {
        let Some(process) = self.process.take() else {
            return;
        };
        if let Some(pid) = process.pid() {
            run(Cmd::new("kill", "end the engine").args(["-TERM", &pid.to_string()]));
        }
        let ended = || process.ended().map(drop);
        wait::until(runner().interrupt(), LIMIT, ended).unwrap();
    }

    fn status(&self, container: &str) -> String {
        let ran = self.docker(&["container", "inspect", "--format", "{{.State.Status}}", container]);
        ran.ends(0).stdout.trim().to_owned()
    }

    fn policy(&self, container: &str) -> String {
        let format = "{{.HostConfig.RestartPolicy.Name}}";
        let ran = self.docker(&["container", "inspect", "--format", format, container]);
        ran.ends(0).stdout.trim().to_owned()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
#[ignore = "needs Docker"]
fn an_engine_that_is_restarted_in_the_middle_loses_nothing_and_wakes_no_fenced_source() {
    let bridge = default_bridge();
    let Some(mut engine) = Engine::start() else { return };
    let args = ["--runtime", "docker", "--situation", "running"];
    let rehearsal = Rehearsal::prepare("engine-restart", &args, engine.env());
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    let old = DATABASES.map(|name| workspace.text(&format!("databases.{name}.source.containers.0")));
    for container in &old {
        // An engine that starts brings such a container back though somebody stopped it.
        engine
            .docker(&["update", "--restart", "always", container])
            .ends(0);
    }

    let failed = migrate_and(workspace, "restore", |_| {
        engine.end();
        engine.begin();
    });
    failed
        .ends(21)
        .says("the target shows no half-restored database")
        .says("hint: cargo xtask migrate --resume");
    assert!(workspace.env_bytes() == env, ".env is untouched");
    for container in &old {
        assert_eq!(engine.status(container), "exited", "{container} is fenced");
    }

    let resumed = workspace.xtask(&["migrate", "--resume", "--json"]);
    let document = resumed.ends(0).json();
    assert_eq!(document["verified"], true);
    for database in document["databases"].as_array().unwrap() {
        for table in database["tables"].as_array().unwrap() {
            assert_eq!(table["source_rows"], table["target_rows"], "{table}");
        }
    }

    workspace.xtask(&["rollback", "--yes"]).ends(22);
    assert!(workspace.env_bytes() == env, ".env is back");
    for container in &old {
        assert_eq!(engine.status(container), "running", "{container}");
        assert_eq!(engine.policy(container), "always", "{container}");
    }
    drop(rehearsal);
    drop(engine);
    assert_eq!(
        default_bridge(),
        bridge,
        "the machine's own engine lost its bridge"
    );
}
