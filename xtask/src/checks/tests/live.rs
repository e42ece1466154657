//! The checks of what runs: each on a healthy instance, and on one with a single fault.

use std::collections::{BTreeMap, BTreeSet};

use infra::http::Answer;
use infra::postgres::facts::{DatabaseEntry, DatabaseFacts, ServerFacts};
use infra::postgres::health::{DatabaseHealth, Refused, SequenceHealth};
use infra::redis::Pong;
use serde_json::json;

use infra::postgres::ailments::CollationMismatch;

use crate::checks::{Case, Outcome, Scope, Selection, Verdicts, Write, run, select};
use crate::config::{self, Loaded, Workspace};
use crate::observe::{
    ApplicationSeen, BackupSeen, BackupsSeen, DatabaseSeen, DockerSeen, EnvSeen, Holder, InstanceSeen,
    LogSeen, RowsSeen, TargetDatabase, TargetSeen,
};

struct World {
    loaded: Loaded,
    instance: InstanceSeen,
    application: ApplicationSeen,
    writes: Vec<Write>,
    backups: BackupsSeen,
    moved: bool,
}

fn healthy() -> World {
    let folder = tempfile::tempdir().unwrap();
    let workspace = Workspace::at(folder.path());
    let sets = ["target.control=\"pg-ctl\"".to_owned()];
    let loaded = config::load(&workspace, crate::DEFAULT_PROFILE, &[], &sets).unwrap();
    let entry = DatabaseEntry {
        oid: 1,
        owner: "admin".to_owned(),
        encoding: "UTF8".to_owned(),
        collate: "C".to_owned(),
        ctype: "C".to_owned(),
        allow_connections: true,
        bytes: Some(1),
        sessions: 0,
        invalid: false,
    };
    let server = ServerFacts {
        data_directory: None,
        read_only: false,
        version_num: 160_000,
        max_connections: 100,
        reserved_connections: 3,
        connections: 5,
        role: "admin".to_owned(),
        superuser: true,
        createdb: true,
        createrole: true,
        databases: ["platform", "users", "labeler"]
            .map(|name| (name.to_owned(), entry.clone()))
            .into(),
        roles: BTreeMap::new(),
        available_extensions: Vec::new(),
        creatable_extensions: Vec::new(),
        bypass_rls: true,
        tls: None,
        system_identifier: None,
        started: None,
        standby: false,
        own_port: None,
        pooled: false,
        member_of: Vec::new(),
    };
    let facts = DatabaseFacts {
        name: "labeler".to_owned(),
        oid: 1,
        bytes: 1,
        relations: 1,
        routines_and_types: 0,
        large_objects: 0,
        schemas: 0,
        extensions: BTreeMap::new(),
        owners: vec!["admin".to_owned()],
        prepared_transactions: Vec::new(),
        undumped: Vec::new(),
        role_settings: Vec::new(),
        connection_limit: -1,
        tablespaces: BTreeMap::new(),
        access: infra::postgres::access::Access::default(),
    };
    let database = TargetDatabase {
        facts,
        revisions: Some(vec!["e5".to_owned()]),
    };
    let table = ("public".to_owned(), "datasets".to_owned());
    let labeler = DatabaseSeen {
        backup: Some("a-run".to_owned()),
        health: Ok(DatabaseHealth {
            tables: vec![table.clone()],
            extensions: vec!["plpgsql".to_owned()],
            sequences: Vec::new(),
            ..DatabaseHealth::default()
        }),
        application_role: Some(Ok(Vec::new())),
        collate_before: Some("C".to_owned()),
        rows: Some(Ok(vec![rows(Some(3))])),
    };
    World {
        instance: InstanceSeen {
            docker: DockerSeen::default(),
            target: TargetSeen {
                place: None,
                data: None,
                space: None,
                container: None,
                volume: None,
                running: true,
                exists: true,
                server: Some(server),
                databases: [("labeler".to_owned(), database)].into(),
                port_holder: Some(Holder::Process(None)),
                problem: None,
                logins: BTreeMap::new(),
                weak: Vec::new(),
            },
            labeler: Some(labeler_checkout()),
            env_files: vec![env_file()],
            databases: [("labeler".to_owned(), labeler)].into(),
            held: BTreeMap::new(),
            collations: Some(Ok(Vec::new())),
        },
        application: ApplicationSeen {
            port: Some(8001),
            answers: loaded
                .settings
                .application
                .probes
                .iter()
                .map(|probe| (probe.clone(), Ok(answer(&probe.path))))
                .collect(),
            redis: Ok(Pong::Pong),
            log: Some(Ok(LogSeen {
                path: "labeler/backend/app.log".into(),
                errors: Vec::new(),
            })),
        },
        writes: vec![("/api/v1/datasets".to_owned(), Ok(true))],
        backups: BackupsSeen {
            last: Some(last(Ok(Vec::new()))),
            incomplete: Vec::new(),
            containers: vec![("labeler-postgres-labeler".to_owned(), "exited".to_owned())],
            volumes: Vec::new(),
        },
        moved: true,
        loaded,
    }
}

/// A `.env` that names the target.
fn env_file() -> EnvSeen {
    let key = |name: &str, value: Option<&str>| json!({ "key": name, "value": value, "lines": [3], "placeholder": false });
    let mapping = json!({
        "host": key("LABELER_DB_HOST", Some("127.0.0.1")),
        "port": key("LABELER_DB_PORT", Some("5432")),
        "name": key("LABELER_DB_NAME", Some("labeler")),
        "user": key("LABELER_DB_USER", Some("admin")),
        "password": key("LABELER_DB_PASSWORD", None),
    });
    let file = json!({ "path": "backend/.env", "exists": true, "problem": null, "sha256": "0",
        "mappings": { "labeler": mapping } });
    serde_json::from_value(file).unwrap()
}

/// That file with another port or database.
fn misled(world: &mut World, port: &str, name: &str) {
    let mapping = world.instance.env_files[0].mappings.get_mut("labeler").unwrap();
    mapping.port.value = Some(port.to_owned());
    mapping.name.value = Some(name.to_owned());
}

fn labeler_checkout() -> crate::observe::LabelerSeen {
    crate::observe::LabelerSeen {
        redis_image: None,
        root: "labeler".into(),
        backend: "labeler/backend".into(),
        compose_file: None,
        compose_override: None,
        python: None,
        has_alembic: true,
        has_script: true,
        alembic: Ok(infra::alembic::History {
            heads: vec!["e5".to_owned()],
            revisions: [
                ("d4".to_owned(), Default::default()),
                ("e5".to_owned(), Default::default()),
            ]
            .into(),
            ..Default::default()
        }),
    }
}

fn sequence() -> SequenceHealth {
    SequenceHealth {
        sequence: "public.datasets_id_seq".to_owned(),
        column: "public.datasets.id".to_owned(),
        next: 10,
        reached: "10".to_owned(),
    }
}

fn rows(now: Option<u64>) -> RowsSeen {
    RowsSeen {
        table: "public.datasets".to_owned(),
        before: 3,
        now,
    }
}

fn last(differences: Result<Vec<String>, String>) -> BackupSeen {
    BackupSeen {
        run: "a-run".to_owned(),
        differences,
    }
}

fn answer(path: &str) -> Answer {
    let body = match path {
        "/health" => r#"{"status":"healthy"}"#,
        "/health/db" => r#"{"platform_db":"connected","labeler_db":"connected"}"#,
        _ => "<html>",
    };
    Answer {
        status: 200,
        content_type: if path == "/docs" {
            "text/html"
        } else {
            "application/json"
        }
        .to_owned(),
        body: body.to_owned(),
    }
}

fn verdicts(world: &World) -> Verdicts {
    let case = Case {
        loaded: &world.loaded,
        root: std::path::Path::new("."),
        config: None,
        instance: Some(&world.instance),
        application: Some(&world.application),
        backups: Some(&world.backups),
        moved: world.moved,
        writes: Some(&world.writes),
    };
    let all = select(Scope::All, &Selection::default()).unwrap();
    let live: Vec<_> = all
        .into_iter()
        .filter(|check| check.group.scope() != Scope::Config)
        .collect();
    run(&live, &case)
}

fn labeler(world: &mut World) -> &mut DatabaseSeen {
    world.instance.databases.get_mut("labeler").unwrap()
}

fn health(world: &mut World) -> &mut DatabaseHealth {
    labeler(world).health.as_mut().unwrap()
}

/// Check, fault, part of the one finding.
type Fault = (&'static str, fn(&mut World), &'static str);

const FAULTS: &[Fault] = &[
    (
        "postgres.container",
        |w| {
            in_container(w);
            w.instance.target.container.as_mut().unwrap().health = Some("unhealthy".to_owned());
        },
        "container platform-postgres is unhealthy",
    ),
    (
        "databases.locale",
        |w| {
            let databases = &mut w.instance.target.server.as_mut().unwrap().databases;
            databases.get_mut("labeler").unwrap().collate = "en_US.utf8".to_owned();
        },
        "database labeler sorts by en_US.utf8",
    ),
    (
        "databases.collation",
        |w| {
            w.instance.collations = Some(Ok(vec![CollationMismatch {
                database: "labeler".to_owned(),
                recorded: "2.31".to_owned(),
                actual: "2.36".to_owned(),
            }]));
        },
        "built with collation version 2.31, and this server has 2.36",
    ),
    (
        "app.write-probe",
        |w| w.writes[0].1 = Err("POST /api/v1/datasets: status 500".to_owned()),
        "write probe /api/v1/datasets: POST",
    ),
    (
        "app.log",
        |w| {
            let log = w.application.log.as_mut().unwrap().as_mut().unwrap();
            log.errors = vec![(7, "ERROR: login failed".to_owned())];
        },
        "1 lines tell of an error; the last: ERROR: login failed",
    ),
    (
        "postgres.port",
        |w| w.instance.target.port_holder = None,
        "nobody listens on port 5432",
    ),
    (
        "postgres.port",
        |w| {
            w.instance.target.running = false;
            w.instance.target.server = None;
        },
        "belongs to a process that could not be named, and the target does not run",
    ),
    (
        "postgres.port",
        |w| {
            in_container(w);
            w.instance.target.container.as_mut().unwrap().status = "exited".to_owned();
            w.instance.target.port_holder = Some(Holder::Process(Some("nc (7)".to_owned())));
        },
        "belongs to process nc (7), and container",
    ),
    (
        "postgres.answers",
        |w| {
            w.instance.target.server = None;
            w.instance.target.problem = Some("password authentication failed".to_owned());
        },
        "password authentication failed",
    ),
    (
        "postgres.connections",
        |w| w.instance.target.server.as_mut().unwrap().max_connections = 40,
        "may open 60 connections, and 37 are allowed",
    ),
    (
        "databases.exist",
        |w| {
            w.instance
                .target
                .server
                .as_mut()
                .unwrap()
                .databases
                .remove("users");
        },
        "database users is not on the target",
    ),
    (
        "databases.owner",
        |w| health(w).foreign_owners = [("labeler_user".to_owned(), 2)].into(),
        "2 relations of database labeler belong to labeler_user",
    ),
    (
        "labeler.revision",
        |w| w.instance.target.databases.get_mut("labeler").unwrap().revisions = Some(vec!["d4".to_owned()]),
        "stands at d4",
    ),
    (
        "databases.indexes",
        |w| health(w).invalid_indexes.push("public.i".to_owned()),
        "index public.i of database labeler is invalid",
    ),
    (
        "databases.constraints",
        |w| health(w).unvalidated_constraints.push("c on t".to_owned()),
        "not validated in labeler: c on t",
    ),
    (
        "databases.sequences",
        |w| health(w).sequences = vec![sequence()],
        "gives 10 next, and public.datasets.id holds 10 already",
    ),
    (
        "data.matches-backup",
        |w| labeler(w).rows = Some(Ok(vec![rows(None)])),
        "is in backup a-run and not here",
    ),
    (
        "privileges.application",
        |w| {
            labeler(w).application_role = Some(Ok(vec![Refused {
                object: "public.datasets".to_owned(),
                what: "INSERT".to_owned(),
                why: "permission denied".to_owned(),
            }]));
        },
        "INSERT on public.datasets of labeler is refused",
    ),
    (
        "privileges.application",
        |w| w.instance.env_files[0].exists = false,
        "there is no backend/.env: the application has no login",
    ),
    (
        "privileges.application",
        |w| misled(w, "5432", "labeller"),
        "LABELER_DB_NAME is labeller",
    ),
    (
        "privileges.application",
        |w| misled(w, "5435", "labeler"),
        "LABELER_DB_PORT is 5435",
    ),
    (
        "privileges.read-only",
        |w| {
            health(w)
                .writing_readers
                .push("labeler_readonly on public.datasets".to_owned())
        },
        "read-only roles may write in labeler",
    ),
    (
        "privileges.isolation",
        |w| health(w).extensions.push("dblink".to_owned()),
        "database labeler has extension dblink",
    ),
    (
        "app.health",
        |w| {
            let body = r#"{"platform_db":"connected","labeler_db":"error: refused"}"#.to_owned();
            w.application.answers[1].1.as_mut().unwrap().body = body;
        },
        "GET /health/db: labeler_db",
    ),
    (
        "redis.pong",
        |w| w.application.redis = Err("connection refused".to_owned()),
        "no Redis answers on localhost:6379",
    ),
    (
        "cleanup.backup",
        |w| {
            let why = "archive labeler is missing".to_owned();
            w.backups.last = Some(last(Ok(vec![why])));
        },
        "the backup of run a-run is damaged: archive labeler is missing",
    ),
    (
        "cleanup.old-containers",
        |w| w.backups.containers[0].1 = "running".to_owned(),
        "old container labeler-postgres-labeler is running",
    ),
    (
        "cleanup.old-volumes",
        |w| w.backups.volumes.push("x_data".to_owned()),
        "old volumes are kept: x_data",
    ),
];

/// The same instance in a container.
fn in_container(world: &mut World) {
    world.loaded.settings.target.control = config::Control::Compose;
    world.instance.target.container = Some(
        serde_json::from_value(serde_json::json!({
            "id": "1", "name": "platform-postgres", "image": "postgres:16-alpine", "status": "running",
            "health": "healthy", "restart": "unless-stopped", "mounts": [], "ports": { "5432": [5432] }, "address": "172.17.0.2",
            "labels": {}, "postgres_user": "admin", "pgdata": null,
        }))
        .unwrap(),
    );
    world.instance.target.port_holder = Some(Holder::Container("platform-postgres".to_owned()));
}

/// Ids of the checks that pass on an instance where nothing is wrong, as a cluster or in a container.
pub(super) fn passing() -> BTreeSet<&'static str> {
    let mut contained = healthy();
    in_container(&mut contained);
    let all = [healthy(), contained].map(|world| verdicts(&world).0);
    let passed = all.into_iter().flatten().filter(|v| v.outcome == Outcome::Passed);
    passed.map(|verdict| verdict.check.id).collect()
}

#[test]
fn an_old_instance_in_the_targets_place_is_never_stopped_before_the_data_has_moved() {
    let findings = |moved: bool| {
        let mut world = healthy();
        in_container(&mut world);
        world.moved = moved;
        world.instance.target.container.as_mut().unwrap().status = "exited".to_owned();
        world.instance.target.server = None;
        world.instance.target.port_holder = Some(Holder::Container("labeler-postgres-platform".to_owned()));
        let verdicts = verdicts(&world);
        let ours = |id: &str| id == "postgres.container" || id == "postgres.port";
        let found = verdicts.findings().filter(|finding| ours(&finding.id));
        found.cloned().collect::<Vec<_>>()
    };
    let before = findings(false);
    assert_eq!(before.len(), 2, "{before:?}");
    for finding in &before {
        assert_eq!(finding.hints, ["cargo xtask migrate"], "{finding}");
    }
    assert!(
        before[1].found.contains("the data has not been moved yet"),
        "{}",
        before[1]
    );
    let after = findings(true);
    assert_eq!(after[0].hints, [""; 0], "{}", after[0]);
    assert!(after[1].found.contains("may hold newer rows"), "{}", after[1]);
    let first: Vec<&str> = after[1]
        .hints
        .iter()
        .map(|hint| hint.split("  #").next().unwrap())
        .collect();
    assert_eq!(
        first,
        [
            "docker stop labeler-postgres-platform",
            "cargo xtask rollback",
            "docker start platform-postgres"
        ]
    );
}

/// Ids of the checks that have a fault of their own.
pub(super) fn failing() -> BTreeSet<&'static str> {
    FAULTS.iter().map(|(check, ..)| *check).collect()
}

#[test]
fn every_check_fails_for_its_own_fault() {
    for (check, fault, found) in FAULTS {
        let mut world = healthy();
        fault(&mut world);
        let verdicts = verdicts(&world);
        let findings: Vec<String> = verdicts
            .findings()
            .filter(|finding| finding.id == *check)
            .map(ToString::to_string)
            .collect();
        assert_eq!(findings.len(), 1, "{check}: {findings:?}");
        assert!(findings[0].contains(found), "{check}: {}", findings[0]);
    }
}

#[test]
fn what_cannot_be_looked_at_is_an_error_never_a_pass() {
    let mut world = healthy();
    labeler(&mut world).health = Err("canceling statement due to timeout".to_owned());
    let verdicts = verdicts(&world);
    for id in ["databases.sequences", "databases.indexes", "privileges.isolation"] {
        let verdict = verdicts.0.iter().find(|v| v.check.id == id).unwrap();
        assert_eq!(verdict.outcome.word(), "failed", "{id}");
    }
}

#[test]
fn a_database_that_is_gone_is_answered_with_the_backup_that_holds_it() {
    let mut world = healthy();
    world
        .instance
        .target
        .server
        .as_mut()
        .unwrap()
        .databases
        .remove("users");
    let hint = |world: &World| {
        let verdicts = verdicts(world);
        let finding = verdicts.findings().find(|f| f.id == "databases.exist").unwrap();
        finding.hints[0].clone()
    };
    assert_eq!(hint(&world), "cargo xtask migrate --dry-run");
    world.instance.held = [("users".to_owned(), "a-run".to_owned())].into();
    assert_eq!(hint(&world), "cargo xtask restore a-run --database users");
}

#[test]
fn before_a_migration_nobody_is_told_to_repoint_env() {
    let mut world = healthy();
    misled(&mut world, "5435", "labeler");
    world.moved = false;
    let all = verdicts(&world).0;
    let verdict = all
        .iter()
        .find(|v| v.check.id == "privileges.application")
        .unwrap();
    let Outcome::Skipped(why) = &verdict.outcome else {
        panic!("{}", verdict.outcome.word());
    };
    assert!(why.contains("cargo xtask migrate"), "{why}");
}

#[test]
fn removing_old_volumes_is_hinted_only_where_a_run_replaced_them() {
    let hints = |moved: bool, backup: bool| {
        let mut world = healthy();
        world.moved = moved;
        world.backups.volumes.push("x_data".to_owned());
        if !backup {
            world.backups.last = None;
        }
        let verdicts = verdicts(&world);
        let mut findings = verdicts.findings();
        let finding = findings.find(|one| one.id == "cleanup.old-volumes").unwrap();
        finding.hints.clone()
    };
    assert_eq!(hints(true, true), ["cargo xtask cleanup --remove-volumes"]);
    assert_eq!(hints(false, true), [] as [String; 0]);
    assert_eq!(hints(true, false), [] as [String; 0]);
}

#[test]
fn a_target_that_does_not_answer_is_the_doctors() {
    let mut world = healthy();
    world.instance.target.server = None;
    world.instance.target.problem = Some("FATAL:  sorry, too many clients already".to_owned());
    in_container(&mut world);
    world.instance.target.container = None;
    let verdicts = verdicts(&world);
    let mut findings = verdicts.findings();
    let finding = findings.find(|one| one.id == "postgres.answers").unwrap();
    assert_eq!(finding.hints, ["cargo xtask doctor"]);
}

#[test]
fn who_listens_and_cannot_be_told_is_no_pass() {
    let mut world = healthy();
    world.instance.target.server = None;
    let all = verdicts(&world).0;
    let verdict = all.iter().find(|v| v.check.id == "postgres.port").unwrap();
    assert_eq!(verdict.outcome.word(), "skipped");
}

#[test]
fn what_was_not_asked_for_or_is_not_there_is_skipped() {
    let mut world = healthy();
    world.application.log = None;
    world.writes.clear();
    let verdicts = verdicts(&world);
    for id in ["app.log", "app.write-probe"] {
        let verdict = verdicts.0.iter().find(|v| v.check.id == id).unwrap();
        assert_eq!(verdict.outcome.word(), "skipped", "{id}");
    }
}
