//! The same damages given to the stock commands and to this tool, side by side: measured, not remembered.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use infra::Cmd;
use infra::postgres::manifest::DatabaseManifest;
use infra::postgres::{Script, Server};

use super::arena::Arena;
use super::catalogue::Place;
use super::catalogue::changes::{cut, cut_at_a_line, digit, empty, flip, remove};
use super::world::{collect, lost};
use crate::model::Exit;

/// The database whose backup by this tool is damaged.
const OURS: &str = "labeler";
/// The database that is dumped by hand, damaged and restored. No table refers to another: a foreign key would notice by
/// chance what the commands do not.
const DATABASE: &str = "by_hand";
const CONTENT: &str = "\
CREATE TABLE items (id bigint PRIMARY KEY, label text NOT NULL, weight integer NOT NULL);
INSERT INTO items SELECT n, 'item number ' || n, n * 7 % 1000 FROM generate_series(1, 50000) AS n;
CREATE TABLE notes (id bigint PRIMARY KEY, body text NOT NULL);
INSERT INTO notes SELECT n, md5(n::text) FROM generate_series(1, 1000) AS n;";
/// Where it is restored to.
const INTO: &str = "stock";

/// How it is dumped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `pg_dump > file`
    Plain,
    /// `pg_dump -Fc`, compressed as pg_dump likes or not at all.
    Custom(bool),
    /// `pg_dump -Fd`, likewise.
    Directory(bool),
}

/// What is damaged of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The file, or the largest file of rows.
    Rows,
    /// The table of contents.
    Contents,
}

/// A stock command.
#[derive(Clone, Copy)]
enum Tool {
    Psql,
    PsqlOneTransaction,
    List,
    Restore,
}

struct Case {
    what: &'static str,
    form: Form,
    part: Part,
    change: fn(&Path) -> anyhow::Result<String>,
    tools: &'static [Tool],
}

const PLAIN: &[Tool] = &[Tool::Psql, Tool::PsqlOneTransaction];
const ARCHIVE: &[Tool] = &[Tool::List, Tool::Restore];

const fn case(
    what: &'static str,
    form: Form,
    part: Part,
    change: fn(&Path) -> anyhow::Result<String>,
) -> Case {
    let tools = if matches!(form, Form::Plain) {
        PLAIN
    } else {
        ARCHIVE
    };
    Case {
        what,
        form,
        part,
        change,
        tools,
    }
}

const CASES: [Case; 15] = [
    case("cut in half", Form::Plain, Part::Rows, |path| {
        let length = fs::metadata(path)?.len();
        fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .set_len(length / 2)?;
        Ok(String::new())
    }),
    case("cut after the rows of a table", Form::Plain, Part::Rows, |path| {
        let text = fs::read(path)?;
        let end = text
            .windows(4)
            .position(|part| part == b"\n\\.\n")
            .map_or(0, |at| at + 4);
        fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .set_len(end as u64)?;
        Ok(String::new())
    }),
    case("cut inside a row", Form::Plain, Part::Rows, |path| {
        let text = fs::read(path)?;
        let end = text.windows(4).rposition(|part| part == b"\n\\.\n").unwrap_or(0);
        fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .set_len(end.saturating_sub(10) as u64)?;
        Ok(String::new())
    }),
    case(
        "the last digit of its rows is changed",
        Form::Plain,
        Part::Rows,
        |path| {
            let text = fs::read(path)?;
            let end = text.windows(4).rposition(|part| part == b"\n\\.\n").unwrap_or(0);
            let at = text[..end]
                .iter()
                .rposition(u8::is_ascii_digit)
                .context("there is no digit")?;
            let mut changed = text;
            changed[at] = if changed[at] == b'9' {
                b'8'
            } else {
                changed[at] + 1
            };
            infra::files::write_shared(path, &changed)?;
            Ok(String::new())
        },
    ),
    case("cut to 60 %", Form::Custom(true), Part::Rows, cut),
    case("one bit flipped", Form::Custom(true), Part::Rows, flip),
    case("one bit flipped", Form::Custom(false), Part::Rows, flip),
    case("a data file is emptied", Form::Directory(true), Part::Rows, empty),
    case(
        "a data file is cut to 60 %",
        Form::Directory(true),
        Part::Rows,
        cut,
    ),
    case(
        "one bit of a data file flipped",
        Form::Directory(true),
        Part::Rows,
        flip,
    ),
    case("a data file is gone", Form::Directory(true), Part::Rows, remove),
    case(
        "the table of contents is cut",
        Form::Directory(true),
        Part::Contents,
        cut,
    ),
    case(
        "one digit of a data file changed",
        Form::Directory(false),
        Part::Rows,
        digit,
    ),
    case(
        "a data file is cut at a line's end",
        Form::Directory(false),
        Part::Rows,
        cut_at_a_line,
    ),
    case(
        "a data file is emptied",
        Form::Directory(false),
        Part::Rows,
        empty,
    ),
];

/// Gives every damage to every program, and prints what they made of it.
pub(super) fn table(arena: &Arena) -> anyhow::Result<String> {
    let target = arena.target_cluster();
    arena
        .runner
        .run(&target.start(&[], &target.data.with_extension("log")))?;
    let source = arena.source(OURS)?;
    let make = Script::new(format!("CREATE DATABASE {DATABASE};"));
    source.execute(&arena.runner, "postgres", &make, "make a database")?;
    source.execute(&arena.runner, DATABASE, &Script::new(CONTENT), "fill it")?;
    let expected = collect(&arena.runner, &source, DATABASE)?;
    let taken = arena.home().join("taken");
    let path = taken.to_string_lossy().into_owned();
    let created = arena.xtask(&["backup", "create", "--only", OURS, "--output", &path])?;
    anyhow::ensure!(created.is(Exit::Ok), "backup create failed: {}", created.stderr);
    let mut out = String::from("| damage | form | stock commands | here |\n|---|---|---|---|\n");
    for case in &CASES {
        let stock: Vec<String> = case
            .tools
            .iter()
            .map(|tool| stock(arena, case, *tool, &expected))
            .collect::<anyhow::Result<_>>()?;
        let here = here(arena, case, &taken)?;
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| {} | {} | {} | {here} |",
            case.what,
            case.form.shown(),
            stock.join("; ")
        );
    }
    Ok(out)
}

impl Form {
    fn shown(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Custom(true) => "`-Fc`",
            Self::Custom(false) => "`-Fc -Z0`",
            Self::Directory(true) => "`-Fd`",
            Self::Directory(false) => "`-Fd -Z0`",
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &["-Fp"],
            Self::Custom(true) => &["-Fc"],
            Self::Custom(false) => &["-Fc", "-Z0"],
            Self::Directory(true) => &["-Fd"],
            Self::Directory(false) => &["-Fd", "-Z0"],
        }
    }
}

/// A fresh dump with this damage.
fn damaged(arena: &Arena, case: &Case) -> anyhow::Result<PathBuf> {
    let dump = arena.home().join("stock").join(DATABASE);
    let _ = fs::remove_dir_all(arena.home().join("stock"));
    fs::create_dir_all(arena.home().join("stock"))?;
    let server = arena.source(OURS)?;
    let (cmd, _) = server.bulk_client("pg_dump", arena.home(), false, "dump as people do");
    let cmd = cmd
        .args(["-d", DATABASE, "--no-owner", "--no-privileges", "-f"])
        .arg(&dump);
    arena.runner.run(&cmd.args(case.form.options()))?;
    let file = match (case.form, case.part) {
        (Form::Directory(_), Part::Rows) => place(&dump)?.rows()?,
        (Form::Directory(_), Part::Contents) => place(&dump)?.toc(),
        _ => dump.clone(),
    };
    (case.change)(&file)?;
    Ok(dump)
}

fn place(dump: &Path) -> anyhow::Result<Place<'_>> {
    Ok(Place {
        folder: dump.parent().context("a dump lies in a folder")?,
        database: DATABASE,
    })
}

/// What a stock command makes of it.
fn stock(arena: &Arena, case: &Case, tool: Tool, expected: &DatabaseManifest) -> anyhow::Result<String> {
    let dump = damaged(arena, case)?;
    let server = arena.target();
    let maintenance = &arena.settings.target.maintenance_database;
    let again = format!("DROP DATABASE IF EXISTS {INTO};\nCREATE DATABASE {INTO};");
    for statement in again.lines() {
        server.execute(
            &arena.runner,
            maintenance,
            &Script::new(statement),
            "make a database",
        )?;
    }
    let output = arena.runner.output(&tool.command(&server, &dump))?;
    let name = tool.shown();
    let code = output.code.unwrap_or(-1);
    if code != 0 {
        return Ok(format!("{name}: caught (exit {code})"));
    }
    if matches!(tool, Tool::List) {
        return Ok(format!("{name}: **missed**"));
    }
    let found = collect(&arena.runner, &server, INTO)?;
    let missing = lost(&expected.tables, &found.tables);
    let all: u64 = expected.tables.values().map(|table| table.rows).sum();
    Ok(match missing {
        0 => format!("{name}: exit 0, all rows right"),
        rows => format!("{name}: **missed**, exit 0, {rows} of {all} rows missing or wrong"),
    })
}

impl Tool {
    fn shown(self) -> &'static str {
        match self {
            Self::Psql => "`psql -v ON_ERROR_STOP=1`",
            Self::PsqlOneTransaction => "with `-1`",
            Self::List => "`pg_restore -l`",
            Self::Restore => "`pg_restore -e`",
        }
    }

    fn command(self, server: &Server, dump: &Path) -> Cmd {
        let program = match self {
            Self::Psql | Self::PsqlOneTransaction => "psql",
            Self::List | Self::Restore => "pg_restore",
        };
        let folder = dump.parent().unwrap_or(dump);
        let (cmd, _) = server.bulk_client(program, folder, true, "restore as people do");
        match self {
            Self::Psql => cmd
                .args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", INTO, "-f"])
                .arg(dump),
            Self::PsqlOneTransaction => cmd
                .args(["-Xq", "-1", "-v", "ON_ERROR_STOP=1", "-d", INTO, "-f"])
                .arg(dump),
            Self::List => cmd.arg("-l").arg(dump),
            Self::Restore => cmd.args(["-e", "--no-owner", "-d", INTO]).arg(dump),
        }
    }
}

/// What this tool makes of the same damage: to a plain dump, or to the archive in a backup of its own.
fn here(arena: &Arena, case: &Case, taken: &Path) -> anyhow::Result<String> {
    let ran = if case.form == Form::Plain {
        let dump = damaged(arena, case)?.to_string_lossy().into_owned();
        arena.xtask(&[
            "restore",
            &dump,
            "--database",
            OURS,
            "--into",
            "here",
            "--set-aside-existing",
            "--yes",
        ])?
    } else {
        let folder = arena.home().join("damaged");
        let _ = fs::remove_dir_all(&folder);
        copy(taken, &folder)?;
        let place = Place {
            folder: &folder,
            database: OURS,
        };
        let file = match case.part {
            Part::Rows => place.rows()?,
            Part::Contents => place.toc(),
        };
        (case.change)(&file)?;
        arena.xtask(&["backup", "verify", &folder.to_string_lossy()])?
    };
    let took = ran.took.as_secs_f64();
    Ok(match ran.code {
        Some(0) => format!("**missed**, {took:.1} s"),
        Some(code) => format!("caught (exit {code}), {took:.1} s"),
        None => "ended by a signal".to_owned(),
    })
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
