//! The platform's stack on real containers: only the target is needed, and what else can start comes last.

use super::containers::{Temporary, V2, ask_container, prepared, status};
use super::support::{DATABASES, Ran, Workspace, docker, write};

/// `docker-compose` 1.29, or whatever a machine has under that name.
const V1: &str = "docker-compose";

impl Workspace {
    /// Lays a file over the platform's Compose file.
    fn lay_over(&self, text: &str) {
        let repository = self.text("platform.repository.0");
        let folder = std::path::Path::new(&repository).join("platform/infrastructure");
        write(
            &folder.join("docker-compose.override.yml"),
            format!("version: \"3.8\"\n{text}"),
        );
    }

    /// A container of the platform's stack.
    fn of_platform(&self, service: &str) -> String {
        self.text("target.container").replace("postgres", service)
    }

    fn old_ones_run(&self) {
        for database in DATABASES {
            let name = self.text(&format!("databases.{database}.source.containers.0"));
            assert_eq!(status(&name).as_deref(), Some("running"), "{name}");
        }
    }
}

/// The last line that a person sees.
fn last_line(ran: &Ran) -> &str {
    ran.stderr.trim_end().lines().last().unwrap()
}

#[test]
#[ignore = "needs Docker"]
fn the_ordinary_machine_migrates_and_the_last_line_starts_what_could_not() {
    let rehearsal = prepared("ordinary", V1, "running");
    let workspace = &rehearsal.workspace;
    let project = workspace.text("labeler.compose-project");
    workspace
        .labeler_compose(&project, &["up", "-d", "redis"])
        .ends(0);
    let ran = workspace.xtask(&["migrate", "--yes"]);
    let port = workspace.port("redis.port");
    ran.ends(0)
        .says("note[platform.services]")
        .says(&format!(
            "not started: redis: it needs port {port}, and container"
        ))
        .says("not started: workflow: image sample.invalid/workflow:1.4 is not on this machine");
    // Neither the Redis that is superfluous nor what only a profile starts.
    let line = last_line(&ran);
    let services = "objects-datasets objects-results objects-setup workflow workflow-ui";
    assert!(
        line.contains("docker-compose") && line.ends_with(&format!(" up -d --no-deps {services}")),
        "{line}"
    );
    let target = workspace.text("target.container");
    assert_ne!(
        ask_container(&target, "admin", "labeler", "SELECT count(*) FROM annotations"),
        "0"
    );
    assert_eq!(
        status(&workspace.of_platform("redis")),
        None,
        "the platform's Redis was made"
    );
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    workspace.old_ones_run();
    let redis = workspace.text("redis.container");
    assert_eq!(
        status(&redis).as_deref(),
        Some("running"),
        "the labeler's Redis was stopped"
    );
}

#[test]
#[ignore = "needs Docker"]
fn services_that_can_start_start_last_and_going_back_stops_only_those() {
    let mut rehearsal = prepared("startable", V2, "running");
    let workspace = &mut rehearsal.workspace;
    let image = workspace.text("platform.compose-env.PLATFORM_REDIS_IMAGE");
    let port = infra::ports::free(1).unwrap()[0].to_string();
    workspace.set("platform.compose-env.PLATFORM_WORKFLOW_PORT", port);
    workspace.lay_over(&format!(
        "services:\n  workflow:\n    image: {image}\n  workflow-ui:\n    image: {image}\n"
    ));
    // Somebody started this one before.
    let ui = workspace.of_platform("workflow-ui");
    let before = Temporary::named(&ui, &[&image]);
    let ran = workspace.xtask(&["migrate", "--yes", "--json"]);
    let document = ran.ends(0).json();
    let steps = document["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["name"], "stack");
    let workflow = workspace.of_platform("workflow");
    assert_eq!(status(&workflow).as_deref(), Some("running"));
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    assert_eq!(status(&workflow).as_deref(), Some("exited"));
    assert_eq!(status(&ui).as_deref(), Some("running"), "it ran before");
    drop(before);
}

#[test]
#[ignore = "needs Docker"]
fn a_target_that_could_not_start_or_has_no_room_is_refused_before_anything_stops() {
    let rehearsal = prepared("no-room", V1, "running");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();

    workspace.lay_over("services:\n  postgres:\n    image: sample.invalid/postgres:16\n");
    workspace
        .xtask(&["migrate", "--yes"])
        .ends(20)
        .says("sample.invalid/postgres:16")
        .says("no server was stopped, .env is untouched");
    workspace.old_ones_run();

    // A volume of its own that is too small, under another data folder than the image's.
    let volume = format!("xtask-test-full-{}", std::process::id());
    let small = [
        "--opt",
        "type=tmpfs",
        "--opt",
        "device=tmpfs",
        "--opt",
        "o=size=8m",
    ];
    docker(&[&["volume", "create"], &small[..], &[&volume]].concat()).ends(0);
    workspace.lay_over(&format!(
        "services:\n  postgres:\n    environment:\n      PGDATA: /data/pg\n    volumes:\n      - full:/data\n\
         volumes:\n  full:\n    external: true\n    name: {volume}\n"
    ));
    let refused = workspace.xtask(&["migrate", "--yes"]);
    docker(&["volume", "rm", &volume]).ends(0);
    refused
        .ends(20)
        .says("error[target.space]")
        .says(&format!("volume {volume}"));
    workspace.old_ones_run();
    assert!(workspace.env_bytes() == env, ".env was changed");
    assert_eq!(
        status(&workspace.text("target.container")),
        None,
        "the target was made"
    );
}
