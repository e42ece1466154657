//! The answers of a manifest's questions, and the manifest that they make.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::buckets::{Bucket, Buckets};
use super::plan::Plan;
use super::relation::{Division, Relation, shown};
use super::schema::{self, Row};
use super::{
    Checksum, DatabaseManifest, FORMAT, LargeObjects, SchemaFacts, SequenceFacts, TableFacts, TableKind,
    UnknownOptions,
};
use crate::command::CommandError;

/// What the jobs answered.
#[derive(Default)]
pub(super) struct Answers {
    database: Option<DatabaseAnswer>,
    schema: SchemaFacts,
    unknown_options: UnknownOptions,
    sequences: BTreeMap<String, SequenceFacts>,
    large_objects: LargeObjects,
    scans: HashMap<usize, BTreeMap<i64, Bucket>>,
}

#[derive(Deserialize)]
pub(super) struct DatabaseAnswer {
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
    role_settings: BTreeMap<String, BTreeMap<String, String>>,
    extension_versions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub(super) struct LargeObjectsAnswer {
    count: u64,
    first: String,
    second: String,
}

/// `[bucket, rows, sum, sum]`
#[derive(Deserialize)]
pub(super) struct ScanRow(i64, u64, String, String);

/// One answer.
pub(super) enum Answer {
    Database(Box<DatabaseAnswer>),
    Schema(Vec<Row>),
    Sequences(Vec<(String, String, i64, bool)>),
    LargeObjects(LargeObjectsAnswer),
    Scan(usize, Vec<ScanRow>),
}

impl Answers {
    /// Puts an answer where it belongs.
    ///
    /// # Errors
    /// When it makes no sense.
    pub(super) fn take(&mut self, relations: &[Relation], answer: Answer) -> Result<(), CommandError> {
        let sums = |first: &str, second: &str, what: &dyn Fn() -> String| {
            Checksum::from_sums(first, second).ok_or_else(|| CommandError::Unreadable {
                what: what(),
                why: "the answer holds a sum that is not a number".to_owned(),
            })
        };
        match answer {
            Answer::Database(database) => self.database = Some(*database),
            Answer::Schema(rows) => schema::fold(&mut self.schema, &mut self.unknown_options, rows),
            Answer::Sequences(rows) => {
                for (schema, name, last_value, is_called) in rows {
                    let facts = SequenceFacts {
                        last_value,
                        is_called,
                    };
                    self.sequences.insert(shown(&[schema, name]), facts);
                }
            }
            Answer::LargeObjects(answer) => {
                self.large_objects = LargeObjects {
                    count: answer.count,
                    checksum: sums(&answer.first, &answer.second, &|| "read large objects".to_owned())?,
                };
            }
            Answer::Scan(index, rows) => {
                let parts = self.scans.entry(index).or_default();
                for ScanRow(number, rows, first, second) in rows {
                    let checksum = sums(&first, &second, &|| {
                        format!("read table {}", relations[index].shown())
                    })?;
                    let part = parts.entry(number).or_default();
                    *part = part.plus(Bucket { rows, checksum });
                }
            }
        }
        Ok(())
    }

    /// Rows counted so far in the relation of this index.
    pub(super) fn rows(&self, index: usize) -> u64 {
        let parts = self.scans.get(&index);
        parts.map_or(0, |parts| parts.values().map(|part| part.rows).sum())
    }

    /// The manifest, once everything is answered.
    ///
    /// # Errors
    /// When the database said nothing about itself.
    pub(super) fn assemble(mut self, plan: &Plan, what: &str) -> Result<DatabaseManifest, CommandError> {
        let database = self.database.take().ok_or_else(|| CommandError::Unreadable {
            what: what.to_owned(),
            why: "the server did not say anything about the database".to_owned(),
        })?;
        let mut tables: Vec<TableFacts> = plan
            .relations
            .iter()
            .enumerate()
            .map(|(index, relation)| {
                let parts = self.scans.remove(&index).unwrap_or_default();
                table_facts(relation, plan.divisions[index], parts)
            })
            .collect();
        add_to_parents(&plan.relations, &mut tables);
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
            role_settings: database.role_settings,
            extension_versions: database.extension_versions,
            tables: plan.relations.iter().map(Relation::shown).zip(tables).collect(),
            sequences: self.sequences,
            large_objects: self.large_objects,
            schema: self.schema,
            unknown_options: self.unknown_options,
        })
    }
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
