//! Plain dumps that people made by hand, judged before they are loaded.

use std::io::BufReader;
use std::path::Path;

use anyhow::Context as _;
use infra::postgres::plain::{self, PlainDump};

use super::Ending;
use crate::model::{Exit, time};

/// Reads a dump to its end.
pub(super) fn read(path: &Path) -> anyhow::Result<PlainDump> {
    let context = || format!("failed to read {}", path.display());
    let file = std::fs::File::open(path).with_context(context)?;
    let dump = plain::inspect(BufReader::with_capacity(1 << 20, file)).with_context(context)?;
    if !dump.header && dump.mark != Some("UTF-16") && !dump.cluster {
        return Err(Ending::new(
            Exit::Preconditions,
            format!(
                "{} is not a plain dump: pg_dump's first lines are not in it",
                path.display()
            ),
        )
        .hint("cargo xtask backup verify FOLDER, for a backup of this tool")
        .into());
    }
    Ok(dump)
}

/// What it is, for a person.
pub(super) fn describe(dump: &PlainDump) -> String {
    let rows: u64 = dump.rows.values().sum();
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "unknown".to_owned());
    let roles: Vec<&str> = dump.roles.iter().map(String::as_str).collect();
    format!(
        "plain dump of PostgreSQL {} by pg_dump {}: {} rows in {} tables; roles it names: {}",
        version(&dump.server_version),
        version(&dump.dump_version),
        time::count(rows),
        dump.rows.len(),
        if roles.is_empty() {
            "none".to_owned()
        } else {
            roles.join(", ")
        }
    )
}

/// What is wrong with it; empty: it is whole.
pub(super) fn damages(dump: &PlainDump) -> Vec<String> {
    let mut damages = Vec::new();
    if dump.mark == Some("UTF-16") {
        damages.push(
            "the file is UTF-16: PowerShell's `>` wrote it; dump again with `pg_dump -f FILE`".to_owned(),
        );
        return damages;
    }
    if dump.cluster {
        damages.push("pg_dumpall made it: it would act on the whole instance; dump one database".to_owned());
    }
    if dump.mark.is_some() {
        damages.push("a byte order mark stands in front, which psql takes for SQL".to_owned());
    }
    if dump.crlf {
        damages.push(
            "every line ends in CR LF: a terminal (docker exec -t) or a shell changed the bytes; dump again without -t"
                .to_owned(),
        );
    }
    if let Some(table) = &dump.open_copy {
        damages.push(format!("it ends inside the rows of {table}: it was cut short"));
    }
    if !dump.footer {
        damages.push("pg_dump's last line is missing: it was cut short, or something follows it".to_owned());
    }
    damages.extend(
        dump.foreign
            .iter()
            .take(5)
            .map(|(number, line)| format!("line {number} would act outside the database: {line}")),
    );
    damages
}
