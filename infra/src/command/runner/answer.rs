//! Short answers of programs that leave something behind.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::{Output, Runner};
use crate::command::{Cmd, CommandError};

/// How long the rest of an answer is waited for when its program has ended and something that it left holds the pipe.
const REST: Duration = Duration::from_secs(2);

impl Runner {
    /// As [`Runner::run`], for a short answer: it counts when the program has ended, though something that the program left
    /// behind (an agent, a connection that is shared) still holds its output open.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn answer(&self, cmd: &Cmd) -> Result<Output, CommandError> {
        let started = Instant::now();
        let io = |source| self.io_error(cmd, source);
        let (out, out_writer) = io::pipe().map_err(io)?;
        let (err, err_writer) = io::pipe().map_err(io)?;
        let (expression, _held) = self.expression(cmd)?;
        let (out, err) = (Collected::from(out), Collected::from(err));
        let ended = self.to_the_end(cmd, expression.stdout_file(out_writer).stderr_file(err_writer))?;
        let until = Instant::now() + REST;
        let (stdout, stderr) = (out.until(until), err.until(until));
        self.judged(cmd, self.left(started, ended.status.code(), stdout, &stderr))
    }
}

/// What comes out of a pipe, read beside everything else: its end may never come.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    end: mpsc::Receiver<()>,
}

impl Collected {
    fn from(mut pipe: io::PipeReader) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (at_end, end) = mpsc::channel();
        let into = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = io::Read::read(&mut pipe, &mut piece) {
                into.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&piece[..n]);
            }
            // Nobody may be waiting any more.
            let _ = at_end.send(());
        });
        Self { bytes, end }
    }

    /// Everything to the end of the pipe, or what had come by then.
    fn until(&self, until: Instant) -> Vec<u8> {
        let _ = self
            .end
            .recv_timeout(until.saturating_duration_since(Instant::now()));
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *bytes)
    }
}
