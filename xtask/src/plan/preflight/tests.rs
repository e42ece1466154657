//! Every finding on a world made by hand: one where nothing is wrong, and one change at a time.

mod external;
mod onboarding;
mod origin;
mod services;

use serde_json::{Value, json};

use super::*;
use crate::model::{RunId, Severity};
use crate::plan::Roles;

/// A container as `docker inspect` shows it.
pub(crate) fn container(name: &str, status: &str) -> Value {
    json!({
        "id": format!("id-of-{name}"), "name": name, "image": "postgres:16-alpine", "status": status,
        "health": null, "restart": "unless-stopped", "mounts": [], "ports": {}, "address": "172.17.0.2",
        "labels": {}, "postgres_user": "admin", "pgdata": null,
    })
}

pub(crate) fn server(version: u32, databases: &[&str]) -> Value {
    let entry = json!({
        "oid": 1, "owner": "admin", "encoding": "UTF8", "collate": "C", "ctype": "C",
        "allow_connections": true, "bytes": 1, "sessions": 0,
    });
    let databases: serde_json::Map<String, Value> = databases
        .iter()
        .map(|name| ((*name).to_owned(), entry.clone()))
        .collect();
    json!({
        "version_num": version, "max_connections": 100, "reserved_connections": 3, "connections": 1,
        "role": "admin", "superuser": true, "createdb": true, "createrole": true,
        "databases": databases, "roles": {}, "available_extensions": ["plpgsql", "vector"],
    })
}

pub(crate) fn database(name: &str, relations: u64) -> Value {
    json!({
        "name": name, "oid": 1, "bytes": 1000, "relations": relations, "routines_and_types": 0,
        "large_objects": 0, "schemas": 0, "extensions": {}, "owners": ["admin"],
    })
}

fn key(name: &str, value: Option<&str>, line: usize) -> Value {
    json!({ "key": name, "value": value, "lines": [line], "placeholder": false })
}

pub(crate) fn mapping(prefix: &str, port: &str, name: &str, first_line: usize) -> Value {
    json!({
        "host": key(&format!("{prefix}_HOST"), Some("localhost"), first_line),
        "port": key(&format!("{prefix}_PORT"), Some(port), first_line + 1),
        "name": key(&format!("{prefix}_NAME"), Some(name), first_line + 2),
        "user": key(&format!("{prefix}_USER"), Some("admin"), first_line + 3),
        "password": key(&format!("{prefix}_PASSWORD"), None, first_line + 4),
    })
}

/// Source and target with one image.
fn same_clients() -> Value {
    json!({ "Same": { "image": { "image": "postgres:16-alpine", "run": "" } } })
}

fn source(container_name: &str, name: &str) -> Value {
    json!({
        "state": { "container": container(container_name, "running") }, "running": true,
        "server": server(160_014, &["postgres", name]), "database": database(name, 10),
        "revisions": ["aaa"], "login_problem": null, "problem": null,
    })
}

/// The guide's world before the migration, with nothing wrong in it.
pub(crate) fn world() -> Value {
    // Checks of folders ask the file system; this one is there on every machine.
    let here = env!("CARGO_MANIFEST_DIR");
    let place = json!({ "file": "/a.py", "line": 1 });
    json!({
        "docker": {
            "needed": true, "engine": "28.2.2", "problem": null, "compose": ["docker-compose", "1.29.2"],
            "containers": [], "volumes": [], "missing_images": [],
        },
        "labeler": {
            "root": here, "backend": here, "compose_file": null, "python": "/venv/bin/python",
            "has_alembic": true, "has_script": true,
            "alembic": { "Ok": { "heads": ["bbb"], "revisions": { "aaa": place, "bbb": place }, "env": "/env.py",
                "version_table": { "name": "alembic_version", "schema": null }, "stuck": null, "faults": [] } },
        },
        "platform": { "root": here, "infrastructure": here, "compose_file": "docker-compose.yml",
            "compose_override": null, "compose_sha256": {} },
        "env_files": [{
            "path": "backend/.env", "exists": true, "problem": null, "sha256": "0", "mappings": {
                "platform": mapping("PLATFORM_DB", "5432", "platform", 10),
                "users": mapping("USER_DB", "5433", "users", 20),
                "labeler": mapping("LABELER_DB", "5435", "labeler", 30),
            },
        }],
        "sources": {
            "platform": source("labeler-postgres-platform", "platform"),
            "users": source("labeler-postgres-user", "users"),
            "labeler": source("labeler-postgres-labeler", "labeler"),
        },
        "target": {
            "container": null, "running": false, "exists": false, "server": null, "databases": {},
            "port_holder": { "container": "labeler-postgres-platform" }, "problem": null,
            "space": { "place": "the Docker engine's data", "free": 1_000_000_000 },
        },
        "clients": { "sources": { "platform": same_clients(), "users": same_clients(), "labeler": same_clients() } },
        "redis": { "answers": true, "port_holder": { "container": "labeler-redis" } },
        "application": [], "free_bytes": 1_000_000, "findings": [],
    })
}

/// The guide's settings.
fn settings() -> Settings {
    toml_edit::de::from_str(infra::MIGRATION_TOML).unwrap()
}

fn request() -> Request {
    Request {
        run: RunId::parse("20261209_141502_3fa9").unwrap(),
        only: Vec::new(),
        roles: Roles::Unify,
        pull: false,
        set_aside: false,
        accept_unfenced: false,
        target_password: true,
        reader_ports: Vec::new(),
    }
}

fn seen(world: Value) -> Observed {
    serde_json::from_value(world).unwrap()
}

/// All findings of the world with one change.
fn findings(change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut world = world();
    change(&mut world);
    preflight(&seen(world), &settings(), &request())
}

/// The one finding of the world with one change, as people read it.
#[track_caller]
fn only(id: &str, severity: Severity, change: impl FnOnce(&mut Value)) -> String {
    let found = findings(change);
    let [finding] = found.as_slice() else {
        panic!("not one finding: {found:#?}")
    };
    assert_eq!(
        (finding.id.as_str(), finding.severity),
        (id, severity),
        "{finding}"
    );
    finding.to_string()
}

#[track_caller]
fn error(id: &str, words: &[&str], change: impl FnOnce(&mut Value)) {
    let text = only(id, Severity::Error, change);
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
}

#[track_caller]
fn warning(id: &str, words: &[&str], change: impl FnOnce(&mut Value)) {
    let text = only(id, Severity::Warning, change);
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(findings(|_| {}), []);
}

#[test]
fn docker_missing_engine_down_and_compose_missing_are_told_apart() {
    error("docker.missing", &["apt-get install docker.io"], |world| {
        world["docker"]["problem"] = json!("program docker is not on this machine");
    });
    error(
        "docker.engine",
        &["Cannot connect", "systemctl start docker"],
        |world| {
            world["docker"]["problem"] = json!("Cannot connect to the Docker daemon");
        },
    );
    error(
        "docker.compose",
        &["docker-compose", "apt-get install docker-compose"],
        |world| {
            world["docker"]["compose"] = json!(null);
        },
    );
}

#[test]
fn without_docker_in_the_settings_its_absence_is_no_finding() {
    let found = findings(|world| {
        world["docker"] = json!({
            "needed": false, "engine": null, "problem": "program docker is not on this machine",
            "compose": ["docker-compose", "1.29.2"], "containers": [], "volumes": [], "missing_images": [],
        });
    });
    assert_eq!(found, []);
}

#[test]
fn missing_checkouts_and_environments_say_where_they_were_looked_for() {
    let found = findings(|world| world["labeler"] = json!(null));
    let text = found.iter().map(ToString::to_string).collect::<String>();
    assert!(
        text.contains("labeler.repository") && text.contains("../mvp-vision-ai-labeler"),
        "{text}"
    );
    warning("platform.repository", &["infra/compose/unified.yaml"], |world| {
        world["platform"] = json!(null)
    });
    error(
        "platform.infrastructure",
        &["platform/infrastructure, infrastructure"],
        |world| {
            world["platform"]["compose_file"] = json!(null);
        },
    );
    error("labeler.python", &["pip install -r requirements.txt"], |world| {
        world["labeler"]["python"] = json!(null)
    });
    error("labeler.alembic", &["/venv/bin/python"], |world| {
        world["labeler"]["has_alembic"] = json!(false)
    });
    error("labeler.backend", &["/nowhere"], |world| {
        world["labeler"]["backend"] = json!("/nowhere")
    });
}

/// What the platform's Compose files make of the target, with one change.
fn stack(field: &'static str, value: Value) -> impl Fn(&mut Value) {
    move |world| {
        let mut service = json!({
            "name": "postgres", "file": "docker-compose.yml", "line": 5, "container": "platform-postgres", "image": "postgres:16-alpine", "user": "admin",
            "ports": [5432], "host_network": false,
        });
        service[field] = value.clone();
        let stack =
            json!({ "file": "docker-compose.yml", "services": ["postgres", "redis"], "target": service });
        world["platform"]["stack"] = json!({ "Ok": stack });
    }
}

#[test]
fn a_stack_that_cannot_become_the_target_is_told_before_anything_stops() {
    assert_eq!(findings(stack("line", json!(5))), []);
    assert_eq!(findings(stack("container", json!(null))), []);
    error(
        "platform.compose",
        &[
            "docker-compose.override.yml: line 3: no mapping",
            "compose.readable",
        ],
        |world| {
            let why = "docker-compose.override.yml: line 3: no mapping";
            world["platform"]["stack"] = json!({ "Err": { "why": why, "fault": true } });
        },
    );
    error(
        "platform.target",
        &[
            "target.container is platform-postgres, but service postgres has mine",
            "docker-compose.yml:5",
            "cargo xtask migrate --set target.container=mine",
        ],
        stack("container", json!("mine")),
    );
    error(
        "platform.target",
        &[
            "target.port is 5432, but service postgres has 5440",
            "--set target.port=5440",
        ],
        stack("ports", json!([5440])),
    );
    error(
        "platform.target",
        &["target.port is 5432, but service postgres has none"],
        stack("ports", json!([])),
    );
    error(
        "platform.target",
        &[
            "target.service is postgres, which docker-compose.yml does not define",
            "one of db",
        ],
        |world| {
            let stack = json!({ "file": "docker-compose.yml", "services": ["db"], "target": null });
            world["platform"]["stack"] = json!({ "Ok": stack });
        },
    );
    warning(
        "platform.target",
        &["target.image is postgres:16-alpine"],
        stack("image", json!("postgres:17")),
    );
    let on_the_host = findings(|world| {
        stack("ports", json!([]))(world);
        world["platform"]["stack"]["Ok"]["target"]["host_network"] = json!(true);
    });
    assert_eq!(on_the_host, []);
}

#[test]
fn alembic_histories_that_do_not_fit_the_data_name_both_revisions() {
    error(
        "alembic.unknown-revision",
        &["revision zzz", "head bbb"],
        |world| {
            world["sources"]["labeler"]["revisions"] = json!(["zzz"]);
        },
    );
    error("alembic.heads", &["bbb, ccc", "merge heads"], |world| {
        world["labeler"]["alembic"]["Ok"]["heads"] = json!(["bbb", "ccc"]);
    });
    error("alembic.history", &["unreadable"], |world| {
        world["labeler"]["alembic"]["Ok"]["faults"] =
            json!([{ "file": "/a.py", "line": 1, "what": "unreadable" }]);
    });
}

#[test]
fn b11_rows_of_the_version_table_that_alembic_cannot_go_on_from_are_refused_before_the_fence() {
    error(
        "alembic.several-revisions",
        &["revisions aaa, bbb", "overlaps"],
        |world| {
            world["sources"]["labeler"]["revisions"] = json!(["aaa", "bbb"]);
            world["labeler"]["alembic"]["Ok"]["stuck"] = json!("Requested revision bbb overlaps");
        },
    );
}

#[test]
fn a_version_table_that_env_py_computes_is_told() {
    let found = findings(|world| {
        world["labeler"]["alembic"]["Ok"]["version_table"] = json!(null);
        world["sources"]["labeler"]["revisions"] = json!(null);
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].id, "alembic.version-table");
    assert_eq!(found[0].severity, Severity::Warning);
}

#[test]
fn without_alembic_its_rules_are_told_once() {
    error(
        "labeler.alembic",
        &["has no Alembic that answers: no Python"],
        |world| {
            world["labeler"]["has_alembic"] = json!(false);
            world["labeler"]["alembic"] = json!({ "Err": "no Python" });
        },
    );
}

#[test]
fn faults_of_env_carry_file_and_line() {
    error("env.missing", &["backend/.env"], |world| {
        world["env_files"][0]["problem"] = json!("no such file");
        world["env_files"][0]["exists"] = json!(false);
    });
    let keys = |world: &mut Value, field: &str, value: Value| {
        world["env_files"][0]["mappings"]["users"]["name"][field] = value;
    };
    error(
        "env.key-missing",
        &["USER_DB_NAME is not set", "backend/.env"],
        |world| keys(world, "lines", json!([])),
    );
    let fault = json!({ "line": 7, "why": "it is not UTF-8" });
    let rejected = |world: &mut Value, reader: &str, application: bool| {
        let one = json!({ "reader": reader, "application": application, "fault": fault });
        world["env_files"][0]["rejected"] = json!([one]);
    };
    error(
        "env.rejected",
        &["python-dotenv, gives up", "not UTF-8", "backend/.env:7"],
        |world| rejected(world, "python-dotenv", true),
    );
    warning("env.rejected", &["compose gives up", "backend/.env:7"], |world| {
        rejected(world, "compose", false)
    });
    error(
        "env.rejected",
        &["reads no USER_DB_NAME", "not UTF-8", "backend/.env:7"],
        |world| keys(world, "fault", fault.clone()),
    );
    error(
        "env.locked",
        &["backend/.env cannot be changed: Read-only"],
        |world| {
            world["env_files"][0]["locked"] = json!("Read-only file system");
        },
    );
    error("env.placeholder", &["USER_DB_NAME", "backend/.env:22"], |world| {
        keys(world, "placeholder", json!(true))
    });
    warning("env.key-twice", &["lines 5, 22", "backend/.env:22"], |world| {
        keys(world, "lines", json!([5, 22]))
    });
}

#[test]
fn keys_of_a_database_that_takes_no_part_are_not_judged() {
    let found = findings(|world| {
        world["env_files"][0]["mappings"]["users"]["name"]["lines"] = json!([]);
        world["sources"].as_object_mut().unwrap().remove("users");
    });
    assert_eq!(found, []);
}

#[test]
fn old_instances_that_cannot_be_migrated_are_refused() {
    let labeler = |world: &mut Value, field: &str, value: Value| world["sources"]["labeler"][field] = value;
    error(
        "source.labeler.absent",
        &["labeler-postgres-labeler or volume postgres_labeler_data"],
        |world| {
            labeler(world, "state", json!("absent"));
        },
    );
    error("source.labeler.volume", &["a_data, b_data"], |world| {
        labeler(world, "state", json!({ "several-volumes": ["a_data", "b_data"] }));
    });
    error("source.labeler.is-target", &["platform-postgres"], |world| {
        labeler(
            world,
            "state",
            json!({ "container": container("platform-postgres", "running") }),
        );
    });
    error("source.labeler.state", &["is paused"], |world| {
        labeler(
            world,
            "state",
            json!({ "container": container("labeler-postgres-labeler", "paused") }),
        );
    });
    error(
        "source.labeler.login",
        &["password authentication failed"],
        |world| {
            labeler(
                world,
                "login_problem",
                json!("password authentication failed for user \"admin\""),
            );
        },
    );
    error("source.labeler.unreachable", &["no answer"], |world| {
        labeler(world, "problem", json!("no answer"))
    });
    error(
        "source.labeler.database",
        &["no database labeler; it has labeler, postgres"],
        |world| {
            labeler(world, "database", json!(null));
        },
    );
}

#[test]
fn an_optional_old_instance_may_be_absent_unless_it_was_asked_for() {
    let absent = |world: &mut Value| world["sources"]["users"]["state"] = json!("absent");
    warning("source.users.absent", &["left as it is"], absent);
    let mut world = world();
    absent(&mut world);
    let asked = Request {
        only: vec!["users".to_owned()],
        ..request()
    };
    let found = preflight(&seen(world), &settings(), &asked);
    assert_eq!(found[0].severity, Severity::Error, "{found:?}");
}

#[test]
fn without_an_engine_nobody_says_whose_port_it_is() {
    let mut world = world();
    world["docker"]["problem"] = json!("no answer");
    world["target"]["port_holder"] = json!({ "process": "docker-proxy (pid 7)" });
    let found = preflight(&seen(world), &settings(), &request());
    assert!(found.iter().all(|one| one.id != "target.port"), "{found:?}");
    assert!(!found.is_empty());
}

#[test]
fn a_port_taken_by_others_names_the_container_or_process_and_one_of_ours_is_no_finding() {
    error(
        "target.port",
        &["5432 is taken by container web", "docker stop web"],
        |world| {
            world["target"]["port_holder"] = json!({ "container": "web" });
        },
    );
    error(
        "target.port",
        &["5432 is taken by process nginx (pid 7)"],
        |world| {
            world["target"]["port_holder"] = json!({ "process": "nginx (pid 7)" });
        },
    );
    error(
        "redis.port",
        &["6379 is taken by container web, which is not Redis"],
        |world| {
            world["redis"] = json!({ "answers": false, "port_holder": { "container": "web" } });
        },
    );
    let ours = findings(|world| world["target"]["port_holder"] = json!({ "container": "platform-postgres" }));
    assert_eq!(ours, []);
}

#[test]
fn an_old_instance_in_the_targets_place_comes_along_and_is_not_stopped_by_hand() {
    let mut world = world();
    world["sources"].as_object_mut().unwrap().remove("platform");
    let asked = Request {
        only: vec!["labeler".to_owned(), "users".to_owned()],
        ..request()
    };
    let found = preflight(&seen(world), &settings(), &asked);
    let [port] = found.as_slice() else {
        panic!("not one finding: {found:#?}")
    };
    assert_eq!(port.id, "target.port");
    assert!(port.found.contains("whose place the target takes"), "{port}");
    assert_eq!(
        port.hints,
        [
            "cargo xtask migrate",
            "cargo xtask migrate --only labeler,users,platform"
        ]
    );
}

/// A target that runs with these databases.
fn running_target(world: &mut Value, databases: &[&str]) {
    world["target"]["running"] = json!(true);
    world["target"]["server"] = server(160_014, databases);
}

#[test]
fn content_on_the_target_is_refused_or_kept_with_the_flag() {
    let filled = |world: &mut Value| {
        running_target(world, &["postgres", "labeler"]);
        world["target"]["databases"] =
            json!({ "labeler": { "facts": database("labeler", 3), "revisions": [] } });
    };
    error(
        "target.labeler.not-empty",
        &["holds 3 relations", "--set-aside-existing"],
        filled,
    );
    let mut world = world();
    filled(&mut world);
    let kept = Request {
        set_aside: true,
        ..request()
    };
    let found = preflight(&seen(world), &settings(), &kept);
    assert_eq!(found[0].severity, Severity::Warning);
    assert!(
        found[0].found.contains("labeler__before_20261209_141502_3fa9"),
        "{}",
        found[0]
    );
}

#[test]
fn a_database_that_is_in_use_on_the_target_is_left_out_and_not_set_aside() {
    let found = findings(|world| {
        running_target(world, &["postgres", "labeler"]);
        world["target"]["databases"] =
            json!({ "labeler": { "facts": database("labeler", 3), "revisions": [] } });
        world["env_files"][0]["mappings"]["platform"] = mapping("PLATFORM_DB", "5999", "platform", 10);
        world["env_files"][0]["mappings"]["labeler"] = mapping("LABELER_DB", "5432", "labeler", 30);
    });
    let in_use = found
        .iter()
        .find(|finding| finding.id == "target.labeler.not-empty")
        .unwrap();
    assert!(in_use.found.contains("it is the one in use"), "{in_use}");
    assert_eq!(in_use.hints, ["cargo xtask migrate --only platform,users"]);
}

#[test]
fn a_database_in_use_is_known_under_every_name_of_this_machine_and_only_what_is_left_is_offered() {
    let found = findings(|world| {
        running_target(world, &["postgres", "labeler", "platform"]);
        world["target"]["databases"] = json!({
            "labeler": { "facts": database("labeler", 3), "revisions": [] },
            "platform": { "facts": database("platform", 0), "revisions": [] },
        });
        world["env_files"][0]["mappings"]["labeler"]["host"]["value"] = json!("127.0.0.1");
        world["sources"]["labeler"]["named"] =
            json!({ "file": "backend/.env", "place": "127.0.0.1:5432", "what": "target", "here": true });
        world["sources"]["users"]["state"] = json!("absent");
    });
    let in_use = found
        .iter()
        .find(|finding| finding.id == "target.labeler.not-empty")
        .unwrap();
    // The old platform's place is the target's as well, and its rows are not there.
    assert_eq!(in_use.hints, ["cargo xtask migrate --only platform"]);
}

#[test]
fn the_old_instance_that_serves_the_targets_place_is_not_the_target_while_it_runs() {
    let names = |what: &str, running: bool| {
        let mut world = world();
        world["sources"]["platform"]["running"] = json!(running);
        world["sources"]["platform"]["named"] =
            json!({ "file": "backend/.env", "place": "localhost:5432", "what": what, "here": true });
        charge::names_target(&seen(world), &settings(), "platform")
    };
    assert_eq!(names("found", true), Some(false));
    assert_eq!(names("found", false), Some(true), "after the migration");
    assert_eq!(names("target", true), Some(true));
}

#[test]
fn a_target_that_does_not_fit_the_sources_is_refused() {
    error(
        "target.labeler.incoming",
        &["labeler__incoming", "DROP DATABASE"],
        |world| {
            running_target(world, &["postgres", "labeler__incoming"]);
        },
    );
    let older = findings(|world| {
        running_target(world, &["postgres"]);
        world["target"]["server"]["version_num"] = json!(150_018);
    });
    assert_eq!(older.len(), 3, "each source is newer: {older:?}");
    assert!(
        older[0].to_string().contains("newer than the target's 15.18"),
        "{}",
        older[0]
    );
    error("source.labeler.extension", &["postgis"], |world| {
        running_target(world, &["postgres"]);
        world["sources"]["labeler"]["database"]["extensions"] = json!({ "postgis": "3.4" });
    });
    warning("target.connections", &["offers 17 connections"], |world| {
        running_target(world, &["postgres"]);
        world["target"]["server"]["max_connections"] = json!(20);
    });
    error("target.unreachable", &["refused"], |world| {
        world["target"]["problem"] = json!("refused")
    });
}

#[test]
fn too_little_disk_is_refused_and_an_unknown_is_said() {
    error("disk.space", &["wanted"], |world| {
        world["free_bytes"] = json!(5000)
    });
    let text = only("disk.space", Severity::Note, |world| {
        world["free_bytes"] = json!(null)
    });
    assert!(text.contains("cannot be told"), "{text}");
}

#[test]
fn a_running_application_is_told() {
    warning("application.running", &["port 8001"], |world| {
        world["application"] = json!([{ "port": 8001, "body": "{}" }]);
    });
}

#[test]
fn a_target_password_that_nobody_knows_is_refused() {
    let unknown = Request {
        target_password: false,
        ..request()
    };
    let found = preflight(&seen(world()), &settings(), &unknown);
    assert_eq!(found[0].id, "target.password");
}

#[test]
fn everything_is_reported_together_the_worst_first() {
    let found = findings(|world| {
        world["application"] = json!([{ "port": 8001, "body": "{}" }]);
        world["labeler"]["python"] = json!(null);
        world["sources"]["labeler"]["login_problem"] = json!("no");
        world["free_bytes"] = json!(null);
    });
    let severities: Vec<Severity> = found.iter().map(|finding| finding.severity).collect();
    use Severity::{Error, Note, Warning};
    assert_eq!(severities, [Error, Error, Warning, Note]);
}

/// The world after the migration.
fn done() -> Value {
    let mut world = world();
    running_target(&mut world, &["platform", "users", "labeler"]);
    for (database_name, prefix) in [
        ("platform", "PLATFORM_DB"),
        ("users", "USER_DB"),
        ("labeler", "LABELER_DB"),
    ] {
        world["env_files"][0]["mappings"][database_name] = mapping(prefix, "5432", database_name, 1);
        world["sources"][database_name]["running"] = json!(false);
        world["target"]["databases"][database_name] =
            json!({ "facts": database(database_name, 3), "revisions": [] });
    }
    world
}

#[test]
fn there_is_nothing_to_do_only_when_env_databases_and_old_instances_all_say_so() {
    let why = |change: &dyn Fn(&mut Value)| {
        let mut world = done();
        change(&mut world);
        nothing_to_do(&seen(world), &settings())
    };
    assert_eq!(
        why(&|_| {}).unwrap(),
        "every .env file names localhost:5432 for labeler, platform, users, and what was to move is there"
    );
    let alone = why(&|world| {
        world["sources"]
            .as_object_mut()
            .unwrap()
            .retain(|name, _| name == "platform");
        world["env_files"][0]["mappings"]["labeler"] = mapping("LABELER_DB", "5435", "labeler", 30);
    });
    assert!(alone.unwrap().contains("names localhost:5432 for platform, and"));
    assert_eq!(nothing_to_do(&seen(world()), &settings()), None, "before");
    let env = |world: &mut Value, key: &str, value: &str| {
        world["env_files"][0]["mappings"]["labeler"][key]["value"] = json!(value);
    };
    assert_eq!(why(&|world| env(world, "port", "5435")), None, "another port");
    assert_eq!(
        why(&|world| env(world, "host", "db.example")),
        None,
        "another host"
    );
    assert_eq!(why(&|world| env(world, "name", "other")), None, "another name");
    let empty = |world: &mut Value| world["target"]["databases"]["labeler"]["facts"] = database("labeler", 0);
    assert_eq!(why(&empty), None, "an empty database");
    let runs = |world: &mut Value| world["sources"]["labeler"]["running"] = json!(true);
    assert_eq!(why(&runs), None, "an old instance still runs");
    assert_eq!(why(&|world| world["env_files"] = json!([])), None, "no .env");
    let optional = |world: &mut Value| world["target"]["databases"]["users"]["facts"] = database("users", 0);
    assert_eq!(why(&optional), None, "an old instance whose rows were not moved");
    let never_had = |world: &mut Value| {
        optional(world);
        world["sources"]["users"]["state"] = json!("absent");
    };
    assert!(why(&never_had).is_some());
}
