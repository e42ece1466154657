//! Asks Compose what a project's files mean. Nothing here knows the language of those files.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::Config;
use super::{Program, Project, yaml};
use crate::command::{CommandError, Runner};
use crate::secret::Secret;

/// Longer than any file takes; a file may lie on a slow network.
const LIMIT: Duration = Duration::from_secs(60);

/// Why there is no model of a project, in the program's own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The words.
    pub why: String,
    /// Whether the files are at fault. Else this machine lacks something that they need (a variable, a file of `env_file`, the
    /// program itself), and nothing is known of them.
    pub fault: bool,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Refused {}

impl Project {
    /// What the files mean, as this project's program understands them in the folder and with the variables of
    /// [`Project::cmd`]: includes followed, variables filled in, files of `env_file` read. Services that only a profile starts are
    /// among them.
    ///
    /// # Errors
    /// When the program is missing or rejects the files.
    pub fn read(&self, runner: &Runner) -> Result<Config, Refused> {
        let what = format!("read {}", self.file.display());
        let answer = match self.program {
            Program::Standalone => self.ask(runner, what, &["config"]),
            // What only a profile needs may be missing here: `up` does without it.
            Program::Plugin => self
                .ask(
                    runner,
                    what.clone(),
                    &["--profile", "*", "config", "--format", "json"],
                )
                .or_else(|_| self.ask(runner, what, &["config", "--format", "json"])),
        }?;
        let unreadable = |why: String| Refused {
            why: format!(
                "`{} config` gave no answer that can be read: {why}",
                self.program.name()
            ),
            fault: false,
        };
        let tree = match self.program {
            Program::Plugin => serde_json::from_str(&answer).map_err(|error| unreadable(error.to_string())),
            Program::Standalone => yaml::parse(&answer).map_err(unreadable),
        }?;
        Config::of(&tree, &self.texts()).map_err(unreadable)
    }

    /// The answer holds passwords, and a rejection quotes values: the program runs apart from the log, and what it says is masked
    /// by what the files hold.
    fn ask(&self, runner: &Runner, what: String, args: &[&str]) -> Result<String, Refused> {
        let cmd = self.cmd(what, args.iter().copied()).limit(LIMIT);
        runner.note(&format!("$ {cmd}"));
        let apart = Runner::new(runner.interrupt().clone());
        for (_, text) in self.texts() {
            let parts = text.lines().flat_map(|line| line.split(['{', ',']).chain([line]));
            parts
                .filter_map(secret_of)
                .for_each(|secret| apart.learn(&secret));
        }
        let output = match apart.run(&cmd) {
            Ok(output) => return Ok(output.stdout_text()),
            Err(CommandError::Failed { tail, .. }) => tail,
            Err(error) => {
                return Err(Refused {
                    why: error.to_string(),
                    fault: false,
                });
            }
        };
        let said: Vec<&str> = output.lines().filter(|line| !is_warning(line)).collect();
        let why = runner
            .redactor()
            .redact(without_structures(said.join("\n").trim()).as_str());
        runner.note(&why);
        Err(Refused {
            fault: !lacks_something(&why) && !self.is_too_new(&why),
            why,
        })
    }

    /// Whether docker-compose 1.29 refuses nothing but sections that Compose learned since.
    fn is_too_new(&self, why: &str) -> bool {
        let unknown = why
            .lines()
            .find(|line| line.contains(" match any of the regexes: '^x-'"));
        let names = unknown.and_then(|line| line.split(" do").next());
        self.program == Program::Standalone
            && names.is_some_and(|names| names.split(", ").all(|name| SINCE_1_29.contains(&name)))
    }

    /// The files that exist, with their texts, and `.env` beside them.
    fn texts(&self) -> Vec<(PathBuf, String)> {
        let files = [Some(&self.file), self.laid_over.as_ref()]
            .into_iter()
            .flatten()
            .cloned();
        let files = files.chain([self.file.with_file_name(".env")]);
        files
            .filter_map(|file| {
                Some((
                    file.clone(),
                    String::from_utf8_lossy(&std::fs::read(&file).ok()?).into_owned(),
                ))
            })
            .collect()
    }
}

/// Sections of a file that Compose learned after docker-compose 1.29.
const SINCE_1_29: [&str; 3] = ["'include'", "'models'", "'name'"];

/// What a program says without the parts of a file that it quotes whole, `{...}` and `[...]`: they hold values of any key. The names of
/// the variables that such a part asks for are kept.
fn without_structures(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['{', '[']) {
        out.push_str(&rest[..=start]);
        let inside = &rest[start + 1..];
        let mut depth = 1_usize;
        let end = inside.find(|c: char| {
            match c {
                '{' | '[' => depth += 1,
                '}' | ']' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let (quoted, after) = inside.split_at(end.unwrap_or(inside.len()));
        out.push_str(crate::secret::MASK);
        for variable in wanted_variables(quoted) {
            out.push_str(" ${");
            out.push_str(variable);
            out.push('}');
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Names in `${NAME:?...}` and `${NAME?...}`.
fn wanted_variables(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        let asks = rest[end..].trim_start_matches(':').starts_with('?');
        asks.then(|| &rest[..end])
    })
}

/// The value of an entry whose key sounds like a secret.
fn secret_of(entry: &str) -> Option<Secret> {
    let (key, value) = entry.split_once([':', '='])?;
    let key = key.to_ascii_uppercase();
    let words = [
        "PASS",
        "PWD",
        "SECRET",
        "TOKEN",
        "KEY",
        "CREDENTIAL",
        "URL",
        "DSN",
    ];
    let value = value.trim().trim_matches(['"', '\'', '[', ']', '}']);
    let secret = value.len() > 2 && words.iter().any(|word| key.contains(word));
    secret.then(|| Secret::new(value))
}

/// Whether a line is no part of the error.
fn is_warning(line: &str) -> bool {
    line.contains("level=warning")
        || line.starts_with("WARNING:")
        || line.ends_with("Defaulting to a blank string.")
}

/// Whether the program misses something that is no part of the files.
fn lacks_something(why: &str) -> bool {
    [
        "Missing mandatory value for",
        "is missing a value",
        "find env file",
        "env file ",
        "build path ",
    ]
    .iter()
    .any(|words| why.contains(words))
}
