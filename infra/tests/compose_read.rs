//! What both Compose programs make of real files, and how they refuse. Needs no engine.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and --nocapture shows what is left out"
)]

#[path = "support/left_out.rs"]
mod left_out;

use std::fs;
use std::path::{Path, PathBuf};

use infra::compose::{Config, Program, Project, Refused, override_of};
use infra::{Interrupt, Runner, files};

/// Every Compose program of this machine, with the folder that has the plugin where a test fetched it.
fn programs() -> Vec<(Program, Option<PathBuf>)> {
    let runner = Runner::new(Interrupt::default());
    let fetched = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images/docker-config");
    let mut found = Vec::new();
    if Program::Plugin.version(&runner).is_some() {
        found.push((Program::Plugin, None));
    } else if fetched.is_dir() {
        found.push((Program::Plugin, Some(fetched)));
    } else {
        left_out::left_out("what `docker compose config` says: it is not on this machine");
    }
    if Program::Standalone.version(&runner).is_some() {
        found.push((Program::Standalone, None));
    } else {
        left_out::left_out("what `docker-compose config` says: it is not on this machine");
    }
    found
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("a folder ").tempdir().unwrap();
    for (name, text) in files {
        files::write_shared(&folder.path().join(name), text.as_bytes()).unwrap();
    }
    folder
}

/// What each program makes of a folder's `docker-compose.yml`, with the log it leaves.
fn read(folder: &Path) -> Vec<(Program, Result<Config, Refused>, String)> {
    let all = programs().into_iter().map(|(program, config)| {
        let file = folder.join("docker-compose.yml");
        let config = config.map(|dir| ("DOCKER_CONFIG".to_owned(), dir.display().to_string()));
        let project = Project {
            program,
            laid_over: override_of(&file),
            file,
            name: Some("p".to_owned()),
            env: config
                .into_iter()
                .chain([("GIVEN".to_owned(), "5440".to_owned())])
                .collect(),
        };
        let log = folder.join("log");
        let runner = Runner::new(Interrupt::default()).with_log(&log).unwrap();
        let answer = project.read(&runner);
        let said = fs::read_to_string(&log).unwrap_or_default();
        fs::remove_file(&log).unwrap();
        (program, answer, said)
    });
    all.collect()
}

/// The refusal of each program.
fn refusals(files: &[(&str, &str)]) -> Vec<(Program, Refused, String)> {
    let folder = folder(files);
    let all = read(folder.path()).into_iter();
    all.map(|(program, answer, log)| (program, answer.unwrap_err(), log))
        .collect()
}

#[test]
fn files_that_refer_to_each_other_are_one_model_with_either_program() {
    let folder = folder(&[
        (
            "docker-compose.yml",
            "version: '3.8'\r\nservices:\r\n  db:\r\n    extends: {file: base.yml, service: base}\r\n    env_file: [db.env]\r\n    \
             environment: {POSTGRES_USER: admin, POSTGRES_PASSWORD: 'a$$b'}\r\n    ports: [\"127.0.0.1:${GIVEN}:5432\"]\r\n    \
             volumes: [\"data:/var/lib/postgresql/data\", \"./init:/docker-entrypoint-initdb.d:ro\"]\r\n  \
             spare:\r\n    image: redis:7\r\n    profiles: [more]\r\nvolumes:\r\n  data:\r\n",
        ),
        (
            "base.yml",
            "version: '3.8'\nservices:\n  base:\n    image: postgres:${TAG:-16}\n    healthcheck: {test: pg_isready}\n",
        ),
        (
            "docker-compose.override.yml",
            "version: '3.8'\nservices:\n  db:\n    container_name: laid-over\n  more:\n    image: x\n    network_mode: host\n",
        ),
        ("db.env", "POSTGRES_USER=loses\nPOSTGRES_DB=platform\n"),
        (".env", "TAG=17\n"),
    ]);
    for (program, answer, log) in read(folder.path()) {
        let config = answer.unwrap();
        let db = config.service("db").unwrap();
        assert_eq!(db.image.as_deref(), Some("postgres:17"), "{program:?}");
        assert_eq!(db.container_name.as_deref(), Some("laid-over"));
        let variables = ["POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"].map(|name| db.variable(name));
        assert_eq!(variables, [Some("admin"), Some("platform"), Some("a$b")]);
        assert_eq!(
            (db.ports[0].port, db.ports[0].address.as_deref()),
            (5440, Some("127.0.0.1"))
        );
        let scripts = db
            .mounts
            .iter()
            .find(|mount| mount.target == "/docker-entrypoint-initdb.d");
        assert_eq!(Path::new(&scripts.unwrap().source), folder.path().join("init"));
        assert!(db.health_check && db.is_postgres());
        let more = config.service("more").unwrap();
        assert!(more.host_network && more.file.ends_with("docker-compose.override.yml"));
        assert_eq!(more.line, 5);
        assert_eq!(config.service("spare").unwrap().profiles, ["more"], "{program:?}");
        let place = config.data_place("db", "p").unwrap();
        assert_eq!(place, infra::compose::Place::Volume("p_data".to_owned()));
        assert!(!log.contains("a$b"), "{log}");
    }
}

#[test]
fn what_this_machine_lacks_is_no_fault_of_the_file_and_told_in_the_programs_words() {
    let env_file = "services:\n  a:\n    image: x\n    env_file: [gone.env]\nversion: '3.8'\n";
    for (program, refused, _) in refusals(&[("docker-compose.yml", env_file)]) {
        assert!(
            !refused.fault && refused.why.contains("gone.env"),
            "{program:?}: {refused}"
        );
        assert_eq!(refused.why.lines().count(), 1, "{refused}");
    }
    let variable = "services:\n  a:\n    image: ${NEEDED_TAG:?set the tag}\nversion: '3.8'\n";
    for (program, refused, _) in refusals(&[("docker-compose.yml", variable)]) {
        assert!(
            !refused.fault && refused.why.contains("set the tag"),
            "{program:?}: {refused}"
        );
    }
}

#[test]
fn a_file_that_is_wrong_is_a_fault() {
    for text in [
        "services:\n  a: [1\n",
        "version: '3.8'\nservices:\n  a:\n    imag: x\n",
    ] {
        for (program, refused, log) in refusals(&[("docker-compose.yml", text)]) {
            assert!(refused.fault && !refused.why.is_empty(), "{program:?}: {refused}");
            assert!(log.contains(refused.why.lines().next().unwrap()), "{log}");
        }
    }
}

#[test]
fn a_rejection_that_quotes_a_password_is_masked_in_the_log_as_well() {
    let text =
        "version: '3.8'\nservices:\n  a:\n    image: x\n    environment:\n      - DB_PASSWORD=hunter2${\n";
    for (program, refused, log) in refusals(&[("docker-compose.yml", text)]) {
        assert!(
            !refused.why.contains("hunter2") && !log.contains("hunter2"),
            "{program:?}: {refused}"
        );
    }
}

#[test]
fn a_rejection_quotes_no_value_whatever_its_key_is_called() {
    let head = "version: '3.8'\nservices:\n  a:\n    image: x\n    environment:\n      CREDS: bob:hunter2\n";
    for more in [
        "      USER: ${GIVEN_BY_NOBODY:?set it}\n",
        "      USER: [x, hunter2]\n",
    ] {
        for (program, refused, log) in refusals(&[("docker-compose.yml", &format!("{head}{more}"))]) {
            assert!(
                !refused.why.contains("hunter2") && !log.contains("hunter2"),
                "{program:?}: {refused}"
            );
            assert!(
                !more.contains('?') || refused.why.contains("GIVEN_BY_NOBODY"),
                "{refused}"
            );
        }
    }
}

#[test]
fn a_section_that_no_compose_knows_is_a_fault_and_one_that_only_1_29_does_not_know_is_none() {
    let services = "services:\n  b: {image: x}\n";
    for known in ["", "include: [more.yml]\n"] {
        let text = format!("{known}service:\n  a: {{image: x}}\n{services}");
        let files = [("docker-compose.yml", text.as_str()), ("more.yml", services)];
        for (program, refused, _) in refusals(&files) {
            assert!(refused.fault, "{program:?}: {refused}");
        }
    }
    let text = format!("include: [more.yml]\n{services}");
    let more = services.replace("b:", "c:");
    let folder = folder(&[("docker-compose.yml", &text), ("more.yml", &more)]);
    for (program, answer, _) in read(folder.path()) {
        assert!(answer.is_ok_and(|config| config.services.len() == 2) || program == Program::Standalone);
    }
    for (program, answer, _) in read(folder.path()) {
        assert!(answer.err().is_none_or(|refused| !refused.fault), "{program:?}");
    }
}

#[test]
fn what_only_a_profile_needs_may_be_missing() {
    let text = "services:\n  a:\n    image: x\n  b:\n    image: y\n    profiles: [more]\n    env_file: [gone.env]\nversion: '3.8'\n";
    let folder = folder(&[("docker-compose.yml", text)]);
    for (program, answer, _) in read(folder.path()) {
        // 1.29 refuses such a file whatever is started.
        assert_eq!(answer.is_ok(), program == Program::Plugin, "{program:?}");
    }
}

/// Windows looks for programs in the path of the parent.
#[cfg(unix)]
#[test]
fn without_the_program_nothing_is_known() {
    let folder = folder(&[("docker-compose.yml", "services:\n  a:\n    image: x\n")]);
    let project = Project {
        program: Program::Standalone,
        file: folder.path().join("docker-compose.yml"),
        laid_over: None,
        name: None,
        env: vec![("PATH".to_owned(), folder.path().display().to_string())],
    };
    let refused = project.read(&Runner::new(Interrupt::default())).unwrap_err();
    assert!(!refused.fault, "{refused}");
}
