//! `cargo xtask ci`
//!
//! Questions that are answered at once go through xshell. The stages go through the runner: they take minutes, and
//! Ctrl-C must end them with everything they started.

mod outcome;
mod prepare;
mod stages;
mod tally;
mod versions;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use infra::{Cmd, CommandError, Interrupt, Runner};

use super::output::{out, out_line};
use super::{Ending, Global, context, reference};
use crate::config::Workspace;
use crate::model::{Exit, time};
use crate::report::Terminal;
use crate::steps::Progress;

use outcome::{Done, Ended, table};
use prepare::Prepared;
use stages::{Ignored, STAGES, Stage, TESTS};
use tally::Tally;

/// Names a file to which a test appends one line for each thing that it could not check on this machine.
const LEFT_OUT: &str = "XTASK_CI_LEFT_OUT";
/// Names further `bin` folders of PostgreSQL for the tests that want several versions.
const TEST_POSTGRES: &str = "XTASK_TEST_PG_BIN";

/// CI: format, lints, documentation and every test, in one command
///
/// Runs each stage even when an earlier one failed, so that one run tells everything; only the tests on Docker, in
/// a browser and those that take minutes wait for the others to pass. A stage's output is shown when it fails, and kept in target/ci. What was left out is said at
/// the end.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CiArgs {
    /// Whether the tests on real containers take part
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Wanted::Auto)]
    docker: Wanted,
    /// Whether the tests in a real browser take part
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Wanted::Auto)]
    browser: Wanted,
    /// Run the tests that take minutes as well
    #[arg(long)]
    full: bool,
    /// Write the generated files of docs/reference anew, and do nothing else
    #[arg(long)]
    write_docs: bool,
}

/// Whether tests run that need more than this workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Wanted {
    /// They run; without what they need nothing runs.
    Required,
    /// They run when it is there.
    Auto,
    /// They are left out.
    Off,
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
pub(crate) fn cmd_ci(global: &Global, args: &CiArgs) -> anyhow::Result<Exit> {
    let workspace = Workspace::find()?;
    let terminal = context::terminal(global);
    if args.write_docs {
        for path in reference::write(workspace.root())? {
            out_line(format_args!("wrote {}", path.display()))?;
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
    let prepared = ci.prepare(args.docker, args.browser)?;
    let done = ci.run_all(&prepared, args.full)?;
    out(format_args!("\n{}", table(&done)))?;
    out_line(ci.postgres_versions(&prepared))?;
    ci.conclude(&done, prepared.left_out)
}

impl Ci<'_> {
    fn run_all(&self, prepared: &Prepared, full: bool) -> anyhow::Result<Vec<Done>> {
        let left_out = self.left_out_file();
        File::create(&left_out).with_context(|| format!("failed to make {}", left_out.display()))?;
        let mut done: Vec<Done> = Vec::new();
        let mut tests = Tally::default();
        for stage in &STAGES {
            let failed = done.iter().any(|done| matches!(done.ended, Ended::Failed { .. }));
            let none = stage.ignored.is_some_and(|kind| tests.ignored(kind).is_empty());
            let skip = match stage.ignored {
                _ if self.runner.interrupt().is_set() => Some("not run"),
                Some(_) if failed => Some("not run, because of the failure above"),
                Some(Ignored::Docker) if !prepared.docker => Some("left out"),
                Some(Ignored::Tls) if !prepared.tls => Some("left out"),
                Some(Ignored::Browser) if !prepared.browser => Some("left out"),
                Some(Ignored::Minutes) if !full => Some("left out"),
                _ => none.then_some("there are none"),
            };
            let started = Instant::now();
            let ended = match skip {
                Some(why) => Ended::NotRun(why),
                None => {
                    let (ended, tally) = self.run(stage, prepared, &tests)?;
                    if stage.name == TESTS {
                        tests = tally;
                    }
                    ended
                }
            };
            if skip == Some("left out") && stage.ignored == Some(Ignored::Minutes) {
                self.leave_out(&tests)?;
            }
            done.push(Done {
                name: stage.name,
                seconds: started.elapsed().as_secs_f64(),
                ended,
            });
        }
        Ok(done)
    }

    /// Notes the tests that take minutes.
    fn leave_out(&self, tests: &Tally) -> anyhow::Result<()> {
        let slow = tests.ignored(Ignored::Minutes);
        let lines = slow
            .iter()
            .map(|test| format!("{} {} (--full runs it)\n", test.name, test.reason));
        let path = self.left_out_file();
        let mut file =
            infra::files::append_private(&path).context("failed to open the list of what was left out")?;
        file.write_all(lines.collect::<String>().as_bytes())
            .with_context(|| format!("failed to write {}", path.display()))
    }

    fn run(&self, stage: &Stage, prepared: &Prepared, tests: &Tally) -> anyhow::Result<(Ended, Tally)> {
        let command = self.command(stage, prepared, tests);
        let path = self
            .logs
            .join(format!("{}.log", stage.name.replace(' ', "-").to_lowercase()));
        let context = || format!("failed to write {}", path.display());
        let mut log = BufWriter::new(File::create(&path).with_context(context)?);
        let title = match stage.ignored {
            Some(kind) => format!("{} tests", tests.ignored(kind).len()),
            None => stage.shown(&[]),
        };
        self.terminal.line(&format!("{}: {title}", stage.name));
        let started = Instant::now();
        let mut tally = Tally::default();
        let mut written = Ok(());
        let result = self.runner.stream(&command, |line| {
            if let Some(suite) = tally.see(line) {
                self.terminal.line(&format!("    {suite}"));
            }
            self.terminal.note(line);
            if written.is_ok() {
                written = writeln!(log, "{line}");
            }
        });
        written.and_then(|()| log.flush()).with_context(context)?;
        let took = time::seconds(started.elapsed().as_secs_f64());
        let tell = |word: &str, color: &str, rest: &str| {
            let word = self.terminal.paint(word, color);
            self.terminal.line(&format!("  {word}  {took}{rest}"));
        };
        let error = match result {
            Ok(()) => {
                tell("ok", "32", "");
                return Ok((Ended::Passed(tally.summary()), tally));
            }
            Err(error) if error.is_interrupt() => {
                tell("interrupted", "33", "");
                return Ok((Ended::Interrupted, tally));
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
        tell("failed", "31", &format!("  {}: {how}", stage.name));
        let names = if stage.ignored.is_some() {
            tally.failed()
        } else {
            &[]
        };
        let failed = Ended::Failed {
            detail: tally.summary(),
            again: stage.shown(names),
        };
        Ok((failed, tally))
    }

    fn command(&self, stage: &Stage, prepared: &Prepared, tests: &Tally) -> Cmd {
        let what = format!("run {}", stage.shown(&[]));
        let mut command = Cmd::new(&self.cargo, what).args(stage.args(tests)).cwd(self.root);
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
        if let Ok(all) = std::env::join_paths(folders.chain(prepared.postgres.iter().cloned())) {
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
        let failed: Vec<(&str, &String)> = done
            .iter()
            .filter_map(|done| match &done.ended {
                Ended::Failed { again, .. } => Some((done.name, again)),
                _ => None,
            })
            .collect();
        if failed.is_empty() {
            let what = if left_out.is_empty() {
                "everything"
            } else {
                "everything that ran"
            };
            self.terminal.line(&format!("{what} passed"));
            return Ok(Exit::Ok);
        }
        let names: Vec<&str> = failed.iter().map(|(name, _)| *name).collect();
        let message = format!("failed: {} (output: {})", names.join(", "), self.logs.display());
        let ending = Ending::new(Exit::Findings, message);
        let hints = failed.into_iter().map(|(_, again)| again);
        Err(hints.fold(ending, Ending::hint).into())
    }
}
