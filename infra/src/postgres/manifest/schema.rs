//! The schema: one query per family of object classes, folded into class -> object -> aspect.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::options::keep_known;
use super::relation::shown;
use super::{ObjectFacts, SchemaFacts, UnknownOptions};

/// What is asked for, and the query.
pub(super) const QUERIES: [(&str, &str); 9] = [
    ("relations", include_str!("../../../sql/schema_relations.sql")),
    ("columns", include_str!("../../../sql/schema_columns.sql")),
    ("types", include_str!("../../../sql/schema_types.sql")),
    ("constraints", include_str!("../../../sql/schema_constraints.sql")),
    ("indexes", include_str!("../../../sql/schema_indexes.sql")),
    ("functions", include_str!("../../../sql/schema_functions.sql")),
    (
        "triggers and policies",
        include_str!("../../../sql/schema_triggers.sql"),
    ),
    ("other objects", include_str!("../../../sql/schema_others.sql")),
    ("comments", include_str!("../../../sql/schema_comments.sql")),
];

/// Owners and privileges, asked like the rest.
pub(super) const OWNERS: (&str, &str) = (
    "owners and privileges",
    include_str!("../../../sql/schema_owners.sql"),
);

/// One object, as the queries answer.
#[derive(Debug, Deserialize)]
pub(super) struct Row {
    class: String,
    #[serde(default)]
    prefix: String,
    id: Vec<String>,
    #[serde(default)]
    suffix: String,
    facts: BTreeMap<String, Value>,
}

/// Adds rows to the schema; options that are not compared are only counted.
pub(super) fn fold(schema: &mut SchemaFacts, unknown: &mut UnknownOptions, rows: Vec<Row>) {
    for row in rows {
        let mut object = shown(&row.id) + &row.suffix;
        if !row.prefix.is_empty() {
            object = format!("{} {object}", row.prefix).trim_end().to_owned();
        }
        let mut facts: ObjectFacts = row
            .facts
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(aspect, value)| (aspect, text(value)))
            .collect();
        keep_known(&row.class, &mut facts, unknown);
        schema
            .entry(row.class)
            .or_default()
            .entry(object)
            .or_default()
            .extend(facts);
    }
}

/// A value as text: strings as they are, the rest as JSON.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
