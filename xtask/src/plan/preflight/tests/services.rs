//! The platform's stack beside the target: what starts, what does not, and what it says.

use super::*;
use crate::plan::Rest;

fn service(name: &str, image: &str, ports: &[u16]) -> Value {
    json!({ "name": name, "container": null, "image": image, "builds": false, "profiled": false, "postgres": false, "ports": ports })
}

/// The world with these services beside the target.
fn with(others: &[Value]) -> Value {
    let mut world = world();
    stack("ports", json!([5432, 15432]))(&mut world);
    world["platform"]["stack"]["Ok"]["others"] = json!(others);
    world
}

/// Names of the services that start, and the others with the reason.
fn rest(world: Value) -> (Vec<String>, Vec<String>) {
    let rest = Rest::of(&seen(world), &settings());
    let start = rest.start.into_iter().map(|service| service.name).collect();
    (start, rest.left_out.iter().map(ToString::to_string).collect())
}

#[test]
fn services_start_where_image_and_ports_allow_it() {
    let mut world = with(&[
        service("redis", "redis:7", &[6379]),
        service("free", "here:1", &[9000]),
        service("absent", "absent:1", &[]),
        service("taken", "here:1", &[9001]),
        service("second", "here:1", &[9000]),
        service("after-the-old", "here:1", &[5433]),
    ]);
    world["docker"]["missing_images"] = json!(["absent:1"]);
    world["held_ports"] = json!({
        "9001": { "process": "nginx (pid 7)" }, "5433": { "container": "labeler-postgres-user" },
        "6379": { "container": "labeler-redis" },
    });
    let (start, left_out) = rest(world);
    assert_eq!(start, ["free", "after-the-old"]);
    assert_eq!(
        left_out,
        [
            "redis: it needs port 6379, and container labeler-redis serves Redis there already",
            "absent: image absent:1 is not on this machine",
            "taken: port 9001 is used by process nginx (pid 7)",
            "second: port 9000 is used by another service of the stack",
        ]
    );
}

#[test]
fn a_second_postgresql_server_is_never_started() {
    // An older Compose file of the platform still starts what is an old instance now.
    let mut old = service("postgres-users", "postgres:16-alpine", &[]);
    old["postgres"] = json!(true);
    let (start, left_out) = rest(with(&[old]));
    assert_eq!(start, [] as [&str; 0]);
    assert!(left_out[0].contains("it is a PostgreSQL server"), "{left_out:?}");
    assert_eq!(Rest::of(&seen(with(&[])), &settings()), Rest::default());
}

#[test]
fn what_runs_and_what_a_profile_starts_are_left_alone() {
    let mut profiled = service("metrics", "absent:1", &[]);
    profiled["profiled"] = json!(true);
    let mut world = with(&[profiled, service("queue", "absent:1", &[])]);
    let mut running = container("any-name", "running");
    running["labels"] =
        json!({ "com.docker.compose.project": "platform", "com.docker.compose.service": "queue" });
    world["docker"]["containers"] = json!([running]);
    world["platform"]["compose_file"] = json!("/x/platform/docker-compose.yml");
    assert!(Rest::of(&seen(world), &settings()).is_empty());
}

#[test]
fn services_that_will_not_start_are_one_note() {
    let mut world = with(&[service("one", "absent:1", &[]), service("two", "absent:1", &[])]);
    world["docker"]["missing_images"] = json!(["absent:1"]);
    let found = preflight(&seen(world), &settings(), &request());
    let [note] = found.as_slice() else {
        panic!("not one finding: {found:#?}")
    };
    assert_eq!(
        (note.id.as_str(), note.severity),
        ("platform.services", Severity::Note)
    );
    assert!(note.found.contains("one: image absent:1") && note.found.contains("two: image absent:1"));
}

#[test]
fn a_second_port_of_the_target_that_is_taken_is_refused_with_its_holder() {
    let held = |holder: Value| {
        let mut world = with(&[]);
        world["held_ports"] = json!({ "15432": holder });
        preflight(&seen(world), &settings(), &request())
    };
    assert_eq!(held(json!({ "container": "labeler-postgres-user" })), []);
    let found = held(json!({ "container": "other" }));
    let text = found[0].to_string();
    let wanted = [
        "error[target.port]",
        "port 15432",
        "taken by container other",
        "docker stop other",
    ];
    assert!(wanted.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn too_little_space_for_the_targets_data_is_refused_and_an_unknown_is_said() {
    let text = only("target.space", Severity::Error, |world| {
        world["target"]["space"] = json!({ "place": "volume full", "free": 1_000_000 });
    });
    assert!(text.contains("volume full"), "{text}");
    let text = only("target.space", Severity::Note, |world| {
        world["target"]["space"] = json!(null);
    });
    assert!(text.contains("cannot be told"), "{text}");
}
