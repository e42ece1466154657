//! Looks for the keys behind a difference, while both databases are there.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Checksum;
use super::buckets::{Bucket, differing_numbers};
use super::relation::{Division, Relation, range_division, shown};
use super::session::Session;
use super::watch::Watch;
use crate::command::{CommandError, Runner};
use crate::postgres::Server;
use crate::postgres::quote::ident;

const RELATIONS_SQL: &str = include_str!("../../../sql/manifest_relations.sql");

/// Keys that are fetched at once rather than divided further.
const FEW: u64 = 1000;
/// Buckets of keys by hash that one statement asks for.
const HASH_BATCH: usize = 50;

/// Up to N keys of one table whose rows differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examples {
    /// The key columns, shown.
    pub key: Vec<String>,
    /// The rows found, in no particular order.
    pub rows: Vec<Example>,
}

/// One row that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Values of the key columns as text.
    pub key: Vec<String>,
    /// What is wrong with it.
    pub state: State,
}

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Expected, but not there.
    Missing,
    /// There, but not expected.
    Extra,
    /// There with other contents.
    Changed,
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Missing => "missing",
            State::Extra => "not expected",
            State::Changed => "changed",
        };
        write!(f, "{} {state}", self.key.join(", "))
    }
}

/// Finds up to `limit` keys of `table` (its name in the manifest) that are missing, extra or changed in `actual`.
/// `None` when the table has no rows of its own or no primary key that both sides share. Reads the ranges that differ,
/// not whole tables, where the leading key column is an integer; otherwise scans the table twice.
///
/// # Errors
/// Any [`CommandError`].
pub fn examples(
    runner: &Runner,
    expected: (&Server, &str),
    actual: (&Server, &str),
    table: &str,
    limit: usize,
) -> Result<Option<Examples>, CommandError> {
    Watch::over(runner, expected.0, expected.1, |expected_watch| {
        Watch::over(runner, actual.0, actual.1, |actual_watch| {
            let expected = Side::open(runner, expected, expected_watch, table)?;
            let actual = Side::open(runner, actual, actual_watch, table)?;
            match (expected, actual) {
                (Some(expected), Some(actual)) => Search::of(expected, actual, limit),
                _ => Ok(None),
            }
        })
    })
}

/// A table of the manifest that has rows of its own; `None` when there is none of that name.
pub(super) fn relation(
    runner: &Runner,
    (server, database): (&Server, &str),
    table: &str,
    what: &str,
) -> Result<Option<Relation>, CommandError> {
    let mut session = Session::open(runner, server, database, None, what)?;
    let found = find(&mut session, table, what)?;
    session.close();
    Ok(found)
}

fn find(session: &mut Session, table: &str, what: &str) -> Result<Option<Relation>, CommandError> {
    let relations: Vec<Relation> = session.ask(RELATIONS_SQL, what)?;
    Ok(relations
        .into_iter()
        .find(|relation| relation.shown() == table && relation.is_scanned()))
}

struct Side {
    session: Session,
    relation: Relation,
    what: String,
}

impl Side {
    fn open(
        runner: &Runner,
        (server, database): (&Server, &str),
        watch: &Watch<'_>,
        table: &str,
    ) -> Result<Option<Self>, CommandError> {
        let what = format!(
            "look for differing rows of {table} in database {database} on {}",
            server.label
        );
        let mut session = watch.adopt(Session::open(runner, server, database, None, &what)?);
        let relation = find(&mut session, table, &what)?;
        Ok(relation.map(|relation| Self {
            session,
            relation,
            what,
        }))
    }

    fn key(&self) -> Vec<String> {
        self.relation
            .key
            .iter()
            .map(|column| shown(&[&column.name]))
            .collect()
    }

    /// Smallest and largest leading key; `None` when the table is empty.
    fn ends(&mut self) -> Result<Option<(i64, i64)>, CommandError> {
        let Some(column) = self.relation.range_column() else {
            return Ok(None);
        };
        let sql = format!(
            "SELECT jsonb_build_array(low, high) FROM ({}) AS p;",
            self.relation.range_probe(column)
        );
        let (low, high): (Option<i64>, Option<i64>) = self.session.ask(&sql, &self.what)?;
        Ok(low.zip(high))
    }

    fn buckets(&mut self, bucket: &str, condition: &str) -> Result<BTreeMap<i64, Bucket>, CommandError> {
        let sql = self
            .relation
            .grouped(bucket, &self.relation.restricted(condition));
        let rows: Vec<(i64, u64, String, String)> = self.session.ask(&sql, &self.what)?;
        rows.into_iter()
            .map(|(number, rows, first, second)| {
                let checksum =
                    Checksum::from_sums(&first, &second).ok_or_else(|| CommandError::Unreadable {
                        what: self.what.clone(),
                        why: "the answer holds a sum that is not a number".to_owned(),
                    })?;
                Ok((number, Bucket { rows, checksum }))
            })
            .collect()
    }

    fn rows(&mut self, condition: &str) -> Result<BTreeMap<Vec<String>, i64>, CommandError> {
        let sql = self.relation.keyed(&self.relation.restricted(condition));
        let rows: Vec<(Vec<String>, i64)> = self.session.ask(&sql, &self.what)?;
        Ok(rows.into_iter().collect())
    }
}

struct Search {
    expected: Side,
    actual: Side,
    limit: usize,
    rows: Vec<Example>,
}

impl Search {
    fn of(expected: Side, actual: Side, limit: usize) -> Result<Option<Examples>, CommandError> {
        let key = expected.key();
        if key.is_empty() || key != actual.key() {
            return Ok(None);
        }
        let ranged = |side: &Side| side.relation.range_column().is_some();
        let by_range = ranged(&expected) && ranged(&actual);
        let mut search = Self {
            expected,
            actual,
            limit,
            rows: Vec::new(),
        };
        if by_range {
            search.by_range()?;
        } else {
            search.by_hash("true")?;
        }
        search.expected.session.close();
        search.actual.session.close();
        search.rows.truncate(limit);
        Ok(Some(Examples {
            key,
            rows: search.rows,
        }))
    }

    /// Asks both sides at the same time.
    fn both<T: Send>(
        &mut self,
        ask: impl Fn(&mut Side) -> Result<T, CommandError> + Sync,
    ) -> Result<(T, T), CommandError> {
        let (expected, actual) = (&mut self.expected, &mut self.actual);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| ask(expected));
            let actual = ask(actual);
            let expected = other
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok((expected?, actual?))
        })
    }

    /// Divides the range of the leading key column until few rows are left.
    fn by_range(&mut self) -> Result<(), CommandError> {
        let ends = match (self.expected.ends()?, self.actual.ends()?) {
            (Some((a, b)), Some((c, d))) => (a.min(c), b.max(d)),
            (Some(ends), None) | (None, Some(ends)) => ends,
            (None, None) => return Ok(()),
        };
        let lead = ident(&self.expected.relation.key[0].name);
        // The last one is looked at first, so the smallest keys come first.
        let mut open = vec![ends];
        while let Some((low, high)) = open.pop() {
            if self.rows.len() >= self.limit {
                break;
            }
            let condition = format!("{lead} BETWEEN {low} AND {high}");
            let division = range_division(low, high);
            let Division::Range(shift) = division else {
                continue;
            };
            let bucket = self.expected.relation.bucket(division);
            let (expected, actual) = self.both(|side| side.buckets(&bucket, &condition))?;
            for number in differing_numbers(&expected, &actual).into_iter().rev() {
                let rows = |side: &BTreeMap<i64, Bucket>| side.get(&number).map_or(0, |part| part.rows);
                let from = (number << shift).max(low);
                let to = (number << shift).saturating_add((1 << shift) - 1).min(high);
                if shift > 0 && rows(&expected).max(rows(&actual)) > FEW {
                    open.push((from, to));
                    continue;
                }
                let condition = format!("{lead} BETWEEN {from} AND {to}");
                if rows(&expected).max(rows(&actual)) > FEW {
                    self.by_hash(&condition)?;
                } else {
                    self.fetch(&condition)?;
                }
            }
        }
        Ok(())
    }

    /// Divides the rows by the hash of their key, finely enough that a part holds few rows.
    fn by_hash(&mut self, condition: &str) -> Result<(), CommandError> {
        let bucket = self.expected.relation.bucket(Division::Hash);
        let coarse = self.expected.buckets(&bucket, condition)?;
        let rows: u64 = coarse.values().map(|part| part.rows).sum();
        let bits = u64::BITS - (rows / (FEW / 2)).leading_zeros();
        let bucket = self.expected.relation.hashed_bucket(bits.clamp(1, 30));
        let (expected, actual) = self.both(|side| side.buckets(&bucket, condition))?;
        for numbers in differing_numbers(&expected, &actual).chunks(HASH_BATCH) {
            if self.rows.len() >= self.limit {
                break;
            }
            let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            self.fetch(&format!("{condition} AND {bucket} IN ({})", numbers.join(", ")))?;
        }
        Ok(())
    }

    /// Compares row by row what meets the condition.
    fn fetch(&mut self, condition: &str) -> Result<(), CommandError> {
        let (expected, mut actual) = self.both(|side| side.rows(condition))?;
        for (key, hash) in expected {
            let state = match actual.remove(&key) {
                None => State::Missing,
                Some(other) if other != hash => State::Changed,
                Some(_) => continue,
            };
            self.rows.push(Example { key, state });
        }
        self.rows.extend(actual.into_keys().map(|key| Example {
            key,
            state: State::Extra,
        }));
        Ok(())
    }
}
