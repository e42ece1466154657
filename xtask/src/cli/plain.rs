//! Plain dumps that people made by hand, judged before they are loaded.

use std::io::{BufReader, Read as _};
use std::path::Path;

use anyhow::Context as _;
use infra::postgres::plain::{self, PlainDump};

use super::Ending;
use crate::model::{Exit, time};

/// Reads a dump to its end.
pub(super) fn read(path: &Path) -> anyhow::Result<PlainDump> {
    let context = || format!("failed to read {}", path.display());
    if let Some((what, hint)) = other_form(path).with_context(context)? {
        let message = format!("{} is {what}, and no plain dump", path.display());
        return Err(Ending::new(Exit::Preconditions, message).hint(hint).into());
    }
    let file = infra::files::open_regular(path).with_context(context)?;
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

/// What a file is that is no plain dump, and the line that makes one of it. Nothing is unpacked here: what is checked must
/// be what is loaded, and a person has room for it or not.
fn other_form(path: &Path) -> std::io::Result<Option<(&'static str, String)>> {
    let mut start = Vec::new();
    infra::files::open_regular(path)?
        .take(6)
        .read_to_end(&mut start)?;
    let file = infra::command::shell_word(&path.to_string_lossy());
    let plain = infra::command::shell_word(&path.with_extension("sql").to_string_lossy());
    Ok(match start.as_slice() {
        [0x1f, 0x8b, ..] => Some(("compressed with gzip", format!("gunzip -k {file}"))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(("compressed with zstd", format!("unzstd {file}"))),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some(("compressed with xz", format!("unxz -k {file}"))),
        [b'P', b'K', 3, 4, ..] => Some(("a ZIP archive", format!("unzip {file}"))),
        [b'P', b'G', b'D', b'M', b'P', ..] => Some((
            "in pg_dump's custom format",
            format!("pg_restore -f {plain} {file}"),
        )),
        _ => None,
    })
}

/// What it is, for a person.
pub(super) fn describe(dump: &PlainDump) -> String {
    let rows: u64 = dump.rows.values().sum();
    let by_insert = match (dump.inserts, rows) {
        (0, 0) => "; it holds no rows, only what they would lie in".to_owned(),
        (0, _) => String::new(),
        (inserts, _) => format!(
            "; {} INSERT statements, whose rows are not counted",
            time::count(inserts)
        ),
    };
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "unknown".to_owned());
    let roles: Vec<&str> = dump.roles.iter().map(String::as_str).collect();
    format!(
        "plain dump of PostgreSQL {} by pg_dump {}: {} rows in {} tables{by_insert}; roles it names: {}",
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
            "lines end in CR LF: a terminal (docker exec -t) or a shell changed the bytes; dump again without -t"
                .to_owned(),
        );
    }
    if dump.zero {
        damages.push(
            "it holds a zero byte, which no dump does: psql would leave out what follows it".to_owned(),
        );
    }
    if let Some(table) = &dump.open_copy {
        damages.push(format!("it ends inside the rows of {table}: it was cut short"));
    }
    if !dump.footer {
        damages.push("pg_dump's last line is missing: it was cut short, or something follows it".to_owned());
    }
    if dump.drops {
        damages.push(
            "it drops objects before it makes them, and a new database has none: dump again without --clean, or with \
             --if-exists"
                .to_owned(),
        );
    }
    if !dump.foreign.is_empty() {
        damages.push(
            "it would act outside the database that it is loaded into, or may: pg_dump does not write these lines; a dump \
             without --create and with nothing added by hand has none"
                .to_owned(),
        );
    }
    damages.extend(
        dump.foreign
            .iter()
            .take(5)
            .map(|(number, line)| format!("  line {number}: {line}")),
    );
    damages
}
