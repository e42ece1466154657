//! Asking a person.

use std::io::{BufRead, IsTerminal, Write};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;
use infra::{Interrupt, wait};

use super::Ending;
use crate::model::Exit;

/// A line that a person types; `None` without a terminal, and for an empty line.
pub(super) fn ask(question: &str) -> anyhow::Result<Option<String>> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    Ok(Some(line(question)?).filter(|answer| !answer.is_empty()))
}

fn line(question: &str) -> anyhow::Result<String> {
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "\n{question} ");
    let _ = out.flush();
    drop(out);
    let read = || {
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map(|_| answer)
    };
    let interrupt = Interrupt::install().context("failed to listen for Ctrl-C")?;
    Ok(answer(read, &interrupt)?.trim().to_owned())
}

/// Longer than anybody thinks about an answer.
const LONG: Duration = Duration::from_secs(30 * 24 * 3600);

/// What `read` gives, unless the person presses Ctrl-C first: reading a line goes on after a signal, so somebody else reads.
fn answer(
    read: impl FnOnce() -> std::io::Result<String> + Send + 'static,
    interrupt: &Interrupt,
) -> anyhow::Result<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody listens any more after a Ctrl-C.
        let _ = sender.send(read());
    });
    let every = Duration::from_millis(50);
    match wait::watch(interrupt, LONG, every, || receiver.try_recv().ok()) {
        Ok(read) => read.context("failed to read the answer"),
        Err(_) => Err(Ending::new(Exit::Interrupted, "interrupted; nothing was changed").into()),
    }
}

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
    let answer = line(&format!("{question} [y/N]"))?;
    if matches!(answer.to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Ending::new(Exit::Preconditions, "not confirmed; nothing was changed").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ctrl_c_ends_a_question() {
        assert_eq!(
            answer(|| Ok("y\n".to_owned()), &Interrupt::default()).unwrap(),
            "y\n"
        );
        // Somebody who never answers.
        let (_nobody, silence) = mpsc::channel::<String>();
        let interrupt = Interrupt::default();
        interrupt.set();
        let error = answer(move || Ok(silence.recv().unwrap_or_default()), &interrupt).unwrap_err();
        assert_eq!(error.downcast_ref::<Ending>().unwrap().exit, Exit::Interrupted);
    }
}
