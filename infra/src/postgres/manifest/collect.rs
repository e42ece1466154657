//! Asks a database for its manifest, several sessions side by side under one snapshot.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use serde::Deserialize;

use super::buckets::{Bucket, Buckets};
use super::relation::{Division, Relation, range_division, shown};
use super::schema::{self, Row};
use super::session::Session;
use super::watch::Watch;
use super::{
    Checksum, DatabaseManifest, FORMAT, LargeObjects, SchemaFacts, SequenceFacts, TableFacts, TableKind,
};
use crate::command::{CommandError, Runner};
use crate::postgres::Server;
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

/// One more table is done.
#[derive(Clone, Copy, Debug)]
pub struct TableProgress<'a> {
    /// The table, as people see its name.
    pub table: &'a str,
    /// Its rows.
    pub rows: u64,
    /// Tables done, this one included, and all tables to scan.
    pub tables: (usize, usize),
    /// Bytes done and all bytes to scan.
    pub bytes: (u64, u64),
}

/// Takes the manifest of a database. `snapshot` is an exported snapshot that is still alive; without one all sessions
/// share a snapshot of our own. `workers` is the number of sessions (at least one). `on_table` hears of every table.
///
/// Nothing is skipped: a table that the role may not read, or would see filtered by a policy, is an error.
///
/// # Errors
/// Any [`CommandError`]; an interrupt ends the sessions on the server too.
pub fn collect(
    runner: &Runner,
    server: &Server,
    database: &str,
    snapshot: Option<&str>,
    workers: usize,
    on_table: &(dyn Fn(&TableProgress<'_>) + Sync),
) -> Result<DatabaseManifest, CommandError> {
    let what = format!("take the manifest of database {database} on {}", server.label);
    let open = |snapshot: Option<&str>| Session::open(runner, server, database, snapshot, &what);
    Watch::over(runner, server, database, |watch| {
        let mut first = watch.adopt(open(snapshot)?);
        let plan = Plan::make(&mut first, &what, workers.max(1))?;
        let extra = workers.clamp(1, plan.jobs.len().max(1)) - 1;
        let own_snapshot = match snapshot {
            None if extra > 0 => Some(first.export()?),
            _ => None,
        };
        let snapshot = snapshot.or(own_snapshot.as_deref());
        let mut sessions = vec![first];
        for _ in 0..extra {
            sessions.push(watch.adopt(open(snapshot)?));
        }
        let answers = plan.run(watch, sessions, on_table)?;
        plan.assemble(answers, &what)
    })
}

/// Everything to ask, the longest first.
struct Plan {
    relations: Vec<Relation>,
    divisions: Vec<Division>,
    jobs: Vec<Job>,
}

struct Job {
    kind: JobKind,
    sql: String,
    what: String,
    /// Pages to read, for the order.
    pages: u64,
}

#[derive(Clone, Copy)]
enum JobKind {
    Database,
    Schema,
    Sequences,
    LargeObjects,
    /// A table or a part of one: index into the relations.
    Scan(usize),
}

/// What the jobs answered.
#[derive(Default)]
struct Answers {
    database: Option<DatabaseAnswer>,
    schema: SchemaFacts,
    sequences: BTreeMap<String, SequenceFacts>,
    large_objects: LargeObjects,
    scans: HashMap<usize, BTreeMap<i64, Bucket>>,
}

#[derive(Deserialize)]
struct DatabaseAnswer {
    name: String,
    server_version_num: u32,
    encoding: String,
    collate: String,
    ctype: String,
    locale_provider: String,
    locale: Option<String>,
    comment: Option<String>,
    bytes: u64,
    settings: BTreeMap<String, BTreeMap<String, String>>,
    extension_versions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct LargeObjectAccess {
    pages: bool,
    any: bool,
}

#[derive(Deserialize)]
struct LargeObjectsAnswer {
    count: u64,
    first: String,
    second: String,
}

/// `[bucket, rows, sum, sum]`
#[derive(Deserialize)]
struct ScanRow(i64, u64, String, String);

enum Answer {
    Database(Box<DatabaseAnswer>),
    Schema(Vec<Row>),
    Sequences(Vec<(String, String, i64, bool)>),
    LargeObjects(LargeObjectsAnswer),
    Scan(usize, Vec<ScanRow>),
}

impl Plan {
    fn make(session: &mut Session, what: &str, workers: usize) -> Result<Self, CommandError> {
        let relations: Vec<Relation> = session.ask(RELATIONS_SQL, &format!("{what}: list its tables"))?;
        let divisions = divisions(session, &relations, what)?;
        let job = |kind, sql: &str, part: &str| Job {
            kind,
            sql: sql.to_owned(),
            what: format!("{what}: {part}"),
            pages: 0,
        };
        let mut jobs = vec![job(JobKind::Database, DATABASE_SQL, "ask for its settings")];
        for (name, sql) in schema::QUERIES.iter().chain([&schema::OWNERS]) {
            jobs.push(job(JobKind::Schema, sql, &format!("list its {name}")));
        }
        let sequences: Vec<(String, String)> =
            session.ask(SEQUENCES_SQL, &format!("{what}: list its sequences"))?;
        for names in sequences.chunks(BATCH) {
            jobs.push(job(
                JobKind::Sequences,
                &sequence_values(names),
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
            jobs.push(job(JobKind::LargeObjects, sql, "read its large objects"));
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

    /// Runs all jobs on these sessions. The first failure ends them all.
    fn run(
        &self,
        watch: &Watch<'_>,
        sessions: Vec<Session>,
        on_table: &(dyn Fn(&TableProgress<'_>) + Sync),
    ) -> Result<Answers, CommandError> {
        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::channel();
        let mut progress = Progress::of(self);
        let mut answers = Answers::default();
        let mut failure = None;
        std::thread::scope(|scope| {
            for mut session in sessions {
                let (next, sender) = (&next, sender.clone());
                scope.spawn(move || {
                    while let Some(job) = self.jobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                        let answer = job.ask(&mut session);
                        let failed = answer.is_err();
                        if sender.send(answer).is_err() || failed {
                            return;
                        }
                    }
                    session.close();
                });
            }
            drop(sender);
            for answer in receiver {
                let taken = answer.and_then(|answer| progress.take(self, &mut answers, answer, on_table));
                if let Err(error) = taken {
                    next.store(self.jobs.len(), Ordering::SeqCst);
                    watch.give_up();
                    // What the others say once they are ended is of no interest.
                    failure.get_or_insert(error);
                }
            }
        });
        failure.map_or(Ok(answers), Err)
    }

    fn assemble(&self, mut answers: Answers, what: &str) -> Result<DatabaseManifest, CommandError> {
        let database = answers.database.take().ok_or_else(|| CommandError::Unreadable {
            what: what.to_owned(),
            why: "the server did not say anything about the database".to_owned(),
        })?;
        let mut tables: Vec<TableFacts> = self
            .relations
            .iter()
            .enumerate()
            .map(|(index, relation)| {
                table_facts(
                    relation,
                    self.divisions[index],
                    answers.scans.remove(&index).unwrap_or_default(),
                )
            })
            .collect();
        add_to_parents(&self.relations, &mut tables);
        Ok(DatabaseManifest {
            format: FORMAT,
            database: database.name,
            server_version_num: database.server_version_num,
            encoding: database.encoding,
            collate: database.collate,
            ctype: database.ctype,
            locale_provider: database.locale_provider,
            locale: database.locale,
            comment: database.comment,
            bytes: database.bytes,
            settings: database.settings,
            extension_versions: database.extension_versions,
            tables: self.relations.iter().map(Relation::shown).zip(tables).collect(),
            sequences: answers.sequences,
            large_objects: answers.large_objects,
            schema: answers.schema,
        })
    }
}

impl Job {
    fn ask(&self, session: &mut Session) -> Result<Answer, CommandError> {
        Ok(match self.kind {
            JobKind::Database => Answer::Database(session.ask(&self.sql, &self.what)?),
            JobKind::Schema => Answer::Schema(session.ask(&self.sql, &self.what)?),
            JobKind::Sequences => Answer::Sequences(session.ask(&self.sql, &self.what)?),
            JobKind::LargeObjects => Answer::LargeObjects(session.ask(&self.sql, &self.what)?),
            JobKind::Scan(index) => Answer::Scan(index, session.ask(&self.sql, &self.what)?),
        })
    }
}

/// Counts parts of tables until each is whole.
struct Progress {
    parts_left: HashMap<usize, usize>,
    tables: (usize, usize),
    bytes: (u64, u64),
}

impl Progress {
    fn of(plan: &Plan) -> Self {
        let mut parts_left: HashMap<usize, usize> = HashMap::new();
        for job in &plan.jobs {
            if let JobKind::Scan(index) = job.kind {
                *parts_left.entry(index).or_default() += 1;
            }
        }
        let bytes = parts_left.keys().map(|index| plan.relations[*index].bytes).sum();
        Self {
            tables: (0, parts_left.len()),
            bytes: (0, bytes),
            parts_left,
        }
    }

    /// Puts an answer where it belongs; an answer that makes no sense comes back as an error.
    fn take(
        &mut self,
        plan: &Plan,
        answers: &mut Answers,
        answer: Answer,
        on_table: &(dyn Fn(&TableProgress<'_>) + Sync),
    ) -> Result<(), CommandError> {
        let no_number = |what: String| CommandError::Unreadable {
            what,
            why: "the answer holds a sum that is not a number".to_owned(),
        };
        match answer {
            Answer::Database(database) => answers.database = Some(*database),
            Answer::Schema(rows) => schema::fold(&mut answers.schema, rows),
            Answer::Sequences(rows) => {
                answers
                    .sequences
                    .extend(rows.into_iter().map(|(schema, name, last_value, is_called)| {
                        (
                            shown(&[schema, name]),
                            SequenceFacts {
                                last_value,
                                is_called,
                            },
                        )
                    }))
            }
            Answer::LargeObjects(answer) => {
                let Some(checksum) = Checksum::from_sums(&answer.first, &answer.second) else {
                    return Err(no_number("read large objects".to_owned()));
                };
                answers.large_objects = LargeObjects {
                    count: answer.count,
                    checksum,
                };
            }
            Answer::Scan(index, rows) => {
                let scan = answers.scans.entry(index).or_default();
                for ScanRow(number, rows, first, second) in rows {
                    let Some(checksum) = Checksum::from_sums(&first, &second) else {
                        return Err(no_number(format!("read table {}", plan.relations[index].shown())));
                    };
                    let part = scan.entry(number).or_default();
                    *part = part.plus(Bucket { rows, checksum });
                }
                let left = self.parts_left.entry(index).or_insert(1);
                *left -= 1;
                if *left == 0 {
                    self.tables.0 += 1;
                    self.bytes.0 += plan.relations[index].bytes;
                    on_table(&TableProgress {
                        table: &plan.relations[index].shown(),
                        rows: scan.values().map(|part| part.rows).sum(),
                        tables: self.tables,
                        bytes: self.bytes,
                    });
                }
            }
        }
        Ok(())
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

fn table_facts(relation: &Relation, division: Division, parts: BTreeMap<i64, Bucket>) -> TableFacts {
    let all = parts
        .values()
        .fold(Bucket::default(), |all, part| all.plus(*part));
    let not_counted = match relation.kind {
        TableKind::Foreign => Some("its rows live on another server".to_owned()),
        _ if !relation.populated => Some("it was never refreshed".to_owned()),
        _ => None,
    };
    let shift = match division {
        Division::Range(shift) => Some(Some(shift)),
        Division::Hash => Some(None),
        Division::Whole => None,
    };
    let buckets = shift.filter(|_| relation.is_scanned()).map(|shift| Buckets {
        key: relation.key.iter().map(|column| shown(&[&column.name])).collect(),
        shift,
        parts,
    });
    TableFacts {
        kind: relation.kind,
        rows: all.rows,
        checksum: all.checksum,
        bytes: relation.bytes,
        parent: None,
        not_counted,
        buckets,
    }
}

/// Adds the leaves of partition trees to all their parents. A leaf's row hashes like the parent's: columns go in by name.
fn add_to_parents(relations: &[Relation], tables: &mut [TableFacts]) {
    let index: HashMap<u64, usize> = relations
        .iter()
        .enumerate()
        .map(|(index, relation)| (relation.oid, index))
        .collect();
    for (leaf, relation) in relations.iter().enumerate() {
        let parent = relation.parent.and_then(|oid| index.get(&oid));
        tables[leaf].parent = parent.map(|place| relations[*place].shown());
        if relation.kind == TableKind::Partitioned {
            continue;
        }
        let facts = tables[leaf].clone();
        let mut parent = relation.parent;
        while let Some(place) = parent.and_then(|oid| index.get(&oid).copied()) {
            let table = &mut tables[place];
            table.rows += facts.rows;
            table.checksum = table.checksum.plus(facts.checksum);
            table.bytes += facts.bytes;
            if facts.not_counted.is_some() {
                table.not_counted = Some(format!("partition {} is not counted", relation.shown()));
            }
            parent = relations[place].parent;
        }
    }
}
