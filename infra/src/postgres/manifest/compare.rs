//! What is different between what must be true and what is. Pure.

mod schema;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::buckets::differing;
use super::{DatabaseManifest, KeyRange, TableFacts, TableKind, TableKind::Matview};

/// How many key ranges a sentence names.
const RANGES_IN_A_SENTENCE: usize = 3;

/// What counts as a difference beside data and schema, which always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareOptions {
    /// Owners of objects: not when a restore gives everything to one role.
    pub owners: bool,
    /// Privileges: not when a restore leaves them out.
    pub privileges: bool,
    /// Versions of extensions: not when the new server brings newer ones.
    pub extension_versions: bool,
    /// Settings made for the database.
    pub settings: bool,
    /// Locale of the database: not between Debian and alpine images, for example.
    pub locale: bool,
    /// Comment on the database itself: pg_restore into a database that exists leaves it out.
    pub database_comment: bool,
    /// Owner and privileges of the database itself: pg_restore into a database that exists leaves them out.
    pub database_access: bool,
    /// Contents of materialized views: a restore computes them anew, so they may rightly be newer.
    pub matview_contents: bool,
    /// Objects that only the second has: not after Alembic upgraded it.
    pub extra_objects: bool,
}

impl Default for CompareOptions {
    /// Everything that a faithful copy on another server keeps, except what nothing carries over unasked.
    fn default() -> Self {
        Self {
            owners: true,
            privileges: true,
            extension_versions: false,
            settings: true,
            locale: true,
            database_comment: true,
            database_access: false,
            matview_contents: false,
            extra_objects: true,
        }
    }
}

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// `rows`, `contents`, `sequences`, `large objects`, `database`, `settings`, `extension versions`, or a class of the
    /// schema.
    pub class: String,
    /// The object's name as people see it.
    pub object: String,
    /// What must be; `None`: it must not be there.
    pub expected: Option<String>,
    /// What is; `None`: it is missing.
    pub actual: Option<String>,
    /// Where in the table, as far as the buckets say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyRange>,
    /// All of it for a person.
    pub sentence: String,
}

/// The sentence.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// Everything in which `actual` is not what `expected` says, data first.
pub fn compare(
    expected: &DatabaseManifest,
    actual: &DatabaseManifest,
    options: &CompareOptions,
) -> Vec<Difference> {
    if expected.format != actual.format {
        let (e, a) = (expected.format, actual.format);
        return vec![plain(
            "format",
            "manifest",
            Some(e.to_string()),
            Some(a.to_string()),
            format!(
                "the manifests have different forms ({e} and {a}) and cannot be compared; take both with the same version of this tool"
            ),
        )];
    }
    let mut found = Vec::new();
    tables(expected, actual, options, &mut found);
    sequences(expected, actual, options, &mut found);
    large_objects(expected, actual, &mut found);
    database(expected, actual, options, &mut found);
    schema::schema(expected, actual, options, &mut found);
    found
}

fn plain(
    class: &str,
    object: &str,
    expected: Option<String>,
    actual: Option<String>,
    sentence: String,
) -> Difference {
    Difference {
        class: class.to_owned(),
        object: object.to_owned(),
        expected,
        actual,
        keys: Vec::new(),
        sentence,
    }
}

/// Pairs of values under the same key; a missing one is `None`.
fn pairs<'a, T>(
    expected: &'a BTreeMap<String, T>,
    actual: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = (&'a String, Option<&'a T>, Option<&'a T>)> {
    let mut names: Vec<&String> = expected.keys().chain(actual.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| (name, expected.get(name), actual.get(name)))
}

fn tables(
    expected: &DatabaseManifest,
    actual: &DatabaseManifest,
    options: &CompareOptions,
    found: &mut Vec<Difference>,
) {
    for (name, e, a) in pairs(&expected.tables, &actual.tables) {
        let rows = |side: Option<&TableFacts>| side.map(|table| format!("{} rows", table.rows));
        let difference = |class: &str, sentence| plain(class, name, rows(e), rows(a), sentence);
        // Another version of an extension may have other tables.
        let empty = |table: &TableFacts| table.kind == TableKind::ExtensionMember && table.rows == 0;
        match (e, a) {
            (Some(one), None) | (None, Some(one)) if empty(one) => {}
            (Some(e), None) => found.push(difference(
                "rows",
                format!("{} {name} with {} rows is missing", noun(e.kind), e.rows),
            )),
            (None, Some(a)) if options.extra_objects => found.push(difference(
                "rows",
                format!(
                    "{} {name} with {} rows is not expected to be there",
                    noun(a.kind),
                    a.rows
                ),
            )),
            (Some(e), Some(a)) => {
                if e.kind == Matview && !options.matview_contents {
                    continue;
                }
                // A partition that differs says it better than its parents.
                if e.kind == TableKind::Partitioned && part_differs(name, expected, actual) {
                    continue;
                }
                found.extend(contents(name, e, a, expected, actual));
            }
            _ => {}
        }
    }
}

/// Whether a direct partition of this table differs.
fn part_differs(table: &str, expected: &DatabaseManifest, actual: &DatabaseManifest) -> bool {
    pairs(&expected.tables, &actual.tables)
        .filter(|(_, e, a)| {
            [e, a]
                .iter()
                .any(|side| side.is_some_and(|part| part.parent.as_deref() == Some(table)))
        })
        .any(|(_, e, a)| e.map(|part| (part.rows, part.checksum)) != a.map(|part| (part.rows, part.checksum)))
}

/// Rows and contents of a table that both have.
fn contents(
    name: &str,
    e: &TableFacts,
    a: &TableFacts,
    expected: &DatabaseManifest,
    actual: &DatabaseManifest,
) -> Option<Difference> {
    if e.not_counted.is_some() != a.not_counted.is_some() {
        let say = |side: &TableFacts| {
            side.not_counted
                .clone()
                .unwrap_or_else(|| format!("{} rows", side.rows))
        };
        return Some(plain(
            "rows",
            name,
            Some(say(e)),
            Some(say(a)),
            format!(
                "{} {name} is counted on one side only: expected {}, found {}",
                noun(e.kind),
                say(e),
                say(a)
            ),
        ));
    }
    if (e.rows, e.checksum) == (a.rows, a.checksum) {
        return None;
    }
    let keys = match (&e.buckets, &a.buckets) {
        (Some(e), Some(a)) => differing(e, a).unwrap_or_default(),
        _ => Vec::new(),
    };
    let (class, mut sentence) = if e.rows == a.rows {
        (
            "contents",
            format!(
                "{} {name} has the expected {} rows, but not the expected contents",
                noun(e.kind),
                e.rows
            ),
        )
    } else {
        (
            "rows",
            format!("{} {name} has {} rows, expected {}", noun(e.kind), a.rows, e.rows),
        )
    };
    if !keys.is_empty() {
        let named: Vec<String> = keys
            .iter()
            .take(RANGES_IN_A_SENTENCE)
            .map(ToString::to_string)
            .collect();
        let more = keys.len().saturating_sub(RANGES_IN_A_SENTENCE);
        sentence.push_str(&format!(": {}", named.join(", ")));
        if more > 0 {
            sentence.push_str(&format!(" and {more} more ranges"));
        }
    }
    if expected.encoding != actual.encoding {
        sentence.push_str(" (the encodings differ, so text outside ASCII cannot be compared)");
    } else if columns(expected, name) != columns(actual, name) {
        sentence.push_str(" (its columns differ as well)");
    }
    let say = |side: &TableFacts| Some(format!("{} rows, checksum {}", side.rows, side.checksum));
    Some(Difference {
        keys,
        ..plain(class, name, say(e), say(a), sentence)
    })
}

/// Names and types of a table's columns.
fn columns<'a>(manifest: &'a DatabaseManifest, table: &str) -> Vec<(&'a str, Option<&'a String>)> {
    let prefix = format!("{table}.");
    manifest.schema.get("columns").map_or_else(Vec::new, |columns| {
        columns
            .iter()
            .filter_map(|(name, facts)| Some((name.strip_prefix(&prefix)?, facts.get("type"))))
            .collect()
    })
}

fn noun(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Ordinary => "table",
        TableKind::Partition => "partition",
        TableKind::Partitioned => "partitioned table",
        TableKind::Unlogged => "unlogged table",
        TableKind::Foreign => "foreign table",
        Matview => "materialized view",
        TableKind::ExtensionConfig | TableKind::ExtensionMember => "extension table",
    }
}

fn sequences(
    expected: &DatabaseManifest,
    actual: &DatabaseManifest,
    options: &CompareOptions,
    found: &mut Vec<Difference>,
) {
    for (name, e, a) in pairs(&expected.sequences, &actual.sequences) {
        if e == a || (e.is_none() && !options.extra_objects) {
            continue;
        }
        let say = |side: Option<&super::SequenceFacts>| {
            side.map(|s| {
                let called = if s.is_called { "" } else { ", not yet called" };
                format!("{}{called}", s.last_value)
            })
        };
        let sentence = match (say(e), say(a)) {
            (Some(e), None) => format!("sequence {name}, expected to stand at {e}, is missing"),
            (None, Some(a)) => format!("sequence {name} (at {a}) is not expected to be there"),
            (e, a) => format!(
                "sequence {name} stands at {}, expected {}",
                a.unwrap_or_default(),
                e.unwrap_or_default()
            ),
        };
        found.push(plain("sequences", name, say(e), say(a), sentence));
    }
}

fn large_objects(expected: &DatabaseManifest, actual: &DatabaseManifest, found: &mut Vec<Difference>) {
    let (e, a) = (expected.large_objects, actual.large_objects);
    if e == a {
        return;
    }
    let say = |side: super::LargeObjects| Some(format!("{} objects, checksum {}", side.count, side.checksum));
    let sentence = if e.count == a.count {
        format!("the {} large objects do not have the expected contents", e.count)
    } else {
        format!("there are {} large objects, expected {}", a.count, e.count)
    };
    found.push(plain("large objects", "large objects", say(e), say(a), sentence));
}

fn database(
    expected: &DatabaseManifest,
    actual: &DatabaseManifest,
    options: &CompareOptions,
    found: &mut Vec<Difference>,
) {
    let optional = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let mut aspects = vec![("encoding", expected.encoding.clone(), actual.encoding.clone())];
    if options.database_comment {
        aspects.push(("comment", optional(&expected.comment), optional(&actual.comment)));
    }
    if options.locale {
        aspects.push(("collation", expected.collate.clone(), actual.collate.clone()));
        aspects.push(("character type", expected.ctype.clone(), actual.ctype.clone()));
        aspects.push((
            "locale provider",
            expected.locale_provider.clone(),
            actual.locale_provider.clone(),
        ));
        aspects.push(("locale", optional(&expected.locale), optional(&actual.locale)));
    }
    for (aspect, e, a) in aspects {
        if e != a {
            let sentence = format!("the database's {aspect} is {a}, expected {e}");
            found.push(plain("database", aspect, Some(e), Some(a), sentence));
        }
    }
    if options.settings {
        for (role, e, a) in pairs(&expected.settings, &actual.settings) {
            let none = BTreeMap::new();
            let whom = if role.is_empty() {
                String::new()
            } else {
                format!(" of role {role}")
            };
            for (name, e, a) in pairs(e.unwrap_or(&none), a.unwrap_or(&none)) {
                if e == a {
                    continue;
                }
                let sentence = match (e, a) {
                    (Some(e), None) => format!("the database setting {name}{whom} is missing, expected {e}"),
                    (None, Some(_)) => format!("the database setting {name}{whom} is not expected"),
                    (e, a) => format!(
                        "the database setting {name}{whom} is {}, expected {}",
                        a.cloned().unwrap_or_default(),
                        e.cloned().unwrap_or_default()
                    ),
                };
                found.push(plain(
                    "settings",
                    &format!("{name}{whom}"),
                    e.cloned(),
                    a.cloned(),
                    sentence,
                ));
            }
        }
    }
    if options.extension_versions {
        for (name, e, a) in pairs(&expected.extension_versions, &actual.extension_versions) {
            if let (Some(e), Some(a)) = (e, a)
                && e != a
            {
                let sentence = format!("extension {name} has version {a}, expected {e}");
                found.push(plain(
                    "extension versions",
                    name,
                    Some(e.clone()),
                    Some(a.clone()),
                    sentence,
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
