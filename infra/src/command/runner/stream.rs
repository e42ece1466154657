//! Output that is read line by line as it comes.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader};
use std::time::Instant;

use super::{Runner, TAIL_LINES, TICK, is_error};
use crate::command::{Cmd, CommandError};

impl Runner {
    /// Runs to the end, handing each line of standard output and error (redacted) to `on_line` and to the log as it
    /// comes. Memory does not grow with the output.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn stream(&self, cmd: &Cmd, on_line: impl FnMut(&str) + Send) -> Result<(), CommandError> {
        let (reader, writer) = io::pipe().map_err(|source| self.io_error(cmd, source))?;
        let (expression, held) = self.expression(cmd)?;
        let expression = expression.stderr_to_stdout().stdout_file(writer);
        self.streamed(cmd, expression, held, || self.last_lines(reader, on_line))
    }

    /// Runs to the end, handing each line of standard output to `on_line` untouched: it is data, which is neither masked nor
    /// logged. Standard error is, as in [`Runner::stream`].
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn stream_data(&self, cmd: &Cmd, on_line: impl FnMut(&str) + Send) -> Result<(), CommandError> {
        let io = |source| self.io_error(cmd, source);
        let ((data, data_writer), (said, said_writer)) = (io::pipe().map_err(io)?, io::pipe().map_err(io)?);
        let (expression, held) = self.expression(cmd)?;
        let expression = expression.stdout_file(data_writer).stderr_file(said_writer);
        self.streamed(cmd, expression, held, || {
            std::thread::scope(|scope| {
                let said = scope.spawn(|| self.last_lines(said, |_| {}));
                for_each_line(data, on_line);
                said.join().unwrap_or_default()
            })
        })
    }

    /// The last lines of what a program says, redacted; all of it goes to the log, and to `on_line`.
    fn last_lines(&self, said: io::PipeReader, mut on_line: impl FnMut(&str)) -> VecDeque<String> {
        let (mut tail, mut error) = (VecDeque::new(), None);
        for_each_line(said, |line| {
            let line = self.redactor.redact_output(line);
            self.write_log(&line);
            on_line(&line);
            if tail.len() == TAIL_LINES {
                error = tail
                    .pop_front()
                    .filter(|line: &String| is_error(line))
                    .or(error.take());
            }
            tail.push_back(line);
        });
        if let Some(error) = error {
            tail.push_front(error);
        }
        tail
    }

    /// Runs to the end while `read` reads its pipes; what that returns are the last lines of an error.
    fn streamed(
        &self,
        cmd: &Cmd,
        expression: duct::Expression,
        _held: Option<io::PipeWriter>,
        read: impl FnOnce() -> VecDeque<String> + Send,
    ) -> Result<(), CommandError> {
        let started = Instant::now();
        let handle = self.start(cmd, &expression)?;
        // The expression still holds the pipe's writing end; without this the reader would never see its end.
        drop(expression);
        let (finished, tail) = std::thread::scope(|scope| {
            let lines = scope.spawn(read);
            let finished = self.wait(
                cmd,
                || handle.wait_timeout(TICK).map(|o| o.is_some()),
                || handle.pids(),
            );
            if finished.is_err() {
                let _ = handle.kill();
            }
            (finished, lines.join().unwrap_or_default())
        });
        finished?;
        let output = handle
            .into_output()
            .map_err(|source| self.io_error(cmd, source))?;
        self.write_end(output.status.code(), started);
        if output.status.success() {
            return Ok(());
        }
        let tail: Vec<String> = tail.into_iter().collect();
        Err(self.failed(cmd, output.status.code(), &tail.join("\n")))
    }
}

/// Calls `f` for each line, invalid UTF-8 replaced, CR at the end removed.
fn for_each_line(reader: impl io::Read, mut f: impl FnMut(&str)) {
    let mut reader = BufReader::new(reader);
    let mut buffer = Vec::new();
    while let Ok(n) = reader.read_until(b'\n', &mut buffer) {
        if n == 0 {
            break;
        }
        f(String::from_utf8_lossy(&buffer).trim_end_matches(['\n', '\r']));
        buffer.clear();
    }
}
