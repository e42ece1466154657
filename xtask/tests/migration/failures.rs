//! A step fails in the middle, two migrate at once, somebody migrates again.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use infra::postgres::facts;

use super::support::{DATABASES, Ran, Rehearsal, Workspace, ask, copy_tree, read_env, run, runner};

/// Changes a server setting of the target; it counts from the next start.
fn configure(workspace: &Workspace, line: &str) {
    let file = workspace.cluster("target").data.join("postgresql.conf");
    let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
    writeln!(file, "{line}").unwrap();
}

/// The run that the hint resumes.
#[track_caller]
fn resume_hint(ran: &Ran) -> String {
    let mut lines = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with("hint: cargo xtask migrate "));
    let run = lines.find_map(|line| line.split_once(" --resume "));
    run.unwrap_or_else(|| panic!("no hint resumes:\n{}", ran.all()))
        .1
        .to_owned()
}

/// SHA-256 of every file of the run's backup.
fn backup_files(workspace: &Workspace) -> Vec<(std::path::PathBuf, String)> {
    let mut open = vec![workspace.runs()[0].join("backup")];
    let mut files = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let (sum, _) = infra::files::sha256(&path).unwrap();
                files.push((path, sum));
            }
        }
    }
    files.sort();
    files
}

/// What `.env` must be after the cutover: the values of the three mappings, and every other byte as it was.
fn expected_env(workspace: &Workspace, before: &[u8]) -> Vec<u8> {
    let port = workspace.port("target.port").to_string();
    let password = workspace.text("target.password");
    let mut text = String::from_utf8(before.to_vec()).unwrap();
    for (prefix, name) in [
        ("PLATFORM_DB", "platform"),
        ("USER_DB", "users"),
        ("LABELER_DB", "labeler"),
    ] {
        let new = [
            ("HOST", "localhost"),
            ("PORT", port.as_str()),
            ("NAME", name),
            ("USER", "admin"),
            ("PASSWORD", password.as_str()),
        ];
        for (end, value) in new {
            let key = format!("{prefix}_{end}");
            let old = read_env(before, &key);
            let lines = text.split_inclusive('\n').map(|line| {
                let code = line.trim_start_matches("export ");
                let is_key = code
                    .strip_prefix(&key)
                    .is_some_and(|rest| rest.starts_with(['=', ' ']));
                if is_key {
                    line.replace(&old, value)
                } else {
                    line.to_owned()
                }
            });
            text = lines.collect();
        }
    }
    text.into_bytes()
}

#[test]
fn a_restore_that_fails_halfway_shows_nothing_of_it_and_resumes_to_the_same_end() {
    let rehearsal = Rehearsal::local("failed-restore");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    assert!(
        env.windows(2).any(|two| two == b"\r\n"),
        "the sample .env has CRLF lines"
    );
    // Too few for the parallel restore: some tables arrive, others do not.
    configure(
        workspace,
        "max_connections = 4\nsuperuser_reserved_connections = 0",
    );
    workspace.start("target");
    let oids = workspace.oids();

    let failed = workspace.xtask(&["migrate", "--yes"]);
    failed
        .ends(21)
        .says("failed to restore and compare")
        .says("too many clients")
        .says(".env is untouched, the target shows no half-restored database")
        .says("the old instances are stopped and fenced");
    let id = resume_hint(&failed);
    assert!(workspace.env_bytes() == env, ".env is untouched");
    let server = workspace.target();
    for database in DATABASES {
        let seen = facts::database(&runner(), &server, database).unwrap();
        assert!(seen.is_empty(), "{database} shows half-restored content");
        assert_eq!(seen.oid, oids[database]);
        let cluster = workspace.cluster(database);
        assert_ne!(
            cluster.running_port(),
            old_port(&env, database),
            "{database} is fenced"
        );
    }
    let archives = backup_files(workspace);
    // A run goes on as it was planned.
    workspace
        .xtask(&["migrate", "--resume", &id, "--roles", "preserve"])
        .ends(2)
        .says("cannot be used with");
    // What would stop it at its cutover is told before anything is done for it.
    let edited = [&env[..], b"EDITED=1\r\n"].concat();
    super::support::write(&workspace.env_file(), &edited);
    workspace
        .xtask(&["migrate", "--resume", &id])
        .ends(20)
        .says("was edited after the plan was made")
        .says("hint: take the edit back, then: cargo xtask migrate --resume");
    super::support::write(&workspace.env_file(), &env);

    // A run that is not finished is not forgotten.
    workspace
        .xtask(&["migrate", "--yes"])
        .ends(20)
        .says(&format!("run {id} is not finished"))
        .says(&format!("hint: cargo xtask migrate --resume {id}"))
        .says(&format!("hint: cargo xtask rollback {id}"));

    configure(workspace, "max_connections = 100");
    workspace.stop("target");
    workspace.start("target");
    // Without `--yes`: the plan was confirmed when the run began.
    let resumed = workspace.xtask(&["migrate", "--resume", &id, "--json"]);
    let document = resumed.ends(0).json();
    assert_eq!(document["verified"], true);
    assert_eq!(document["run"], id.as_str());
    for database in document["databases"].as_array().unwrap() {
        for table in database["tables"].as_array().unwrap() {
            assert_eq!(table["source_rows"], table["target_rows"], "{table}");
        }
    }
    let after = workspace.env_bytes();
    assert_eq!(
        String::from_utf8_lossy(&after),
        String::from_utf8_lossy(&expected_env(workspace, &env)),
        "only the intended values of .env change"
    );
    assert_eq!(
        backup_files(workspace),
        archives,
        "the backup of the first attempt serves"
    );
    nothing_to_do(workspace, &after);
}

#[test]
fn a_wrong_password_of_a_stopped_instance_is_told_at_the_first_answer_and_what_to_do() {
    let rehearsal = Rehearsal::local("stopped-password");
    let workspace = &rehearsal.workspace;
    // A server that is stopped cannot be asked before: its reader is the first that answers.
    workspace.stop("labeler");
    let password = workspace.env("LABELER_DB_PASSWORD");
    workspace.replace("backend/.env", &password, "not-the-password");
    let failed = workspace.xtask(&["migrate", "--yes"]);
    failed
        .ends(21)
        .says("password authentication failed for user \"labeler_user\"")
        .says("go back with: cargo xtask rollback")
        .never_says("not-the-password");
    let log = std::fs::read_to_string(workspace.runs()[0].join("logs/fence-labeler.log")).unwrap();
    assert_eq!(log.matches("password authentication failed").count(), 1, "{log}");

    // A run keeps the `.env` that its plan was made on, so it is not the one to go on with.
    let hint = failed
        .stderr
        .lines()
        .find(|line| line.starts_with("hint: "))
        .unwrap();
    assert!(
        hint.contains("cargo xtask rollback") && hint.contains("correct the password"),
        "{hint}"
    );
    // The old application is asked, and misses the server that is stopped as it was before.
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(22)
        .says("labeler_db is \"error")
        .never_says("Fatal Python error");
    assert!(!workspace.runs_now("labeler"), "it was stopped before");
    workspace.replace("backend/.env", "not-the-password", &password);
    let migrated = workspace.xtask(&["migrate", "--yes", "--json"]);
    assert_eq!(migrated.ends(0).json()["verified"], true);
}

#[test]
fn a_run_that_cannot_be_read_is_told_with_the_way_back_by_hand() {
    let rehearsal = Rehearsal::local("damaged-run");
    let workspace = &rehearsal.workspace;
    let wrong = [
        "migrate",
        "--yes",
        "--set",
        "limits.maintenance-work-mem=nonsense",
    ];
    workspace.xtask(&wrong).ends(21);
    let run = workspace.runs().remove(0);
    let commands: [&[&str]; 5] = [
        &["status"],
        &["migrate", "--yes"],
        &["migrate", "--resume"],
        &["rollback", "--yes"],
        &["cleanup", "--yes"],
    ];
    let told = |what: &str| {
        for command in commands {
            workspace
                .xtask(command)
                .ends(20)
                .says(what)
                .says("nothing was changed")
                .says("docs/rollback.md");
        }
    };
    let journal = run.join("journal.jsonl");
    let whole = std::fs::read_to_string(&journal).unwrap();
    let mut lines: Vec<&str> = whole.lines().collect();
    lines[4] = "garbage";
    super::support::write(&journal, format!("{}\n", lines.join("\n")));
    told("line 5");
    // Cut at a line's end it reads well, and lacks what the steps left.
    let first = whole.split_inclusive('\n').next().unwrap();
    super::support::write(&journal, first);
    told("its journal was cut short");
    super::support::write(&journal, "");
    told("its journal is empty or gone");
    std::fs::remove_file(&journal).unwrap();
    told("its journal is empty or gone");
    super::support::write(&journal, whole);

    let plan = run.join("plan.json");
    let planned = std::fs::read_to_string(&plan).unwrap();
    super::support::write(&plan, planned.replace("labeler_user", "labeler_usex"));
    told("plan.json was changed");
    super::support::write(&plan, planned);
    std::fs::rename(&plan, run.join("away")).unwrap();
    told("plan.json is gone");
    std::fs::rename(run.join("away"), plan).unwrap();
    workspace.xtask(&["rollback", "--yes"]).ends(22);
}

#[test]
fn a_whole_backup_of_another_run_is_not_taken_for_ones_own() {
    let rehearsal = Rehearsal::local("others-backup");
    let workspace = &rehearsal.workspace;
    workspace.xtask(&["migrate", "--yes"]).ends(0);
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    let source = workspace.source("users", &workspace.env_bytes());
    ask(
        &source,
        "users",
        "CREATE TABLE since (id int); INSERT INTO since VALUES (7)",
    );
    // The second run fails after its backup.
    let wrong = [
        "migrate",
        "--yes",
        "--set",
        "limits.maintenance-work-mem=nonsense",
    ];
    workspace.xtask(&wrong).ends(21);
    let runs = workspace.runs();
    let own = runs[1].join("backup");
    std::fs::rename(&own, own.with_file_name("own")).unwrap();
    copy_tree(&runs[0].join("backup"), &own);
    let again = [
        "migrate",
        "--resume",
        "--set",
        "limits.maintenance-work-mem=nonsense",
    ];
    let resumed = workspace.xtask(&again);
    resumed.ends(21);
    let taken = std::fs::read_to_string(own.join("users.json")).unwrap();
    assert!(
        taken.contains("public.since"),
        "the backup of the first run was taken for this one's"
    );
}

#[test]
fn restoring_jobs_that_block_each_other_are_followed_by_one_that_cannot() {
    let rehearsal = Rehearsal::local("deadlock");
    let workspace = &rehearsal.workspace;
    // The index calls this function. Where its file is missing, it makes the file and fails as a deadlock does: once.
    // What is indexed must be immutable and may write no file; what it calls is not asked.
    let met = workspace.cluster("target").data.with_extension("met");
    let quoted = infra::postgres::quote::literal(met.to_str().unwrap());
    infra::files::write_shared(&met, b"").unwrap();
    let source = workspace.source("users", &workspace.env_bytes());
    let sql = format!(
        "CREATE FUNCTION public.meet() RETURNS void LANGUAGE plpgsql VOLATILE AS $$ BEGIN \
           IF pg_catalog.pg_stat_file({quoted}, true) IS NULL THEN \
             COPY (SELECT 1) TO {quoted}; \
             RAISE EXCEPTION USING ERRCODE = 'deadlock_detected', MESSAGE = 'deadlock detected'; \
           END IF; END $$; \
         CREATE FUNCTION public.met(id int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS \
           $$ BEGIN PERFORM public.meet(); RETURN id; END $$; \
         CREATE TABLE public.meeting (id int); INSERT INTO public.meeting VALUES (1); \
         CREATE INDEX meeting_met ON public.meeting (public.met(id));"
    );
    ask(&source, "users", &sql);
    std::fs::remove_file(&met).unwrap();

    let migrated = workspace.xtask(&["migrate", "--yes", "--json"]);
    migrated
        .ends(0)
        .says("the jobs that restored users waited for each other; users is restored again by one job");
    assert_eq!(migrated.json()["verified"], true);
    assert!(met.exists());
    assert_eq!(ask(&workspace.target(), "users", "SELECT id FROM meeting"), "1");
    let log = std::fs::read_to_string(workspace.runs()[0].join("logs/restore.log")).unwrap();
    let restored = |jobs: &str| {
        let is = |line: &&str| line.contains("pg_restore") && line.contains("users__incoming");
        log.lines().filter(is).filter(|line| line.contains(jobs)).count()
    };
    assert_eq!(restored(" -j 1 "), 1, "{log}");
}

/// The port of an old instance.
fn old_port(env: &[u8], database: &str) -> Option<u16> {
    let key = match database {
        "platform" => "PLATFORM_DB_PORT",
        "users" => "USER_DB_PORT",
        _ => "LABELER_DB_PORT",
    };
    read_env(env, key).parse().ok()
}

/// A second migration, and a second resume, find nothing to do and change nothing.
#[track_caller]
fn nothing_to_do(workspace: &Workspace, env: &[u8]) {
    let (oids, runs) = (workspace.oids(), workspace.runs());
    workspace
        .xtask(&["migrate", "--yes"])
        .ends(4)
        .says("nothing to do");
    workspace
        .xtask(&["migrate", "--resume"])
        .ends(4)
        .says("nothing to do");
    assert_eq!(workspace.oids(), oids);
    assert_eq!(workspace.runs(), runs);
    assert!(workspace.env_bytes() == env, ".env is untouched");
    for database in DATABASES {
        assert!(
            !workspace.runs_now(database),
            "the old instance of {database} runs"
        );
    }
}

/// What happens first: the schema script asks how to end, or the tool is over.
enum Event {
    Asked(TcpStream),
    Ended(Ran),
}

const SCRIPT: &str = "backend/scripts/init_database.py";

#[test]
fn a_schema_that_fails_leaves_env_alone_and_a_second_migration_learns_who_is_at_work() {
    let rehearsal = Rehearsal::local("failed-schema");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    let script = std::fs::read(workspace.labeler.join(SCRIPT)).unwrap();
    // A script that waits for this test, and then fails.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let waiting = format!(
        "import socket, sys\n\
         talk = socket.create_connection((\"127.0.0.1\", {port}))\n\
         talk.sendall(b\"x\")\n\
         talk.recv(1)\n\
         print(\"the disk is made of cheese\")\n\
         sys.exit(1)\n"
    );
    super::support::write(&workspace.labeler.join(SCRIPT), waiting);

    let (events, seen) = mpsc::channel();
    let ended = events.clone();
    let first = workspace.cmd(&["migrate", "--yes"]);
    std::thread::spawn(move || {
        let _ = ended.send(Event::Ended(run(first)));
    });
    std::thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            let _ = events.send(Event::Asked(stream));
        }
    });
    let limit = Duration::from_secs(600);
    let mut stream = match seen.recv_timeout(limit).unwrap() {
        Event::Asked(stream) => stream,
        Event::Ended(ran) => panic!("it ended before the schema step:\n{}", ran.all()),
    };
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();

    // The first is in the middle of the schema step.
    let second = workspace.xtask(&["migrate", "--yes"]);
    second
        .ends(20)
        .says("another migration is at work: cargo xtask migrate, process ")
        .says("since ")
        .says("hint: cargo xtask status");
    let holder = std::fs::read_to_string(workspace.root.join(".xtask/lock.holder")).unwrap();
    second.says(&holder);
    assert!(workspace.env_bytes() == env, ".env still names the old instances");

    stream.write_all(b"x").unwrap();
    drop(stream);
    let Event::Ended(failed) = seen.recv_timeout(limit).unwrap() else {
        panic!("the script asked twice");
    };
    failed
        .ends(21)
        .says("failed to bring the schema")
        .says("the disk is made of cheese")
        .says(".env is untouched");
    let id = resume_hint(&failed);
    assert!(workspace.env_bytes() == env);
    // The compared content is in place as a whole, at the revision it came with.
    let revision = ask(
        &workspace.target(),
        "labeler",
        "SELECT version_num FROM alembic_version",
    );
    assert_eq!(revision, "d4085f2a7b14");
    let names: Vec<String> = workspace.oids().into_keys().collect();
    assert!(
        names.iter().all(|name| !name.ends_with("__incoming")),
        "{names:?}"
    );

    super::support::write(&workspace.labeler.join(SCRIPT), &script);
    workspace
        .xtask(&["migrate", "--resume"])
        .ends(0)
        .says(&format!("Run {id}"));
    let revision = ask(
        &workspace.target(),
        "labeler",
        "SELECT version_num FROM alembic_version",
    );
    assert_eq!(revision, "e5b1946c3f25");
    nothing_to_do(workspace, &expected_env(workspace, &env));
}

#[test]
fn a_resumed_run_refuses_when_what_it_was_planned_on_changed() {
    let rehearsal = Rehearsal::local("changed-plan");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    let failing = ["--set", "limits.maintenance-work-mem=nonsense"];
    let failed = workspace.xtask(&[&["migrate", "--yes", "--only", "labeler"], &failing[..]].concat());
    let id = resume_hint(failed.ends(21));
    workspace
        .xtask(&["migrate", "--resume"])
        .ends(20)
        .says(&format!(
            "run {id} cannot go on, because what it was planned on has changed"
        ))
        .says("setting limits.maintenance-work-mem");
    // Going back is possible with whatever settings there are now.
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    assert!(workspace.runs_now("labeler"), "the old instance is back");
    assert!(workspace.env_bytes() == env, ".env is as it was");
}
