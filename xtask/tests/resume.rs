//! A run that dies after any line of its journal ends, resumed, as an uninterrupted one: same tables and rows, same bytes
//! of `.env`, nothing left over. On real servers, through the real program.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot be prepared fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use infra::postgres::manifest::{self, CompareOptions, DatabaseManifest};
use infra::postgres::{Clients, Reach, Script, Server, facts};
use infra::{Cmd, Interrupt, Output, Runner, Secret};
use toml_edit::DocumentMut;

const DATABASES: [&str; 3] = ["labeler", "platform", "users"];

/// A prepared rehearsal, removed when the test ends, however it ends.
struct Rehearsal {
    runner: Runner,
    home: PathBuf,
    workspace: PathBuf,
    settings: DocumentMut,
}

/// What must be the same after every resumed run.
struct Ended {
    databases: Vec<DatabaseManifest>,
    names: BTreeSet<String>,
    env: Vec<u8>,
}

impl Rehearsal {
    fn prepare(name: &str) -> Self {
        // Not a private temporary folder: PostgreSQL's own account must be able to enter it.
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let rehearsals = home.join("target").join("rehearsal");
        std::fs::create_dir_all(&rehearsals).unwrap();
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .parent()
            .unwrap()
            .join("rehearsal")
            .join("cache");
        std::fs::create_dir_all(&shared).unwrap();
        std::os::unix::fs::symlink(shared, rehearsals.join("cache")).unwrap();
        let runner = Runner::new(Interrupt::default());
        let mut rehearsal = Self {
            runner,
            home,
            workspace: PathBuf::new(),
            settings: DocumentMut::new(),
        };
        let made = rehearsal.rehearse(&["--prepare", "--runtime", "local", "--rows", "300"]);
        assert!(made.success(), "{}", made.stderr);
        rehearsal.workspace = PathBuf::from(made.stdout_text().trim());
        let text = std::fs::read_to_string(rehearsal.workspace.join(".xtask").join("local.toml")).unwrap();
        rehearsal.settings = text.parse().unwrap();
        rehearsal
    }

    fn rehearse(&self, args: &[&str]) -> Output {
        let cmd = Cmd::new(env!("CARGO_BIN_EXE_xtask"), "rehearse")
            .arg("rehearse")
            .args(args)
            // The workspace is where cargo says; this one is the test's own.
            .env("CARGO_MANIFEST_DIR", self.home.join("xtask"))
            .limit(Duration::from_secs(600));
        self.runner.output(&cmd).unwrap()
    }

    fn xtask(&self, args: &[&str], crash_after: Option<usize>) -> Output {
        let cmd = Cmd::new(env!("CARGO_BIN_EXE_xtask"), "run xtask")
            .arg("--workspace")
            .arg(&self.workspace)
            .args(args)
            .limit(Duration::from_secs(600));
        let cmd = match crash_after {
            Some(line) => cmd.env("XTASK_CRASH_AFTER", line.to_string()),
            None => cmd.env_remove("XTASK_CRASH_AFTER"),
        };
        self.runner.output(&cmd).unwrap()
    }

    /// Runs a command that must end with this exit code.
    fn must(&self, code: i32, args: &[&str]) -> Output {
        let output = self.xtask(args, None);
        assert_eq!(output.code, Some(code), "{args:?}: {}", output.stderr);
        output
    }

    fn runs(&self) -> Vec<PathBuf> {
        let runs = std::fs::read_dir(self.workspace.join(".xtask").join("runs")).unwrap();
        let mut runs: Vec<PathBuf> = runs.map(|entry| entry.unwrap().path()).collect();
        runs.sort();
        runs
    }

    fn journal_lines(&self) -> usize {
        let journal = self.runs().pop().unwrap().join("journal.jsonl");
        std::fs::read_to_string(journal).unwrap().lines().count()
    }

    fn target(&self) -> Server {
        let target = &self.settings["target"];
        Server {
            label: "the target".to_owned(),
            reach: Reach::Tcp {
                host: "127.0.0.1".to_owned(),
                port: u16::try_from(target["port"].as_integer().unwrap()).unwrap(),
            },
            user: "admin".to_owned(),
            password: Some(Secret::new(target["password"].as_str().unwrap().to_owned())),
            clients: Clients::Machine {
                bin: Some(PathBuf::from(target["bin"].as_str().unwrap())),
            },
            options: Vec::new(),
        }
    }

    fn env_file(&self) -> PathBuf {
        let repository = self.settings["labeler"]["repository"][0].as_str().unwrap();
        Path::new(repository).join("backend").join(".env")
    }

    fn ended(&self) -> Ended {
        let server = self.target();
        let collect = |name: &&str| manifest::collect(&self.runner, &server, name, None, 1, &|_| {}).unwrap();
        let seen = facts::server(&self.runner, &server, "postgres").unwrap();
        Ended {
            databases: DATABASES.iter().map(collect).collect(),
            names: seen.databases.into_keys().collect(),
            env: std::fs::read(self.env_file()).unwrap(),
        }
    }

    /// Nothing that only a run in progress needs.
    fn nothing_is_left(&self, when: &str) {
        for name in DATABASES {
            let data = Path::new(
                self.settings["databases"][name]["source"]["data"]
                    .as_str()
                    .unwrap(),
            );
            assert!(
                !data.join("postmaster.pid").exists(),
                "{when}: a server runs on the old {name}"
            );
            let run = self.runs().pop().unwrap();
            let id = run.file_name().unwrap().to_string_lossy().into_owned();
            let socket = std::env::temp_dir().join(format!("xtask-{}-{name}", &id[id.len() - 4..]));
            assert!(!socket.exists(), "{when}: {} is left", socket.display());
        }
        let run = self.runs().pop().unwrap();
        for folder in [
            run.clone(),
            run.join("state"),
            run.join("backup"),
            run.join("env"),
        ] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let name = entry.unwrap().file_name().to_string_lossy().into_owned();
                assert!(
                    !name.starts_with(infra::files::TEMPORARY),
                    "{when}: {name} is left"
                );
            }
        }
    }

    fn same(&self, wanted: &Ended, when: &str) {
        let found = self.ended();
        for (wanted, found) in wanted.databases.iter().zip(&found.databases) {
            let differences = manifest::compare(wanted, found, &CompareOptions::default());
            let shown: Vec<String> = differences.iter().map(ToString::to_string).collect();
            assert!(shown.is_empty(), "{when}: {shown:?}");
        }
        assert!(wanted.env == found.env, "{when}: .env is another");
        assert_eq!(wanted.names, found.names, "{when}");
        self.nothing_is_left(when);
    }

    /// Kills a run after each of these lines, resumes it, looks, and goes back.
    fn kill_and_resume(
        &self,
        wanted: &Ended,
        before: &[u8],
        lines: impl Iterator<Item = usize>,
        last: usize,
    ) {
        for line in lines {
            let when = format!("killed after line {line}");
            let killed = self.xtask(&["migrate", "--yes"], Some(line));
            assert_eq!(killed.code, None, "{when}: it was not: {}", killed.stderr);
            // After its last line a run is finished; there is nothing to resume.
            let resumed = self.xtask(&["migrate", "--resume"], None);
            let code = if line == last { 4 } else { 0 };
            assert_eq!(resumed.code, Some(code), "{when}: {}", resumed.stderr);
            // Databases that earlier rounds rolled back.
            let cleaned = self.xtask(&["cleanup", "--yes"], None);
            assert!(matches!(cleaned.code, Some(0 | 4)), "{when}: {}", cleaned.stderr);
            self.same(wanted, &when);
            self.go_back(before, &when);
        }
    }

    fn go_back(&self, before: &[u8], when: &str) {
        self.must(22, &["rollback", "--yes"]);
        assert!(
            std::fs::read(self.env_file()).unwrap() == before,
            "{when}: .env is not back"
        );
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("XTASK_KEEP_FAILED").is_some() {
            return;
        }
        let _ = self.rehearse(&["--stop"]);
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// Every line of the journal: some minutes.
#[test]
#[ignore = "takes minutes: a migration, a resume and a rollback for every line of the journal"]
fn killed_after_every_journal_line_a_resumed_run_ends_as_an_uninterrupted_one() {
    let rehearsal = Rehearsal::prepare("resume-all");
    let before = std::fs::read(rehearsal.env_file()).unwrap();
    rehearsal.must(0, &["migrate", "--yes"]);
    let (wanted, last) = (rehearsal.ended(), rehearsal.journal_lines());
    rehearsal.nothing_is_left("uninterrupted");
    rehearsal.go_back(&before, "uninterrupted");
    let only = std::env::var("XTASK_TEST_LINES").ok();
    let lines: Vec<usize> = match &only {
        Some(text) => text.split(',').map(|line| line.parse().unwrap()).collect(),
        None => (1..=last).collect(),
    };
    rehearsal.kill_and_resume(&wanted, &before, lines.into_iter(), last);
}

/// The lines that matter most: restored and not yet swapped, swapped and not yet cut over, cut over and not yet checked.
/// Then a rollback that is killed halfway goes on.
#[test]
fn killed_around_the_swap_and_the_cutover_a_run_resumes_and_goes_back() {
    let rehearsal = Rehearsal::prepare("resume-short");
    let before = std::fs::read(rehearsal.env_file()).unwrap();
    rehearsal.must(0, &["migrate", "--yes"]);
    let (wanted, last) = (rehearsal.ended(), rehearsal.journal_lines());
    let journal = std::fs::read_to_string(rehearsal.runs().pop().unwrap().join("journal.jsonl")).unwrap();
    let line = |event: &str, step: &str| {
        let found = journal
            .lines()
            .position(|line| line.contains(&format!("\"{event}\"")) && line.contains(&format!("\"{step}\"")));
        found.unwrap() + 1
    };
    let lines = [line("step-started", "swap"), line("step-succeeded", "cutover")];
    rehearsal.go_back(&before, "uninterrupted");
    rehearsal.kill_and_resume(&wanted, &before, lines.into_iter(), last);

    rehearsal.must(0, &["migrate", "--yes"]);
    let lines = rehearsal.journal_lines();
    // The lines of each undo: begun, done. The seventh pair is the swap's.
    let killed = rehearsal.xtask(&["rollback", "--yes"], Some(lines + 13));
    assert_eq!(killed.code, None, "{}", killed.stderr);
    let refused = rehearsal.must(20, &["migrate", "--resume"]);
    assert!(
        refused.stderr.contains("cargo xtask rollback"),
        "{}",
        refused.stderr
    );
    rehearsal.go_back(&before, "rollback killed halfway");
}

/// Killed between the renames and what follows them: no journal line lies there, so the renames are made by hand.
#[test]
fn a_swap_that_was_cut_off_after_its_renames_is_finished_by_resume() {
    let rehearsal = Rehearsal::prepare("resume-swap");
    // Two lines for each of the three fences, for backup, target and restore; then the swap is announced.
    rehearsal.xtask(&["migrate", "--yes"], Some(14));
    let run = rehearsal.runs().pop().unwrap();
    let journal = std::fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let last = journal.lines().last().unwrap();
    assert!(last.contains("step-started") && last.contains("swap"), "{last}");
    let id = run.file_name().unwrap().to_string_lossy().into_owned();
    let renames = DATABASES.iter().fold(String::from("BEGIN;\n"), |sql, name| {
        format!(
            "{sql}ALTER DATABASE {name} RENAME TO {name}__before_{id};\n\
             ALTER DATABASE {name}__incoming RENAME TO {name};\n"
        )
    });
    let server = rehearsal.target();
    let script = Script::new(renames + "COMMIT;");
    server
        .execute(&rehearsal.runner, "postgres", &script, "rename by hand")
        .unwrap();
    rehearsal.must(0, &["migrate", "--resume"]);
    let ended = rehearsal.ended();
    assert!(
        ended.databases.iter().all(|database| database.comment.is_none()),
        "a mark is left"
    );
    assert!(
        !ended.names.iter().any(|name| name.contains("__before")),
        "{:?}",
        ended.names
    );
    rehearsal.must(22, &["rollback", "--yes"]);
}
