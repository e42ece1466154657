//! Progress on standard error: one status line on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::engine::Event;
use crate::model::time;
use crate::steps::Progress;

/// Standard error as people see it.
pub struct Terminal {
    live: bool,
    color: bool,
    tasks: Mutex<BTreeMap<String, Task>>,
}

struct Task {
    since: Instant,
    done: u64,
    total: u64,
}

impl Terminal {
    /// Live status lines only on a terminal; colour also obeys `NO_COLOR` and `--color`.
    pub fn new(color: Option<bool>) -> Self {
        let live = std::io::stderr().is_terminal();
        let allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            live,
            color: color.unwrap_or(live && allowed),
            tasks: Mutex::new(BTreeMap::new()),
        }
    }

    /// A line of text.
    pub fn line(&self, text: &str) {
        let mut out = std::io::stderr().lock();
        // Nobody to tell when standard error is gone.
        let _ = if self.live {
            writeln!(out, "\r\x1b[K{text}")
        } else {
            writeln!(out, "{text}")
        };
    }

    /// Text with an emphasis that vanishes where colour is not wanted.
    pub fn paint(&self, text: &str, code: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Shows an event of the engine.
    pub fn event(&self, event: &Event<'_>) {
        match event {
            Event::Started { number, of, title } => {
                self.tasks.lock().unwrap_or_else(PoisonError::into_inner).clear();
                if self.live {
                    let mut out = std::io::stderr().lock();
                    let _ = write!(out, "\r\x1b[K[{number}/{of}] {title} ...");
                    let _ = out.flush();
                }
            }
            Event::Done {
                title,
                seconds,
                before,
            } => {
                let mark = self.paint("ok", "32");
                let how = if *before {
                    "was done already".to_owned()
                } else {
                    time::seconds(*seconds)
                };
                self.line(&format!("  {mark}  {title}  ({how})"));
            }
            Event::Failed { title } => self.line(&format!("  {}  {title}", self.paint("failed", "31"))),
            Event::Undone { title } => {
                self.line(&format!("  {}  {title}", self.paint("undone", "33")));
            }
        }
    }
}

impl Progress for Terminal {
    fn bytes(&self, task: &str, done: u64, total: u64) {
        if !self.live {
            return;
        }
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = tasks.entry(task.to_owned()).or_insert_with(|| Task {
            since: Instant::now(),
            done,
            total,
        });
        (entry.done, entry.total) = (done, total);
        let parts: Vec<String> = tasks.iter().map(|(name, task)| status(name, task)).collect();
        let mut out = std::io::stderr().lock();
        let _ = write!(out, "\r\x1b[K  {}", parts.join(" | "));
        let _ = out.flush();
    }

    fn note(&self, text: &str) {
        if self.live {
            let short: String = text.chars().take(100).collect();
            let mut out = std::io::stderr().lock();
            let _ = write!(out, "\r\x1b[K  {short}");
            let _ = out.flush();
        }
    }
}

/// `restore labeler 120.0 MiB of 1.1 GiB, 40 s left`. The archive is smaller than the database, so a dump's total is an
/// upper bound and its time left an upper estimate.
fn status(name: &str, task: &Task) -> String {
    let mut text = format!(
        "{name} {} of {}",
        time::bytes(task.done),
        time::bytes(task.total.max(task.done))
    );
    let elapsed = task.since.elapsed().as_secs_f64();
    if task.done > 0 && task.done < task.total && elapsed > 2.0 {
        let left = elapsed * (task.total - task.done) as f64 / task.done as f64;
        text.push_str(&format!(", {} left", time::seconds(left)));
    }
    text
}
