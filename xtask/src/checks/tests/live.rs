//! The checks of what runs: each on a healthy instance, and on one with a single fault.

use std::collections::BTreeMap;

use infra::http::Answer;
use infra::postgres::facts::{DatabaseEntry, DatabaseFacts, ServerFacts};
use infra::postgres::health::{DatabaseHealth, Refused, SequenceHealth};
use infra::redis::Pong;

use crate::checks::{Case, Outcome, Scope, Selection, Verdicts, run, select};
use crate::config::{self, Loaded, Workspace};
use crate::observe::{
    ApplicationSeen, ArchiveSeen, BackupsSeen, DatabaseSeen, DockerSeen, Holder, InstanceSeen, RowsSeen,
    TargetDatabase, TargetSeen,
};

struct World {
    loaded: Loaded,
    instance: InstanceSeen,
    application: ApplicationSeen,
    backups: BackupsSeen,
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
    };
    let server = ServerFacts {
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
        role_settings: Vec::new(),
        connection_limit: -1,
        has_alembic_version: true,
    };
    let database = TargetDatabase {
        facts,
        revisions: vec!["e5".to_owned()],
    };
    let table = ("public".to_owned(), "datasets".to_owned());
    let labeler = DatabaseSeen {
        health: Ok(DatabaseHealth {
            tables: vec![table.clone()],
            extensions: vec!["plpgsql".to_owned()],
            sequences: vec![sequence(11)],
            ..DatabaseHealth::default()
        }),
        application_role: Some(Ok(Vec::new())),
        rows: Some(Ok(vec![rows(Some(3))])),
    };
    World {
        instance: InstanceSeen {
            docker: DockerSeen::default(),
            target: TargetSeen {
                container: None,
                running: true,
                exists: true,
                server: Some(server),
                databases: [("labeler".to_owned(), database)].into(),
                port_holder: Some(Holder::Process(None)),
                problem: None,
            },
            labeler: Some(labeler_checkout()),
            databases: [("labeler".to_owned(), labeler)].into(),
            expected_tables: Ok([table].into()),
            backup: Some("a-run".to_owned()),
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
        },
        backups: BackupsSeen {
            last: Some(("a-run".to_owned(), vec![archive(Ok(()))])),
            incomplete: Vec::new(),
            containers: vec![("labeler-postgres-labeler".to_owned(), "exited".to_owned())],
            volumes: Vec::new(),
        },
        loaded,
    }
}

fn labeler_checkout() -> crate::observe::LabelerSeen {
    crate::observe::LabelerSeen {
        root: "labeler".into(),
        backend: "labeler/backend".into(),
        compose_file: None,
        python: None,
        has_alembic: true,
        has_script: true,
        alembic: serde_json::from_str(r#"{"heads":["e5"],"known":["d4","e5"],"problem":null}"#).unwrap(),
    }
}

fn sequence(next: i64) -> SequenceHealth {
    SequenceHealth {
        sequence: "public.datasets_id_seq".to_owned(),
        column: "public.datasets.id".to_owned(),
        next,
        largest: Some(10),
    }
}

fn rows(now: Option<u64>) -> RowsSeen {
    RowsSeen {
        table: "public.datasets".to_owned(),
        before: 3,
        now,
    }
}

fn archive(checked: Result<(), String>) -> ArchiveSeen {
    ArchiveSeen {
        name: "labeler".to_owned(),
        checked,
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
        "postgres.port",
        |w| w.instance.target.port_holder = None,
        "nobody listens on port 5432",
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
        "labeler.tables",
        |w| health(w).tables.clear(),
        "1 of 1 tables are missing in labeler: public.datasets",
    ),
    (
        "labeler.revision",
        |w| w.instance.target.databases.get_mut("labeler").unwrap().revisions = vec!["d4".to_owned()],
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
        |w| health(w).sequences = vec![sequence(10)],
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
            w.backups.last = Some((
                "a-run".to_owned(),
                vec![archive(Err("has another SHA-256".to_owned()))],
            ))
        },
        "archive labeler of run a-run is damaged",
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

#[test]
fn every_check_passes_on_a_healthy_instance() {
    for verdict in &verdicts(&healthy()).0 {
        // The target of this world is a cluster.
        let container = verdict.check.id == "postgres.container";
        assert!(
            container || verdict.outcome == Outcome::Passed,
            "{}: {:?}",
            verdict.check.id,
            verdict.outcome
        );
    }
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
fn every_live_check_has_a_fault() {
    let live = crate::checks::CHECKS
        .iter()
        .filter(|check| check.group.scope() != Scope::Config);
    for check in live.filter(|check| check.id != "postgres.container") {
        assert!(
            FAULTS.iter().any(|(id, ..)| *id == check.id),
            "{} has no fault",
            check.id
        );
    }
}

#[test]
fn what_cannot_be_looked_at_is_an_error_never_a_pass() {
    let mut world = healthy();
    labeler(&mut world).health = Err("canceling statement due to timeout".to_owned());
    let verdicts = verdicts(&world);
    for id in [
        "databases.sequences",
        "databases.indexes",
        "privileges.isolation",
        "labeler.tables",
    ] {
        let verdict = verdicts.0.iter().find(|v| v.check.id == id).unwrap();
        assert_eq!(verdict.outcome.word(), "failed", "{id}");
    }
}
