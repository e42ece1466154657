//! External servers: two with TLS on loopback, as the production rehearsal makes them.

mod address;
mod bad_input;
mod block;
mod network;
mod proof;
mod upload;

use infra::Secret;
use infra::postgres::cluster::Cluster;
use infra::postgres::{Clients, Reach, Server};

use super::support::{Environment, Ran, Rehearsal, Workspace, ask, read_env, run, runner};

const PROFILE: [&str; 2] = ["--profile", "production"];

/// A production rehearsal, prepared and not migrated.
struct Production {
    rehearsal: Rehearsal,
}

impl Production {
    fn prepare(name: &str) -> Self {
        let args = ["--profile", "production", "--runtime", "local"];
        Self {
            rehearsal: Rehearsal::prepare(name, &args, Environment::new()),
        }
    }

    fn workspace(&self) -> &Workspace {
        &self.rehearsal.workspace
    }

    /// The tool, with the production profile.
    fn xtask(&self, args: &[&str]) -> Ran {
        self.workspace().xtask(&[&PROFILE[..], args].concat())
    }

    /// The tool, which ends itself after this line of the journal.
    fn crash_after(&self, line: usize, args: &[&str]) -> Ran {
        let cmd = self.workspace().cmd(&[&PROFILE[..], args].concat());
        run(cmd.env("XTASK_CRASH_AFTER", line.to_string()))
    }

    fn migrate(&self) -> Ran {
        self.xtask(&MIGRATE)
    }

    /// The service's own superuser on the old (`old`) or the new server, past everything that a role may not do.
    fn service(&self, name: &str) -> Server {
        let settings = self.workspace();
        let base = settings.root.parent().unwrap().join("instances");
        let port = match name {
            "old" => read_env(&settings.env_bytes(), "LABELER_DB_PORT")
                .parse()
                .unwrap(),
            _ => settings.port("profiles.production.target.port"),
        };
        Server {
            label: name.to_owned(),
            reach: Reach::Tcp {
                host: "localhost".to_owned(),
                port,
            },
            user: "service".to_owned(),
            password: Some(Secret::new(
                std::fs::read_to_string(base.join(format!("{name}.service"))).unwrap(),
            )),
            clients: Clients::Machine {
                bin: Some(settings.text("profiles.production.target.bin").into()),
            },
            options: vec![
                ("PGSSLMODE".to_owned(), "verify-full".to_owned()),
                (
                    "PGSSLROOTCERT".to_owned(),
                    base.join("authority.crt").display().to_string(),
                ),
            ],
        }
    }

    /// The new server's administrator, who is no superuser.
    fn master(&self) -> Server {
        let instances = self.workspace().root.parent().unwrap().join("instances");
        let password = std::fs::read_to_string(instances.join("new.master")).unwrap();
        self.service("new").as_role("master", Some(Secret::new(password)))
    }

    /// A server's cluster.
    fn cluster(&self, name: &str) -> Cluster {
        let settings = self.workspace();
        let instances = settings.root.parent().unwrap().join("instances");
        let owner = std::fs::metadata(instances.join(name)).unwrap();
        let account = infra::command::Account {
            uid: std::os::unix::fs::MetadataExt::uid(&owner),
            gid: std::os::unix::fs::MetadataExt::gid(&owner),
        };
        Cluster {
            bin: settings.text("profiles.production.target.bin").into(),
            data: instances.join(name),
            account: infra::command::is_root().then_some(account),
        }
    }

    /// Lines of the newest run's journal.
    fn journal(&self) -> Vec<String> {
        let run = self.workspace().runs().pop().unwrap();
        let text = std::fs::read_to_string(run.join("journal.jsonl")).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

const MIGRATE: [&str; 4] = ["migrate", "--yes", "--confirm-target", "localhost"];
const DATASETS: &str = "SELECT count(*) FROM datasets";
const WRITE: &str = "INSERT INTO datasets (name, slug) VALUES ('late', 'late-one')";
const OPEN: &str = "SELECT datallowconn FROM pg_database WHERE datname = 'labeler'";

#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn a_production_run_moves_one_database_closes_the_old_one_and_goes_back() {
    let production = Production::prepare("external");
    let workspace = production.workspace();
    let (old, new) = (production.service("old"), production.service("new"));
    let env = workspace.env_bytes();
    let rows = ask(&old, "labeler", DATASETS);

    // As a scheduler runs it, which names no account.
    let cmd = workspace.cmd(&[&PROFILE[..], &MIGRATE].concat());
    let unnamed = ["SUDO_USER", "USER", "USERNAME", "LOGNAME"];
    let ran = run(unnamed.into_iter().fold(cmd, infra::Cmd::env_remove));
    ran.ends(0)
        .says("pg_buffercache of labeler is left out")
        .says("ask the target")
        .says("the old server's data are untouched")
        .never_says("old volumes")
        .never_says("readers");
    let audit = std::fs::read_to_string(workspace.runs()[0].join("audit.jsonl")).unwrap();
    assert!(audit.contains("\"who\":\"account number "), "{audit}");
    assert_eq!(ask(&new, "labeler", DATASETS), rows);
    assert_eq!(ask(&old, "postgres", OPEN), "f", "the old database is closed");
    assert_eq!(workspace.env("LABELER_DB_USER"), "labeler_user");
    assert_eq!(workspace.env("PLATFORM_DB_USER"), "platform_readonly");
    assert_eq!(workspace.env("USER_DB_USER"), "users_readonly");
    for prefix in ["LABELER_DB", "PLATFORM_DB", "USER_DB"] {
        let port = workspace.port("profiles.production.target.port").to_string();
        assert_eq!(workspace.env(&format!("{prefix}_PORT")), port);
    }
    // Nothing belongs to anybody else, so that the next revision may change it.
    let foreign = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
                   WHERE relowner <> 'labeler_user'::regrole AND nspname !~ '^pg_' AND nspname <> 'information_schema'";
    assert_eq!(ask(&new, "labeler", foreign), "0");
    production.migrate().ends(4);

    let id = workspace.runs()[0]
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    workspace
        .xtask(&["cleanup", &id])
        .ends(20)
        .says("was planned with the profile production, and this command goes by development")
        .says(&format!("hint: cargo xtask cleanup --profile production {id}"));
    production.xtask(&["rollback", "--yes"]).ends(22);
    assert_eq!(ask(&old, "postgres", OPEN), "t");
    assert_eq!(workspace.env_bytes(), env);
    assert_eq!(ask(&old, "labeler", DATASETS), rows);
}

#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn a_write_after_the_backup_ends_the_run_and_leaves_the_old_server_in_charge() {
    let production = Production::prepare("late-write");
    let workspace = production.workspace();
    let old = production.service("old");
    let env = workspace.env_bytes();

    // Killed when the backup is done and nothing is closed yet.
    production.crash_after(5, &MIGRATE);
    let last = production.journal().pop().unwrap();
    assert!(last.contains("backup") && last.contains("succeeded"), "{last}");
    ask(&old, "labeler", WRITE);
    let resumed = production.xtask(&["migrate", "--resume"]);
    resumed
        .ends(21)
        .says("table public.datasets: 1 rows inserted")
        .says("the old server stays in use")
        .says("go back with: cargo xtask rollback --profile production ")
        .never_says("--resume");
    // Without the profile every setting would seem to have changed.
    let id = workspace.runs().pop().unwrap();
    let id = id.file_name().unwrap().to_str().unwrap().to_owned();
    for (args, line) in [
        (
            &["migrate", "--resume", id.as_str()][..],
            "migrate --profile production --resume",
        ),
        (&["rollback", id.as_str()], "rollback --profile production"),
        (&["migrate", "--yes"], "migrate --profile production --resume"),
    ] {
        workspace
            .xtask(args)
            .ends(20)
            .says(&format!("hint: cargo xtask {line} {id}"))
            .never_says("has changed");
    }
    assert_eq!(ask(&old, "postgres", OPEN), "t");
    assert_eq!(workspace.env_bytes(), env);
    // That backup is of no use any more, however often one asks.
    production.xtask(&["migrate", "--resume"]).ends(21);
    production.xtask(&["rollback", "--yes"]).ends(22);

    // Sealed, opened by somebody, written to, closed again: the last look before the cutover finds it.
    production.crash_after(7, &MIGRATE);
    let last = production.journal().pop().unwrap();
    assert!(last.contains("seal") && last.contains("succeeded"), "{last}");
    assert_eq!(ask(&old, "postgres", OPEN), "f");
    ask(&old, "postgres", "ALTER DATABASE labeler ALLOW_CONNECTIONS true");
    ask(
        &old,
        "labeler",
        "UPDATE datasets SET name = name || '!' WHERE id = 1",
    );
    ask(&old, "postgres", "ALTER DATABASE labeler ALLOW_CONNECTIONS false");
    let resumed = production.xtask(&["migrate", "--resume"]);
    resumed.ends(21).says("table public.datasets: 1 rows updated");
    assert_eq!(workspace.env_bytes(), env);
    production.xtask(&["rollback", "--yes"]).ends(22);
    assert_eq!(ask(&old, "postgres", OPEN), "t");

    // And when nobody writes, the third run has the late row as well.
    production.migrate().ends(0);
    let late = "SELECT count(*) FROM datasets WHERE slug = 'late-one'";
    assert_eq!(ask(&production.service("new"), "labeler", late), "1");
}

#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn sessions_that_our_role_may_not_end_stop_the_run_until_they_are_gone() {
    let production = Production::prepare("sessions");
    let old = production.service("old");
    let session = old
        .clone()
        .with_option("PGAPPNAME", "night report")
        .psql_session("labeler", "hold a session");
    let mut holding = runner().spawn(&session, None).unwrap();
    holding.write_line("SELECT 1;").unwrap();
    holding.read_line().unwrap();

    let ran = production.migrate();
    ran.ends(21)
        .says("night report as service")
        .says("stay or come back");
    assert_eq!(ask(&old, "postgres", OPEN), "t");
    drop(holding);
    production.xtask(&["migrate", "--resume"]).ends(0);
}

#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn a_source_that_cannot_be_closed_needs_a_persons_word_and_is_watched_all_the_same() {
    let production = Production::prepare("unfenced");
    let old = production.service("old");
    ask(
        &old,
        "labeler",
        "CREATE ROLE reader LOGIN BYPASSRLS PASSWORD 'reader-s3cret'; GRANT pg_read_all_data TO reader",
    );
    // Large objects have no such role.
    ask(
        &old,
        "labeler",
        "SELECT format('GRANT SELECT ON LARGE OBJECT %s TO reader', oid) FROM pg_largeobject_metadata \\gexec",
    );
    let with = |args: &[&str]| {
        let cmd = production.workspace().cmd(&[&PROFILE[..], args].concat());
        let cmd = cmd.args(["--set", "databases.labeler.source.user=reader"]);
        run(cmd.env("XTASK_SOURCE_LABELER_PASSWORD", "reader-s3cret"))
    };
    with(&MIGRATE)
        .ends(20)
        .says("reader does not own it")
        .says("--accept-unfenced-source");
    let flag = [&MIGRATE[..], &["--accept-unfenced-source"]].concat();
    let cmd = production.workspace().cmd(&[&PROFILE[..], &flag].concat());
    let cmd = cmd
        .args(["--set", "databases.labeler.source.user=reader"])
        .env("XTASK_SOURCE_LABELER_PASSWORD", "reader-s3cret");
    run(cmd.env("XTASK_CRASH_AFTER", "5"));
    ask(&old, "labeler", WRITE);
    with(&["migrate", "--resume"])
        .ends(21)
        .says("table public.datasets: 1 rows inserted")
        .never_says("reader-s3cret");
    with(&["rollback", "--yes"]).ends(22);

    // What a transaction writes, no counter knows before it commits.
    let cmd = production.workspace().cmd(&[&PROFILE[..], &flag].concat());
    let cmd = cmd
        .args(["--set", "databases.labeler.source.user=reader"])
        .env("XTASK_SOURCE_LABELER_PASSWORD", "reader-s3cret");
    run(cmd.env("XTASK_CRASH_AFTER", "5"));
    let session = old.clone().with_option("PGAPPNAME", "late writer");
    let session = session.psql_session("labeler", "hold a transaction");
    let mut writing = runner().spawn(&session, None).unwrap();
    writing.write_line(&format!("BEGIN; {WRITE}; SELECT 1;")).unwrap();
    assert_eq!(writing.read_line().unwrap().as_deref(), Some("1"));
    with(&["migrate", "--resume"])
        .ends(21)
        .says("are in a transaction, or may be")
        .says("late writer");
    // The counters also count what was rolled back: begin anew.
    drop(writing);
    with(&["migrate", "--resume"]).ends(21).says("1 rows inserted");
    with(&["rollback", "--yes"]).ends(22);
    with(&flag).ends(0);
    assert_eq!(ask(&old, "postgres", OPEN), "t", "not ours to close");
}
