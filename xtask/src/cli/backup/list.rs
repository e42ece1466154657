//! `cargo xtask backup list`

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{ELSEWHERE, remote};
use crate::cli::output::out_line;
use crate::cli::{Context, Global};
use crate::model::backup::{BackupManifest, DatabaseBackup};
use crate::model::upload::Uploads;
use crate::model::{Exit, RunDir, RunId, time};

/// List the backups of this workspace or of object storage, the oldest first
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ListArgs {
    /// s3://BUCKET/PREFIX; `s3://` alone is the folder that `[storage]` names. Without it, this workspace
    address: Option<String>,
    /// Print one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn list(global: &Global, args: &ListArgs) -> anyhow::Result<Exit> {
    let context = Context::new(global)?;
    if let Some(address) = &args.address {
        return stored(&context, address, args.json);
    }
    let mut folders: Vec<(String, PathBuf)> = Vec::new();
    for run in RunDir::all(&context.workspace.runs()) {
        folders.push((run.id.to_string(), run.backup()));
        let before = run.before_rollback().into_iter();
        folders.extend(before.map(|folder| (run.id.to_string(), folder)));
    }
    let own = std::fs::read_dir(context.workspace.backups())
        .into_iter()
        .flatten()
        .flatten();
    for entry in own {
        let name = entry.file_name().to_string_lossy().into_owned();
        let run = RunId::parse(&name).map(|id| RunDir::new(&context.workspace.backups(), id));
        let elsewhere = run
            .map(|run| run.load::<PathBuf>(ELSEWHERE))
            .transpose()?
            .flatten();
        folders.push((name, elsewhere.unwrap_or_else(|| entry.path())));
    }
    folders.sort();
    let mut documents = Vec::new();
    for (id, folder) in folders.into_iter().filter(|(_, folder)| folder.is_dir()) {
        let document = describe(&id, &folder)?;
        if !args.json {
            out_line(line(&document))?;
        }
        documents.push(document);
    }
    if args.json {
        let document = json!({ "schema_version": 1, "backups": documents });
        out_line(serde_json::to_string_pretty(&document)?)?;
    } else if documents.is_empty() {
        out_line("no backups yet")?;
    }
    Ok(Exit::Ok)
}

/// What lies in object storage.
fn stored(context: &Context, address: &str, as_json: bool) -> anyhow::Result<Exit> {
    let at = remote::address(context, address)?;
    let found = remote::storage(context)?
        .list(&at)
        .map_err(|trouble| remote::end(trouble, ""))?;
    if as_json {
        let backups: Vec<serde_json::Value> = found
            .iter()
            .map(|stored| {
                json!({
                    "location": stored.location.to_string(),
                    "complete": stored.complete,
                    "files": stored.files,
                    "bytes": stored.bytes,
                })
            })
            .collect();
        let document = json!({ "schema_version": 1, "backups": backups });
        out_line(serde_json::to_string_pretty(&document)?)?;
        return Ok(Exit::Ok);
    }
    for stored in &found {
        let what = format!("{} files, {}", stored.files, time::bytes(stored.bytes));
        let what = if stored.complete {
            what
        } else {
            format!("not complete ({what}): backup upload goes on")
        };
        out_line(format_args!("{}  {what}", stored.location))?;
    }
    if found.is_empty() {
        out_line("no backups there")?;
    }
    Ok(Exit::Ok)
}

fn describe(id: &str, folder: &Path) -> anyhow::Result<serde_json::Value> {
    let manifest = BackupManifest::read(folder)?;
    let mut databases = Vec::new();
    for name in manifest.iter().flat_map(|manifest| manifest.databases.keys()) {
        let Some(backup) = DatabaseBackup::read(folder, name)? else {
            continue;
        };
        let rows: u64 = backup.manifest.rows();
        databases.push(json!({ "name": name, "rows": rows, "bytes": backup.bytes() }));
    }
    Ok(json!({
        "id": id,
        "path": folder,
        "complete": manifest.is_some(),
        "created_at": manifest.map(|manifest| manifest.created_at),
        "databases": databases,
        "uploads": Uploads::read(folder)?.locations(),
    }))
}

fn line(document: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let databases: Vec<String> = document["databases"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|database| {
            format!(
                "{} ({} rows, {})",
                text(&database["name"]),
                time::count(database["rows"].as_u64().unwrap_or_default()),
                time::bytes(database["bytes"].as_u64().unwrap_or_default())
            )
        })
        .collect();
    let what = if document["complete"] == true {
        databases.join(", ")
    } else {
        "not complete: do not use it".to_owned()
    };
    let uploads = document["uploads"].as_array().into_iter().flatten();
    let uploads: String = uploads
        .map(|location| format!("\n    {}", text(location)))
        .collect();
    format!(
        "{}  {what}\n    {}{uploads}",
        text(&document["id"]),
        text(&document["path"])
    )
}
