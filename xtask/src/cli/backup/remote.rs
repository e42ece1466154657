//! Backups in object storage, as commands see them.

use anyhow::Context as _;
use infra::s3::Location;

use crate::cli::{Context, Ending, refuse};
use crate::model::Exit;
use crate::steps::storage::{self, Storage, Trouble};

/// What an address in object storage begins with.
const SCHEME: &str = "s3://";

/// Whether a person named an address in object storage.
pub(super) fn is_address(text: &str) -> bool {
    text.starts_with(SCHEME)
}

/// An address that a person typed; `s3://` alone is the folder that the settings name.
pub(super) fn address(context: &Context, text: &str) -> anyhow::Result<Location> {
    if text == SCHEME {
        return storage::root(&context.loaded.settings.storage).map_err(|trouble| end(trouble, ""));
    }
    Location::parse(text)
        .map_err(|why| Ending::new(Exit::Usage, format!("{text} is no address: {why}")).into())
}

/// The storage, with a log of every call in `.xtask/storage.log`.
pub(super) fn storage(context: &Context) -> anyhow::Result<Storage<'_>> {
    let private = context.workspace.private();
    infra::files::private_dir(&private).with_context(|| format!("failed to make {}", private.display()))?;
    storage::learn_credentials(&context.runner);
    let log = private.join("storage.log");
    let runner = context
        .runner
        .with_log(&log)
        .with_context(|| format!("failed to open {}", log.display()))?;
    Storage::new(&context.loaded.settings.storage, &runner, &context.terminal)
        .map_err(|trouble| end(trouble, ""))
}

/// How a command ends that storage did not let finish; `again` is the line that goes on, where one can.
pub(super) fn end(trouble: Trouble, again: &str) -> anyhow::Error {
    match trouble {
        Trouble::Refused(finding) => refuse(&[*finding]).into(),
        Trouble::Differs(differences) => {
            let noun = if differences.len() == 1 {
                "difference"
            } else {
                "differences"
            };
            let text = differences.join("\n");
            Ending::new(Exit::Findings, format!("{text}\n{} {noun}", differences.len())).into()
        }
        Trouble::Failed(failure) => {
            let exit = if failure.interrupted {
                Exit::Interrupted
            } else {
                Exit::Resumable
            };
            let mut ending = Ending::new(exit, failure.message);
            if !again.is_empty() {
                ending = ending.hint(again);
            }
            failure.hints.into_iter().fold(ending, Ending::hint).into()
        }
    }
}
