//! The schema, object by object and aspect by aspect.

use std::collections::BTreeMap;

use super::{CompareOptions, Difference, pairs, plain};
use crate::postgres::manifest::normalise::{language, normal};
use crate::postgres::manifest::relation::shown;
use crate::postgres::manifest::{DatabaseManifest, ObjectFacts};
use crate::postgres::version_text;

/// The database in the classes `owners` and `privileges`; its name may differ.
const THIS_DATABASE: &str = "database this";

/// Differences of all classes that the options ask for.
pub(super) fn schema(
    expected: &DatabaseManifest,
    actual: &DatabaseManifest,
    options: &CompareOptions,
    found: &mut Vec<Difference>,
) {
    let none = BTreeMap::new();
    for (class, e, a) in pairs(&expected.schema, &actual.schema) {
        let wanted = match class.as_str() {
            "owners" => options.owners,
            "privileges" => options.privileges,
            _ => true,
        };
        if !wanted {
            continue;
        }
        let versions = (expected.server_version_num, actual.server_version_num);
        for (object, e, a) in pairs(e.unwrap_or(&none), a.unwrap_or(&none)) {
            if object == THIS_DATABASE && !options.database_access {
                continue;
            }
            match (e, a) {
                (Some(e), Some(a)) => objects(class, object, e, a, versions, found),
                (Some(facts), None) if !follows(class, object, facts, expected, actual) => found.push(plain(
                    class,
                    object,
                    Some(said(facts)),
                    None,
                    format!("{} {object} is missing", singular(class)),
                )),
                (None, Some(facts))
                    if options.extra_objects && !follows(class, object, facts, actual, expected) =>
                {
                    found.push(plain(
                        class,
                        object,
                        None,
                        Some(said(facts)),
                        format!("{} {object} is not expected to be there", singular(class)),
                    ));
                }
                _ => {}
            }
        }
    }
}

/// Aspects of an object that both have.
fn objects(
    class: &str,
    object: &str,
    expected: &ObjectFacts,
    actual: &ObjectFacts,
    versions: (u32, u32),
    found: &mut Vec<Difference>,
) {
    for (aspect, e, a) in pairs(expected, actual) {
        if e == a {
            continue;
        }
        // 16 prints a view over one relation without its name, and the locale of a collation as a language tag.
        let around_16 = (versions.0 < 160_000) != (versions.1 < 160_000);
        let of_views = around_16 && matches!(class, "views" | "matviews");
        let of_locales = around_16 && class == "others" && aspect == "locale";
        let same = is_expression(aspect)
            && e.map(|text| normal(text, of_views)) == a.map(|text| normal(text, of_views))
            || of_locales && e.map(|text| language(text)) == a.map(|text| language(text));
        if same {
            continue;
        }
        let name = aspect.replace('_', " ");
        let one = singular(class);
        let mut sentence = match (e, a) {
            (Some(e), None) => format!("{one} {object} has no {name}, expected {e}"),
            (None, Some(a)) => format!("{one} {object} has {name} {a}, expected none"),
            (e, a) => format!(
                "{one} {object} has {name} {}, expected {}",
                a.cloned().unwrap_or_default(),
                e.cloned().unwrap_or_default()
            ),
        };
        if is_expression(aspect) && versions.0 / 10_000 != versions.1 / 10_000 {
            sentence.push_str(&format!(
                " (as PostgreSQL {} and {} print it)",
                version_text(versions.1),
                version_text(versions.0)
            ));
        }
        found.push(plain(class, object, e.cloned(), a.cloned(), sentence));
    }
}

/// Aspects that PostgreSQL prints from a parsed form.
fn is_expression(aspect: &str) -> bool {
    matches!(
        aspect,
        "definition"
            | "default"
            | "expression"
            | "using"
            | "check"
            | "arguments"
            | "partition_key"
            | "partition_bound"
    )
}

/// Whether a missing object goes without saying, because its table is missing too.
fn follows(
    class: &str,
    object: &str,
    facts: &ObjectFacts,
    has: &DatabaseManifest,
    lacks: &DatabaseManifest,
) -> bool {
    let missing = |name: &str| has.tables.contains_key(name) && !lacks.tables.contains_key(name);
    match class {
        "tables" | "matviews" => missing(object),
        "columns" | "constraints" | "triggers" | "rules" | "policies" => {
            object.match_indices('.').any(|(dot, _)| missing(&object[..dot]))
        }
        "indexes" => facts
            .get("table")
            .and_then(|table| serde_json::from_str::<Vec<String>>(table).ok())
            .is_some_and(|table| missing(&shown(&table))),
        "owners" | "privileges" => object.split_once("table ").is_some_and(|(_, name)| missing(name)),
        _ => false,
    }
}

fn said(facts: &ObjectFacts) -> String {
    let parts: Vec<String> = facts
        .iter()
        .map(|(aspect, text)| format!("{aspect}: {text}"))
        .collect();
    parts.join("; ")
}

fn singular(class: &str) -> String {
    match class {
        "indexes" => "index".to_owned(),
        "policies" => "policy".to_owned(),
        "privileges" => "privileges on".to_owned(),
        "owners" => "owner of".to_owned(),
        "statistics" => "statistics".to_owned(),
        "others" => "object".to_owned(),
        "comments" => "comment on".to_owned(),
        "matviews" => "materialized view".to_owned(),
        other => other.strip_suffix('s').unwrap_or(other).replace('_', " "),
    }
}
