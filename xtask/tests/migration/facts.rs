//! One test for each thing that goes wrong when the guide is followed by hand: the hand-made way fails as it was
//! measured, and the tool does not. The facts that need containers are in `containers.rs`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use infra::Cmd;
use infra::postgres::Server;

use super::support::{DATABASES, Ran, Rehearsal, Shared, ask, read_env, run, runner};

/// A migrated rehearsal, with what the guide would have done beside it.
struct Migrated {
    rehearsal: Rehearsal,
    /// `.env` as it was.
    env: Vec<u8>,
    /// `pg_dump > FILE`, taken while the application still wrote.
    dump: PathBuf,
    /// Rows of `datasets` when it was taken.
    rows_in_dump: u64,
    /// Rows that the application was told are stored, until its connection ended.
    acknowledged: u64,
    /// What `migrate --json` printed.
    document: serde_json::Value,
}

static MIGRATED: Shared<Migrated> = Shared::new();

fn migrated() -> Arc<Migrated> {
    MIGRATED.get(|| {
        let rehearsal = Rehearsal::local("facts");
        let workspace = &rehearsal.workspace;
        let env = workspace.env_bytes();
        let source = workspace.source("labeler", &env);
        let rows = |server: &Server| {
            ask(server, "labeler", "SELECT count(*) FROM datasets")
                .parse()
                .unwrap()
        };
        let rows_in_dump = rows(&source);
        let dump = workspace.root.join("backup_labeler.sql");
        let dumped = run(by_hand(&source, "pg_dump")
            .args(["-d", "labeler", "-f"])
            .arg(&dump));
        dumped.ends(0);
        // The application goes on writing until it is cut off.
        let mut session = runner()
            .spawn(
                &source.psql_session("labeler", "write as the application does"),
                None,
            )
            .unwrap();
        let writer = std::thread::spawn(move || {
            let mut acknowledged = 0;
            let insert =
                "INSERT INTO datasets (name, slug) SELECT 'late', 'late' FROM pg_sleep(0.02) RETURNING id;";
            while session.write_line(insert).is_ok() && matches!(session.read_line(), Ok(Some(_))) {
                acknowledged += 1;
            }
            session.stop(Duration::from_secs(10));
            acknowledged
        });
        let document = workspace.xtask(&["migrate", "--yes", "--json"]).ends(0).json();
        let acknowledged = writer.join().unwrap();
        assert!(acknowledged > 0, "the writer never wrote");
        Migrated {
            env,
            dump,
            rows_in_dump,
            acknowledged,
            document,
            rehearsal,
        }
    })
}

/// A client program as a person types it.
fn by_hand(server: &Server, program: &str) -> Cmd {
    let infra::postgres::Reach::Tcp { port, .. } = server.reach else {
        panic!("local clusters are reached over TCP")
    };
    let infra::postgres::Clients::Machine { bin: Some(bin) } = &server.clients else {
        panic!("local clusters have their programs")
    };
    Cmd::new(bin.join(program), "do it by hand")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", &server.user])
        .env_remove("PGDATABASE")
        .secret_env("PGPASSWORD", server.password.as_ref().unwrap())
}

/// The commands that the run logged.
fn logged_commands(migrated: &Migrated) -> Vec<String> {
    let logs = migrated.rehearsal.workspace.runs()[0].join("logs");
    let mut commands = Vec::new();
    for log in std::fs::read_dir(logs).unwrap().flatten() {
        let text = String::from_utf8_lossy(&std::fs::read(log.path()).unwrap()).into_owned();
        let lines = text.lines().filter(|line| line.contains("$ "));
        commands.extend(lines.map(str::to_owned));
    }
    commands
}

#[test]
fn fact_2_1_psql_is_never_called_without_a_database() {
    let migrated = migrated();
    let target = migrated.rehearsal.workspace.target();
    let ran = run(by_hand(&target, "psql").args(["-X", "-c", "\\l"]));
    ran.ends(2).says("database \"admin\" does not exist");

    let commands = logged_commands(&migrated);
    let asks: Vec<&String> = commands.iter().filter(|line| line.contains("/psql ")).collect();
    assert!(
        asks.len() > 10,
        "the logs hold the psql calls:\n{}",
        commands.join("\n")
    );
    for line in asks {
        assert!(line.contains(" -d "), "no database is named: {line}");
    }
}

/// The guide's restore into a database of its own: `psql < backup.sql`.
fn restore_by_hand(migrated: &Migrated, name: &str) -> Ran {
    let target = migrated.rehearsal.workspace.target();
    ask(
        &target,
        "postgres",
        &format!("CREATE DATABASE {name} TEMPLATE template0"),
    );
    run(by_hand(&target, "psql")
        .args(["-X", "-d", name])
        .stdin_file(&migrated.dump))
}

#[test]
fn fact_2_2_psql_exits_0_though_role_labeler_user_does_not_exist() {
    let migrated = migrated();
    let ran = restore_by_hand(&migrated, "by_hand_roles");
    ran.ends(0).says("ERROR:  role \"labeler_user\" does not exist");
    assert!(ran.stderr.matches("labeler_user\" does not exist").count() > 10);

    // Ours has one owner, and says so; no error is passed over.
    let workspace = &migrated.rehearsal.workspace;
    assert_eq!(workspace.target_facts().databases["labeler"].owner, "admin");
    assert_eq!(migrated.document["verified"], true);
    for line in logged_commands(&migrated)
        .iter()
        .filter(|line| line.contains("/psql "))
    {
        assert!(line.contains("ON_ERROR_STOP=1"), "errors are passed over: {line}");
    }
    let restores = logged_commands(&migrated);
    let restores: Vec<&String> = restores
        .iter()
        .filter(|line| line.contains("/pg_restore ") && line.contains(" -d "))
        .collect();
    assert_eq!(restores.len(), DATABASES.len());
    for line in restores {
        assert!(line.contains("--exit-on-error"), "{line}");
    }
}

#[test]
fn fact_2_3_with_only_the_ports_changed_the_application_cannot_log_in() {
    let migrated = migrated();
    let workspace = &migrated.rehearsal.workspace;
    let port = workspace.port("target.port");
    let password = read_env(&migrated.env, "LABELER_DB_PASSWORD");
    let ports_only = workspace.server(
        "target",
        port,
        &read_env(&migrated.env, "LABELER_DB_USER"),
        &password,
    );
    let refused = ports_only.answers(&runner(), "labeler").unwrap_err();
    let words = "password authentication failed for user \"labeler_user\"";
    assert!(refused.tail().contains(words), "{refused}");

    // The login that `.env` names now works for all three.
    let env = workspace.env_bytes();
    for database in DATABASES {
        let server = workspace.source(database, &env);
        assert_eq!(ask(&server, database, "SELECT current_user"), "admin");
    }
}

#[test]
fn fact_2_4_rows_written_after_the_backup_and_before_the_stop_are_not_lost() {
    let migrated = migrated();
    let workspace = &migrated.rehearsal.workspace;
    let count = |database: &str| -> u64 {
        let text = ask(&workspace.target(), database, "SELECT count(*) FROM datasets");
        text.parse().unwrap()
    };
    restore_by_hand(&migrated, "by_hand_rows").ends(0);
    assert_eq!(
        count("by_hand_rows"),
        migrated.rows_in_dump,
        "by hand the late rows are gone"
    );

    let late: u64 = ask(
        &workspace.target(),
        "labeler",
        "SELECT count(*) FROM datasets WHERE name = 'late'",
    )
    .parse()
    .unwrap();
    // One more may have been stored whose answer the cut took.
    let told = migrated.acknowledged;
    assert!(
        late == told || late == told + 1,
        "{told} rows were acknowledged, {late} arrived"
    );
    assert_eq!(count("labeler"), migrated.rows_in_dump + late);
    // And nobody can write to the old instance any more.
    let old = workspace.source("labeler", &migrated.env);
    assert!(
        old.answers(&runner(), "labeler").is_err(),
        "the old instance still answers"
    );
}

#[test]
fn fact_2_5_the_backup_is_found_past_midnight() {
    let migrated = migrated();
    let run = &migrated.rehearsal.workspace.runs()[0];
    let backup = run.join("backup");
    assert_eq!(
        migrated.document["backup"].as_str().unwrap(),
        backup.to_str().unwrap()
    );
    // The name is fixed once, in the plan; nothing evaluates a date again.
    let plan = std::fs::read_to_string(run.join("plan.json")).unwrap();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let folders: Vec<&str> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step["action"]["folder"].as_str())
        .collect();
    assert_eq!(
        folders,
        [backup.to_str().unwrap(); 2],
        "backup and restore name one folder"
    );
    for database in DATABASES {
        assert!(
            backup.join(database).join("toc.dat").is_file(),
            "{database} has no date in its name"
        );
    }
}

#[test]
fn what_a_role_had_for_all_databases_counts_in_its_own_and_in_no_other() {
    let migrated = migrated();
    let target = migrated.rehearsal.workspace.target();
    assert_eq!(ask(&target, "labeler", "SHOW lock_timeout"), "11s");
    assert_eq!(ask(&target, "users", "SHOW lock_timeout"), "0");
}
