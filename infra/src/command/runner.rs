//! Executes commands: process group, log, time limit, interrupt, last lines.

mod answer;
mod stream;

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::group::own_group;
use super::signal::{Signal, send_groups};
use super::{Child, Cmd, CommandError, EnvValue, Stdin};
use crate::files;
use crate::interrupt::Interrupt;
use crate::secret::{Redactor, Secret};

/// How often a wait looks at the interrupt flag.
const TICK: Duration = Duration::from_millis(100);
/// How long a child may take to end after a polite request before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How many last lines of output an error carries.
const TAIL_LINES: usize = 12;

/// What a finished command left.
#[derive(Debug)]
pub struct Output {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output, untouched (not redacted: data).
    pub stdout: Vec<u8>,
    /// Standard error, redacted.
    pub stderr: String,
}

impl Output {
    /// Standard output as text.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Whether it ended with exit code 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

/// The last lines of what a program said. What it calls an error is among them, however much it quotes after that.
fn tail(lines: &[&str]) -> String {
    let (before, last) = lines.split_at(lines.len().saturating_sub(TAIL_LINES));
    let error = match last.iter().any(|line| is_error(line)) {
        true => None,
        false => before.iter().rfind(|line| is_error(line)),
    };
    let shown: Vec<&str> = error.into_iter().chain(last).copied().collect();
    shown.join("\n")
}

/// Whether a program calls this an error, as PostgreSQL's do.
fn is_error(line: &str) -> bool {
    ["error:", "ERROR:", "FATAL:"]
        .iter()
        .any(|word| line.contains(word))
}

/// Runs commands. Clones share secrets, interrupt flag and log.
#[derive(Clone, Debug, Default)]
pub struct Runner {
    redactor: Redactor,
    interrupt: Interrupt,
    log: Option<Arc<Mutex<std::fs::File>>>,
}

impl Runner {
    /// A runner without a log that stops its children when `interrupt` is set.
    pub fn new(interrupt: Interrupt) -> Self {
        Self {
            redactor: Redactor::default(),
            interrupt,
            log: None,
        }
    }

    /// The same runner, writing every command and its redacted output to the end of this file (0600).
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn with_log(&self, path: &Path) -> io::Result<Self> {
        let log = Some(Arc::new(Mutex::new(files::append_private(path)?)));
        Ok(Self { log, ..self.clone() })
    }

    /// The same runner, stopping its children when this flag is set.
    #[must_use]
    pub fn interrupted_by(&self, interrupt: Interrupt) -> Self {
        Self {
            interrupt,
            ..self.clone()
        }
    }

    /// Makes a secret known, so that it is masked in everything children print.
    pub fn learn(&self, secret: &Secret) {
        self.redactor.add(secret);
    }

    /// The redactor, for text that reaches people by other ways.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The interrupt flag.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Ends a child that lives beside us, and everything it started, without a word.
    pub fn kill(&self, pid: u32) {
        send_groups(&[pid], Signal::Kill);
    }

    /// A line in the log that is not a command.
    pub fn note(&self, line: &str) {
        self.write_log(line);
    }

    /// Runs to the end and returns whatever came out, whatever the exit code.
    ///
    /// # Errors
    /// When the program is missing, runs too long, or we are interrupted.
    pub fn output(&self, cmd: &Cmd) -> Result<Output, CommandError> {
        let started = Instant::now();
        let (expression, _held) = self.expression(cmd)?;
        let ended = self.to_the_end(cmd, expression.stdout_capture().stderr_capture())?;
        Ok(self.left(started, ended.status.code(), ended.stdout, &ended.stderr))
    }

    /// Starts it and waits until it has ended; on any failure nothing of it runs on.
    fn to_the_end(
        &self,
        cmd: &Cmd,
        expression: duct::Expression,
    ) -> Result<std::process::Output, CommandError> {
        let handle = self.start(cmd, &expression)?;
        // A pipe that it holds would never end.
        drop(expression);
        let finished = self.wait(
            cmd,
            || handle.wait_timeout(TICK).map(|o| o.is_some()),
            || handle.pids(),
        );
        if let Err(error) = finished {
            let _ = handle.kill();
            return Err(error);
        }
        handle.into_output().map_err(|source| self.io_error(cmd, source))
    }

    /// What a command left, redacted and written down.
    fn left(&self, started: Instant, code: Option<i32>, stdout: Vec<u8>, stderr: &[u8]) -> Output {
        let stderr = self.redactor.redact_output(&String::from_utf8_lossy(stderr));
        self.write_log(stderr.trim_end());
        self.write_end(code, started);
        Output { code, stdout, stderr }
    }

    /// Runs to the end; anything but exit code 0 is an error with the last lines.
    ///
    /// # Errors
    /// As [`Runner::output`], and [`CommandError::Failed`].
    pub fn run(&self, cmd: &Cmd) -> Result<Output, CommandError> {
        self.judged(cmd, self.output(cmd)?)
    }

    fn judged(&self, cmd: &Cmd, output: Output) -> Result<Output, CommandError> {
        if output.success() {
            return Ok(output);
        }
        let text = if output.stderr.trim().is_empty() {
            output.stdout_text()
        } else {
            output.stderr.clone()
        };
        Err(self.failed(cmd, output.code, &text))
    }

    /// Starts a child that lives beside us: we write to its standard input and read lines of its standard output;
    /// standard error goes to `stderr` (a file), or is thrown away.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, cmd: &Cmd, stderr: Option<&Path>) -> Result<Child, CommandError> {
        let io = |source| self.io_error(cmd, source);
        let (stdin_reader, stdin) = io::pipe().map_err(io)?;
        let (stdout, stdout_writer) = io::pipe().map_err(io)?;
        let expression = self
            .bare_expression(cmd)
            .stdin_file(stdin_reader)
            .stdout_file(stdout_writer);
        let expression = match stderr {
            Some(path) => expression.stderr_file(files::append_private(path).map_err(io)?),
            None => expression.stderr_null(),
        };
        let handle = self.start(cmd, &expression)?;
        Ok(Child::new(cmd.what.clone(), handle, stdin, stdout))
    }

    /// Starts a child that outlives this call and perhaps us (a server); its output goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_server(&self, cmd: &Cmd, log: &Path) -> Result<Child, CommandError> {
        let io = |source| self.io_error(cmd, source);
        let file = files::append_private(log).map_err(io)?;
        let (stdin_reader, stdin) = io::pipe().map_err(io)?;
        let (stdout, _) = io::pipe().map_err(io)?;
        let expression = self
            .bare_expression(cmd)
            .stdin_file(stdin_reader)
            .stderr_to_stdout()
            .stdout_file(file);
        let handle = self.start(cmd, &expression)?;
        Ok(Child::new(cmd.what.clone(), handle, stdin, stdout))
    }

    fn bare_expression(&self, cmd: &Cmd) -> duct::Expression {
        let mut expression = duct::cmd(&cmd.program, &cmd.args).unchecked();
        // A set variable beats a removal: the library lets the first win.
        for (name, value) in cmd.env.iter().rev() {
            expression = match value {
                EnvValue::Plain(value) => expression.env(name, value),
                EnvValue::Secret(secret) => {
                    self.redactor.add(secret);
                    expression.env(name, secret.expose())
                }
            };
        }
        for name in &cmd.env_remove {
            expression = expression.env_remove(name);
        }
        if let Some(dir) = &cmd.cwd {
            expression = expression.dir(dir);
        }
        let account = cmd.account;
        expression.before_spawn(move |command| {
            own_group(command, account);
            Ok(())
        })
    }

    /// With the end of a pipe that a guard waits for: it closes when we end, in whatever way.
    fn expression(&self, cmd: &Cmd) -> Result<(duct::Expression, Option<io::PipeWriter>), CommandError> {
        if let Some(python) = &cmd.guard {
            let (reader, held) = io::pipe().map_err(|source| self.io_error(cmd, source))?;
            let guarded = crate::python::guarded(python, cmd);
            let expression = self.bare_expression(&guarded).stdin_file(reader);
            return Ok((expression, Some(held)));
        }
        let expression = self.bare_expression(cmd);
        let expression = match &cmd.stdin {
            Stdin::Null => expression.stdin_null(),
            Stdin::Bytes(bytes) => expression.stdin_bytes(bytes.clone()),
            Stdin::File(path) => expression.stdin_path(path),
        };
        Ok((expression, None))
    }

    fn start(&self, cmd: &Cmd, expression: &duct::Expression) -> Result<duct::Handle, CommandError> {
        if self.interrupt.is_set() {
            return Err(CommandError::Interrupted {
                what: cmd.what.clone(),
            });
        }
        self.write_log(&format!("# {}", cmd.what));
        self.write_log(&format!("$ {cmd}"));
        for line in cmd.input().unwrap_or_default().lines() {
            self.write_log(&format!("< {line}"));
        }
        expression.start().map_err(|source| match source.kind() {
            // A missing working directory is reported as NotFound too; do not blame the program for it.
            io::ErrorKind::NotFound if cmd.cwd.as_ref().is_none_or(|dir| dir.is_dir()) => {
                CommandError::NotFound {
                    what: cmd.what.clone(),
                    program: cmd.program.to_string_lossy().into_owned(),
                }
            }
            _ => self.io_error(cmd, source),
        })
    }

    /// Waits for `ended`, ending the child's process group on interrupt or when its time is up.
    fn wait(
        &self,
        cmd: &Cmd,
        mut ended: impl FnMut() -> io::Result<bool>,
        pids: impl Fn() -> Vec<u32>,
    ) -> Result<(), CommandError> {
        let deadline = cmd.limit.map(|limit| Instant::now() + limit);
        loop {
            if ended().map_err(|source| self.io_error(cmd, source))? {
                return Ok(());
            }
            let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if late || self.interrupt.is_set() {
                send_groups(&pids(), Signal::Terminate);
                let until = Instant::now() + GRACE;
                while Instant::now() < until && !ended().unwrap_or(true) {}
                send_groups(&pids(), Signal::Kill);
                self.write_log(if late {
                    "ended: time limit"
                } else {
                    "ended: interrupted"
                });
                return Err(match (late, cmd.limit) {
                    (true, Some(limit)) => CommandError::TimedOut {
                        what: cmd.what.clone(),
                        line: cmd.to_string(),
                        limit,
                    },
                    _ => CommandError::Interrupted {
                        what: cmd.what.clone(),
                    },
                });
            }
        }
    }

    fn failed(&self, cmd: &Cmd, code: Option<i32>, text: &str) -> CommandError {
        let text = self.redactor.redact_output(text);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .collect();
        let tail = tail(&lines);
        // A command ended by our own interrupt is not a fault of the command.
        if self.interrupt.is_set() {
            return CommandError::Interrupted {
                what: cmd.what.clone(),
            };
        }
        CommandError::Failed {
            what: cmd.what.clone(),
            line: cmd.to_string(),
            code,
            tail,
        }
    }

    fn io_error(&self, cmd: &Cmd, source: io::Error) -> CommandError {
        CommandError::Io {
            what: cmd.what.clone(),
            line: cmd.to_string(),
            source,
        }
    }

    fn write_end(&self, code: Option<i32>, started: Instant) {
        let code = code.map_or_else(
            || "by a signal".to_owned(),
            |code| format!("with exit code {code}"),
        );
        self.write_log(&format!(
            "ended {code} after {:.1} s",
            started.elapsed().as_secs_f64()
        ));
    }

    fn write_log(&self, text: &str) {
        let Some(log) = &self.log else { return };
        if text.is_empty() {
            return;
        }
        let now = humantime::format_rfc3339_millis(std::time::SystemTime::now());
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.lines() {
            // The log helps people; a full disk must show in the step's own work, not here.
            let _ = writeln!(log, "{now} {line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_shown_however_much_a_program_quotes_after_it() {
        let quoted: Vec<String> = (0..40).map(|n| format!("line {n} of the query")).collect();
        let error = "pg_dump: error: query failed: ERROR:  no equivalent in encoding \"LATIN1\"";
        let lines: Vec<&str> = [error]
            .into_iter()
            .chain(quoted.iter().map(String::as_str))
            .collect();
        let tail = tail(&lines);
        assert!(
            tail.starts_with(error) && tail.ends_with("line 39 of the query"),
            "{tail}"
        );
        assert_eq!(tail.lines().count(), TAIL_LINES + 1);
        assert_eq!(super::tail(&[error]), error);
    }
}
