//! `cargo xtask backup`: one file per subcommand, and what they share.

mod create;
mod download;
mod list;
mod remote;
mod upload;
mod verify;

use std::path::{Path, PathBuf};

use super::{Context, Ending, Global};
use crate::model::backup::BackupManifest;
use crate::model::examine;
use crate::model::run_dir::read_json;
use crate::model::{Exit, RunDir, RunId};
use crate::observe::{self, Eyes, Observed};
use crate::steps;

pub(super) use create::take;

/// State of a backup that was put elsewhere (`--output`): where.
const ELSEWHERE: &str = "elsewhere";

/// Backup: take one, list them, check one against its manifest or against a database, keep one in object storage
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    command: BackupCommand,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum BackupCommand {
    Create(create::CreateArgs),
    List(list::ListArgs),
    Verify(verify::VerifyArgs),
    Upload(upload::UploadArgs),
    Download(download::DownloadArgs),
}

/// Runs the command.
pub(crate) fn cmd_backup(global: &Global, args: &BackupArgs) -> anyhow::Result<Exit> {
    match &args.command {
        BackupCommand::Create(args) => create::create(global, args),
        BackupCommand::List(args) => list::list(global, args),
        BackupCommand::Verify(args) => verify::verify(global, args),
        BackupCommand::Upload(args) => upload::upload(global, args),
        BackupCommand::Download(args) => download::download(global, args),
    }
}

/// A folder, a file, or the id of a run or a backup.
pub(super) fn locate(context: &Context, path: &Path) -> anyhow::Result<PathBuf> {
    let id = path.to_str().and_then(RunId::parse);
    let named = id.into_iter().flat_map(|id| {
        [
            RunDir::new(&context.workspace.runs(), id.clone()).backup(),
            context.workspace.backups().join(id.as_str()),
        ]
    });
    let given = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // A run's own folder stands for its backup.
    let inside = given.join("backup");
    let inside = (inside.is_dir() && !BackupManifest::path(&given).exists()).then_some(inside);
    named
        .chain(inside)
        .chain([given])
        .find(|path| path.exists())
        .ok_or_else(|| {
            Ending::new(Exit::Preconditions, format!("there is no {}", path.display()))
                .hint("cargo xtask backup list")
                .into()
        })
}

/// What is wrong with a backup's files and archives; empty: nothing.
pub(super) fn intact(context: &Context, folder: &Path) -> anyhow::Result<Vec<String>> {
    let undecided = |message: String| Ending::new(Exit::Preconditions, message);
    let differences = examine::examine(folder, &[])
        .map_err(|error| undecided(format!("cannot tell whether the backup is intact: {error:#}")))?;
    if !differences.is_empty() {
        return Ok(differences);
    }
    let names: Vec<String> = read_json::<BackupManifest>(&BackupManifest::path(folder))?
        .map(|manifest| manifest.databases.into_keys().collect())
        .unwrap_or_default();
    let clients = observe::servers::clients(&context.loaded.settings.target, "");
    steps::read_back(folder, &names, &clients, &context.runner).map_err(|failure| {
        undecided(format!(
            "cannot tell whether the archives can be read: {}",
            failure.message
        ))
        .into()
    })
}

/// Looks at the world, with the passwords that only kept copies of `.env` still know.
pub(super) fn look(context: &mut Context, only: &[String]) -> Observed {
    let eyes = Eyes {
        workspace: &context.workspace,
        settings: &context.loaded.settings,
        runner: &context.runner,
        only,
    };
    observe::observe(&eyes, &mut context.vault)
}
