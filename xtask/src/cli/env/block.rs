//! `cargo xtask env block`

use backend_env::{Document, Reader};

use super::out;
use crate::cli::{Context, Ending, Global};
use crate::config::Control;
use crate::model::Exit;
use crate::observe::weak_passwords;
use crate::plan::action::{EnvChange, EnvValue};
use crate::plan::env_block;

/// Print what .env says of the databases once they are on the target, for a file that is kept somewhere else
///
/// Five lines for each database, as the cutover writes them. In the place of a password stands the name of the variable that it
/// comes from, in angle brackets: `env check` names what was not filled in.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct BlockArgs {
    /// Print the passwords as well: only into a file or a secret store, never into a log
    #[arg(long)]
    passwords: bool,
}

/// Runs the command.
pub(super) fn cmd_block(global: &Global, args: &BlockArgs) -> anyhow::Result<Exit> {
    let context = Context::new(global)?;
    let settings = &context.loaded.settings;
    let refuse = |why: String| Ending::new(Exit::Preconditions, why).hint("cargo xtask status --settings");
    if settings.target.host.is_empty() || settings.target.port == 0 {
        return Err(refuse("no setting says which server the target is".to_owned()).into());
    }
    if args.passwords && settings.target.control == Control::External {
        let weak = weak_passwords(&context.workspace, settings, &context.vault);
        if !weak.is_empty() {
            return Err(refuse(weak.join("\n")).into());
        }
    }
    let value = |change: &EnvChange| match &change.value {
        EnvValue::Plain(value) => Ok(value.clone()),
        EnvValue::Secret(name) if args.passwords => {
            let known = context.vault.get(name).map(|secret| secret.expose().to_owned());
            known.ok_or_else(|| {
                refuse(format!(
                    "the value of {} is not known: {}",
                    change.key,
                    name.variable()
                ))
            })
        }
        EnvValue::Secret(name) => Ok(format!("<{}>", name.variable())),
    };
    let mut blocks = Vec::new();
    for database in env_block(settings) {
        // A document of its own: the quotes that a password needs are not taken over by the next host.
        let mut document = Document::parse("");
        for change in &database {
            let readers = Reader::ALL;
            document
                .set(&change.key, value(change)?, readers)
                .map_err(|conflict| refuse(format!("{} cannot be written: {conflict}", change.key)))?;
        }
        blocks.push(String::from_utf8_lossy(document.as_bytes()).into_owned());
    }
    out(blocks.join("\n"))?;
    Ok(Exit::Ok)
}
