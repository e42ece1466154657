//! `cargo xtask backup verify`

use std::path::{Path, PathBuf};

use infra::postgres::Server;
use infra::postgres::manifest::{self, Archived, CompareOptions, Difference, TableKind};
use serde_json::{Value, json};

use super::{intact, locate, look, remote};
use crate::cli::output::out_line;
use crate::cli::{Context, Ending, Global, plain, refuse};
use crate::model::Exit;
use crate::model::backup::{BackupManifest, DatabaseBackup};
use crate::observe;
use crate::plan::charge;
use crate::steps::storage::Trouble;

/// Sessions that compute one manifest.
const MANIFEST_WORKERS: usize = 2;

/// Check a backup: its files against their SHA-256, every archive read to its end, or a database against it
///
/// Ends with 0 when everything is as the manifest says, with 3 when something differs, with 20 when it cannot be told.
/// In object storage: the completion marker against the list, with every object's name, size and ETag.
/// A plain dump (.sql) is checked for its header, its footer, its line ends and what it needs to load.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct VerifyArgs {
    /// A backup's folder, the id of the run that took it, a plain dump, or s3://BUCKET/PREFIX/YYYYMMDD/RUN
    path: PathBuf,
    /// Compare this database, where it is served now, with its archive; a name that the settings do not know is
    /// looked for on the target
    #[arg(long, value_name = "DATABASE")]
    against: Option<String>,
    /// Which archive to compare with, when the database has another name
    #[arg(long, value_name = "DB", requires = "against")]
    database: Option<String>,
    /// Name up to this many rows of each table that differs, by their key; they come out of the archive
    #[arg(long, value_name = "N", default_value_t = 5, requires = "against")]
    examples: usize,
    /// In object storage: download it into .xtask, compare every byte, and remove it
    #[arg(long, conflicts_with = "against")]
    full: bool,
    /// Print one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// What is not as it must be.
#[derive(Default)]
struct Found {
    /// Each in words.
    differences: Vec<String>,
    /// Those of a compared database for programs: kind, object, both values, key ranges, examples.
    details: Vec<Value>,
}

impl Found {
    fn said(differences: Vec<String>) -> Self {
        Self {
            differences,
            details: Vec::new(),
        }
    }
}

/// Runs the command.
pub(super) fn verify(global: &Global, args: &VerifyArgs) -> anyhow::Result<Exit> {
    let mut context = Context::new(global)?;
    if let Some(address) = args.path.to_str().filter(|text| remote::is_address(text)) {
        return stored(&context, args, address);
    }
    if args.full {
        let message = "--full is for object storage; a local backup is always read to its end";
        return Err(Ending::new(Exit::Usage, message).into());
    }
    let path = locate(&context, &args.path)?;
    let mut checked: Vec<String> = Vec::new();
    let found = if path.is_file() {
        if args.against.is_some() {
            return Err(Ending::new(
                Exit::Usage,
                "a plain dump has no manifest; it cannot be compared with a database",
            )
            .into());
        }
        let dump = plain::read(&path)?;
        context.terminal.line(&plain::describe(&dump));
        Found::said(plain::damages(&dump))
    } else {
        let differences = intact(&context, &path)?;
        if differences.is_empty() {
            let databases = BackupManifest::read(&path)?.map(|manifest| manifest.databases);
            checked = databases.unwrap_or_default().into_keys().collect();
        }
        match &args.against {
            Some(database) if differences.is_empty() => against(&mut context, &path, database, args)?,
            _ => Found::said(differences),
        }
    };
    let shown = path.display().to_string();
    conclude(&context, args, &shown, &checked, &found)
}

/// A backup in object storage.
fn stored(context: &Context, args: &VerifyArgs, address: &str) -> anyhow::Result<Exit> {
    if args.against.is_some() {
        let message = "a database is compared with a local backup";
        return Err(Ending::new(Exit::Usage, message)
            .hint(format!("cargo xtask backup download {address}"))
            .into());
    }
    let at = remote::address(context, address)?;
    let scratch = context.workspace.private();
    let scratch = args.full.then_some(scratch.as_path());
    let differences = match remote::storage(context)?.verify(&at, scratch) {
        Ok(differences) | Err(Trouble::Differs(differences)) => differences,
        Err(trouble) => return Err(remote::end(trouble, "")),
    };
    conclude(context, args, address, &[], &Found::said(differences))
}

/// Says what was found.
fn conclude(
    context: &Context,
    args: &VerifyArgs,
    path: &str,
    checked: &[String],
    found: &Found,
) -> anyhow::Result<Exit> {
    let differences = &found.differences;
    let equal = differences.is_empty();
    if args.json {
        let document = json!({
            "schema_version": 1,
            "path": path,
            "against": args.against,
            "databases": checked,
            "equal": equal,
            "differences": differences,
            "details": found.details,
        });
        out_line(serde_json::to_string_pretty(&document)?)?;
    } else {
        for difference in differences {
            out_line(difference)?;
        }
    }
    if equal {
        context.terminal.line(&match (&args.against, checked) {
            (Some(_), _) => "no difference: the database holds what the backup holds".to_owned(),
            (None, []) if remote::is_address(path) && !args.full => {
                "intact: names, sizes and ETags are those of the upload; --full downloads and compares every byte"
                    .to_owned()
            }
            (None, []) => "intact".to_owned(),
            (None, names) => format!("intact: {}", names.join(", ")),
        });
        return Ok(Exit::Ok);
    }
    let noun = if differences.len() == 1 {
        "difference"
    } else {
        "differences"
    };
    context.terminal.line(&format!("{} {noun}", differences.len()));
    Ok(Exit::Findings)
}

/// Compares a database with its archive's manifest. The source may be gone: everything comes out of the backup.
fn against(context: &mut Context, folder: &Path, database: &str, args: &VerifyArgs) -> anyhow::Result<Found> {
    let seen = look(context, &[]);
    let settings = &context.loaded.settings;
    let (instance, name, on_target) = if settings.databases.contains_key(database) {
        let charged =
            charge::in_charge(&seen, settings, database, "").map_err(|finding| refuse(&[*finding]))?;
        (charged.instance, charged.database, charged.target)
    } else {
        if seen.target.server.is_none() {
            return Err(refuse(&[charge::target_is_silent(&seen, "target".to_owned())]).into());
        }
        (charge::target(settings, ""), database.to_owned(), true)
    };
    let archive = args.database.as_deref().unwrap_or(database);
    let Some(backup) = DatabaseBackup::read(folder, archive)? else {
        let held = BackupManifest::read(folder)?.map(|manifest| manifest.databases);
        let ending = Ending::new(
            Exit::Preconditions,
            format!("the backup holds no archive of {archive}"),
        );
        let word = infra::command::shell_word;
        let line = |held: String| {
            let (path, against) = (args.path.to_string_lossy(), word(database));
            let (path, held) = (word(&path), word(&held));
            format!("cargo xtask backup verify {path} --against {against} --database {held}")
        };
        let lines = held.unwrap_or_default().into_keys().map(line);
        return Err(lines.fold(ending, Ending::hint).into());
    };
    backup.manifest.comparable().map_err(|why| {
        Ending::new(
            Exit::Preconditions,
            format!("cannot tell whether they differ: {why}"),
        )
    })?;
    context.terminal.line(&format!(
        "comparing database {name} of {} with the archive of {archive}, taken {}",
        instance.label, backup.taken_at
    ));
    let server = instance.server(&context.vault);
    let found = manifest::collect(&context.runner, &server, &name, None, MANIFEST_WORKERS, &|_| {}).map_err(
        |error| {
            Ending::new(
                Exit::Preconditions,
                format!("cannot tell whether they differ: {error}"),
            )
        },
    )?;
    // On the target one role owns everything unless the run preserved roles; owners are not what a backup is for.
    let options = CompareOptions {
        owners: !on_target,
        privileges: !on_target,
        ..CompareOptions::default()
    };
    if on_target {
        context.terminal.line(
            "owners and privileges are not compared: on the target they are not those of the old instance",
        );
    }
    let tables = || backup.manifest.tables.values();
    if tables().any(|table| table.kind == TableKind::Matview) {
        context.terminal.line(
            "contents of materialized views are not compared: a restore computes them from the tables as they are then",
        );
    }
    let expected = Archived {
        clients: &observe::servers::clients(&context.loaded.settings.target, ""),
        folder,
        name: archive,
    };
    let differences = manifest::compare(&backup.manifest, &found, &options);
    for note in manifest::options_not_compared(&backup.manifest, &found) {
        context.terminal.line(&note);
    }
    let mut said = Found::default();
    for difference in &differences {
        let (rows, lines) = examples(context, expected, (&server, &name), difference, args.examples);
        said.differences
            .push([vec![difference.to_string()], lines].concat().join("\n"));
        said.details.push(json!({
            "database": name,
            "kind": difference.class,
            "object": difference.object,
            "expected": difference.expected,
            "actual": difference.actual,
            "ranges": difference.keys,
            "examples": rows,
            "sentence": difference.sentence,
        }));
    }
    Ok(said)
}

/// The rows behind a difference, and one line for each. That they cannot be found takes nothing from the difference.
fn examples(
    context: &Context,
    expected: Archived<'_>,
    actual: (&Server, &str),
    difference: &Difference,
    limit: usize,
) -> (Option<manifest::Examples>, Vec<String>) {
    if limit == 0 || !matches!(difference.class.as_str(), "rows" | "contents") {
        return (None, Vec::new());
    }
    let (table, keys) = (&difference.object, &difference.keys);
    match manifest::examples_of_archive(&context.runner, expected, actual, table, keys, limit) {
        Ok(Some(found)) => {
            let key = found.key.join(", ");
            let line = |row: &manifest::Example| format!("  {table} ({key}) = {row}");
            let lines = found.rows.iter().map(line).collect();
            (Some(found), lines)
        }
        Ok(None) => (None, Vec::new()),
        Err(error) => (None, vec![format!("  no examples: {}", without_rows(&error))]),
    }
}

/// What the server complained about, without the lines that quote a row.
fn without_rows(error: &infra::CommandError) -> String {
    let complaint = error.tail().lines().find(|line| line.contains("ERROR:"));
    complaint.map_or_else(|| error.to_string(), |line| line.trim().to_owned())
}
