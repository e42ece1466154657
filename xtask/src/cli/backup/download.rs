//! `cargo xtask backup download`

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use super::remote;
use crate::cli::context::lock;
use crate::cli::output::out_line;
use crate::cli::{Context, Ending, Global};
use crate::model::{Exit, time};

/// Download a complete backup from object storage; `backup verify` and `restore` take it like any other
///
/// It shows under its name only when every SHA-256 matched. A folder without a completion marker is refused.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DownloadArgs {
    /// s3://BUCKET/PREFIX/YYYYMMDD/RUN
    address: String,
    /// Where to put it, a folder that is not there yet; without it, one under .xtask/backups
    folder: Option<PathBuf>,
    /// Print one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn download(global: &Global, args: &DownloadArgs) -> anyhow::Result<Exit> {
    let context = Context::new(global)?;
    let _lock = lock(&context, "cargo xtask backup download")?;
    let at = remote::address(&context, &args.address)?;
    let leaf = at.folder.rsplit('/').next().unwrap_or_default();
    let folder = match &args.folder {
        Some(folder) => std::path::absolute(folder).context("failed to find the folder")?,
        None if leaf.is_empty() => {
            let message = format!("{at} is a whole bucket, not a backup");
            return Err(Ending::new(Exit::Usage, message)
                .hint(format!("cargo xtask backup list {at}"))
                .into());
        }
        None => {
            let backups = context.workspace.backups();
            infra::files::private_dir(&backups)
                .with_context(|| format!("failed to make {}", backups.display()))?;
            backups.join(leaf)
        }
    };
    let storage = remote::storage(&context)?;
    context
        .terminal
        .line(&format!("downloading {at} to {}", folder.display()));
    let again = format!(
        "cargo xtask backup download {}",
        infra::command::shell_word(&args.address)
    );
    let marker = storage
        .download(&at, &folder)
        .map_err(|trouble| remote::end(trouble, &again))?;
    if args.json {
        let document = json!({
            "schema_version": 1,
            "path": folder,
            "location": at.to_string(),
            "run": marker.run,
            "files": marker.files.len(),
            "bytes": marker.bytes(),
        });
        out_line(serde_json::to_string_pretty(&document)?)?;
    } else {
        out_line(folder.display())?;
    }
    context.terminal.line(&format!(
        "{} files, {}, every SHA-256 as its manifest says",
        marker.files.len(),
        time::bytes(marker.bytes())
    ));
    Ok(Exit::Ok)
}
