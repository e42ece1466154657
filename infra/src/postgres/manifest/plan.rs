//! What to ask a database for its manifest, and in which order.

use std::collections::HashMap;

use serde::Deserialize;

use super::answers::Answer;
use super::relation::{Division, Relation, range_division};
use super::schema;
use super::session::Session;
use crate::command::CommandError;
use crate::postgres::quote::ident;

const DATABASE_SQL: &str = include_str!("../../../sql/manifest_database.sql");
const RELATIONS_SQL: &str = include_str!("../../../sql/manifest_relations.sql");
const SEQUENCES_SQL: &str = include_str!("../../../sql/manifest_sequences.sql");
const LARGE_OBJECT_ACCESS_SQL: &str = include_str!("../../../sql/manifest_large_object_access.sql");
const LARGE_OBJECTS_SQL: &str = include_str!("../../../sql/manifest_large_objects.sql");
const LARGE_OBJECTS_BY_HANDLE_SQL: &str = include_str!("../../../sql/manifest_large_objects_by_handle.sql");

/// Smallest part of a table worth a scan of its own, in pages (64 MB).
const SMALLEST_PART: u64 = 8192;
/// Names asked for in one statement.
const BATCH: usize = 200;

/// Everything to ask, the longest first.
pub(super) struct Plan {
    pub(super) relations: Vec<Relation>,
    pub(super) divisions: Vec<Division>,
    pub(super) jobs: Vec<Job>,
}

/// One question.
pub(super) struct Job {
    pub(super) kind: JobKind,
    sql: String,
    what: String,
    /// Pages to read, for the order.
    pages: u64,
}

#[derive(Clone, Copy)]
pub(super) enum JobKind {
    Database,
    Schema,
    Sequences,
    LargeObjects,
    /// A table or a part of one: index into the relations.
    Scan(usize),
}

#[derive(Deserialize)]
struct LargeObjectAccess {
    pages: bool,
    any: bool,
}

impl Plan {
    /// Lists what there is and makes the questions.
    pub(super) fn make(session: &mut Session, what: &str, workers: usize) -> Result<Self, CommandError> {
        let relations: Vec<Relation> = session.ask(RELATIONS_SQL, &format!("{what}: list its tables"))?;
        let divisions = divisions(session, &relations, what)?;
        let mut jobs = schema_jobs(what);
        let sequences: Vec<(String, String)> =
            session.ask(SEQUENCES_SQL, &format!("{what}: list its sequences"))?;
        for names in sequences.chunks(BATCH) {
            jobs.push(Job::new(
                JobKind::Sequences,
                &sequence_values(names),
                what,
                "read its sequences",
            ));
        }
        let access: LargeObjectAccess = session.ask(
            LARGE_OBJECT_ACCESS_SQL,
            &format!("{what}: look for large objects"),
        )?;
        if access.any {
            let sql = if access.pages {
                LARGE_OBJECTS_SQL
            } else {
                LARGE_OBJECTS_BY_HANDLE_SQL
            };
            jobs.push(Job::new(
                JobKind::LargeObjects,
                sql,
                what,
                "read its large objects",
            ));
        }
        let all_pages: u64 = relations.iter().map(|relation| relation.pages).sum();
        let part = (all_pages / (workers as u64 * 4)).max(SMALLEST_PART);
        for (index, relation) in relations.iter().enumerate().filter(|(_, r)| r.is_scanned()) {
            let splits =
                workers > 1 && relation.heap && relation.filter.is_none() && relation.pages > 2 * part;
            let parts = if splits { relation.pages.div_ceil(part) } else { 1 };
            for number in 0..parts {
                let pages = splits.then(|| {
                    // The last part has no end: the table may have grown since its size was asked.
                    let end = (number + 1 < parts).then_some((number + 1) * part);
                    (number * part, end)
                });
                jobs.push(Job {
                    kind: JobKind::Scan(index),
                    sql: relation.scan(divisions[index], pages),
                    what: format!("{what}: read table {}", relation.shown()),
                    pages: relation.pages / parts,
                });
            }
        }
        jobs.sort_by_key(|job| std::cmp::Reverse(job.pages));
        Ok(Self {
            relations,
            divisions,
            jobs,
        })
    }
}

/// The questions about the database as a whole and its schema.
fn schema_jobs(what: &str) -> Vec<Job> {
    let mut jobs = vec![Job::new(
        JobKind::Database,
        DATABASE_SQL,
        what,
        "ask for its settings",
    )];
    for (name, sql) in schema::QUERIES.iter().chain([&schema::OWNERS]) {
        jobs.push(Job::new(JobKind::Schema, sql, what, &format!("list its {name}")));
    }
    jobs
}

impl Job {
    fn new(kind: JobKind, sql: &str, what: &str, part: &str) -> Self {
        Self {
            kind,
            sql: sql.to_owned(),
            what: format!("{what}: {part}"),
            pages: 0,
        }
    }

    pub(super) fn ask(&self, session: &mut Session) -> Result<Answer, CommandError> {
        Ok(match self.kind {
            JobKind::Database => Answer::Database(session.ask(&self.sql, &self.what)?),
            JobKind::Schema => Answer::Schema(session.ask(&self.sql, &self.what)?),
            JobKind::Sequences => Answer::Sequences(session.ask(&self.sql, &self.what)?),
            JobKind::LargeObjects => Answer::LargeObjects(session.ask(&self.sql, &self.what)?),
            JobKind::Scan(index) => Answer::Scan(index, session.ask(&self.sql, &self.what)?),
        })
    }
}

/// How each relation is divided: by ranges where the leading key column is an integer (two index look-ups say between
/// which ends), by hash where the key is something else.
fn divisions(
    session: &mut Session,
    relations: &[Relation],
    what: &str,
) -> Result<Vec<Division>, CommandError> {
    let mut ends: HashMap<u64, (Option<i64>, Option<i64>)> = HashMap::new();
    let probes: Vec<String> = relations
        .iter()
        .filter(|relation| relation.is_scanned())
        .filter_map(|relation| Some(relation.range_probe(relation.range_column()?)))
        .collect();
    for batch in probes.chunks(BATCH) {
        let sql = format!(
            "SELECT jsonb_agg(jsonb_build_array(oid, low, high)) FROM ({}) AS p;",
            batch.join(" UNION ALL ")
        );
        let rows: Vec<(u64, Option<i64>, Option<i64>)> =
            session.ask(&sql, &format!("{what}: look at the ends of primary keys"))?;
        ends.extend(rows.into_iter().map(|(oid, low, high)| (oid, (low, high))));
    }
    Ok(relations
        .iter()
        .map(|relation| match ends.get(&relation.oid) {
            Some((Some(low), Some(high))) => range_division(*low, *high),
            Some(_) => Division::Range(0),
            None if relation.key.is_empty() => Division::Whole,
            None => Division::Hash,
        })
        .collect())
}

/// SQL that answers `[[schema, name, last_value, is_called], ..]`.
fn sequence_values(names: &[(String, String)]) -> String {
    let selects: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(number, (schema, name))| {
            format!(
                "SELECT {number} AS number, last_value, is_called FROM {}.{}",
                ident(schema),
                ident(name)
            )
        })
        .collect();
    let values: Vec<String> = names
        .iter()
        .map(|(schema, name)| format!("({}, {})", literal(schema), literal(name)))
        .collect();
    format!(
        "WITH name (schema, name, number) AS (\
         SELECT column1, column2, row_number() OVER () - 1 FROM (VALUES {}) AS v) \
         SELECT jsonb_agg(jsonb_build_array(schema, name, last_value, is_called)) \
         FROM name JOIN ({}) AS value USING (number);",
        values.join(", "),
        selects.join(" UNION ALL ")
    )
}

/// A string for SQL under `standard_conforming_strings`, which the session pins.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
