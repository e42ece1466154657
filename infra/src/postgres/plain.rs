//! Plain dumps (`pg_dump > backup.sql`) as people make them by hand: looked at before they are trusted, and loaded in
//! one transaction.
//!
//! psql loads a dump that was cut short without complaint, so what the file promises is read from the file itself: its
//! header, its footer, and how many rows each `COPY` holds.

mod psql;
mod scanner;
mod statements;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

pub use self::psql::{
    dump, knows_restrict, load, no_policy_names, psql_version, remember_shared, shared_objects, unchanged,
};
use self::scanner::{Acts, Scanner};
pub(super) use self::statements::name;
use self::statements::{is_foreign, policy_roles, roles};
use super::manifest::display_name;

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
    /// Whether a line ends in CR LF outside of quoted text: a terminal or a shell changed the bytes (`docker exec -t`).
    pub crlf: bool,
    /// Whether it holds a zero byte: psql leaves out what follows it on the line.
    pub zero: bool,
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
    /// Those of them that row-level security policies name.
    pub policy_roles: BTreeSet<String>,
    /// Rows of each table that is loaded with `COPY`, by its name as the manifest shows it.
    pub rows: BTreeMap<String, u64>,
    /// `INSERT` statements (`pg_dump --inserts`): how many rows each brings is not known.
    pub inserts: u64,
    /// Whether it drops what it then makes (`pg_dump --clean`), which an empty database does not have.
    pub drops: bool,
    /// The table whose `COPY` has no end.
    pub open_copy: Option<String>,
    /// Lines with something that pg_dump does not write for one database, and that may act outside of it, with their
    /// numbers.
    pub foreign: Vec<(u64, String)>,
}

/// What is known while a dump is read.
#[derive(Debug, Default)]
struct Reading {
    scanner: Scanner,
    /// The table whose rows we are in.
    copy: Option<String>,
    /// The word of its `\restrict`.
    restrict: Option<Vec<u8>>,
    /// Whether its first statement or command was met.
    begun: bool,
}

/// Reads a dump to its end. Memory does not grow with it, except by its longest line.
///
/// # Errors
/// Any I/O error.
pub fn inspect(mut reader: impl BufRead) -> io::Result<PlainDump> {
    let mut dump = PlainDump::default();
    let mut line = Vec::new();
    let mut number = 0_u64;
    let mut reading = Reading::default();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        number += 1;
        let mut text: &[u8] = line.strip_suffix(b"\n").unwrap_or(&line);
        if number == 1 {
            text = dump.byte_order_mark(text);
        }
        dump.zero |= text.contains(&0);
        let whole = text.strip_suffix(b"\r").unwrap_or(text);
        match &reading.copy {
            Some(_) if whole == b"\\." => reading.copy = None,
            Some(table) => {
                if let Some(rows) = dump.rows.get_mut(table) {
                    *rows += 1;
                }
                // The one command that ends its own restriction may stand nowhere but at its end.
                if names_unrestrict(text) {
                    dump.name_foreign(number, text);
                }
            }
            None => dump.line(number, text, &mut reading),
        }
    }
    dump.open_copy = reading.copy;
    Ok(dump)
}

/// Whether the command stands anywhere on a line, quoted or not.
fn names_unrestrict(line: &[u8]) -> bool {
    const COMMAND: &[u8] = b"\\unrestrict";
    line.contains(&b'\\') && line.windows(COMMAND.len()).any(|part| part == COMMAND)
}

/// The word after a command that pg_dump writes: letters and digits, nothing that psql would take for more.
fn word_after<'a>(line: &'a [u8], command: &[u8]) -> Option<&'a [u8]> {
    let word = line.strip_prefix(command)?;
    let plain = !word.is_empty() && word.iter().all(u8::is_ascii_alphanumeric);
    plain.then_some(word)
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

    /// One line outside of `COPY` data.
    fn line(&mut self, number: u64, line: &[u8], reading: &mut Reading) {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        if !reading.scanner.is_between_statements() {
            self.acts(number, line, reading);
            return;
        }
        if text.is_empty() || text.starts_with(b"--") {
            self.crlf |= line.contains(&b'\r');
            self.comment(text);
            return;
        }
        if let Some(word) = word_after(text, b"\\restrict ").filter(|_| !reading.begun) {
            (self.restrict, reading.begun) = (true, true);
            reading.restrict = Some(word.to_vec());
            return;
        }
        let unrestrict = word_after(text, b"\\unrestrict ");
        if self.footer && unrestrict.is_some() && unrestrict == reading.restrict.as_deref() {
            reading.restrict = None;
            return;
        }
        reading.begun = true;
        // Anything that acts after the footer makes it the footer of something else.
        self.footer = false;
        let copies = self.acts(number, line, reading);
        let text = String::from_utf8_lossy(text);
        if let Some(rest) = text.strip_prefix("SET client_encoding = '") {
            self.encoding = rest.split('\'').next().map(str::to_owned);
        }
        self.roles.extend(roles(&text));
        let named = policy_roles(&text);
        self.roles.extend(named.iter().cloned());
        self.policy_roles.extend(named);
        if copies {
            match copied(&text) {
                Some(table) => {
                    self.rows.entry(table.clone()).or_insert(0);
                    reading.copy = Some(table);
                }
                None => self.name_foreign(number, line),
            }
        }
    }

    /// A comment of pg_dump's.
    fn comment(&mut self, text: &[u8]) {
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
    }

    /// What a line does, wherever on it that begins; whether it is one `COPY` as pg_dump writes it and nothing else, after
    /// which rows come.
    fn acts(&mut self, number: u64, line: &[u8], reading: &mut Reading) -> bool {
        let alone = reading.scanner.is_between_statements();
        let found = reading.scanner.line(line);
        let mut foreign = names_unrestrict(line);
        let mut copies = false;
        for acts in &found {
            match acts {
                Acts::Command | Acts::Unclear => foreign = true,
                Acts::CarriageReturn => self.crlf = true,
                Acts::Statement(statement) => {
                    let text = statement.text.as_str();
                    foreign |= is_foreign(statement);
                    self.drops |= text.starts_with("DROP ") && !text.contains(" IF EXISTS ");
                    self.inserts += u64::from(text.starts_with("INSERT INTO ") && !statement.inner);
                    copies |= text.starts_with("COPY ");
                }
            }
        }
        let statements = found.iter().filter(|acts| **acts != Acts::CarriageReturn).count();
        // psql takes the lines after any other COPY for rows as well.
        foreign |= copies && (!alone || statements != 1);
        if foreign {
            self.name_foreign(number, line);
        }
        copies && !foreign
    }

    fn name_foreign(&mut self, number: u64, line: &[u8]) {
        if self.foreign.last().is_none_or(|(last, _)| *last != number) {
            let shown = String::from_utf8_lossy(line).chars().take(60).collect();
            self.foreign.push((number, shown));
        }
    }
}

/// The table of a `COPY` as pg_dump writes it.
fn copied(text: &str) -> Option<String> {
    let copied = text.strip_prefix("COPY ")?;
    if !copied.trim_end().ends_with("FROM stdin;") {
        return None;
    }
    let (schema, rest) = name(copied)?;
    Some(match rest.strip_prefix('.').and_then(name) {
        Some((table, _)) => display_name(&[&schema, &table]),
        None => display_name(&[&schema]),
    })
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
        // One line that lost its CR again does not make the others whole.
        let crlf = DUMP.replace('\n', "\r\n");
        assert!(look(&crlf.replacen("\r\n", "\n", 1)).crlf);
        let body = "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ select\r\n 'a\r\nb' $$;\nSET client";
        for text in [DUMP.replace("1\ta", "1\ta\r"), DUMP.replace("SET client", body)] {
            assert!(!look(&text).crlf, "a CR may belong to the data");
        }
        assert!(look(&DUMP.replace("1\ta", "1\ta\0")).zero);
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
            "DO $$ BEGIN EXECUTE 'CREATE ROLE evil SUPERUSER'; END $$;",
            "REVOKE CONNECT ON DATABASE platform FROM PUBLIC;",
            "COMMENT ON DATABASE platform IS 'x';",
            "GRANT admin TO evil;",
            "SECURITY LABEL FOR x ON ROLE evil IS 'y';",
            "REASSIGN OWNED BY a TO b;",
            "SELECT evil();",
            "SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false);",
            "SET standard_conforming_strings TO off;",
            "SET client_encoding = 'SJIS';",
            "CALL evil();",
            "copy t from stdin;",
            "SELECT 1e'x';",
            "\\restrict abc",
            "\\restrict `touch x`",
            "\\unrestrict abc \\! touch x",
            "SELECT pg_catalog.setval('\\unrestrict abc', 1);",
            "SELECT name'\\'; \\! touch x",
        ] {
            let dump = look(&DUMP.replace("SET client", &format!("{line}\nSET client")));
            assert_eq!(dump.foreign.len(), 1, "{line}: {:?}", dump.foreign);
        }
        for line in [
            "CREATE USER MAPPING FOR PUBLIC SERVER far;",
            "SELECT pg_catalog.set_config('search_path', '', false);",
            "SELECT pg_catalog.setval('public.t_id_seq', 1, true);",
            "BEGIN;\n\nSELECT pg_catalog.lo_open('16388', 131072);\nSELECT pg_catalog.lowrite(0, '\\x61');\n\
             SELECT pg_catalog.lo_close(0);\n\nCOMMIT;",
            "GRANT SELECT(a),INSERT(b) ON TABLE public.\"DATABASE x\" TO PUBLIC;",
            "COMMENT ON TABLE t IS 'ON DATABASE x';",
            "SET default_table_access_method = heap;",
            "CREATE RULE r AS ON INSERT TO t DO INSTEAD ( INSERT INTO u VALUES (1);\n DELETE FROM v;\n);",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql\n    BEGIN ATOMIC\n SELECT 1;\n SELECT 2;\nEND;",
            "SET SESSION AUTHORIZATION DEFAULT;",
        ] {
            let dump = look(&DUMP.replace("SET client", &format!("{line}\nSET client")));
            assert!(
                dump.foreign.is_empty() && dump.footer,
                "{line}: {:?}",
                dump.foreign
            );
        }
    }

    #[test]
    fn rows_after_a_copy_that_pg_dump_does_not_write_hide_nothing() {
        for copy in [
            "copy t from stdin;",
            "COPY t\n FROM stdin;",
            "SELECT 1; COPY t FROM stdin;",
        ] {
            let text = format!("{copy}\n'\n\\.\n\\! touch x\n';\nSET client");
            assert!(
                !look(&DUMP.replace("SET client", &text)).foreign.is_empty(),
                "{copy}"
            );
        }
        let text = DUMP.replace("2\t\\connect", "2\t\\\\unrestrict abc");
        assert_eq!(
            look(&text).foreign.len(),
            1,
            "the word is known to whoever wrote the file"
        );
    }

    #[test]
    fn roles_that_policies_name_are_told_apart() {
        let policy = "CREATE POLICY p ON public.images AS RESTRICTIVE TO ghost USING (true);\nSET client";
        let dump = look(&DUMP.replace("SET client", policy));
        assert!(dump.roles.contains("ghost") && dump.policy_roles.contains("ghost"));
        assert_eq!(dump.policy_roles.len(), 1);
    }

    #[test]
    fn rows_by_insert_and_objects_that_are_dropped_are_told() {
        let lines = "INSERT INTO t VALUES (1, 'a;b\nINSERT INTO');\nINSERT INTO t VALUES (2);\nSET client";
        assert_eq!(look(&DUMP.replace("SET client", lines)).inserts, 2);
        assert!(look(&DUMP.replace("SET client", "DROP TABLE public.t;\nSET client")).drops);
        assert!(!look(&DUMP.replace("SET client", "DROP TABLE IF EXISTS t;\nSET client")).drops);
    }
}
