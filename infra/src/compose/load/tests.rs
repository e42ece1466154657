//! What is read, in every form.

use super::super::file::{Published, Service, image_tag};
use super::*;

fn parse(text: &str) -> ComposeFile {
    read(Path::new("compose.yml"), text, &|_| None).unwrap()
}

#[test]
fn ports_are_read_in_every_form() {
    let file = parse(
        "services:\n  a:\n    ports:\n      - \"127.0.0.1:${P:-5432}:5432\"\n      - 80\n      - \"53:53/udp\"\n      \
         - \"9000-9001:9000-9001\"\n      - target: 5432\n        published: \"5440\"\n      - \"[::1]:81:80\"\n",
    );
    let ports: Vec<(Option<&str>, u16, &str, usize)> = file.services[0]
        .ports
        .iter()
        .map(|p| (p.address.as_deref(), p.port, p.protocol.as_str(), p.line))
        .collect();
    assert_eq!(
        ports,
        [
            (Some("127.0.0.1"), 5432, "tcp", 4),
            (None, 53, "udp", 6),
            (None, 9000, "tcp", 7),
            (None, 9001, "tcp", 7),
            (None, 5440, "tcp", 8),
            (Some("::1"), 81, "tcp", 10),
        ]
    );
    assert!(!file.services[0].ports[0].collides(&file.services[0].ports[4]));
}

#[test]
fn two_ports_collide_on_one_address_only() {
    let port = |address: Option<&str>| Published {
        address: address.map(str::to_owned),
        port: 6379,
        protocol: "tcp".to_owned(),
        container: None,
        file: PathBuf::new(),
        line: 1,
    };
    assert!(port(None).collides(&port(Some("127.0.0.1"))));
    assert!(!port(Some("127.0.0.2")).collides(&port(Some("127.0.0.1"))));
}

#[test]
fn a_postgres_service_is_known_by_its_image_not_by_a_client_s_variables() {
    let file = parse(
        "services:\n  db:\n    image: registry:5000/x/pgvector:pg16\n  temporal:\n    image: temporalio/auto-setup:1.24\n    \
         environment:\n      - POSTGRES_USER=temporal\n",
    );
    assert!(file.services[0].is_postgres());
    assert!(!file.services[1].is_postgres());
    assert_eq!(file.services[1].environment["POSTGRES_USER"].line, 7);
    assert_eq!(image_tag("registry:5000/x/pgvector"), None);
    assert_eq!(image_tag("postgres:16-alpine"), Some("16-alpine"));
}

/// The services of the first of these files.
fn parse_all(files: &[(&str, &str)]) -> Result<ComposeFile, YamlError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        crate::files::write_shared(&folder.path().join(name), text.as_bytes()).unwrap();
    }
    read(&folder.path().join(files[0].0), files[0].1, &|_| None)
}

#[test]
fn what_a_file_includes_belongs_to_it() {
    let file = parse_all(&[
        (
            "compose.yml",
            "include:\n  - db.yml\n  - path: ./${MORE:-cache.yml}\nservices:\n  api:\n    image: api:1\n",
        ),
        (
            "db.yml",
            "\nservices:\n  db:\n    image: postgres:16\n    ports: [\"5432:5432\"]\n",
        ),
        ("cache.yml", "services:\n  cache:\n    image: redis:7\n"),
    ])
    .unwrap();
    let names: Vec<(&str, &str, usize)> = file
        .services
        .iter()
        .map(|s| {
            (
                s.name.as_str(),
                s.file.file_name().unwrap().to_str().unwrap(),
                s.line,
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("db", "db.yml", 3),
            ("cache", "cache.yml", 2),
            ("api", "compose.yml", 5)
        ]
    );
    assert!(file.services[0].is_postgres());
}

#[test]
fn a_service_has_what_it_extends_and_its_own_word_wins() {
    let file = parse_all(&[
        (
            "compose.yml",
            "services:\n  db:\n    extends:\n      file: base.yml\n      service: postgres\n    image: postgres:17\n    \
             environment:\n      POSTGRES_DB: platform\n    ports: [\"5433:5432\"]\n  same:\n    extends: db\n",
        ),
        (
            "base.yml",
            "services:\n  any:\n    healthcheck:\n      test: pg_isready\n  postgres:\n    extends: {service: any}\n    \
             image: postgres:16\n    environment: [POSTGRES_USER=admin, POSTGRES_DB=x]\n    ports: [\"5432:5432\"]\n",
        ),
    ])
    .unwrap();
    let db = &file.services[0];
    assert_eq!(
        db.image.as_ref().map(|image| image.text.as_str()),
        Some("postgres:17")
    );
    assert_eq!(db.environment["POSTGRES_DB"].text, "platform");
    assert_eq!(db.environment["POSTGRES_USER"].line, 4, "on the line of extends");
    let ports: Vec<(u16, usize)> = db.ports.iter().map(|port| (port.port, port.line)).collect();
    assert_eq!(ports, [(5432, 4), (5433, 9)]);
    assert!(db.health_check.is_some());
    assert_eq!(file.services[1].ports.len(), 2);
}

#[test]
fn what_is_not_there_or_never_ends_is_an_error_with_the_line_that_names_it() {
    for (text, line, why) in [
        ("include: [gone.yml]\n", 1, "cannot read"),
        (
            "services:\n  a:\n    extends:\n      service: b\n",
            4,
            "it extends service b, which",
        ),
        ("services:\n  a:\n    extends: a\n", 3, "does it extend itself"),
        (
            "services: {}\ninclude:\n  - compose.yml\n",
            3,
            "does it name itself",
        ),
        (
            "services:\n  a:\n    extends:\n      file: compose.yml\n      service: a\n",
            4,
            "name itself",
        ),
    ] {
        let error = parse_all(&[("compose.yml", text)]).unwrap_err();
        assert!(error.why.contains(why), "{error}");
        assert_eq!(error.line, line, "{error}");
    }
}

#[test]
fn a_disabled_health_check_is_none() {
    let file = parse(
        "services:\n  a:\n    healthcheck:\n      disable: true\n  b:\n    healthcheck:\n      test: [NONE]\n  c:\n    \
         healthcheck:\n      test: pg_isready\n",
    );
    let found: Vec<bool> = file.services.iter().map(|s| s.health_check.is_some()).collect();
    assert_eq!(found, [false, false, true]);
}

/// The services of the first of these files, with the override beside it.
fn parse_laid(files: &[(&str, &str)]) -> ComposeFile {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        crate::files::write_shared(&folder.path().join(name), text.as_bytes()).unwrap();
    }
    read_with_override(&folder.path().join(files[0].0), files[0].1, &|_| None).unwrap()
}

const BASE: &str = "services:\n  db:\n    image: postgres:16\n    ports: [\"5432:5432\"]\n    environment:\n      POSTGRES_DB: a\n    \
                    healthcheck:\n      test: pg_isready\n";

/// Port, line and the file's name of everything that a service publishes.
fn places(service: &Service) -> Vec<(u16, usize, &str)> {
    let ports = service.ports.iter();
    ports
        .map(|port| {
            (
                port.port,
                port.line,
                port.file.file_name().unwrap().to_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn an_override_is_laid_over_the_file_beside_it() {
    let over = "services:\n  db:\n    image: postgres:17\n    ports: [\"5440:5432\", \"5432:5432\"]\n    environment: [POSTGRES_DB=b]\n    \
                healthcheck:\n      interval: 5s\n  more:\n    image: redis:7\n";
    for (name, other) in [
        ("docker-compose.yml", "docker-compose.override.yml"),
        ("compose.yaml", "compose.override.yaml"),
    ] {
        let file = parse_laid(&[(name, BASE), (other, over)]);
        let names: Vec<&str> = file.services.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["db", "more"]);
        let db = &file.services[0];
        assert_eq!(places(db), [(5432, 4, name), (5440, 4, other)]);
        assert_eq!(db.image.as_ref().unwrap().text, "postgres:17");
        assert!(db.image.as_ref().unwrap().file.ends_with(other));
        assert_eq!(db.environment["POSTGRES_DB"].text, "b");
        assert!(db.health_check.is_some(), "only its interval is another");
    }
    // A file of a name of its own is started with `-f`, and then Compose looks for no other.
    let file = parse_laid(&[("stack.yml", BASE), ("compose.override.yml", over)]);
    assert_eq!(file.services.len(), 1);
}

#[test]
fn an_override_that_is_no_file_is_told_by_its_name_and_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let over = folder.path().join("compose.override.yml");
    crate::files::private_dir(&over).unwrap();
    let file = folder.path().join("compose.yml");
    assert_eq!(override_of(&file), Some(over.clone()));
    let error = read_with_override(&file, BASE, &|_| None).unwrap_err();
    assert!(error.why.contains(&over.display().to_string()), "{error}");
    #[cfg(unix)]
    {
        std::fs::remove_dir(&over).unwrap();
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &over).unwrap();
        let error = read_with_override(&file, BASE, &|_| None).unwrap_err();
        assert!(error.why.contains("compose.override.yml"), "{error}");
    }
}

#[test]
fn an_override_replaces_and_takes_away_where_it_says_so() {
    for (over, ports, services) in [
        (
            "services:\n  db:\n    ports: !override [\"5440:5432\"]\n",
            vec![5440],
            1,
        ),
        ("services:\n  db:\n    ports: !reset []\n", vec![], 1),
        ("services:\n  db: !reset null\n", vec![], 0),
        ("volumes:\n  data:\n", vec![5432], 1),
    ] {
        let file = parse_laid(&[("compose.yml", BASE), ("compose.override.yml", over)]);
        assert_eq!(file.services.len(), services, "{over}");
        let all = file.services.iter().flat_map(|service| &service.ports);
        assert_eq!(all.map(|port| port.port).collect::<Vec<_>>(), ports, "{over}");
    }
}

#[test]
fn a_port_that_is_said_twice_is_published_once() {
    let file = parse_all(&[(
        "compose.yml",
        "services:\n  base:\n    ports: [\"5432:5432\"]\n  db:\n    extends: base\n    ports: [\"5432:5432\", \"5433:5432\"]\n",
    )])
    .unwrap();
    let ports: Vec<u16> = file.services[1].ports.iter().map(|port| port.port).collect();
    assert_eq!(ports, [5432, 5433]);
}

#[test]
fn env_files_and_profiles_are_read_in_every_form() {
    let file = parse(
        "services:\n  a:\n    env_file: ./db.env\n    profiles: [one]\n  b:\n    env_file:\n      - x.env\n      \
         - path: y.env\n        required: false\n    profiles: [two, three]\n  c:\n    profiles: [three]\n  d: {}\n",
    );
    let names = |at: usize| -> Vec<(&str, bool)> {
        let files = file.services[at].env_files.iter();
        files
            .map(|one| (one.path.to_str().unwrap(), one.required))
            .collect()
    };
    assert_eq!(names(0), [("db.env", true)]);
    assert_eq!(names(1), [("x.env", true), ("y.env", false)]);
    let [a, b, c, d] = file.services.as_slice() else {
        panic!()
    };
    assert!(a.is_alternative_to(b) && a.is_alternative_to(c));
    assert!(!b.is_alternative_to(c) && !a.is_alternative_to(d) && !d.is_alternative_to(a));
}
