//! Which options of columns, relations and indexes are compared.
//!
//! A server may keep options of its own in the arrays that hold people's: the releases of November 2026 give every column
//! `pg_attver=NUMBER`, which is different on every server and in no dump. So only options that PostgreSQL's manual lists
//! are compared; the others are counted by name and reported.
//!
//! Not every option is PostgreSQL's to document. Those of an index, and of a table whose access method is not `heap`,
//! belong to an access method that an extension may bring (`lists` and `m` of pgvector, `col1` of bloom): they are
//! compared whatever they are called, except where the name begins with `pg_`, which PostgreSQL reserves for itself.
//! Settings of functions, options of text search dictionaries and publications are written by people and compared whole.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{DatabaseManifest, ObjectFacts, SchemaFacts};

/// `ALTER TABLE .. ALTER COLUMN .. SET (..)`.
const COLUMN: [&str; 2] = ["n_distinct", "n_distinct_inherited"];

/// Storage parameters of tables, their TOAST tables, views and materialized views, through 18.
const RELATION: [&str; 27] = [
    "autovacuum_analyze_scale_factor",
    "autovacuum_analyze_threshold",
    "autovacuum_enabled",
    "autovacuum_freeze_max_age",
    "autovacuum_freeze_min_age",
    "autovacuum_freeze_table_age",
    "autovacuum_multixact_freeze_max_age",
    "autovacuum_multixact_freeze_min_age",
    "autovacuum_multixact_freeze_table_age",
    "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit",
    "autovacuum_vacuum_insert_scale_factor",
    "autovacuum_vacuum_insert_threshold",
    "autovacuum_vacuum_max_threshold",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_threshold",
    "check_option",
    "fillfactor",
    "log_autovacuum_min_duration",
    "parallel_workers",
    "security_barrier",
    "security_invoker",
    "toast_tuple_target",
    "user_catalog_table",
    "vacuum_index_cleanup",
    "vacuum_max_eager_freeze_failure_rate",
    "vacuum_truncate",
];

/// The aspect in which the query of indexes answers with their options; their definition prints them too.
const INDEX: &str = "with";

/// Names of options that are not compared, and how many objects have each.
pub type UnknownOptions = BTreeMap<String, u64>;

/// Takes the options that are not compared out of an object's facts, and counts them.
pub(super) fn keep_known(class: &str, facts: &mut ObjectFacts, unknown: &mut UnknownOptions) {
    let theirs = facts.get("access_method").is_some_and(|method| method != "heap");
    let is_known = |key: &str| match class {
        "columns" => COLUMN.contains(&key),
        "tables" | "views" | "matviews" if !theirs => RELATION.contains(&key),
        _ => !key.starts_with("pg_"),
    };
    let aspects: &[&str] = match class {
        "columns" => &["options"],
        "tables" | "views" | "matviews" => &["options", "toast_options"],
        "indexes" => &[INDEX],
        _ => &[],
    };
    for aspect in aspects {
        let options = facts
            .get(*aspect)
            .map(|text| serde_json::from_str::<Vec<String>>(text));
        let Some(Ok(options)) = options else {
            continue;
        };
        facts.remove(*aspect);
        let key = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
        let (known, others): (Vec<String>, Vec<String>) =
            options.into_iter().partition(|option| is_known(&key(option)));
        for option in &others {
            *unknown.entry(key(option)).or_default() += 1;
        }
        if *aspect == INDEX {
            if let Some(definition) = facts.get_mut("definition") {
                others.iter().for_each(|option| remove(definition, option));
            }
        } else if !known.is_empty() {
            facts.insert((*aspect).to_owned(), Value::from(known).to_string());
        }
    }
}

/// Takes one option out of the `WITH (..)` of an index's definition.
fn remove(definition: &mut String, option: &str) {
    let Some((key, value)) = option.split_once('=') else {
        return;
    };
    // PostgreSQL prints a value that could be a name as it is, any other as a string.
    for printed in [
        format!("{key}={value}"),
        format!("{key}='{}'", value.replace('\'', "''")),
    ] {
        for (text, rest) in [
            (format!(" WITH ({printed})"), ""),
            (format!("({printed}, "), "("),
            (format!(", {printed}"), ""),
        ] {
            if definition.contains(&text) {
                *definition = definition.replacen(&text, rest, 1);
                return;
            }
        }
    }
}

impl DatabaseManifest {
    /// Takes out of a manifest what is not compared: earlier versions of this tool left it in.
    pub fn keep_known_options(&mut self) {
        let mut unknown = UnknownOptions::new();
        let classes: &mut SchemaFacts = &mut self.schema;
        for (class, objects) in classes {
            for facts in objects.values_mut() {
                keep_known(class, facts, &mut unknown);
            }
        }
        for (key, count) in unknown {
            *self.unknown_options.entry(key).or_default() += count;
        }
    }
}

/// Options that one of the two has and that were not compared, each in a sentence.
pub fn options_not_compared(expected: &DatabaseManifest, actual: &DatabaseManifest) -> Vec<String> {
    let (expected, actual) = (&expected.unknown_options, &actual.unknown_options);
    let mut keys: Vec<&String> = expected.keys().chain(actual.keys()).collect();
    keys.sort();
    keys.dedup();
    let count = |side: &UnknownOptions, key: &String| side.get(key).copied().unwrap_or(0);
    let sentence = |key: &String| {
        format!(
            "option {key} is not compared: PostgreSQL's manual does not list it (expected on {} objects, found on {})",
            count(expected, key),
            count(actual, key)
        )
    };
    keys.into_iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The facts that are left, and the names of options that were counted.
    fn kept(class: &str, facts: &[(&str, &str)]) -> (ObjectFacts, Vec<String>) {
        let mut facts: ObjectFacts = facts
            .iter()
            .map(|(aspect, text)| ((*aspect).to_owned(), (*text).to_owned()))
            .collect();
        let mut unknown = UnknownOptions::new();
        keep_known(class, &mut facts, &mut unknown);
        (facts, unknown.into_keys().collect())
    }

    #[test]
    fn options_that_the_manual_lists_are_compared_and_others_counted() {
        for (class, aspect, text, left, counted) in [
            (
                "columns",
                "options",
                r#"["n_distinct=5","pg_attver=7"]"#,
                Some(r#"["n_distinct=5"]"#),
                vec!["pg_attver"],
            ),
            (
                "columns",
                "options",
                r#"["pg_attver=7"]"#,
                None,
                vec!["pg_attver"],
            ),
            (
                "tables",
                "options",
                r#"["fillfactor=70"]"#,
                Some(r#"["fillfactor=70"]"#),
                vec![],
            ),
            (
                "tables",
                "toast_options",
                r#"["autovacuum_enabled=off","new=1"]"#,
                Some(r#"["autovacuum_enabled=off"]"#),
                vec!["new"],
            ),
            (
                "views",
                "options",
                r#"["security_barrier=true"]"#,
                Some(r#"["security_barrier=true"]"#),
                vec![],
            ),
            // What a person wrote is compared whole.
            (
                "others",
                "options",
                r#"["pg_x=1"]"#,
                Some(r#"["pg_x=1"]"#),
                vec![],
            ),
        ] {
            let (facts, names) = kept(class, &[(aspect, text)]);
            assert_eq!(facts.get(aspect).map(String::as_str), left, "{class} {text}");
            assert_eq!(names, counted, "{class} {text}");
        }
        let (facts, names) = kept(
            "tables",
            &[
                ("access_method", "columnar"),
                ("options", r#"["compress=9","pg_x=1"]"#),
            ],
        );
        assert_eq!(facts["options"], r#"["compress=9"]"#, "an extension's own");
        assert_eq!(names, ["pg_x"]);
    }

    #[test]
    fn the_definition_of_an_index_keeps_all_options_but_those_of_the_server() {
        let start = "CREATE INDEX i ON public.t USING ivfflat (v)";
        for (options, printed, left) in [
            (r#"["lists=100"]"#, " WITH (lists='100')", " WITH (lists='100')"),
            (r#"["pg_x=1"]"#, " WITH (pg_x='1')", ""),
            (
                r#"["pg_x=abc","lists=100"]"#,
                " WITH (pg_x=abc, lists='100')",
                " WITH (lists='100')",
            ),
            (
                r#"["lists=100","pg_x=1"]"#,
                " WITH (lists='100', pg_x='1') WHERE (a > 1)",
                " WITH (lists='100') WHERE (a > 1)",
            ),
        ] {
            let (facts, _) = kept(
                "indexes",
                &[("definition", &format!("{start}{printed}")), ("with", options)],
            );
            assert_eq!(facts["definition"], format!("{start}{left}"));
            assert!(!facts.contains_key("with"));
        }
    }
}
