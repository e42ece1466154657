//! A child that lives beside us.

use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::time::Duration;

use super::signal::{Signal, send_groups};

/// A running child with its pipes. Dropping it ends it.
#[derive(Debug)]
pub struct Child {
    what: String,
    handle: duct::Handle,
    stdin: Option<PipeWriter>,
    stdout: BufReader<PipeReader>,
    detached: bool,
}

impl Child {
    pub(super) fn new(what: String, handle: duct::Handle, stdin: PipeWriter, stdout: PipeReader) -> Self {
        Self {
            what,
            handle,
            stdin: Some(stdin),
            stdout: BufReader::new(stdout),
            detached: false,
        }
    }

    /// Writes a line to the child's standard input.
    ///
    /// # Errors
    /// When the child closed its standard input.
    pub fn write_line(&mut self, line: &str) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        stdin.write_all(line.as_bytes())?;
        stdin.write_all(b"\n")?;
        stdin.flush()
    }

    /// Reads the next line of its standard output; `None` at the end.
    ///
    /// # Errors
    /// When the pipe fails or the line is not UTF-8.
    pub fn read_line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let n = self.stdout.read_line(&mut line)?;
        Ok((n > 0).then(|| line.trim_end_matches(['\n', '\r']).to_owned()))
    }

    /// Exit code when it has ended (`Some(None)`: by a signal).
    pub fn ended(&self) -> Option<Option<i32>> {
        match self.handle.try_wait() {
            Ok(Some(output)) => Some(output.status.code()),
            Ok(None) => None,
            Err(_) => Some(None),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.handle.pids().first().copied()
    }

    /// Closes its standard input and waits; ends it when it does not end by itself within `limit`.
    pub fn finish(mut self, limit: Duration) -> Option<i32> {
        drop(self.stdin.take());
        match self.handle.wait_timeout(limit) {
            Ok(Some(output)) => output.status.code(),
            _ => None,
        }
    }

    /// Asks it to end, with everything it started, and waits up to `limit` before forcing it.
    pub fn stop(self, limit: Duration) {
        send_groups(&self.handle.pids(), Signal::Terminate);
        let _ = self.handle.wait_timeout(limit);
        // Drop forces what is left.
    }

    /// Lets it live on after us.
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// What it was started for.
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.detached && self.ended().is_none() {
            send_groups(&self.handle.pids(), Signal::Kill);
            let _ = self.handle.kill();
        }
    }
}
