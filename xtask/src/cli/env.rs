//! `cargo xtask env`: `.env` files, edited without changing a byte that was not meant.

mod block;
mod check;

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use backend_env::{Document, Reader, Reading, file};
use clap::Subcommand;

use super::output::{err_line, out, out_line};
use super::{Ending, Global};
use crate::model::{Exit, readers, secret_key};

/// Env: read, change, compare and check .env files without losing a byte
///
/// An edit changes exactly the bytes of the value: comments, spacing, quotes, `export`, line endings and the order stay.
/// A value that python-dotenv and Compose would read differently is refused.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct EnvArgs {
    #[command(subcommand)]
    command: EnvCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum EnvCommand {
    /// Print the value of a key, as one reader reads it
    Get {
        /// The file
        file: PathBuf,
        /// The key
        key: String,
        /// Whose reading
        #[arg(long, value_name = "NAME", value_parser = reader, default_value = "python-dotenv")]
        reader: Reader,
    },
    /// Set keys; a value of `-` is read from standard input, so that a secret stays out of the process list
    Set {
        /// The file
        file: PathBuf,
        /// What to set
        #[arg(value_name = "KEY=VALUE", required = true)]
        assignments: Vec<String>,
        /// Show what would change, values masked; change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove a key's line
    Unset {
        /// The file
        file: PathBuf,
        /// The key
        key: String,
    },
    /// Show how two files differ, values masked
    Diff {
        /// The first file
        a: PathBuf,
        /// The second file
        b: PathBuf,
    },
    Check(check::CheckArgs),
    Block(block::BlockArgs),
}

fn reader(text: &str) -> Result<Reader, String> {
    text.parse().map_err(|_| {
        let known: Vec<&str> = Reader::ALL.iter().map(|reader| reader.name()).collect();
        format!("no such reader; there is {}", known.join(", "))
    })
}

/// Reads `KEY=VALUE` by hand and not through the parser of the command line, whose complaint would repeat the value.
fn assignment((index, text): (usize, &String)) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => {
            let message = format!(
                "argument {} is not KEY=VALUE (it is not shown: it may be a secret)",
                index + 1
            );
            Err(Ending::new(Exit::Usage, message)
                .hint("cargo xtask env set FILE KEY=VALUE")
                .into())
        }
    }
}

/// Runs the command.
pub(crate) fn cmd_env(global: &Global, args: &EnvArgs) -> anyhow::Result<Exit> {
    match &args.command {
        EnvCommand::Get { file, key, reader } => get(file, key, *reader),
        EnvCommand::Set {
            file,
            assignments,
            dry_run,
        } => {
            let assignments: Vec<_> = assignments
                .iter()
                .enumerate()
                .map(assignment)
                .collect::<anyhow::Result<_>>()?;
            set(file, &assignments, *dry_run)
        }
        EnvCommand::Unset { file, key } => unset(file, key),
        EnvCommand::Diff { a, b } => {
            let (old, new) = (open(a)?.document(), open(b)?.document());
            let diff = secret_key::difference(&old, &new);
            out(diff.masked(&a.display().to_string(), &b.display().to_string()))?;
            Ok(if diff.is_empty() { Exit::Ok } else { Exit::Findings })
        }
        EnvCommand::Check(args) => check::cmd_check(args),
        EnvCommand::Block(args) => block::cmd_block(global, args),
    }
}

fn get(path: &Path, key: &str, reader: Reader) -> anyhow::Result<Exit> {
    let document = open(path)?.document();
    match document.read(key, reader) {
        Reading::Value(value) => {
            out_line(String::from_utf8_lossy(&value))?;
            Ok(Exit::Ok)
        }
        Reading::Unset => {
            Err(Ending::new(Exit::Findings, format!("{key} is not set in {}", path.display())).into())
        }
        Reading::FileRejected { line, why } | Reading::Unknown { line, why } => {
            let message = format!(
                "{} cannot tell {key}: {}:{line}: {why}",
                reader.name(),
                path.display()
            );
            Err(Ending::new(Exit::Preconditions, message).into())
        }
    }
}

fn set(path: &Path, assignments: &[(String, String)], dry_run: bool) -> anyhow::Result<Exit> {
    let mut file = open(path)?;
    let before = file.document();
    let mut after = before.clone();
    let mut notes = Vec::new();
    for (key, value) in assignments {
        let value = if value == "-" {
            standard_input()?
        } else {
            value.clone()
        };
        let (wanted, left_out) = readers::for_edit(&after, key);
        let edit = after
            .set(key, &value, &wanted)
            .map_err(|conflict| refused(path, &conflict))?;
        if !left_out.is_empty() {
            let names: Vec<&str> = left_out.iter().map(|reader| reader.name()).collect();
            notes.push(format!(
                "{} misreads {key} in this file as it stands, before and after",
                names.join(", ")
            ));
        }
        if !edit.shadowed().is_empty() {
            let lines: Vec<String> = edit.shadowed().iter().map(ToString::to_string).collect();
            let others = lines.join(", ");
            notes.push(format!(
                "{key} is also set on line {others}; line {} counts and was changed",
                edit.line()
            ));
        }
    }
    for note in &notes {
        err_line(format_args!("note: {note}"));
    }
    let name = path.display().to_string();
    out(secret_key::difference(&before, &after).masked(&name, &name))?;
    if dry_run {
        return Ok(Exit::Ok);
    }
    save(&mut file, &after)?;
    Ok(if before.as_bytes() == after.as_bytes() {
        Exit::NothingToDo
    } else {
        Exit::Ok
    })
}

fn unset(path: &Path, key: &str) -> anyhow::Result<Exit> {
    let mut file = open(path)?;
    let mut document = file.document();
    if document.get(key).is_none() {
        let message = format!("nothing to do: {key} is not set in {}", path.display());
        return Err(Ending::new(Exit::NothingToDo, message).into());
    }
    let (wanted, _) = readers::for_edit(&document, key);
    document
        .unset(key, &wanted)
        .map_err(|conflict| refused(path, &conflict))?;
    save(&mut file, &document)?;
    Ok(Exit::Ok)
}

/// Opens a file; a missing one is a precondition that is not met.
pub(super) fn open(path: &Path) -> anyhow::Result<file::File> {
    file::open(path).map_err(|error| ending(&error))
}

fn save(file: &mut file::File, document: &Document) -> anyhow::Result<()> {
    file.save(document).map(|_| ()).map_err(|error| ending(&error))
}

fn ending(error: &file::Error) -> anyhow::Error {
    let cause = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    Ending::new(Exit::Preconditions, format!("{error}{cause}")).into()
}

fn refused(path: &Path, conflict: &backend_env::Conflict) -> anyhow::Error {
    Ending::new(
        Exit::Preconditions,
        format!("{}: {conflict}; the file is untouched", path.display()),
    )
    .into()
}

/// A value from standard input, without the newline that `echo` adds.
fn standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .read_to_string(&mut text)
        .context("failed to read the value from standard input")?;
    let value = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(value.to_owned())
}
