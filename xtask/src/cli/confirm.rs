//! Asking a person.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::Context as _;

use super::Ending;
use crate::model::Exit;

/// Asks on a terminal; elsewhere only `--yes` is a yes. `again` is the command with `--yes`, to paste.
pub(super) fn confirm(question: &str, yes: bool, again: &str) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(
            Ending::new(Exit::Preconditions, "nobody confirmed; nothing was changed")
                .hint(again)
                .into(),
        );
    }
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "\n{question} [y/N] ");
    let _ = out.flush();
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("failed to read the answer")?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Ending::new(Exit::Preconditions, "not confirmed; nothing was changed").into())
}
