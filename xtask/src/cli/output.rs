//! Results on standard output.

use std::fmt::Display;
use std::io::{self, Write};

use anyhow::Context as _;

use crate::model::typed::{typed, typed_in_document};

/// Prints a text as it is.
///
/// A reader that has seen enough (`| head -1`) is no fault: the rest is dropped, and the command goes on to its own
/// exit code, because work may follow its output.
///
/// # Errors
/// When standard output cannot be written for another reason, such as a full disk.
pub(crate) fn out(text: impl Display) -> anyhow::Result<()> {
    write(&mut io::stdout().lock(), typed_in_document(&text.to_string()))
        .context("failed to write to standard output")
}

/// Prints a text and ends the line.
///
/// # Errors
/// As [`out`].
pub(crate) fn out_line(text: impl Display) -> anyhow::Result<()> {
    out(format_args!("{text}\n"))
}

/// Prints a line to standard error. Nobody is left to be told when that fails.
pub(crate) fn err_line(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{}", typed(&text.to_string()));
}

fn write(to: &mut impl Write, text: impl Display) -> io::Result<()> {
    match write!(to, "{text}").and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that always fails this way.
    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_fault_and_a_full_disk_is() {
        assert!(write(&mut Broken(io::ErrorKind::BrokenPipe), "text").is_ok());
        assert!(write(&mut Broken(io::ErrorKind::StorageFull), "text").is_err());
    }

    #[test]
    fn the_text_is_written_as_it_is() {
        let mut written = Vec::new();
        assert!(write(&mut written, format_args!("{}\n", "a")).is_ok());
        assert_eq!(written, b"a\n");
    }
}
