//! Looks for the keys behind a difference when the source is gone: what must be there comes out of the archive.

use std::path::Path;
use std::time::Duration;

use super::KeyRange;
use super::checksum::row_hash;
use super::examples::{Example, Examples, State, relation};
use super::relation::{Column, Relation, shown};
use super::session::PINS_SQL;
use crate::command::{CommandError, Runner};
use crate::postgres::quote::ident;
use crate::postgres::{Clients, Server, archive, plain};

/// Bytes of rows that are compared: more would be a restore.
const MOST: usize = 64 << 20;

/// One archive of a backup.
#[derive(Clone, Copy, Debug)]
pub struct Archived<'a> {
    /// The programs that read it.
    pub clients: &'a Clients,
    /// The backup's folder.
    pub folder: &'a Path,
    /// The archive's name in it.
    pub name: &'a str,
}

/// Finds up to `limit` keys of `table` (its name in the manifest) that are missing, extra or changed in `actual`, in the
/// key ranges that the buckets name. The archive's rows of these ranges are loaded into a temporary table of a
/// transaction that is rolled back, so that PostgreSQL itself compares. `None` when the table is not there, has no primary
/// key, or too many rows differ for examples to say more than the ranges do.
///
/// # Errors
/// Any [`CommandError`].
pub fn examples_of_archive(
    runner: &Runner,
    expected: Archived<'_>,
    actual: (&Server, &str),
    table: &str,
    ranges: &[KeyRange],
    limit: usize,
) -> Result<Option<Examples>, CommandError> {
    let (server, database) = actual;
    let what = format!(
        "look for differing rows of {table} in database {database} on {}",
        server.label
    );
    let Some(relation) = relation(runner, actual, table, &what)?.filter(|relation| !relation.key.is_empty())
    else {
        return Ok(None);
    };
    let mut rows = Rows::of(&relation, ranges);
    let read = archive::rows(
        expected.clients,
        expected.folder,
        expected.name,
        &relation.schema,
        &relation.name,
    );
    runner.stream_data(&read, |line| rows.take(line))?;
    if rows.text.len() > MOST {
        return Ok(None);
    }
    let cmd = server
        .psql_session(database, &what)
        .stdin(rows.script(&relation, limit))
        .limit(Duration::from_secs(3600));
    let text = runner.run(&cmd)?.stdout_text();
    let rows: Vec<(Vec<String>, State)> =
        serde_json::from_str(text.trim()).map_err(|error| CommandError::Unreadable {
            what,
            why: format!("the answer is not the expected JSON: {error}"),
        })?;
    Ok(Some(Examples {
        key: relation.key.iter().map(|column| shown(&[&column.name])).collect(),
        rows: rows
            .into_iter()
            .map(|(key, state)| Example { key, state })
            .collect(),
    }))
}

/// The archive's rows of some key ranges, as pg_restore prints them.
struct Rows {
    /// The leading key column and its ranges; `None`: all rows.
    ranges: Option<(String, Vec<(i64, i64)>)>,
    /// Between `COPY` and its end.
    inside: bool,
    /// `(a, b)` of the `COPY`.
    columns: String,
    /// Where the leading key column stands in them.
    lead: Option<usize>,
    text: String,
}

impl Rows {
    fn of(relation: &Relation, ranges: &[KeyRange]) -> Self {
        let bounded: Option<Vec<(i64, i64)>> = ranges.iter().map(|range| range.keys).collect();
        let lead = relation.range_column().map(|column| column.name.clone());
        Self {
            ranges: lead.zip(bounded.filter(|ranges| !ranges.is_empty())),
            inside: false,
            columns: String::new(),
            lead: None,
            text: String::new(),
        }
    }

    fn take(&mut self, line: &str) {
        if self.inside && line == "\\." {
            self.inside = false;
        } else if self.inside {
            if self.text.len() <= MOST && self.is_wanted(line) {
                self.text.push_str(line);
                self.text.push('\n');
            }
        } else if let Some(columns) = line.strip_prefix("COPY ").and_then(columns_of) {
            let lead = self.ranges.as_ref().map(|(lead, _)| lead);
            self.lead = lead.and_then(|lead| names(columns).iter().position(|name| name == lead));
            self.columns = columns.to_owned();
            self.inside = true;
        }
    }

    fn is_wanted(&self, line: &str) -> bool {
        let (Some((_, ranges)), Some(lead)) = (&self.ranges, self.lead) else {
            return true;
        };
        let key = line
            .split('\t')
            .nth(lead)
            .and_then(|field| field.parse::<i64>().ok());
        // What is no number is for PostgreSQL to judge.
        key.is_none_or(|key| ranges.iter().any(|(from, to)| (*from..=*to).contains(&key)))
    }

    /// Loads the rows, compares, and takes everything back.
    fn script(&self, relation: &Relation, limit: usize) -> String {
        let table = relation.sql_name();
        let copy = if self.columns.is_empty() {
            String::new()
        } else {
            format!(
                "COPY pg_temp.expected {} FROM stdin;\n{}\\.\n",
                self.columns, self.text
            )
        };
        // Since the archive the table may have gained columns, which it says nothing about, and lost others. What is
        // computed can be compared as long as it is computed from the same.
        let archived = names(&self.columns);
        let has = |column: &Column| archived.is_empty() || archived.contains(&column.name);
        let is_new = |column: &&Column| !column.generated && !has(column);
        let gained: Vec<&Column> = relation.columns.iter().filter(is_new).collect();
        let compared: Vec<Column> = relation
            .columns
            .iter()
            .filter(|column| has(column) || (column.generated && gained.is_empty()))
            .cloned()
            .collect();
        let gained = gained
            .iter()
            .map(|column| format!("ALTER COLUMN {} DROP NOT NULL", ident(&column.name)));
        let lost = archived
            .iter()
            .filter(|name| !relation.columns.iter().any(|column| column.name == **name))
            .map(|name| format!("ADD COLUMN {} text", ident(name)));
        let changes: Vec<String> = gained.chain(lost).collect();
        let alter = if changes.is_empty() {
            String::new()
        } else {
            format!("ALTER TABLE pg_temp.expected {};\n", changes.join(", "))
        };
        let condition = match &self.ranges {
            Some((lead, ranges)) => {
                let one = |(from, to): &(i64, i64)| format!("{} BETWEEN {from} AND {to}", ident(lead));
                ranges.iter().map(one).collect::<Vec<_>>().join(" OR ")
            }
            None => "true".to_owned(),
        };
        let side = |from: &str, restriction: &str| {
            format!(
                "SELECT {} AS k, {} AS h FROM {from} {restriction}",
                relation.key_texts(),
                row_hash(&compared)
            )
        };
        let (e, a) = (
            side("pg_temp.expected", ""),
            side(&format!("ONLY {table}"), &relation.restricted(&condition)),
        );
        format!(
            "{PINS_SQL}\nBEGIN;\n\
             CREATE TEMP TABLE expected (LIKE {table} INCLUDING GENERATED) ON COMMIT DROP;\n{alter}{copy}\
             SELECT coalesce(jsonb_agg(jsonb_build_array(to_jsonb(k), state)), '[]') FROM (\
             SELECT k, CASE WHEN a.h IS NULL THEN 'missing' WHEN e.h IS NULL THEN 'extra' ELSE 'changed' END AS state \
             FROM ({e}) AS e FULL JOIN ({a}) AS a USING (k) \
             WHERE e.h IS DISTINCT FROM a.h ORDER BY k LIMIT {limit}) AS found;\nROLLBACK;\n"
        )
    }
}

/// `(a, b)` of `schema.table (a, b) FROM stdin;`
fn columns_of(copy: &str) -> Option<&str> {
    let (_, rest) = plain::name(copy)?;
    let rest = match rest.strip_prefix('.') {
        Some(rest) => plain::name(rest)?.1,
        None => rest,
    };
    rest.strip_prefix(' ')?.strip_suffix(" FROM stdin;")
}

/// The names in `(a, "B c")`.
fn names(columns: &str) -> Vec<String> {
    let mut rest = columns.trim_start_matches('(');
    let mut names = Vec::new();
    while let Some((name, after)) = plain::name(rest) {
        names.push(name);
        rest = after.trim_start_matches([',', ' ']);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_whatever_they_are_called() {
        let columns =
            columns_of("\"Sch ema\".\"T\"\"x\" (id, \"a, b) FROM stdin;\", \"값\") FROM stdin;").unwrap();
        assert_eq!(names(columns), ["id", "a, b) FROM stdin;", "값"]);
        assert_eq!(columns_of("public.t (id) TO stdout;"), None);
    }

    #[test]
    fn rows_outside_of_the_ranges_are_left_out() {
        let mut rows = Rows {
            ranges: Some(("id".to_owned(), vec![(5, 7)])),
            inside: false,
            columns: String::new(),
            lead: None,
            text: String::new(),
        };
        for line in [
            "SET x;",
            "COPY public.t (name, id) FROM stdin;",
            "a\t4",
            "b\t5",
            "c\t7",
            "d\t8",
            "\\.",
            "x\t6",
        ] {
            rows.take(line);
        }
        assert_eq!(rows.text, "b\t5\nc\t7\n");
    }
}
