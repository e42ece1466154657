//! The doctor where data may be lost: who is in use, what was emptied, and what `.env` says wrong.

use serde_json::Value;

use super::doctor::{Patient, evidence, text};
use super::support::{DATABASES, Rehearsal, Workspace, closed_port, write};

/// The ids of the problems that were found, and the document.
#[track_caller]
fn found(workspace: &Workspace, args: &[&str]) -> (Vec<String>, Value) {
    let ran = workspace.xtask(&[&["doctor", "--json"], args].concat());
    let document = ran.ends(3).json();
    let problems = document["problems"].as_array().unwrap().iter();
    let ids = problems
        .filter(|one| one["result"] == "found")
        .map(|one| text(one, "/id").to_owned())
        .collect();
    (ids, document)
}

/// The diagnoses of one problem.
fn diagnoses(document: &Value, problem: &str) -> Vec<Value> {
    let problems = document["problems"].as_array().unwrap();
    let one = problems.iter().find(|one| one["id"] == problem).unwrap();
    one["diagnoses"].as_array().unwrap().clone()
}

/// Rows, and a backup that holds them; its id.
#[track_caller]
fn backed_up(patient: &Patient) -> String {
    patient.sql(
        "labeler",
        "CREATE TABLE datasets (id int PRIMARY KEY); INSERT INTO datasets VALUES (1), (2)",
    );
    patient.xtask(&["backup", "create"]).ends(0);
    let all = std::fs::read_dir(patient.root.join(".xtask/backups")).unwrap();
    let ids: Vec<String> = all
        .flatten()
        .map(|one| one.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("20"))
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    ids[0].clone()
}

#[test]
fn an_env_that_names_a_stopped_old_instance_is_pointed_at_the_target_and_back() {
    let patient = Patient::new("doctor-env");
    backed_up(&patient);
    let free = closed_port();
    patient.set_env("labeler", "PORT", &free.to_string());
    patient.set_env("labeler", "USER", "labeler_user");
    let before = patient.env_bytes();
    let seen = patient.finds("env-old-port");
    assert!(text(&seen, "/said").contains("Connection refused"), "{seen}");
    assert!(evidence(&seen).contains("have rows in backup"), "{seen}");
    patient.repairs("env-old-port");
    assert_eq!(
        patient.env("LABELER_DB_PORT"),
        patient.port("target.port").to_string()
    );
    assert_eq!(patient.env("LABELER_DB_USER"), "admin");
    patient.goes_back();
    assert!(patient.env_bytes() == before);

    // A table of the backup has lost its rows: then the target is not the one to point at.
    patient.sql("labeler", "DROP TABLE datasets");
    let ran = patient.xtask(&["doctor", "--fix", "--yes"]);
    ran.ends(3);
    assert!(
        ran.stdout.contains("has lost every row that backup"),
        "{}",
        ran.all()
    );
    assert!(patient.env_bytes() == before);
    // It would serve another port than `.env` says: starting it would help nobody.
    assert!(!patient.runs_now("labeler"));

    // While somebody answers there, that one may be in use.
    patient.start("labeler");
    let old = patient.cluster("labeler").running_port().unwrap();
    patient.set_env("labeler", "PORT", &old.to_string());
    let ran = patient.xtask(&["doctor", "--fix", "--yes", "--only", "env-old-port"]);
    ran.ends(0);
    assert_eq!(patient.env("LABELER_DB_PORT"), old.to_string());
}

#[test]
fn an_old_instance_that_is_stopped_is_started_when_nothing_says_that_the_target_has_its_data() {
    let rehearsal = Rehearsal::local("doctor-old");
    let env = rehearsal.workspace.env_bytes();
    let patient = Patient::on(rehearsal);
    // Tables on the target are not the data.
    patient.sql("labeler", "CREATE TABLE datasets (id int)");
    write(&patient.env_file(), &env);
    let (ids, document) = found(&patient, &[]);
    assert_eq!(ids, ["old-instance-stopped"], "{document:#}");
    let seen = diagnoses(&document, "old-instance-stopped");
    assert_eq!(seen.len(), 3, "{document:#}");
    let labeler = seen.iter().find(|one| one["subject"] == "labeler").unwrap();
    assert!(
        evidence(labeler).contains("no migration of this workspace"),
        "{labeler}"
    );

    let ran = patient.xtask(&["doctor", "--fix", "--yes", "--json"]);
    let document = ran.ends(0).json();
    assert_eq!(document["repaired"].as_array().unwrap().len(), 3, "{document:#}");
    assert!(patient.env_bytes() == env);
    assert!(DATABASES.iter().all(|name| patient.runs_now(name)));
    patient.is_well();
    patient.goes_back();
    assert_eq!(DATABASES.iter().filter(|name| patient.runs_now(name)).count(), 2);
}

#[test]
fn after_a_rollback_a_stopped_old_instance_is_started_and_env_stays() {
    let rehearsal = Rehearsal::local("doctor-rolled-back");
    let workspace = &rehearsal.workspace;
    workspace.xtask(&["migrate", "--yes"]).ends(0);
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    let env = workspace.env_bytes();
    // Somebody's own, of the same name and not empty.
    if !workspace.runs_now("target") {
        workspace.start("target");
    }
    if workspace.target_facts().databases.contains_key("labeler") {
        super::support::ask(&workspace.target(), "postgres", "DROP DATABASE labeler");
    }
    super::support::ask(&workspace.target(), "postgres", "CREATE DATABASE labeler");
    super::support::ask(&workspace.target(), "labeler", "CREATE TABLE datasets (id int)");
    workspace.stop("labeler");
    let (ids, document) = found(workspace, &["--only", "env-old-port,old-instance-stopped"]);
    assert_eq!(ids, ["old-instance-stopped"], "{document:#}");
    let seen = diagnoses(&document, "old-instance-stopped");
    assert!(evidence(&seen[0]).contains("was rolled back"), "{document:#}");
    workspace
        .xtask(&[
            "doctor",
            "--fix",
            "--yes",
            "--only",
            "env-old-port,old-instance-stopped",
        ])
        .ends(0);
    assert!(workspace.env_bytes() == env);
    assert!(workspace.runs_now("labeler"));
}

#[test]
fn rows_that_were_written_to_the_old_instance_after_the_cutover_are_not_hidden() {
    let rehearsal = Rehearsal::local("doctor-newer");
    let workspace = &rehearsal.workspace;
    let old = workspace.env_bytes();
    workspace.xtask(&["migrate", "--yes"]).ends(0);
    let moved = workspace.env_bytes();
    assert!(DATABASES.iter().all(|name| !workspace.runs_now(name)));

    // The old file alone, put back by hand: nothing was written anywhere, and the target has the data.
    write(&workspace.env_file(), &old);
    let (ids, document) = found(workspace, &[]);
    assert_eq!(ids, ["env-old-port"], "{document:#}");
    workspace.xtask(&["doctor", "--fix", "--yes"]).ends(0);
    assert!(workspace.env_bytes() == moved);

    // With the old instance started by hand, and stopped again, its new row must not be hidden.
    write(&workspace.env_file(), &old);
    workspace.start("labeler");
    let written = "CREATE TABLE written_later (id int); INSERT INTO written_later VALUES (1)";
    super::support::ask(&workspace.source("labeler", &old), "labeler", written);
    workspace.stop("labeler");
    let ran = workspace.xtask(&["doctor", "--fix", "--yes"]);
    assert!(
        ran.ends(3)
            .stdout
            .contains("the old instance of labeler was started after run"),
        "{}",
        ran.all()
    );
    // One file, one run: the databases whose old instances nobody touched wait as well.
    assert!(workspace.env_bytes() == old);
    assert!(DATABASES.iter().all(|name| !workspace.runs_now(name)));
    let (ids, document) = found(workspace, &[]);
    assert_eq!(ids, ["old-instance-stopped"], "{document:#}");
    let all = diagnoses(&document, "old-instance-stopped");
    assert_eq!(all.len(), 3, "{document:#}");
    let labeler = all.iter().find(|one| one["subject"] == "labeler").unwrap();
    assert!(labeler.get("fix").is_none(), "{document:#}");

    // The line that is shown moves the row along.
    let hint = |index: usize| {
        let hint = text(labeler, &format!("/finding/hints/{index}"));
        let line = hint.split("  # ").next().unwrap().to_owned();
        line.split(' ').skip(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let typed = |words: &[String]| {
        let words: Vec<&str> = words.iter().map(String::as_str).chain(["--yes"]).collect();
        workspace.xtask(&words)
    };
    let count = "SELECT count(*) FROM written_later";
    typed(&hint(1)).ends(0);
    assert_eq!(super::support::ask(&workspace.target(), "labeler", count), "1");
    assert!(workspace.env_bytes() == moved);
}

#[test]
fn a_database_that_was_emptied_is_told_and_the_line_that_is_shown_brings_it_back() {
    let patient = Patient::new("doctor-emptied");
    patient.sql(
        "labeler",
        "CREATE TABLE images (id int); INSERT INTO images VALUES (1); CREATE TABLE scores (id int); INSERT INTO scores VALUES (1)",
    );
    let backup = backed_up(&patient);
    patient.is_well();
    patient.sql("postgres", "DROP DATABASE labeler");
    patient.sql("postgres", "CREATE DATABASE labeler");
    // As `alembic upgrade head` would leave it.
    patient.sql(
        "labeler",
        "CREATE TABLE datasets (id int PRIMARY KEY); CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); \
         INSERT INTO alembic_version VALUES ('e5b1946c3f25')",
    );
    let seen = patient.finds("database-emptied");
    assert!(seen.get("fix").is_none(), "{seen}");
    let hint = text(&seen, "/finding/hints/0").to_owned();
    assert!(hint.contains(&backup), "{hint}");
    let words: Vec<&str> = hint.split(' ').skip(2).chain(["--yes"]).collect();
    patient.xtask(&words).ends(0);
    assert_eq!(patient.sql("labeler", "SELECT count(*) FROM datasets"), "2");
    patient.is_well();
    // A row that somebody wrote afterwards is not the data.
    patient.sql(
        "labeler",
        "TRUNCATE datasets; TRUNCATE images; INSERT INTO scores VALUES (9)",
    );
    let seen = patient.finds("database-emptied");
    let found = text(&seen, "/finding/found");
    assert!(found.starts_with("2 of the 3 tables"), "{seen}");
    assert_eq!(text(&seen, "/finding/severity"), "error");
    patient.sql("labeler", "INSERT INTO images VALUES (1)");
    let few = patient.xtask(&["doctor", "--json", "--only", "database-emptied"]);
    assert!(few.ends(10).stdout.contains("1 of the 3 tables"), "{}", few.all());
    let verified = patient.xtask(&["verify", "--only", "data.matches-backup"]);
    verified.ends(3);
    patient.xtask(&words).ends(0);
    patient.is_well();
    // Gone altogether: the restore, and no empty database in its place.
    patient.sql("postgres", "DROP DATABASE labeler");
    let verified = patient.xtask(&["verify", "--only", "data.matches-backup"]);
    assert!(
        verified.ends(3).stdout.contains("cargo xtask restore"),
        "{}",
        verified.all()
    );
    let seen = patient.finds("database-missing");
    assert!(
        seen.get("fix").is_none() && text(&seen, "/finding/hints/0").contains(&backup),
        "{seen}"
    );
}

#[test]
fn what_env_says_wrong_is_told_key_by_key_with_the_line_that_sets_it() {
    let patient = Patient::new("doctor-env-wrong");
    let good = patient.env_bytes();
    let only = |words: &[&str]| {
        let (ids, document) = found(&patient, &[]);
        assert!(ids.contains(&"env-unusable".to_owned()), "{document:#}");
        let all = diagnoses(&document, "env-unusable");
        for word in words {
            assert!(
                all.iter().any(|one| text(one, "/finding/found").contains(word)),
                "{word}\n{document:#}"
            );
        }
        all
    };
    // The line that is shown sets it.
    patient.set_env("labeler", "NAME", "lableer");
    let seen = only(&["LABELER_DB_NAME of", "names database lableer"]);
    assert!(
        text(&seen[0], "/said").ends_with("database \"lableer\" does not exist"),
        "{seen:?}"
    );
    let error = "FATAL:  database \"lableer\" does not exist";
    assert_eq!(found(&patient, &["--error", error]).0, ["env-unusable"]);
    let hint = text(&seen[0], "/finding/hints/0").to_owned();
    let words: Vec<&str> = hint.split(' ').skip(2).collect();
    patient.xtask(&words).ends(0);
    patient.is_well();

    patient.set_env("labeler", "NAME", "users");
    patient.set_env("users", "NAME", "labeler");
    only(&[
        "names users, which is the database of users",
        "names labeler, which is the database of labeler",
    ]);

    write(&patient.env_file(), &good);
    patient.set_env("labeler", "PORT", "54x2");
    only(&["LABELER_DB_PORT of", "is no port: 54x2"]);

    let text_of = String::from_utf8(good.clone()).unwrap();
    let lacking: Vec<&str> = text_of
        .lines()
        .filter(|line| !line.starts_with("USER_DB_USER="))
        .collect();
    write(&patient.env_file(), lacking.join("\n") + "\n");
    only(&["does not say where users is: no value for USER_DB_USER"]);
    write(&patient.env_file(), &good);
    patient.is_well();
}

#[test]
fn an_env_that_cannot_be_read_is_a_finding_and_nothing_else_is_called_well() {
    let patient = Patient::new("doctor-env-broken");
    patient.stop("target");
    let file = patient.env_file();
    let told = |words: &str| {
        let (_, document) = found(&patient, &[]);
        let all = diagnoses(&document, "env-unusable");
        assert!(
            all.iter().any(|one| text(one, "/finding/found").contains(words)),
            "{document:#}"
        );
        // Who is in use is not known, so the target that does not run is neither well nor ill.
        let ran = patient.xtask(&[
            "doctor",
            "--only",
            "connection-refused,port-conflict,old-instance-stopped",
        ]);
        assert!(
            ran.ends(20)
                .stdout
                .contains("0 found, 0 not there, 3 not looked for"),
            "{}",
            ran.all()
        );
    };
    write(&file, "");
    told("does not say where labeler is");
    write(&file, b"LABELER_DB_HOST=caf\xe9\n");
    told("the application cannot read");
    std::fs::remove_file(&file).unwrap();
    told("there is no");
    std::fs::create_dir(&file).unwrap();
    told("cannot be read");
    // Without a checkout nobody can say anything either.
    let gone = patient.xtask(&["doctor", "--set", "labeler.repository=[\"no-such-folder\"]"]);
    gone.ends(20);
    assert!(
        gone.stdout.contains("the labeler's checkout is not here"),
        "{}",
        gone.all()
    );
}

/// A server whose first process does not go on, until this is dropped.
#[cfg(unix)]
struct Frozen(String);

#[cfg(unix)]
impl Frozen {
    fn new(pid: u32) -> Self {
        let pid = pid.to_string();
        super::support::run(infra::Cmd::new("kill", "freeze the server").args(["-STOP", &pid])).ends(0);
        Self(pid)
    }
}

#[cfg(unix)]
impl Drop for Frozen {
    fn drop(&mut self) {
        super::support::run(infra::Cmd::new("kill", "let the server go on").args(["-CONT", &self.0]));
    }
}

#[cfg(unix)]
#[test]
fn a_server_that_accepts_connections_and_does_not_answer_is_told_as_that() {
    let patient = Patient::new("doctor-silent");
    let frozen = Frozen::new(patient.cluster("target").running_pid().unwrap());
    let (ids, document) = found(&patient, &["--only", "connection-refused"]);
    assert_eq!(ids, ["connection-refused"]);
    let seen = &diagnoses(&document, "connection-refused")[0];
    let words = text(seen, "/finding/found");
    assert!(
        words.ends_with("accepts connections and does not answer within 10 s"),
        "{seen:#}"
    );
    assert!(
        text(seen, "/said").contains("timeout expired") && seen.get("fix").is_none(),
        "{seen:#}"
    );
    drop(frozen);
    patient.is_well();
}
