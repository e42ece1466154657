//! Plain dumps (`pg_dump > backup.sql`) as people make them by hand: looked at before they are trusted, and loaded in
//! one transaction.
//!
//! psql loads a dump that was cut short without complaint, so what the file promises is read from the file itself: its
//! header, its footer, and how many rows each `COPY` holds.

mod scanner;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};
use std::path::Path;

use self::scanner::{Acts, Scanner};
use super::archive::container_path;
use super::manifest::display_name;
use super::{Clients, Server};
use crate::command::{Cmd, CommandError, Runner};

const HEADER: &[u8] = b"-- PostgreSQL database dump";
const FOOTER: &[u8] = b"-- PostgreSQL database dump complete";
const CLUSTER_HEADER: &[u8] = b"-- PostgreSQL database cluster dump";

/// What a plain dump says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainDump {
    /// Whether pg_dump's first words are there.
    pub header: bool,
    /// Whether pg_dump's last words are there, and nothing that acts after them.
    pub footer: bool,
    /// Whether pg_dumpall made it: it would act on the whole instance.
    pub cluster: bool,
    /// A byte order mark in front: `UTF-16` (PowerShell's `>`) or `UTF-8`.
    pub mark: Option<&'static str>,
    /// Whether every line ends in CR LF: a terminal or a shell changed the bytes (`docker exec -t`).
    pub crlf: bool,
    /// Whether it starts with `\restrict`, which a psql from before August 2025 does not know.
    pub restrict: bool,
    /// Version of the server it was taken from, as written.
    pub server_version: Option<String>,
    /// Version of pg_dump, as written.
    pub dump_version: Option<String>,
    /// The encoding it sets.
    pub encoding: Option<String>,
    /// Roles that must exist for it to load.
    pub roles: BTreeSet<String>,
    /// Rows of each table that is loaded with `COPY`, by its name as the manifest shows it.
    pub rows: BTreeMap<String, u64>,
    /// `INSERT` statements (`pg_dump --inserts`): how many rows each brings is not known.
    pub inserts: u64,
    /// Whether it drops what it then makes (`pg_dump --clean`), which an empty database does not have.
    pub drops: bool,
    /// The table whose `COPY` has no end.
    pub open_copy: Option<String>,
    /// Lines that would act outside the database it is loaded into, with their numbers.
    pub foreign: Vec<(u64, String)>,
}

/// Reads a dump to its end. Memory does not grow with it, except by its longest line.
///
/// # Errors
/// Any I/O error.
pub fn inspect(mut reader: impl BufRead) -> io::Result<PlainDump> {
    let mut dump = PlainDump::default();
    let mut line = Vec::new();
    let (mut number, mut with_cr) = (0_u64, 0_u64);
    let mut copy: Option<String> = None;
    let mut scanner = Scanner::default();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        number += 1;
        let mut text: &[u8] = line.strip_suffix(b"\n").unwrap_or(&line);
        if let Some(rest) = text.strip_suffix(b"\r") {
            with_cr += 1;
            text = rest;
        }
        if number == 1 {
            text = dump.byte_order_mark(text);
        }
        match &copy {
            Some(_) if text == b"\\." => copy = None,
            Some(table) => {
                if let Some(rows) = dump.rows.get_mut(table) {
                    *rows += 1;
                }
            }
            None => copy = dump.line(number, text, &mut scanner),
        }
    }
    dump.crlf = number > 0 && with_cr == number;
    dump.open_copy = copy;
    Ok(dump)
}

impl PlainDump {
    fn byte_order_mark<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) {
            self.mark = Some("UTF-16");
        }
        match text.strip_prefix(&[0xef, 0xbb, 0xbf]) {
            Some(rest) => {
                self.mark = Some("UTF-8");
                rest
            }
            None => text,
        }
    }

    /// One line outside of `COPY` data; the answer is the table whose data begin after it.
    fn line(&mut self, number: u64, text: &[u8], scanner: &mut Scanner) -> Option<String> {
        if !scanner.is_between_statements() {
            self.acts(number, text, scanner);
            return None;
        }
        if text.is_empty() || text == b"--" {
            return None;
        }
        if text.starts_with(b"--") {
            match text {
                FOOTER => self.footer = true,
                HEADER => self.header = true,
                CLUSTER_HEADER => self.cluster = true,
                _ => {
                    let text = String::from_utf8_lossy(text);
                    let version = |prefix| text.strip_prefix(prefix).map(str::to_owned);
                    self.server_version = self
                        .server_version
                        .take()
                        .or_else(|| version("-- Dumped from database version "));
                    self.dump_version = self
                        .dump_version
                        .take()
                        .or_else(|| version("-- Dumped by pg_dump version "));
                }
            }
            return None;
        }
        if text.starts_with(b"\\restrict ") {
            self.restrict = true;
            return None;
        }
        if text.starts_with(b"\\unrestrict ") {
            return None;
        }
        // Anything that acts after the footer makes it the footer of something else.
        self.footer = false;
        self.acts(number, text, scanner);
        let text = String::from_utf8_lossy(text);
        if let Some(rest) = text.strip_prefix("SET client_encoding = '") {
            self.encoding = rest.split('\'').next().map(str::to_owned);
        }
        self.roles.extend(roles(&text));
        let copied = text.strip_prefix("COPY ")?;
        if !copied.trim_end().ends_with("FROM stdin;") {
            return None;
        }
        let (schema, rest) = name(copied)?;
        let table = match rest.strip_prefix('.').and_then(name) {
            Some((table, _)) => display_name(&[&schema, &table]),
            None => display_name(&[&schema]),
        };
        self.rows.entry(table.clone()).or_insert(0);
        Some(table)
    }
}

impl PlainDump {
    /// What a line does, wherever on it that begins.
    fn acts(&mut self, number: u64, text: &[u8], scanner: &mut Scanner) {
        let mut foreign = false;
        for acts in scanner.line(text) {
            match acts {
                Acts::Command => foreign = true,
                Acts::Statement(statement) => {
                    foreign |= is_foreign(&statement);
                    self.drops |= statement.starts_with("DROP ") && !statement.contains(" IF EXISTS ");
                    self.inserts += u64::from(statement.starts_with("INSERT INTO "));
                }
            }
        }
        if foreign {
            let shown = String::from_utf8_lossy(text).chars().take(60).collect();
            self.foreign.push((number, shown));
        }
    }
}

/// Statements that reach beyond the database that is restored, by their first words in upper case: databases, roles,
/// tablespaces, the server's settings, and rows that come from or go to anywhere but the dump itself.
fn is_foreign(statement: &str) -> bool {
    let words: Vec<&str> = statement.splitn(4, ' ').collect();
    match words.as_slice() {
        ["CREATE" | "ALTER" | "DROP", "USER", "MAPPING", ..] => false,
        [
            "CREATE" | "ALTER" | "DROP",
            "DATABASE" | "ROLE" | "USER" | "GROUP" | "TABLESPACE" | "SYSTEM",
            ..,
        ] => true,
        ["COPY", ..] => !statement.ends_with(" FROM STDIN"),
        _ => false,
    }
}

/// The roles that one line of pg_dump's output names.
fn roles(text: &str) -> Vec<String> {
    let Some(text) = text.trim_end().strip_suffix(';') else {
        return Vec::new();
    };
    let after = |word: &str| text.rfind(word).and_then(|at| name(&text[at + word.len()..]));
    let mut found = Vec::new();
    if text.starts_with("ALTER ") {
        found.extend(after(" OWNER TO "));
        found.extend(after(" DEFAULT PRIVILEGES FOR ROLE "));
    }
    if text.starts_with("GRANT ") || text.contains(" GRANT ") && text.starts_with("ALTER DEFAULT ") {
        found.extend(after(" TO "));
    }
    if text.starts_with("REVOKE ") || text.contains(" REVOKE ") && text.starts_with("ALTER DEFAULT ") {
        found.extend(after(" FROM "));
    }
    if text.starts_with("SET SESSION AUTHORIZATION ") {
        found.extend(after("SET SESSION AUTHORIZATION "));
    }
    let names = found.into_iter().map(|(name, _)| name);
    names
        .filter(|name| !matches!(name.as_str(), "PUBLIC" | "DEFAULT"))
        .collect()
}

/// A name as pg_dump writes it, plain or in double quotes, and what follows it.
pub(super) fn name(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut out = String::new();
        let mut chars = quoted.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c != '"' {
                out.push(c);
            } else if chars.next_if(|(_, next)| *next == '"').is_some() {
                out.push('"');
            } else {
                return Some((out, &quoted[at + 1..]));
            }
        }
        return None;
    }
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$')
        .unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// `pg_dump` as people run it by hand: the dump is its standard output.
pub fn dump(server: &Server, database: &str) -> Cmd {
    let (cmd, _) = server.bulk_client(
        "pg_dump",
        Path::new("."),
        true,
        format!("dump database {database}"),
    );
    cmd.args(["-d", &server.dbname(database), "--no-password"])
}

/// Loads a file in one transaction, stopping at the first error. `before` and `after` are SQL of the same transaction.
pub fn load(server: &Server, database: &str, file: &Path, before: &str, after: &str) -> Cmd {
    let folder = file.parent().unwrap_or(Path::new("."));
    let base = file
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let what = format!("load {base} into database {database}");
    let (cmd, seen) = server.bulk_client("psql", folder, true, what);
    let mut cmd = cmd.args(["-d", &server.dbname(database)]).args([
        "-Xqw",
        "-v",
        "ON_ERROR_STOP=1",
        "--single-transaction",
    ]);
    if !before.is_empty() {
        cmd = cmd.args(["-c", before]);
    }
    cmd = cmd.args(["-f", &container_path(&seen, &base)]);
    if !after.is_empty() {
        cmd = cmd.args(["-c", after]);
    }
    cmd
}

/// Version of psql: major and minor.
///
/// # Errors
/// When it does not run or says something else.
pub fn psql_version(runner: &Runner, clients: &Clients, folder: &Path) -> Result<(u32, u32), CommandError> {
    let (cmd, _) = clients.offline("psql", folder, "ask psql for its version");
    let cmd = cmd.arg("--version");
    let text = runner.run(&cmd)?.stdout_text();
    let number = text.split_whitespace().find_map(|word| {
        let (major, minor) = word.split_once('.')?;
        let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
        Some((major.parse().ok()?, digits.parse().ok()?))
    });
    number.ok_or_else(|| CommandError::Unreadable {
        what: cmd.what().to_owned(),
        why: format!("the answer is {:?}", text.trim()),
    })
}

/// Whether this psql knows `\restrict`: it came to every supported branch in August 2025 (CVE-2025-8714).
pub fn knows_restrict((major, minor): (u32, u32)) -> bool {
    match major {
        13 => minor >= 22,
        14 => minor >= 19,
        15 => minor >= 14,
        16 => minor >= 10,
        17 => minor >= 6,
        other => other >= 18,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n\
        -- Dumped from database version 16.10\n-- Dumped by pg_dump version 16.10\n\n\
        SET client_encoding = 'UTF8';\n\
        ALTER TABLE public.images OWNER TO labeler_user;\n\
        GRANT SELECT ON TABLE public.images TO \"Read Only\";\n\
        REVOKE ALL ON SCHEMA public FROM PUBLIC;\n\
        COPY public.images (id, path) FROM stdin;\n1\ta\n2\t\\connect\n\\.\n\n\
        COPY public.\"Odd \"\"Name\" (id) FROM stdin;\n\\.\n\n\
        --\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n";

    fn look(text: &str) -> PlainDump {
        inspect(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_whole_dump_says_what_it_holds() {
        let dump = look(DUMP);
        assert!(dump.header && dump.footer && dump.restrict && !dump.crlf);
        assert_eq!(dump.server_version.as_deref(), Some("16.10"));
        assert_eq!(dump.encoding.as_deref(), Some("UTF8"));
        let roles: Vec<&str> = dump.roles.iter().map(String::as_str).collect();
        assert_eq!(roles, ["Read Only", "labeler_user"]);
        assert_eq!(dump.rows["public.images"], 2);
        assert_eq!(dump.rows["public.\"Odd \"\"Name\""], 0);
        assert!(
            dump.foreign.is_empty(),
            "data are not commands: {:?}",
            dump.foreign
        );
    }

    #[test]
    fn a_cut_dump_has_no_footer_wherever_it_is_cut() {
        let footer = DUMP.find("-- PostgreSQL database dump complete").unwrap();
        for end in 0..footer {
            assert!(!look(&DUMP[..end]).footer, "cut after {end} bytes");
        }
        let inside = DUMP.find("2\t").unwrap();
        assert_eq!(look(&DUMP[..inside]).open_copy.as_deref(), Some("public.images"));
    }

    #[test]
    fn what_a_terminal_did_is_seen() {
        assert!(look(&DUMP.replace('\n', "\r\n")).crlf);
        assert!(
            !look(&DUMP.replace("1\ta", "1\ta\r")).crlf,
            "one CR may belong to the data"
        );
        let utf16: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain(DUMP.encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        assert_eq!(inspect(utf16.as_slice()).unwrap().mark, Some("UTF-16"));
    }

    #[test]
    fn lines_that_reach_beyond_the_database_are_named() {
        let dump = look(&DUMP.replace("SET client", "\\connect labeler\nCREATE DATABASE x;\nSET client"));
        let lines: Vec<&str> = dump.foreign.iter().map(|(_, line)| line.as_str()).collect();
        assert_eq!(lines, ["\\connect labeler", "CREATE DATABASE x;"]);
    }

    #[test]
    fn what_a_function_or_a_comment_says_is_not_done() {
        let body = "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ select '\n\\connect x\nDROP DATABASE y;\n' $$;\n\
                    COMMENT ON TABLE t IS E'a\n-- PostgreSQL database dump complete\n\\\\! x';\nSET client";
        let dump = look(&DUMP.replace("SET client", body));
        assert!(dump.foreign.is_empty(), "{:?}", dump.foreign);
        assert!(dump.footer);
        let cut = look(
            &DUMP
                .replace("SET client", body)
                .replace("database dump complete\n--\n\n\\unrestrict abc\n\n", ""),
        );
        assert!(!cut.footer, "a footer in a comment is none");
    }

    #[test]
    fn statements_that_reach_beyond_the_database_are_named_wherever_they_begin() {
        for line in [
            "  \\! touch x",
            "select 1; \\c platform",
            "COMMIT; /* x */ CREATE DATABASE evil; BEGIN;",
            "create role hacked superuser;",
            "ALTER ROLE admin PASSWORD 'x';",
            "ALTER SYSTEM SET work_mem = '1GB';",
            "COPY t TO PROGRAM 'touch x';",
            "COPY t FROM '/etc/passwd';",
        ] {
            let dump = look(&DUMP.replace("SET client", &format!("{line}\nSET client")));
            assert_eq!(dump.foreign.len(), 1, "{line}: {:?}", dump.foreign);
        }
        let mapping = "CREATE USER MAPPING FOR PUBLIC SERVER far;\nSET client";
        assert!(look(&DUMP.replace("SET client", mapping)).foreign.is_empty());
    }

    #[test]
    fn rows_by_insert_and_objects_that_are_dropped_are_told() {
        let lines = "INSERT INTO t VALUES (1, 'a;b\nINSERT INTO');\nINSERT INTO t VALUES (2);\nSET client";
        assert_eq!(look(&DUMP.replace("SET client", lines)).inserts, 2);
        assert!(look(&DUMP.replace("SET client", "DROP TABLE public.t;\nSET client")).drops);
        assert!(!look(&DUMP.replace("SET client", "DROP TABLE IF EXISTS t;\nSET client")).drops);
    }

    #[test]
    fn restrict_came_with_the_releases_of_august_2025() {
        assert!(knows_restrict((16, 10)) && knows_restrict((18, 0)));
        assert!(!knows_restrict((16, 9)) && !knows_restrict((12, 99)));
    }
}
