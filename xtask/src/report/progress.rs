//! Progress on standard error: one status line on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::engine::Event;
use crate::model::time;
use crate::model::typed::typed;
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
        let text = typed(text);
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
                    status_line(&format!("[{number}/{of}] {title} ..."));
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
        // A size that could not be asked for comes as 0; what was there is still there.
        (entry.done, entry.total) = (done.max(entry.done), total);
        status_line(&status(&tasks));
    }

    fn note(&self, text: &str) {
        if self.live {
            status_line(text);
        }
    }

    fn remark(&self, text: &str) {
        self.line(&format!("  note  {text}"));
    }

    fn warn(&self, text: &str) {
        let mark = self.paint("warning", "33;1");
        self.line(&format!("  {mark}  {text}"));
    }
}

/// Overwrites the current line; never longer than the terminal is wide, or it could not be overwritten again.
fn status_line(text: &str) {
    let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
    let short: String = text.chars().take(width.saturating_sub(3)).collect();
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "\r\x1b[K  {short}");
    let _ = out.flush();
}

/// `restore 120.0 MiB of 1.1 GiB, at most 40 s left: labeler 60 %, users 100 %`. An archive is smaller than its database,
/// so the time left of a dump is an upper bound.
fn status(tasks: &BTreeMap<String, Task>) -> String {
    let done: u64 = tasks.values().map(|task| task.done).sum();
    let total: u64 = tasks.values().map(|task| task.total.max(task.done)).sum();
    let verb = tasks
        .keys()
        .next()
        .and_then(|name| name.split(' ').next())
        .unwrap_or_default();
    let mut text = format!("{verb} {} of {}", time::bytes(done), time::bytes(total));
    let elapsed = tasks
        .values()
        .map(|task| task.since.elapsed().as_secs_f64())
        .fold(0.0, f64::max);
    if done > 0 && done < total && elapsed > 2.0 {
        let left = elapsed * (total - done) as f64 / done as f64;
        text.push_str(&format!(", at most {} left", time::seconds(left)));
    }
    let parts: Vec<String> = tasks
        .iter()
        .map(|(name, task)| {
            let percent = (task.done * 100).checked_div(task.total).unwrap_or(100).min(100);
            format!("{} {percent} %", name.split(' ').next_back().unwrap_or_default())
        })
        .collect();
    format!("{text}: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_adds_up_what_runs_at_the_same_time() {
        let task = |done, total| Task {
            since: Instant::now(),
            done,
            total,
        };
        let tasks = BTreeMap::from([
            ("restore labeler".to_owned(), task(512, 1024)),
            ("restore users".to_owned(), task(2048, 1024)),
        ]);
        assert_eq!(
            status(&tasks),
            "restore 2.5 KiB of 3.0 KiB: labeler 50 %, users 100 %"
        );
    }
}
