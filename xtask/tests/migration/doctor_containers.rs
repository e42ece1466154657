//! The doctor's problems that only containers have, created on real ones.

use std::time::Duration;

use infra::{Interrupt, wait};
use serde_json::Value;

use super::containers::{Temporary, V2, prepared, rehearsal_image, status};
use super::doctor::{evidence, text};
use super::support::{DATABASES, Workspace, closed_port, docker, run};

/// What the Compose files and the built-in settings say.
const PASSWORD: &str = "devpass";

/// Points `.env` at the target, as a cutover does.
fn point_at_target(workspace: &Workspace) {
    let port = workspace.port("target.port").to_string();
    for database in DATABASES {
        for (key, value) in [
            ("HOST", "localhost"),
            ("PORT", port.as_str()),
            ("NAME", database),
            ("USER", "admin"),
            ("PASSWORD", PASSWORD),
        ] {
            workspace.set_env(database, key, value);
        }
    }
}

impl Workspace {
    /// The target's volume, empty, named and labelled as Compose does it; its name.
    fn make_target_volume(&self, project: &str) -> String {
        let name = format!("{project}_postgres_data");
        let label = |key: &str, value: &str| format!("com.docker.compose.{key}={value}");
        let (of, short) = (label("project", project), label("volume", "postgres_data"));
        docker(&["volume", "create", "--label", &of, "--label", &short, &name]).ends(0);
        name
    }
}

/// What the doctor finds of one problem.
#[track_caller]
fn finds(workspace: &Workspace, problem: &str) -> Vec<Value> {
    let ran = workspace.xtask(&["doctor", "--json", "--only", problem]);
    assert!(matches!(ran.code, 3 | 10), "{}", ran.all());
    let found = ran.json()["problems"][0]["diagnoses"].as_array().unwrap().clone();
    assert!(!found.is_empty(), "{}", ran.all());
    found
}

/// Repairs one problem; it is gone afterwards.
#[track_caller]
fn repairs(workspace: &Workspace, problem: &str) -> Vec<Value> {
    let ran = workspace.xtask(&["doctor", "--fix", "--yes", "--json", "--only", problem]);
    let document = ran.ends(0).json();
    let repaired = document["repaired"].as_array().unwrap().clone();
    assert!(!repaired.is_empty(), "{}", ran.all());
    workspace.xtask(&["doctor", "--only", problem]).ends(0);
    repaired
}

#[track_caller]
fn found(diagnosis: &Value, words: &str) {
    assert!(
        text(diagnosis, "/finding/found").contains(words),
        "{words}\n{diagnosis:#}"
    );
}

#[test]
#[ignore = "needs Docker"]
fn a_target_in_a_container_is_made_started_let_go_on_and_freed_of_who_has_its_port() {
    let mut rehearsal = prepared("doctor", V2, "running");
    let workspace = &mut rehearsal.workspace;
    let target = workspace.text("target.container");
    // The old instances run on, so the target has a port of its own here.
    let port = infra::ports::free(1).unwrap()[0];
    workspace.set("target.port", i64::from(port));
    workspace.set("platform.compose-env.PLATFORM_POSTGRES_PORT", port.to_string());
    point_at_target(workspace);

    // No engine: told, and not ours to start.
    let dead = workspace.cmd(&["doctor", "--json", "--only", "connection-refused"]);
    let dead = run(dead.env("DOCKER_HOST", "unix:///nonexistent/docker.sock"));
    let engine = dead.ends(3).json()["problems"][0]["diagnoses"][0].clone();
    found(&engine, "the Docker engine does not answer");
    assert!(engine.get("fix").is_none(), "{engine:#}");

    // Nor can anybody say whose port it is.
    let dead = workspace.cmd(&["doctor", "--only", "port-conflict"]);
    let dead = run(dead.env("DOCKER_HOST", "unix:///nonexistent/docker.sock"));
    dead.ends(20).never_says("docker-proxy");

    // No container and no volume: nothing is made in the place of what is lost.
    let absent = finds(workspace, "connection-refused");
    found(&absent[0], &format!("there is no container {target}"));
    assert!(
        evidence(&absent[0]).contains("its volume is gone too"),
        "{absent:#?}"
    );
    assert!(absent[0].get("fix").is_none(), "{absent:#?}");
    assert_eq!(text(&absent[0], "/finding/hints/0"), "cargo xtask onboard");

    // No container, and its volume as Compose makes it.
    let project = workspace.text("platform.compose-project");
    let volume = workspace.make_target_volume(&project);
    let absent = finds(workspace, "connection-refused");
    assert!(evidence(&absent[0]).contains(&volume), "{absent:#?}");
    assert!(
        text(&absent[0], "/said").contains("Connection refused"),
        "{absent:#?}"
    );
    repairs(workspace, "connection-refused");
    assert_eq!(status(&target).as_deref(), Some("running"));

    // A stopped one, with its last words.
    docker(&["stop", &target]).ends(0);
    let stopped = finds(workspace, "connection-refused");
    found(&stopped[0], "is stopped (exited)");
    assert!(evidence(&stopped[0]).contains("log: "), "{stopped:#?}");
    repairs(workspace, "connection-refused");
    workspace.xtask(&["doctor", "--undo", "--yes"]).ends(0);
    assert_eq!(status(&target).as_deref(), Some("exited"));

    // Its port belongs to somebody else's container.
    let port = workspace.port("target.port");
    let publish = format!("127.0.0.1:{port}:5432");
    let image = rehearsal_image();
    let other = Temporary::start(
        "doctor",
        &["-p", &publish, "-e", "POSTGRES_PASSWORD=devpass", &image],
    );
    let taken = finds(workspace, "port-conflict");
    found(
        &taken[0],
        &format!("port {port} belongs to container {}", other.0),
    );
    repairs(workspace, "port-conflict");
    assert_eq!(status(&other.0).as_deref(), Some("exited"));
    assert_eq!(status(&target).as_deref(), Some("running"));
    workspace.xtask(&["doctor", "--undo", "--yes"]).ends(0);
    assert_eq!(status(&other.0).as_deref(), Some("running"));
    drop(other);
    repairs(workspace, "connection-refused");

    // A paused one.
    docker(&["pause", &target]).ends(0);
    found(&finds(workspace, "connection-refused")[0], "is paused");
    repairs(workspace, "connection-refused");

    // The old containers still run, though everything is on the target.
    let orphans = finds(workspace, "stale-compose-project");
    assert_eq!(orphans.len(), DATABASES.len(), "{orphans:#?}");
    repairs(workspace, "stale-compose-project");
    let old = workspace.text("databases.users.source.containers.0");
    assert_eq!(status(&old).as_deref(), Some("exited"));
    for _ in DATABASES {
        workspace.xtask(&["doctor", "--undo", "--yes"]).ends(0);
    }
    assert_eq!(status(&old).as_deref(), Some("running"));
    repairs(workspace, "stale-compose-project");

    // Compose would take the container for another project's, and make a new, empty volume.
    let project = workspace.text("platform.compose-project");
    workspace.set("platform.compose-project", "another-folder");
    let renamed = finds(workspace, "stale-compose-project");
    found(&renamed[0], &format!("belongs to Compose project {project}"));
    assert!(
        evidence(&renamed[0]).contains("its data is in volume"),
        "{renamed:#?}"
    );
    repairs(workspace, "stale-compose-project");
    let settings = Workspace::open(&workspace.root);
    assert_eq!(settings.text("platform.compose-project"), project);
    workspace.set("platform.compose-project", project.as_str());

    // Both stacks have a Redis for the same port: the second never runs.
    let image = workspace.text("platform.compose-env.PLATFORM_REDIS_IMAGE");
    let publish = format!("127.0.0.1:{}:6379", workspace.port("redis.port"));
    let _platforms = Temporary::start("doctor-redis", &["-p", &publish, &image]);
    let labeler = workspace.text("labeler.compose-project");
    let up = workspace.labeler_compose(&labeler, &["up", "-d", "redis"]);
    assert_ne!(up.code, 0, "{}", up.all());
    up.says("port is already allocated");
    let redis = workspace.text("redis.container");
    assert_eq!(status(&redis).as_deref(), Some("created"));
    found(&finds(workspace, "redis-conflict")[0], "could not start");
    repairs(workspace, "redis-conflict");
    assert_eq!(status(&redis), None);
}

#[test]
#[ignore = "needs Docker"]
fn a_container_that_is_unhealthy_elsewhere_restarting_or_out_of_space_is_told() {
    let mut rehearsal = prepared("doctor-plain", V2, "stopped");
    let workspace = &mut rehearsal.workspace;
    let image = rehearsal_image();
    let password = format!("POSTGRES_PASSWORD={PASSWORD}");
    let settled = |container: &str, format: &str, wanted: &str| {
        let asked = wait::until(&Interrupt::default(), Duration::from_secs(120), || {
            let ran = docker(&["container", "inspect", "--format", format, container]);
            (ran.stdout.trim() == wanted).then_some(())
        });
        assert!(
            asked.is_ok(),
            "{container}: {}",
            docker(&["logs", container]).all()
        );
    };

    let right = infra::ports::free(1).unwrap()[0];
    let publish = format!("127.0.0.1:{right}:5432");
    // Healthy is what a file in memory says: a restart takes it away. Data in memory too, and little of it.
    let sick = Temporary::start(
        "doctor-sick",
        &[
            "-p",
            &publish,
            "--tmpfs",
            "/var/lib/postgresql/data:size=200m",
            "-e",
            &password,
            "-e",
            "POSTGRES_USER=admin",
            "--health-cmd",
            "test ! -e /dev/shm/sick",
            "--health-interval",
            "1s",
            "--health-retries",
            "1",
            &image,
        ],
    );
    settled(&sick.0, "{{.State.Health.Status}}", "healthy");
    workspace.set("target.control", "container");
    workspace.set("target.container", sick.0.as_str());

    // The settings and `.env` name another port than the one that is published.
    let wrong = closed_port();
    workspace.set("target.port", i64::from(wrong));
    point_at_target(workspace);
    found(
        &finds(workspace, "connection-refused")[0],
        &format!("publishes port {right}"),
    );
    repairs(workspace, "connection-refused");
    assert_eq!(workspace.env("LABELER_DB_PORT"), right.to_string());
    workspace.settings = Workspace::open(&workspace.root).settings;

    // Little space for its data: told, nothing deleted.
    let full = finds(workspace, "disk-nearly-full");
    let place = format!("of container {}", sick.0);
    assert!(
        full.iter()
            .any(|one| text(one, "/finding/found").contains(&place)),
        "{full:#?}"
    );
    assert!(full.iter().all(|one| one.get("fix").is_none()), "{full:#?}");

    docker(&["exec", &sick.0, "touch", "/dev/shm/sick"]).ends(0);
    settled(&sick.0, "{{.State.Health.Status}}", "unhealthy");
    let unhealthy = finds(workspace, "connection-refused");
    found(&unhealthy[0], "is unhealthy");
    assert!(
        text(&unhealthy[0], "/fix/disturbs").contains("restarts"),
        "{unhealthy:#?}"
    );
    repairs(workspace, "connection-refused");
    drop(sick);

    // A container that ends as soon as it starts: its log is all there is.
    let port = workspace.port("target.port");
    let publish = format!("127.0.0.1:{port}:5432");
    let dying = Temporary::start(
        "doctor-dying",
        &[
            "--restart",
            "always",
            "-p",
            &publish,
            "-e",
            &password,
            &image,
            "postgres",
            "-c",
            "no_such_setting=1",
        ],
    );
    workspace.set("target.container", dying.0.as_str());
    settled(&dying.0, "{{.State.Status}}", "restarting");
    point_at_target(workspace);
    // Between two attempts it runs for a moment, and says nothing then either.
    let again = wait::until(&Interrupt::default(), Duration::from_secs(60), || {
        let found = finds(workspace, "connection-refused");
        let words = "starts, ends and starts again";
        text(&found[0], "/finding/found").contains(words).then_some(found)
    });
    let restarting = again.unwrap();
    assert!(
        evidence(&restarting[0]).contains("no_such_setting"),
        "{restarting:#?}"
    );
    assert!(restarting[0].get("fix").is_none(), "{restarting:#?}");
}
