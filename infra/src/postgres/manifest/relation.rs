//! Relations as the catalog lists them, their names, and the SQL that scans them.

use serde::Deserialize;

use super::TableKind;
use super::checksum::{SUMS, key_hash, row_hash, text};
use crate::postgres::quote::ident;

/// Buckets a table is divided into, about.
const BUCKETS: u64 = 64;

/// A relation of `sql/manifest_relations.sql`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Relation {
    pub(super) oid: u64,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) kind: TableKind,
    /// `WHERE ..` that says which rows of an extension's table belong to the user.
    pub(super) filter: Option<String>,
    pub(super) populated: bool,
    pub(super) parent: Option<u64>,
    pub(super) heap: bool,
    pub(super) pages: u64,
    pub(super) bytes: u64,
    pub(super) columns: Vec<Column>,
    pub(super) key: Vec<Column>,
}

/// A column and the type under its domains.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) base: String,
    /// The function that prints the type, in SQL.
    pub(super) output: String,
    /// Computed from other columns.
    pub(super) generated: bool,
}

/// How rows are put into buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Division {
    /// No primary key: one bucket.
    Whole,
    /// By the leading key column, an integer, shifted right by this many bits.
    Range(u32),
    /// By the upper six bits of the key's hash.
    Hash,
}

impl Relation {
    /// How people see its name: quoted only where needed, the same on every version.
    pub(super) fn shown(&self) -> String {
        shown(&[&self.schema, &self.name])
    }

    /// Its name in SQL.
    pub(super) fn sql_name(&self) -> String {
        format!("{}.{}", ident(&self.schema), ident(&self.name))
    }

    /// Whether it has rows of its own that can be read here.
    pub(super) fn is_scanned(&self) -> bool {
        !matches!(self.kind, TableKind::Partitioned | TableKind::Foreign) && self.populated
    }

    /// The leading key column when it is an integer: its order is the index's order, so that the smallest and largest
    /// key cost two index look-ups.
    pub(super) fn range_column(&self) -> Option<&Column> {
        self.key
            .first()
            .filter(|column| matches!(column.base.as_str(), "smallint" | "integer" | "bigint"))
    }

    /// SQL that answers `[oid, smallest, largest]` for the leading key column.
    pub(super) fn range_probe(&self, column: &Column) -> String {
        let (table, name) = (self.sql_name(), ident(&column.name));
        let end = |order| {
            format!("(SELECT t.{name}::bigint FROM ONLY {table} AS t ORDER BY t.{name} {order} LIMIT 1)")
        };
        format!(
            "SELECT {} AS oid, {} AS low, {} AS high",
            self.oid,
            end("ASC"),
            end("DESC")
        )
    }

    /// SQL for the number of the bucket a row belongs to.
    pub(super) fn bucket(&self, division: Division) -> String {
        match (division, self.range_column()) {
            (Division::Range(shift), Some(column)) => format!("({}::bigint >> {shift})", ident(&column.name)),
            (Division::Hash, _) => self.hashed_bucket(6),
            _ => "0".to_owned(),
        }
    }

    /// SQL for the upper bits of the hash of a row's key.
    pub(super) fn hashed_bucket(&self, bits: u32) -> String {
        format!("({} >> {})", key_hash(&self.key), 64 - bits)
    }

    /// SQL that answers `[[bucket, rows, sum, sum], ..]` for the rows of these pages (all rows without).
    pub(super) fn scan(&self, division: Division, pages: Option<(u64, Option<u64>)>) -> String {
        let restriction = match (&self.filter, pages) {
            (Some(_), _) => self.restricted("true"),
            (None, None) => String::new(),
            (None, Some((from, None))) => format!("WHERE ctid >= '({from},0)'"),
            (None, Some((from, Some(to)))) => format!("WHERE ctid >= '({from},0)' AND ctid < '({to},0)'"),
        };
        self.grouped(&self.bucket(division), &restriction)
    }

    /// SQL that answers `[[bucket, rows, sum, sum], ..]` under a WHERE clause.
    pub(super) fn grouped(&self, bucket: &str, restriction: &str) -> String {
        // OFFSET 0 keeps the row's hash from being computed once for each use.
        format!(
            "SELECT coalesce(jsonb_agg(jsonb_build_array(k, n, a, b)), '[]') FROM (\
             SELECT k, count(*), {SUMS} FROM (\
             SELECT {bucket} AS k, {} AS h FROM ONLY {} {restriction} OFFSET 0) AS r \
             GROUP BY k) AS s (k, n, a, b);",
            row_hash(&self.columns),
            self.sql_name(),
        )
    }

    /// SQL for the key's values as an array of texts.
    pub(super) fn key_texts(&self) -> String {
        let texts: Vec<String> = self.key.iter().map(text).collect();
        format!("ARRAY[{}]", texts.join(", "))
    }

    /// SQL that answers `[[[key, ..], hash], ..]` under a WHERE clause.
    pub(super) fn keyed(&self, restriction: &str) -> String {
        format!(
            "SELECT coalesce(jsonb_agg(jsonb_build_array(to_jsonb({}), {})), '[]') FROM ONLY {} {restriction};",
            self.key_texts(),
            row_hash(&self.columns),
            self.sql_name(),
        )
    }

    /// The WHERE clause of this condition and the table's own filter.
    pub(super) fn restricted(&self, condition: &str) -> String {
        match &self.filter {
            // The extension's author wrote WHERE before it and may have used OR in it.
            Some(filter) => format!("WHERE ({}) AND ({condition})", filter.get(5..).unwrap_or("true")),
            None => format!("WHERE {condition}"),
        }
    }
}

/// The division for a table whose leading key column runs from `low` to `high`: powers of two, so that the buckets of
/// two tables with different ends can be merged and compared.
pub(super) fn range_division(low: i64, high: i64) -> Division {
    let span = high.abs_diff(low);
    let mut shift = 0;
    while shift < 63 && (span >> shift) >= BUCKETS {
        shift += 1;
    }
    Division::Range(shift)
}

/// A qualified name as people see it. PostgreSQL's own quoting depends on the version's key words; this does not.
pub fn shown<S: AsRef<str>>(parts: &[S]) -> String {
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let parts: Vec<String> = parts
        .iter()
        .map(AsRef::as_ref)
        .map(|part| if plain(part) { part.to_owned() } else { ident(part) })
        .collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_show_quotes_only_where_they_are_needed() {
        assert_eq!(shown(&["public", "datasets_1"]), "public.datasets_1");
        assert_eq!(
            shown(&["My Schema", "a\"b", "외부"]),
            "\"My Schema\".\"a\"\"b\".\"외부\""
        );
    }

    #[test]
    fn ranges_are_powers_of_two() {
        assert_eq!(range_division(1, 10), Division::Range(0));
        assert_eq!(range_division(1, 1_000_000), Division::Range(14));
        assert_eq!(range_division(i64::MIN, i64::MAX), Division::Range(58));
        assert_eq!(range_division(5, 5), Division::Range(0));
    }
}
