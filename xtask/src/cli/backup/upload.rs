//! `cargo xtask backup upload`

use std::path::PathBuf;

use infra::command::shell_word;
use serde_json::json;

use super::{locate, remote};
use crate::cli::context::lock;
use crate::cli::output::out_line;
use crate::cli::{Context, Ending, Global};
use crate::model::backup::BackupManifest;
use crate::model::{Exit, time};
use crate::steps::storage;

/// Upload a backup to object storage: every object with its SHA-256, the list compared, a completion marker last
///
/// Goes through the `aws` client and its credentials. What is there is never overwritten; an upload that was cut off goes on
/// with the same command and sends only what is missing. Ends with 4 when the storage holds the backup already.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct UploadArgs {
    /// A backup's folder, or the id of the run that took it
    backup: PathBuf,
    /// s3://BUCKET/FOLDER for this backup; without it, PREFIX/YYYYMMDD/RUN in the bucket of [storage]
    address: Option<String>,
    /// Print one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn upload(global: &Global, args: &UploadArgs) -> anyhow::Result<Exit> {
    let context = Context::new(global)?;
    let _lock = lock(&context, "cargo xtask backup upload")?;
    let folder = locate(&context, &args.backup)?;
    if !BackupManifest::path(&folder).is_file() {
        let message = format!(
            "{} is no complete backup: it has no manifest.json",
            folder.display()
        );
        return Err(Ending::new(Exit::Preconditions, message)
            .hint("cargo xtask backup list")
            .into());
    }
    let to = match &args.address {
        Some(address) => remote::address(&context, address)?,
        None => storage::place(&context.loaded.settings.storage, &folder)
            .map_err(|trouble| remote::end(trouble, ""))?,
    };
    let storage = remote::storage(&context)?;
    context
        .terminal
        .line(&format!("uploading {} to {to}", folder.display()));
    let again = format!(
        "cargo xtask backup upload {} {}",
        shell_word(&folder.display().to_string()),
        shell_word(&to.to_string())
    );
    let uploaded = storage
        .upload(&folder, &to)
        .map_err(|trouble| remote::end(trouble, &again))?;
    if args.json {
        let document = json!({
            "schema_version": 1,
            "location": to.to_string(),
            "files": uploaded.files,
            "bytes": uploaded.bytes,
            "bytes_sent": uploaded.sent,
            "uploaded_before": uploaded.before,
        });
        out_line(serde_json::to_string_pretty(&document)?)?;
    } else {
        out_line(&to)?;
    }
    let (files, bytes) = (time::count(uploaded.files as u64), time::bytes(uploaded.bytes));
    if uploaded.before {
        context.terminal.line(&format!(
            "nothing to do: the storage holds it already, {files} files, {bytes}"
        ));
        return Ok(Exit::NothingToDo);
    }
    context.terminal.line(&format!(
        "complete: {files} files, {bytes}, of which {} had to be sent; the list was compared",
        time::bytes(uploaded.sent)
    ));
    Ok(Exit::Ok)
}
