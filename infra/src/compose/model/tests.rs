use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;
use crate::compose::yaml;

/// What `docker-compose` 1.29 prints.
const STANDALONE: &str = r"services:
  db:
    environment: {PGDATA: /data/pg, POSTGRES_PASSWORD: 'a$$b', EMPTY: null}
    healthcheck:
      test: pg_isready
    image: postgres:16
    ports:
    - published: 5432
      target: 5432
    - 127.0.0.1:5433:5433/udp
    - '[::1]:6000-6001:7000-7001'
    - target: 9000
    volumes:
    - /x/init:/docker-entrypoint-initdb.d:ro
    - own:/data:rw
    - /anonymous
    - C:\data:/win
    - D:/more:/more:rw
  outside:
    healthcheck:
      test:
      - NONE
    volumes:
    - out:/var/lib/postgresql:rw
  bound:
    volumes:
    - /x/data:/var/lib/postgresql/data:rw
  bare: {}
version: '3.8'
volumes:
  own: {}
  out:
    external: true
    name: elsewhere
";

fn standalone() -> Config {
    Config::of(&yaml::parse(STANDALONE).unwrap(), &[]).unwrap()
}

/// What the plugin prints of a service.
fn plugin(service: Value) -> Service {
    let answer =
        json!({ "name": "p", "services": { "db": service }, "volumes": { "own": { "name": "p_own" } } });
    Config::of(&answer, &[]).unwrap().services.remove(0)
}

#[test]
fn the_place_of_the_data_is_read_from_what_either_compose_prints() {
    let volume = |name: &str| Some(Place::Volume(name.to_owned()));
    let config = standalone();
    assert_eq!(config.data_place("db", "p"), volume("p_own"));
    assert_eq!(config.data_place("outside", "p"), volume("elsewhere"));
    assert_eq!(
        config.data_place("bound", "p"),
        Some(Place::Folder("/x/data".into()))
    );
    assert_eq!(config.data_place("bare", "p"), None);
    let mount =
        json!({ "type": "volume", "source": "own", "target": "/var/lib/postgresql/data", "volume": {} });
    let answer =
        json!({ "services": { "db": { "volumes": [mount] } }, "volumes": { "own": { "name": "p_own" } } });
    assert_eq!(
        Config::of(&answer, &[]).unwrap().data_place("db", "other"),
        volume("p_own")
    );
}

#[test]
fn ports_of_both_forms_say_the_same() {
    let config = standalone();
    let ports: Vec<_> = config.service("db").unwrap().ports.iter().collect();
    let seen: Vec<_> = ports
        .iter()
        .map(|one| (one.address.as_deref(), one.port))
        .collect();
    let wanted = [
        (None, 5432),
        (Some("127.0.0.1"), 5433),
        (Some("::1"), 6000),
        (Some("::1"), 6001),
    ];
    assert_eq!(seen, wanted);
    assert_eq!(ports[1].protocol, "udp");
    let port = json!({ "mode": "ingress", "target": 5432, "published": "5432", "protocol": "tcp", "host_ip": "::1" });
    let long = plugin(json!({ "ports": [port, { "target": 80, "protocol": "tcp" }] }));
    assert_eq!(long.inside, [5432, 80]);
    assert!(long.ports[0].collides(ports[0]) && !long.ports[0].is_everywhere() && ports[0].is_everywhere());
    assert!(!long.ports[0].collides(ports[1]));
}

#[test]
fn mounts_know_drives_and_volumes_without_a_name_are_none() {
    let config = standalone();
    let mounts = &config.service("db").unwrap().mounts;
    let seen: Vec<_> = mounts
        .iter()
        .map(|mount| (mount.source.as_str(), mount.target.as_str()))
        .collect();
    let wanted = [
        ("/x/init", "/docker-entrypoint-initdb.d"),
        ("own", "/data"),
        (r"C:\data", "/win"),
        ("D:/more", "/more"),
    ];
    assert_eq!(seen, wanted);
    assert!(
        plugin(json!({ "volumes": [{ "type": "tmpfs", "target": "/t" }] }))
            .mounts
            .is_empty()
    );
}

#[test]
fn a_value_keeps_its_dollar_and_shows_in_no_debug() {
    let config = standalone();
    let db = config.service("db").unwrap();
    assert_eq!(db.variable("POSTGRES_PASSWORD"), Some("a$b"));
    assert_eq!(db.variable("EMPTY"), None);
    assert!(!format!("{config:?}").contains("a$b"));
}

#[test]
fn a_health_check_that_is_off_is_none() {
    let config = standalone();
    let has = |name: &str| config.service(name).unwrap().health_check;
    assert!(has("db") && !has("outside") && !has("bare"));
    assert!(!plugin(json!({ "healthcheck": { "disable": true } })).health_check);
}

#[test]
fn a_server_is_known_by_its_image_or_its_port_and_a_client_or_an_application_is_none() {
    let is = |service: Value| plugin(service).is_postgres();
    for image in [
        "postgres",
        "postgres:16-alpine",
        "registry:5000/bitnami/postgresql:16",
        "postgis/postgis:16-3.4",
        "pgvector/pgvector:pg16",
        "timescale/timescaledb:latest-pg16",
        "postgres@sha256:00",
    ] {
        assert!(is(json!({ "image": image })), "{image}");
    }
    assert!(is(
        json!({ "image": "postgres:16", "command": ["postgres", "-c", "max_connections=9"] })
    ));
    assert!(is(
        json!({ "image": "own/db", "ports": [{ "target": 5432, "published": "5440" }] })
    ));
    assert!(is(json!({ "build": { "context": "db" }, "expose": ["5432"] })));
    assert!(!is(
        json!({ "image": "postgres:16", "command": ["sh", "-c", "pg_dump -h postgres platform > /b"] })
    ));
    assert!(!is(
        json!({ "image": "postgres:16", "entrypoint": ["/bin/sh", "-c"], "command": ["psql -f /m.sql"] })
    ));
    assert!(!is(
        json!({ "build": ".", "environment": { "POSTGRES_USER": "u", "POSTGRES_DB": "d" } })
    ));
    assert!(!is(
        json!({ "image": "temporalio/auto-setup", "environment": { "POSTGRES_SEEDS": "db" } })
    ));
    assert!(!is(json!({ "image": "prometheuscommunity/postgres-exporter" })));
}

#[test]
fn a_service_is_found_in_the_one_file_that_names_it() {
    let file = |name: &str, text: &str| (PathBuf::from(name), text.to_owned());
    let base = file(
        "a.yml",
        "x-db:\r\n  db: 1\r\nservices:\r\n\r\n  # db:\r\n  db: # here\r\n    depends_on:\r\n      db:\r\n  'web':\r\n",
    );
    let over = file(
        "b.yml",
        "services:\n    web:\n        image: x\nvolumes:\n  db:\n",
    );
    let at = |name: &str| {
        let (path, line) = locate(&[base.clone(), over.clone()], name);
        (path.display().to_string(), line)
    };
    assert_eq!(at("db"), ("a.yml".to_owned(), 6));
    assert_eq!(at("web"), ("a.yml".to_owned(), 0), "both files name it");
    assert_eq!(at("gone"), ("a.yml".to_owned(), 0));
    assert_eq!(locate(&[over], "web"), (Path::new("b.yml").to_owned(), 2));
}
