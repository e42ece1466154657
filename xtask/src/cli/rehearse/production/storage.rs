//! Object storage of a rehearsal, and the restore out of it.

use anyhow::Context as _;
use infra::s3::server as s3;
use infra::{Cmd, Secret, ports};
use std::path::Path;
use toml_edit::{DocumentMut, value};

use super::super::kept::{Kept, StorageServer};
use super::super::{Stage, repositories};
use crate::cli::{Context, Global, restore};
use crate::report::documents::RunDocument;
use crate::steps::Failure;
use crate::steps::storage::{self, Storage, Trouble};

/// The bucket for backups.
const BUCKET: &str = "vision-backups";

/// An S3 server with an empty bucket, and settings that name it.
pub fn start(
    stage: &Stage<'_>,
    kept: &mut Kept,
    home: &Path,
    settings: &mut DocumentMut,
) -> anyhow::Result<s3::Server> {
    let python = repositories::machine_python(stage.runner)?;
    let programs = s3::Programs::ensure(stage.runner, &python, stage.cache)?;
    let port = ports::free(1).context("failed to find a free port")?[0];
    let server = programs.start(stage.runner, port, &stage.base.join("storage.log"))?;
    kept.storage = server.pid().map(|pid| StorageServer { pid, port });
    kept.write(home)?;
    let credentials = stage.base.join("credentials");
    let text = format!(
        "[default]\naws_access_key_id = rehearsal\naws_secret_access_key = {}\n",
        Secret::random().expose()
    );
    infra::files::write_private(&credentials, text.as_bytes())
        .context("failed to write the storage's credentials")?;
    let create = Cmd::new(programs.aws(), "make a bucket")
        .args(["--endpoint-url", &server.url, "--region", "us-east-1"])
        .args(["s3api", "create-bucket", "--bucket", BUCKET])
        .env("AWS_SHARED_CREDENTIALS_FILE", &credentials)
        .env_remove("AWS_PROFILE");
    stage.runner.run(&create)?;
    let storage = &mut settings["storage"];
    storage["bucket"] = value(BUCKET);
    storage["endpoint-url"] = value(&server.url);
    storage["region"] = value("us-east-1");
    storage["program"] = value(programs.aws().to_string_lossy().into_owned());
    storage["credentials-file"] = value(credentials.to_string_lossy().into_owned());
    kept.connect.push(format!(
        "aws --endpoint-url {} s3 ls --recursive s3://{BUCKET}   (AWS_SHARED_CREDENTIALS_FILE={})",
        server.url,
        credentials.display()
    ));
    Ok(server)
}

/// Downloads the run's backup into an empty folder and restores from there, under another name; the restore compares.
pub fn from_storage(
    stage: &Stage<'_>,
    context: &Context,
    global: &Global,
    document: &RunDocument,
) -> anyhow::Result<()> {
    let settings = &context.loaded.settings;
    let trouble = |trouble: Trouble| anyhow::Error::msg(Failure::from(trouble).message);
    let at = storage::place(&settings.storage, &document.backup).map_err(trouble)?;
    let folder = stage.base.join("downloaded");
    let client = Storage::new(&settings.storage, stage.runner, stage.terminal).map_err(trouble)?;
    client.download(&at, &folder).map_err(trouble)?;
    stage.say(&format!("downloaded {at} into an empty folder"));
    let again = restore::RestoreArgs {
        backup: folder,
        database: "labeler".to_owned(),
        into: Some("labeler_from_storage".to_owned()),
        set_aside_existing: false,
        confirm_target: Some(context.loaded.settings.target.host.clone()),
        yes: true,
    };
    let global = Global {
        workspace: Some(context.workspace.root().to_owned()),
        ..global.clone()
    };
    restore::cmd_restore(&global, &again)?;
    stage.say("restored from the download under another name: every table compared equal");
    Ok(())
}
