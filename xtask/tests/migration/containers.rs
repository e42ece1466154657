//! The situations of the old instances on real containers, with both Compose commands, and the facts about containers.

use std::collections::BTreeMap;
use std::time::Duration;

use infra::{Cmd, Interrupt, wait};

use super::support::{
    DATABASES, Environment, Ran, Rehearsal, Workspace, cache, docker, folder, read_env, run, runner,
    with_env, write, xtask,
};

/// `docker-compose` 1.29, or whatever a machine has under that name.
pub(super) const V1: &str = "docker-compose";
/// The plugin.
pub(super) const V2: &str = "docker compose";

/// Which Compose command the tool must use, and where the plugin is.
pub(super) fn compose(program: &str) -> Environment {
    let mut env = vec![("XTASK_DOCKER__COMPOSE".to_owned(), program.to_owned())];
    if program == V2 {
        let folder =
            infra::images::ensure_compose_v2(&runner(), &cache().join("images"), &mut |_| {}).unwrap();
        env.extend(folder.map(|dir| ("DOCKER_CONFIG".to_owned(), dir.to_string_lossy().into_owned())));
    }
    env
}

/// A rehearsal on containers, ready to be migrated.
pub fn prepared(name: &str, program: &str, situation: &str) -> Rehearsal {
    let args = ["--runtime", "docker", "--situation", situation];
    Rehearsal::prepare(name, &args, compose(program))
}

impl Workspace {
    /// The old container of a database.
    fn container(&self, database: &str) -> String {
        self.text(&format!("databases.{database}.source.containers.0"))
    }

    /// Its volume.
    fn volume(&self, database: &str) -> String {
        self.text(&format!("databases.{database}.source.volumes.0"))
    }

    /// A Compose command of a person, in the labeler's checkout as it is now.
    pub(super) fn labeler_compose(&self, project: &str, args: &[&str]) -> Ran {
        let program = self.text("docker.compose");
        let mut words = program.split(' ');
        let cmd = Cmd::new(words.next().unwrap(), "run Compose by hand")
            .args(words)
            .arg("-f")
            .arg(self.labeler.join("docker-compose.yml"))
            .args(["-p", project])
            .args(args);
        let variables = self.settings["labeler"]["compose-env"].as_table_like().unwrap();
        let cmd = variables
            .iter()
            .fold(cmd, |cmd, (name, value)| cmd.env(name, value.as_str().unwrap()));
        run(with_env(cmd, &self.env))
    }
}

/// `running`, `exited`, or nothing when the container is gone.
pub(super) fn status(container: &str) -> Option<String> {
    let ran = docker(&["container", "inspect", "--format", "{{.State.Status}}", container]);
    (ran.code == 0).then(|| ran.stdout.trim().to_owned())
}

/// What the engine knows of the old volumes.
fn volumes(workspace: &Workspace) -> BTreeMap<String, String> {
    let one = |database: &&str| {
        let name = workspace.volume(database);
        let ran = docker(&[
            "volume",
            "inspect",
            "--format",
            "{{.Mountpoint}} {{json .Labels}}",
            &name,
        ]);
        ran.ends(0);
        (name, ran.stdout)
    };
    DATABASES.iter().map(one).collect()
}

/// A container that goes with its test.
pub(super) struct Temporary(pub(super) String);

impl Temporary {
    #[track_caller]
    pub(super) fn start(name: &str, args: &[&str]) -> Self {
        Self::named(&format!("xtask-test-{name}-{}", std::process::id()), args)
    }

    /// Under exactly this name.
    #[track_caller]
    pub(super) fn named(name: &str, args: &[&str]) -> Self {
        let made = Self(name.to_owned());
        docker(&[&["run", "-d", "--name", name], args].concat()).ends(0);
        made
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        docker(&["rm", "-f", "-v", &self.0]);
    }
}

/// Asks a container until it answers. Over TCP: only the real server listens there.
#[track_caller]
pub(super) fn ask_container(container: &str, user: &str, database: &str, sql: &str) -> String {
    let mut last = String::new();
    let answer = wait::until(&Interrupt::default(), Duration::from_secs(180), || {
        let arguments = [
            "exec",
            container,
            "psql",
            "-h",
            "127.0.0.1",
            "-U",
            user,
            "-d",
            database,
            "-XAtc",
            sql,
        ];
        let ran = docker(&arguments);
        last = ran.all();
        (ran.code == 0).then(|| ran.stdout.trim().to_owned())
    });
    answer.unwrap_or_else(|_| panic!("{container} does not answer:\n{last}"))
}

/// A table of each database whose rows are counted on both sides.
const PROBES: [(&str, &str, &str); 3] = [
    ("platform", "admin", "training_jobs"),
    ("users", "admin", "users"),
    ("labeler", "labeler_user", "annotations"),
];

/// Migrates and looks at everything the guide promises: rows in one instance, the old volumes there and unchanged.
#[track_caller]
fn migrates(workspace: &Workspace) -> serde_json::Value {
    let env = workspace.env_bytes();
    let old_volumes = volumes(workspace);
    let old_containers: Vec<String> = DATABASES
        .iter()
        .map(|database| workspace.container(database))
        .filter(|name| status(name).is_some())
        .collect();
    let document = workspace.xtask(&["migrate", "--yes", "--json"]).ends(0).json();
    assert_eq!(document["verified"], true);

    let target = workspace.text("target.container");
    let after = workspace.env_bytes();
    for (database, _, table) in PROBES {
        let count = format!("SELECT count(*) FROM {table}");
        let rows = ask_container(&target, "admin", database, &count);
        assert_ne!(rows, "0", "{database}.{table} is empty");
        let prefix = if database == "users" {
            "USER_DB".to_owned()
        } else {
            format!("{}_DB", database.to_uppercase())
        };
        let port = workspace.port("target.port").to_string();
        assert_eq!(read_env(&after, &format!("{prefix}_PORT")), port);
        // As the guide has it: the target takes the place of the old platform instance, and of no other.
        let stays = read_env(&env, &format!("{prefix}_PORT")) == port;
        assert_eq!(stays, database == "platform", "{database}");
    }
    // What was there is still there, stopped, and nothing reads it any more.
    for name in &old_containers {
        assert_eq!(status(name).as_deref(), Some("exited"), "{name}");
    }
    let run = document["run"].as_str().unwrap();
    let readers = docker(&["ps", "-aq", "--filter", &format!("label=xtask.run={run}")]);
    assert_eq!(readers.ends(0).stdout, "", "containers of the run are left");
    assert_eq!(volumes(workspace), old_volumes);
    for (database, user, table) in PROBES {
        let image = workspace.text(&format!("databases.{database}.source.image"));
        let mount = format!(
            "type=volume,source={},target=/var/lib/postgresql/data",
            workspace.volume(database)
        );
        let old = Temporary::start(
            &format!("{run}-{database}"),
            &["--network", "none", "--mount", &mount, &image, "postgres"],
        );
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(
            ask_container(&old.0, user, database, &count),
            ask_container(&target, "admin", database, &count),
            "rows of {database}.{table} in the old volume and on the target"
        );
        docker(&["stop", &old.0]).ends(0);
    }
    workspace
        .xtask(&["migrate", "--yes"])
        .ends(4)
        .says("nothing to do");
    assert!(workspace.env_bytes() == after);
    document
}

#[test]
#[ignore = "needs Docker"]
fn fact_2_6_the_old_containers_run_on_though_the_compose_file_no_longer_has_them() {
    let rehearsal = prepared("fact-2-6", V1, "running");
    let workspace = &rehearsal.workspace;
    let project = workspace
        .text("labeler.compose-project")
        .replace("-redis", "-labeler");
    workspace.labeler_compose(&project, &["down"]).says("orphan");
    for database in DATABASES {
        assert_eq!(
            status(&workspace.container(database)).as_deref(),
            Some("running"),
            "{database}"
        );
    }
    // A developer's own wishes for the platform's stack count, as they do for `up` by hand.
    let repository = workspace.text("platform.repository.0");
    let infrastructure = std::path::Path::new(&repository).join("platform/infrastructure");
    let over = "version: \"3.8\"\nservices:\n  postgres:\n    labels:\n      xtask.test: laid-over\n";
    write(&infrastructure.join("docker-compose.override.yml"), over);
    // Ours finds them by name, stops them, and keeps them for the way back.
    migrates(workspace);
    let label = ["inspect", "--format", "{{index .Config.Labels \"xtask.test\"}}"];
    let target = workspace.text("target.container");
    let told = docker(&[&label[..], &[&target]].concat());
    assert_eq!(told.ends(0).stdout.trim(), "laid-over");
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    for database in DATABASES {
        assert_eq!(
            status(&workspace.container(database)).as_deref(),
            Some("running"),
            "{database}"
        );
    }
}

#[test]
#[ignore = "needs Docker"]
fn fact_2_7_both_stacks_publish_the_port_of_redis_and_a_running_one_of_the_platform_is_recognised() {
    let rehearsal = prepared("fact-2-7", V2, "running");
    let workspace = &rehearsal.workspace;
    let image = workspace.text("platform.compose-env.PLATFORM_REDIS_IMAGE");
    let publish = format!("127.0.0.1:{}:6379", workspace.port("redis.port"));
    let name = workspace.text("target.container").replace("postgres", "redis");
    let _platforms = Temporary::named(&name, &["-p", &publish, &image]);
    let document = migrates(workspace);
    let steps = document["steps"].as_array().unwrap();
    let redis = steps.iter().find(|step| step["name"] == "redis").unwrap();
    assert_eq!(redis["result"], "skipped", "the platform's Redis answers already");
    let project = workspace.text("labeler.compose-project");
    let by_hand = workspace.labeler_compose(&project, &["up", "-d", "redis"]);
    assert_ne!(by_hand.code, 0, "{}", by_hand.all());
    by_hand.says("port is already allocated");
    old_volumes_go(workspace);
}

#[test]
#[ignore = "needs Docker"]
fn fact_2_8_pg_isready_answers_while_the_first_run_still_prepares_the_cluster() {
    let home = folder("fact-2-8");
    let image = rehearsal_image();
    let script = home.join("slow.sh");
    write(&script, "until [ -e /tmp/go ]; do sleep 0.2; done\n");
    let mount = format!(
        "type=bind,source={},target=/docker-entrypoint-initdb.d/slow.sh,readonly",
        script.display()
    );
    let container = Temporary::start(
        "fact-2-8",
        &[
            "--network",
            "none",
            "-e",
            "POSTGRES_PASSWORD=devpass",
            "--mount",
            &mount,
            &image,
        ],
    );
    let exec = |args: &[&str]| docker(&[&["exec", &container.0], args].concat());
    let ready = wait::until(&Interrupt::default(), Duration::from_secs(180), || {
        (exec(&["pg_isready", "-U", "postgres"]).code == 0).then_some(())
    });
    assert!(ready.is_ok(), "{}", docker(&["logs", &container.0]).all());
    // The server of the first run, on its socket only: what the tool asks is not answered yet.
    let server = infra::postgres::Server {
        label: "container".to_owned(),
        reach: infra::postgres::Reach::Container {
            name: container.0.clone(),
            host: "127.0.0.1".to_owned(),
            port: None,
        },
        user: "postgres".to_owned(),
        password: Some(infra::Secret::new("devpass")),
        clients: infra::postgres::Clients::Image {
            image,
            run: String::new(),
        },
        options: Vec::new(),
    };
    assert!(
        server.answers(&runner(), "postgres").is_err(),
        "the first run's server answers over TCP"
    );
    exec(&["touch", "/tmp/go"]).ends(0);
    let answers = || server.answers(&runner(), "postgres").is_ok().then_some(());
    let answered = wait::until(&Interrupt::default(), Duration::from_secs(180), answers);
    assert!(answered.is_ok(), "{}", docker(&["logs", &container.0]).all());
    std::fs::remove_dir_all(home).unwrap();
}

/// A PostgreSQL image as rehearsals get it.
pub(super) fn rehearsal_image() -> String {
    let own = "xtask-rehearsal/postgres:16-alpine";
    for image in ["postgres:16-alpine", own] {
        if infra::docker::image_id(&runner(), image).unwrap().is_some() {
            return image.to_owned();
        }
    }
    infra::images::ensure(&runner(), own, &cache().join("images"), &mut |_| {}).unwrap();
    own.to_owned()
}

#[test]
#[ignore = "needs Docker"]
fn stopped_containers_are_migrated_and_what_docker_lacks_is_refused_before() {
    let rehearsal = prepared("stopped", V1, "stopped");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();

    // A container of somebody else holds the port.
    let image = workspace.text("target.image");
    let taken = Temporary::start(
        "port",
        &["-p", "127.0.0.1::5432", "-e", "POSTGRES_PASSWORD=devpass", &image],
    );
    let published = docker(&["port", &taken.0, "5432/tcp"]);
    let port = published.stdout.trim().rsplit(':').next().unwrap().to_owned();
    workspace
        .xtask(&["migrate", "--yes", "--set", &format!("target.port={port}")])
        .ends(20)
        .says(&format!(
            "error[target.port]: port {port} is taken by container {}",
            taken.0
        ))
        .says(&format!("hint: docker stop {}", taken.0));
    drop(taken);

    // No engine behind the client.
    let dead = if cfg!(windows) {
        "tcp://127.0.0.1:1"
    } else {
        "unix:///nonexistent/docker.sock"
    };
    run(workspace.cmd(&["migrate", "--yes"]).env("DOCKER_HOST", dead))
        .ends(20)
        .says("error[docker.engine]")
        .says("sudo systemctl start docker");

    // An image that nobody can pull, told before anything is touched; the next try is not in its way.
    workspace
        .xtask(&[
            "migrate",
            "--yes",
            "--set",
            "target.image=xtask.invalid/postgres:16",
        ])
        .ends(20)
        .says("failed to have xtask.invalid/postgres:16")
        .says("no server was stopped, .env is untouched");
    assert!(workspace.env_bytes() == env);
    assert_eq!(
        status(&workspace.text("target.container")),
        None,
        "the target was made"
    );

    migrates(workspace);
}

#[test]
#[ignore = "needs Docker"]
fn volumes_whose_containers_are_gone_are_migrated() {
    let rehearsal = prepared("volumes", V2, "volumes");
    for database in DATABASES {
        assert_eq!(status(&rehearsal.workspace.container(database)), None);
    }
    migrates(&rehearsal.workspace);
    old_volumes_go(&rehearsal.workspace);
}

/// Only now, when they were read once more and are what the backup holds.
#[track_caller]
fn old_volumes_go(workspace: &Workspace) {
    let volumes = DATABASES.map(|database| workspace.volume(database));
    let ran = workspace.xtask(&["cleanup", "--yes", "--remove-volumes"]);
    ran.ends(0)
        .says("comparing the old data of labeler with the backup");
    for name in volumes {
        assert_ne!(
            docker(&["volume", "inspect", &name]).code,
            0,
            "{name} is still there"
        );
    }
}

#[test]
#[ignore = "needs Docker"]
fn without_a_platform_repository_our_own_compose_file_serves_docker_compose_1() {
    without_platform(V1);
}

#[test]
#[ignore = "needs Docker"]
fn without_a_platform_repository_our_own_compose_file_serves_the_plugin() {
    without_platform(V2);
}

fn without_platform(program: &str) {
    let mut rehearsal = prepared("no-platform", program, "no-platform");
    let workspace = &mut rehearsal.workspace;
    // The file is told the target's port and password by the settings that name them, not a second time.
    let told = workspace.settings["platform"]["compose-env"]
        .as_table_like_mut()
        .unwrap();
    told.remove("PLATFORM_POSTGRES_PORT").unwrap();
    workspace.set("target.password", "another devpass");
    let repository = workspace.text("platform.repository.0");
    assert!(!std::path::Path::new(&repository).exists(), "{repository}");
    workspace
        .xtask(&["migrate", "--dry-run"])
        .ends(0)
        .says("warning[platform.repository]: the platform repository is not beside this workspace");
    migrates(workspace);
}

#[test]
#[ignore = "needs Docker"]
fn a_wrong_password_of_a_container_is_refused_though_its_loopback_trusts_everybody() {
    let rehearsal = prepared("password", V1, "running");
    let workspace = &rehearsal.workspace;
    workspace.replace("backend/.env", "labeler_devpass", "not-the-password");
    workspace
        .xtask(&["migrate", "--yes"])
        .ends(20)
        .says("error[source.labeler.login]: the login that .env names fails")
        .says("password authentication failed for user \"labeler_user\"")
        .never_says("not-the-password");
    for database in DATABASES {
        assert_eq!(
            status(&workspace.container(database)).as_deref(),
            Some("running"),
            "{database}"
        );
    }
    assert_eq!(workspace.runs(), [] as [std::path::PathBuf; 0]);
}

#[test]
#[ignore = "needs Docker"]
fn a_machine_without_the_wanted_compose_is_told_how_to_install_it() {
    let home = folder("without-compose");
    infra::rehearsal::write("labeler", &home.join("mvp-vision-ai-labeler")).unwrap();
    let workspace = home.join("workspace");
    std::fs::create_dir_all(&workspace).unwrap();
    // Only docker is on this PATH, and its configuration has no plugin.
    let program = infra::command::find_program("docker").unwrap();
    let path = home.join("bin");
    write(&path.join("nothing"), b"");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&program, path.join("docker")).unwrap();
    #[cfg(not(unix))]
    std::fs::copy(&program, path.join("docker.exe")).unwrap();
    let cmd = xtask(&workspace)
        .args(["migrate", "--yes"])
        .env("PATH", &path)
        .env("XTASK_DOCKER__COMPOSE", V1);
    run(cmd)
        .ends(20)
        .says("error[docker.compose]")
        .says("to start the platform's infrastructure and Redis");
    std::fs::remove_dir_all(home).unwrap();
}
