//! A child process as a value, and the runner that executes it: the one place where programs start.
//!
//! A [`Cmd`] says what it is for, prints as a line that can be pasted (secrets masked), and carries secrets in its
//! environment or standard input only. The [`Runner`] executes it in a process group of its own, so that Ctrl-C
//! reaches us first; it writes a redacted log, honours time limits, and keeps the last lines for the error.

mod child;
mod group;
mod runner;
mod signal;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use child::Child;
pub use runner::{Output, Runner};
pub use signal::{Signal, send};

use crate::secret::{MASK, Secret};

/// A program with its arguments, environment and standard input.
#[derive(Clone, Debug)]
pub struct Cmd {
    pub(crate) what: String,
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(String, EnvValue)>,
    pub(crate) env_remove: Vec<String>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) stdin: Stdin,
    pub(crate) shown_stdin: Option<String>,
    pub(crate) limit: Option<Duration>,
    pub(crate) account: Option<Account>,
    pub(crate) guard: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub(crate) enum EnvValue {
    Plain(OsString),
    Secret(Secret),
}

#[derive(Clone)]
pub(crate) enum Stdin {
    Null,
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// A user of this machine that a child runs as: PostgreSQL refuses to run as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Account {
    /// Numeric user id.
    pub uid: u32,
    /// Numeric group id.
    pub gid: u32,
}

impl Cmd {
    /// A command; `what` completes the sentence "failed to ...", for example `dump database labeler`.
    pub fn new(program: impl AsRef<OsStr>, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            env_remove: Vec::new(),
            cwd: None,
            stdin: Stdin::Null,
            shown_stdin: None,
            limit: None,
            account: None,
            guard: None,
        }
    }

    /// Adds one argument. Never a secret: every user of the machine can read argv.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the child's environment; it is shown when the command is printed.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl AsRef<OsStr>) -> Self {
        let name = name.into();
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, EnvValue::Plain(value.as_ref().to_owned())));
        self
    }

    /// Sets a variable whose value is masked wherever the command is printed.
    #[must_use]
    pub fn secret_env(mut self, name: impl Into<String>, value: &Secret) -> Self {
        let name = name.into();
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, EnvValue::Secret(value.clone())));
        self
    }

    /// Removes a variable that the child would inherit.
    #[must_use]
    pub fn env_remove(mut self, name: impl Into<String>) -> Self {
        self.env_remove.push(name.into());
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.cwd = Some(dir.as_ref().to_owned());
        self
    }

    /// Gives these bytes as standard input. They are never printed.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Stdin::Bytes(bytes.into());
        self
    }

    /// How standard input may be shown to people: with its secrets masked.
    #[must_use]
    pub fn shown_stdin(mut self, text: impl Into<String>) -> Self {
        self.shown_stdin = Some(text.into());
        self
    }

    /// Standard input as it may be shown; `None` when there is none or nothing of it may be shown.
    pub fn input(&self) -> Option<&str> {
        self.shown_stdin.as_deref()
    }

    /// Gives a file as standard input, streamed by the operating system.
    #[must_use]
    pub fn stdin_file(mut self, path: impl AsRef<Path>) -> Self {
        self.stdin = Stdin::File(path.as_ref().to_owned());
        self
    }

    /// Ends the child when it runs longer.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Runs the child as another user (only root may; ignored on Windows).
    #[must_use]
    pub fn account(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    /// Runs the child under a guard of this Python, so that it does not outlive us, however we end. Its standard input is
    /// then empty. Only [`Runner::run`] and its like look at it; the command prints as it is.
    #[must_use]
    pub fn guarded_by(mut self, python: impl AsRef<Path>) -> Self {
        self.guard = Some(python.as_ref().to_owned());
        self
    }

    /// The same command, run by another program that takes it as its last arguments (`nsenter ... --`).
    #[must_use]
    pub fn through<A: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut all: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        all.push(self.program.clone());
        all.extend(self.args.iter().cloned());
        Self {
            program: program.as_ref().to_owned(),
            args: all,
            ..self.clone()
        }
    }

    /// What the command is for.
    pub fn what(&self) -> &str {
        &self.what
    }
}

/// A line that can be pasted into a shell once the masked values are filled in.
impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Account { uid, gid }) = self.account {
            let switch = match cfg!(target_os = "linux") {
                true => format!("setpriv --reuid {uid} --regid {gid} --clear-groups"),
                false => format!("sudo -u '#{uid}' -g '#{gid}'"),
            };
            let env = if self.env.is_empty() { "" } else { " env" };
            write!(f, "{switch}{env} ")?;
        }
        for (name, value) in &self.env {
            match value {
                EnvValue::Plain(value) => write!(f, "{name}={} ", shell_word(&value.to_string_lossy()))?,
                EnvValue::Secret(_) => write!(f, "{name}={MASK} ")?,
            }
        }
        f.write_str(&shell_word(&self.program.to_string_lossy()))?;
        for arg in &self.args {
            write!(f, " {}", shell_word(&arg.to_string_lossy()))?;
        }
        match &self.stdin {
            Stdin::File(path) => write!(f, " < {}", shell_word(&path.to_string_lossy())),
            Stdin::Null | Stdin::Bytes(_) => Ok(()),
        }
    }
}

/// Quotes a word for display in a POSIX shell; plain words stay as they are.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A path as a word of a line to paste.
pub fn shell_path(path: &Path) -> String {
    shell_word(&path.to_string_lossy())
}

/// Why a command gave no result. The text reads on after "failed to"; secrets are already masked.
#[derive(Debug)]
pub enum CommandError {
    /// The program is not on this machine.
    NotFound {
        /// What it was needed for.
        what: String,
        /// The program's name.
        program: String,
    },
    /// The operating system could not start it or lost it.
    Io {
        /// What it was needed for.
        what: String,
        /// The command line.
        line: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended with an error.
    Failed {
        /// What it was doing.
        what: String,
        /// The command line.
        line: String,
        /// Exit code; `None` when a signal ended it.
        code: Option<i32>,
        /// The last lines it printed.
        tail: String,
    },
    /// It ran longer than its limit and was ended.
    TimedOut {
        /// What it was doing.
        what: String,
        /// The command line.
        line: String,
        /// The limit.
        limit: Duration,
    },
    /// It answered with something that cannot be understood.
    Unreadable {
        /// What was asked.
        what: String,
        /// Why the answer makes no sense.
        why: String,
    },
    /// The person interrupted us, and the child was ended.
    Interrupted {
        /// What it was doing.
        what: String,
    },
}

impl CommandError {
    /// Whether this is a Ctrl-C and not a fault.
    pub fn is_interrupt(&self) -> bool {
        matches!(self, Self::Interrupted { .. })
    }

    /// The last lines the program printed, empty when it printed nothing or never ran.
    pub fn tail(&self) -> &str {
        match self {
            Self::Failed { tail, .. } => tail,
            _ => "",
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { what, program } => {
                write!(f, "failed to {what}: program `{program}` is not on this machine")
            }
            Self::Io { what, line, source } => write!(f, "failed to {what}: {source}\n  command: {line}"),
            Self::Failed {
                what,
                line,
                code,
                tail,
            } => {
                let ending = match code {
                    Some(code) => format!("exit code {code}"),
                    None => "ended by a signal".to_owned(),
                };
                write!(f, "failed to {what}: {ending}\n  command: {line}")?;
                tail.lines().try_for_each(|line| write!(f, "\n  | {line}"))
            }
            Self::TimedOut { what, line, limit } => {
                let limit = humantime::format_duration(*limit);
                write!(f, "failed to {what}: no end after {limit}\n  command: {line}")
            }
            Self::Unreadable { what, why } => write!(f, "failed to {what}: {why}"),
            Self::Interrupted { what } => write!(f, "interrupted while trying to {what}"),
        }
    }
}

impl std::error::Error for CommandError {}

/// Whether we run as root.
pub fn is_root() -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    false
}

/// The number of the account that we run as; `None` where accounts have none.
pub fn account_number() -> Option<u32> {
    #[cfg(unix)]
    return Some(rustix::process::getuid().as_raw());
    #[cfg(not(unix))]
    None
}

/// Finds a program on PATH (with PATHEXT on Windows).
pub fn find_program(name: &str) -> Option<PathBuf> {
    which::which(name).ok()
}

#[cfg(test)]
mod tests;
