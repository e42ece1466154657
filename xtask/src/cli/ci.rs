//! `cargo xtask ci`
//!
//! Questions that are answered at once go through xshell. The stages go through the runner: they take minutes, and
//! Ctrl-C must end them with everything they started.

mod prepare;
mod tally;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use infra::{Cmd, CommandError, Interrupt, Runner};

use super::{Ending, Global, context, reference};
use crate::config::Workspace;
use crate::model::{Exit, time};
use crate::report::Terminal;
use crate::steps::Progress;

use prepare::Prepared;
use tally::Tally;

/// Names a file to which a test appends one line for each thing that it could not check on this machine.
const LEFT_OUT: &str = "XTASK_CI_LEFT_OUT";
/// Names further `bin` folders of PostgreSQL for the tests that want several versions.
const TEST_POSTGRES: &str = "XTASK_TEST_PG_BIN";

/// CI: format, lints, documentation and every test, in one command
///
/// Runs each stage even when an earlier one failed, so that one run tells everything; only the Docker tests wait for
/// the others to pass. A stage's output is shown when it fails, and kept in target/ci. What was left out is said at
/// the end.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CiArgs {
    /// Whether the tests on real containers take part
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Docker::Auto)]
    docker: Docker,
    /// Write the generated files of docs/reference anew, and do nothing else
    #[arg(long)]
    write_docs: bool,
}

/// Whether the Docker tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Docker {
    /// They run; without a Docker engine nothing runs.
    Required,
    /// They run when a Docker engine answers.
    Auto,
    /// They are left out.
    Off,
}

/// One command of the run.
struct Stage {
    name: &'static str,
    /// Arguments for cargo.
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    /// Waits for everything before it to pass: slow, and its failures would only repeat theirs.
    last: bool,
}

/// The stages in order. `--locked`: a lock file that does not fit is a failure here, not a silent change.
///
/// Freshness of the generated documentation, the dependency budget and the short rehearsals (`rehearse --rows 2000`,
/// on the local runtime, and on Docker with both Compose commands) are tests, not stages: `cargo test` finds them.
const STAGES: [Stage; 5] = [
    Stage {
        name: "format",
        args: &["fmt", "--all", "--check"],
        env: &[],
        last: false,
    },
    Stage {
        name: "lints",
        args: &[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        env: &[],
        last: false,
    },
    Stage {
        name: "documentation",
        args: &[
            "doc",
            "--locked",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ],
        env: &[("RUSTDOCFLAGS", "-D warnings")],
        last: false,
    },
    Stage {
        name: "tests",
        args: &["test", "--locked", "--workspace", "--no-fail-fast"],
        env: &[],
        last: false,
    },
    // Tests that need Docker carry #[ignore = "needs Docker"]. In backend-env other tests are ignored, which only its
    // own tests can run; none of it needs Docker.
    Stage {
        name: DOCKER_TESTS,
        args: &[
            "test",
            "--locked",
            "--workspace",
            "--exclude",
            "backend-env",
            "--no-fail-fast",
            "--",
            "--ignored",
        ],
        env: &[],
        last: true,
    },
];

const DOCKER_TESTS: &str = "Docker tests";

/// How a stage ended.
enum Ended {
    Passed(String),
    Failed(String),
    NotRun(&'static str),
    Interrupted,
}

/// A stage that is over.
struct Done {
    name: &'static str,
    seconds: f64,
    ended: Ended,
}

/// What the stages need.
struct Ci<'a> {
    runner: &'a Runner,
    terminal: &'a Terminal,
    cargo: PathBuf,
    root: &'a Path,
    /// Folder for the stages' output.
    logs: PathBuf,
}

/// Runs the command.
#[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
pub(crate) fn cmd_ci(global: &Global, args: &CiArgs) -> anyhow::Result<Exit> {
    let workspace = Workspace::find()?;
    let terminal = context::terminal(global);
    if args.write_docs {
        for path in reference::write(workspace.root())? {
            println!("wrote {}", path.display());
        }
        return Ok(Exit::Ok);
    }
    let runner = Runner::new(Interrupt::install()?);
    let ci = Ci {
        runner: &runner,
        terminal: &terminal,
        cargo: std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from),
        root: workspace.root(),
        logs: workspace.root().join("target").join("ci"),
    };
    let prepared = ci.prepare(args.docker)?;
    let done = ci.run_all(&prepared)?;
    print!("\n{}", table(&done));
    ci.conclude(&done, prepared.left_out)
}

impl Ci<'_> {
    fn run_all(&self, prepared: &Prepared) -> anyhow::Result<Vec<Done>> {
        let left_out = self.left_out_file();
        File::create(&left_out).with_context(|| format!("failed to make {}", left_out.display()))?;
        let mut done: Vec<Done> = Vec::new();
        for stage in &STAGES {
            let failed = done.iter().any(|done| matches!(done.ended, Ended::Failed(_)));
            let skip = if self.runner.interrupt().is_set() {
                Some("not run")
            } else if stage.name == DOCKER_TESTS && !prepared.docker {
                Some("left out")
            } else {
                (stage.last && failed).then_some("not run, because of the failure above")
            };
            let started = Instant::now();
            let ended = match skip {
                Some(why) => Ended::NotRun(why),
                None => self.run(stage, &prepared.postgres)?,
            };
            done.push(Done {
                name: stage.name,
                seconds: started.elapsed().as_secs_f64(),
                ended,
            });
        }
        Ok(done)
    }

    fn run(&self, stage: &Stage, postgres: &[PathBuf]) -> anyhow::Result<Ended> {
        let command = self.command(stage, postgres);
        let path = self
            .logs
            .join(format!("{}.log", stage.name.replace(' ', "-").to_lowercase()));
        let context = || format!("failed to write {}", path.display());
        let mut log = BufWriter::new(File::create(&path).with_context(context)?);
        self.terminal.line(&format!("{}: {}", stage.name, shown(stage)));
        let started = Instant::now();
        let mut tally = Tally::default();
        let mut written = Ok(());
        let result = self.runner.stream(&command, |line| {
            tally.see(line);
            self.terminal.note(line);
            if written.is_ok() {
                written = writeln!(log, "{line}");
            }
        });
        written.and_then(|()| log.flush()).with_context(context)?;
        let took = time::seconds(started.elapsed().as_secs_f64());
        let error = match result {
            Ok(()) => {
                self.terminal
                    .line(&format!("  {}  {took}", self.terminal.paint("ok", "32")));
                return Ok(Ended::Passed(tally.summary()));
            }
            Err(error) if error.is_interrupt() => {
                self.terminal
                    .line(&format!("  {}  {took}", self.terminal.paint("interrupted", "33")));
                return Ok(Ended::Interrupted);
            }
            Err(error) => error,
        };
        // The error's own last lines are among those of the log.
        let how = match &error {
            CommandError::Failed { code: Some(code), .. } => format!("cargo ended with exit code {code}"),
            CommandError::Failed { code: None, .. } => "a signal ended cargo".to_owned(),
            other => other.to_string(),
        };
        self.show(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let mark = self.terminal.paint("failed", "31");
        self.terminal
            .line(&format!("  {mark}  {took}  {}: {how}", stage.name));
        Ok(Ended::Failed(tally.summary()))
    }

    fn command(&self, stage: &Stage, postgres: &[PathBuf]) -> Cmd {
        let what = format!("run {}", shown(stage));
        let mut command = Cmd::new(&self.cargo, what).args(stage.args).cwd(self.root);
        for (name, value) in stage.env {
            command = command.env(*name, value);
        }
        if cfg!(windows) {
            // Windows cannot replace a program that runs, and cargo may have to build this one anew.
            command = command.env("CARGO_TARGET_DIR", self.root.join("target").join("ci-build"));
        }
        let named = std::env::var_os(TEST_POSTGRES).unwrap_or_default();
        let folders = std::env::split_paths(&named).filter(|folder| !folder.as_os_str().is_empty());
        // A folder whose name holds the separator cannot be named; the tests then use what the machine has.
        if let Ok(all) = std::env::join_paths(folders.chain(postgres.iter().cloned())) {
            command = command.env(TEST_POSTGRES, all);
        }
        command.env(LEFT_OUT, self.left_out_file())
    }

    /// A failed stage's output.
    fn show(&self, log: &Path) -> std::io::Result<()> {
        for line in BufReader::new(File::open(log)?).lines() {
            self.terminal.line(&line?);
        }
        Ok(())
    }

    fn left_out_file(&self) -> PathBuf {
        self.logs.join("left-out.txt")
    }

    /// What was left out, and how it ended.
    fn conclude(&self, done: &[Done], unprepared: Vec<String>) -> anyhow::Result<Exit> {
        let path = self.left_out_file();
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let mut left_out: Vec<String> = text.lines().map(str::to_owned).collect();
        left_out.sort();
        left_out.dedup();
        left_out.extend(unprepared);
        for line in &left_out {
            let mark = self.terminal.paint("NOT CHECKED", "33;1");
            self.terminal.line(&format!("{mark}  {line}"));
        }
        if done.iter().any(|done| matches!(done.ended, Ended::Interrupted))
            || self.runner.interrupt().is_set()
        {
            return Err(Ending::new(Exit::Interrupted, "interrupted; the other stages did not run").into());
        }
        let failed = done
            .iter()
            .zip(&STAGES)
            .filter(|(done, _)| matches!(done.ended, Ended::Failed(_)));
        let failed: Vec<&Stage> = failed.map(|(_, stage)| stage).collect();
        if failed.is_empty() {
            let what = if left_out.is_empty() {
                "everything"
            } else {
                "everything that ran"
            };
            self.terminal.line(&format!("{what} passed"));
            return Ok(Exit::Ok);
        }
        let names: Vec<&str> = failed.iter().map(|stage| stage.name).collect();
        let message = format!("failed: {} (output: {})", names.join(", "), self.logs.display());
        let ending = Ending::new(Exit::Findings, message);
        Err(failed.into_iter().map(shown).fold(ending, Ending::hint).into())
    }
}

/// The stage as one would type it.
fn shown(stage: &Stage) -> String {
    let env = stage
        .env
        .iter()
        .map(|(name, value)| format!("{name}={} ", infra::command::shell_word(value)));
    format!("{}cargo {}", env.collect::<String>(), stage.args.join(" "))
}

/// The table at the end.
fn table(done: &[Done]) -> String {
    let mut out = format!("{:<14} {:>12}  result\n", "stage", "duration");
    for stage in done {
        let (duration, result) = match &stage.ended {
            Ended::Passed(detail) => (time::seconds(stage.seconds), join("ok", detail)),
            Ended::Failed(detail) => (time::seconds(stage.seconds), join("FAILED", detail)),
            Ended::Interrupted => (time::seconds(stage.seconds), "interrupted".to_owned()),
            Ended::NotRun(why) => ("-".to_owned(), (*why).to_owned()),
        };
        out.push_str(&format!("{:<14} {duration:>12}  {result}\n", stage.name));
    }
    let total: f64 = done.iter().map(|stage| stage.seconds).sum();
    out.push_str(&format!("{:<14} {:>12}\n", "total", time::seconds(total)));
    out
}

fn join(word: &str, detail: &str) -> String {
    if detail.is_empty() {
        word.to_owned()
    } else {
        format!("{word}: {detail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_every_stage_whether_it_ran_or_not() {
        let done = [
            ("format", Ended::Passed(String::new())),
            ("tests", Ended::Failed("3 passed, 1 failed: a".to_owned())),
            (DOCKER_TESTS, Ended::NotRun("left out")),
        ];
        let done = done.map(|(name, ended)| Done {
            name,
            seconds: 1.0,
            ended,
        });
        assert_eq!(
            table(&done),
            "stage              duration  result\n\
             format                1.0 s  ok\n\
             tests                 1.0 s  FAILED: 3 passed, 1 failed: a\n\
             Docker tests              -  left out\n\
             total                 3.0 s\n"
        );
    }

    #[test]
    fn a_stage_prints_as_a_line_to_paste() {
        let lines: Vec<String> = STAGES.iter().map(shown).collect();
        assert_eq!(lines[0], "cargo fmt --all --check");
        assert!(
            lines[2].starts_with("RUSTDOCFLAGS='-D warnings' cargo doc "),
            "{}",
            lines[2]
        );
    }
}
