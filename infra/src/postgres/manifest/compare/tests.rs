use super::*;
use crate::postgres::manifest::{
    Bucket, Buckets, Checksum, FORMAT, LargeObjects, ObjectFacts, SequenceFacts,
};

fn checksum(number: u64) -> Checksum {
    format!("{number:032x}").parse().unwrap()
}

fn table(kind: TableKind, rows: u64, sum: u64) -> TableFacts {
    TableFacts {
        kind,
        rows,
        checksum: checksum(sum),
        bytes: 8192,
        parent: None,
        not_counted: None,
        buckets: None,
    }
}

fn facts(aspects: &[(&str, &str)]) -> ObjectFacts {
    aspects
        .iter()
        .map(|(aspect, text)| ((*aspect).to_owned(), (*text).to_owned()))
        .collect()
}

fn manifest() -> DatabaseManifest {
    let mut images = table(TableKind::Ordinary, 100, 7);
    images.buckets = Some(Buckets {
        key: vec!["id".to_owned()],
        shift: Some(5),
        parts: (0..4)
            .map(|number| {
                let checksum = checksum(u64::try_from(number).unwrap());
                (number, Bucket { rows: 25, checksum })
            })
            .collect(),
    });
    DatabaseManifest {
        unknown_options: BTreeMap::new(),
        format: FORMAT,
        database: "labeler".to_owned(),
        server_version_num: 150_018,
        encoding: "UTF8".to_owned(),
        collate: "C".to_owned(),
        ctype: "C".to_owned(),
        locale_provider: "c".to_owned(),
        locale: None,
        comment: None,
        bytes: 1,
        settings: [(String::new(), facts(&[("work_mem", "8MB")]))].into(),
        role_settings: BTreeMap::new(),
        extension_versions: facts(&[("vector", "0.7.0")]),
        tables: [
            ("public.images".to_owned(), images),
            ("public.mv".to_owned(), table(TableKind::Matview, 3, 1)),
        ]
        .into(),
        sequences: [(
            "public.images_id_seq".to_owned(),
            SequenceFacts {
                last_value: 100,
                is_called: true,
            },
        )]
        .into(),
        large_objects: LargeObjects::default(),
        schema: [
            (
                "columns".to_owned(),
                [("public.images.status".to_owned(), facts(&[("type", "text")]))].into(),
            ),
            (
                "constraints".to_owned(),
                [(
                    "public.images.status_check".to_owned(),
                    facts(&[(
                        "definition",
                        "CHECK (((status)::text = ANY ((ARRAY['a'::character varying])::text[])))",
                    )]),
                )]
                .into(),
            ),
            (
                "indexes".to_owned(),
                [(
                    "public.images_pkey".to_owned(),
                    facts(&[("table", "[\"public\", \"images\"]")]),
                )]
                .into(),
            ),
            (
                "owners".to_owned(),
                [("table public.images".to_owned(), facts(&[("owner", "admin")]))].into(),
            ),
            (
                "tables".to_owned(),
                [("public.images".to_owned(), facts(&[("kind", "table")]))].into(),
            ),
        ]
        .into(),
    }
}

/// The sentences after a change of the second manifest.
fn after(change: impl FnOnce(&mut DatabaseManifest)) -> Vec<String> {
    with(&CompareOptions::default(), change)
}

fn with(options: &CompareOptions, change: impl FnOnce(&mut DatabaseManifest)) -> Vec<String> {
    let mut actual = manifest();
    change(&mut actual);
    compare(&manifest(), &actual, options)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn equal_manifests_have_no_difference() {
    assert!(after(|_| {}).is_empty());
    // What says nothing about the copy: sizes, names of the database, versions.
    let found = after(|m| {
        m.database = "labeler__incoming".to_owned();
        m.bytes = 2;
        m.server_version_num = 180_004;
        m.extension_versions = facts(&[("vector", "0.8.0")]);
        m.tables.get_mut("public.images").unwrap().bytes = 1;
        // A restore computes materialized views anew.
        m.tables.get_mut("public.mv").unwrap().checksum = checksum(9);
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn rows_and_contents_are_told_apart_with_their_key_ranges() {
    let found = after(|m| {
        let images = m.tables.get_mut("public.images").unwrap();
        images.rows = 99;
        images.checksum = checksum(8);
        images.buckets.as_mut().unwrap().parts.get_mut(&2).unwrap().rows = 24;
    });
    assert_eq!(
        found,
        ["table public.images has 99 rows, expected 100: id 64..95 (24 rows, expected 25)"]
    );
    let found = after(|m| m.tables.get_mut("public.images").unwrap().checksum = checksum(8));
    assert_eq!(
        found,
        ["table public.images has the expected 100 rows, but not the expected contents"]
    );
}

#[test]
fn a_missing_table_is_one_difference_with_everything_that_hangs_on_it() {
    let found = after(|m| {
        m.tables.remove("public.images");
        m.schema.clear();
    });
    assert_eq!(found, ["table public.images with 100 rows is missing"]);
}

#[test]
fn a_table_counted_on_one_side_only_is_never_equal() {
    let found = after(|m| {
        let images = m.tables.get_mut("public.images").unwrap();
        images.not_counted = Some("its rows live on another server".to_owned());
    });
    assert_eq!(
        found,
        [
            "table public.images is counted on one side only: expected 100 rows, found its rows live on another server"
        ]
    );
}

#[test]
fn a_partition_speaks_for_its_parents() {
    let tree = |rows: u64| {
        let mut manifest = manifest();
        let mut part = table(TableKind::Partition, rows, rows);
        part.parent = Some("public.tree".to_owned());
        manifest.tables.insert("public.part".to_owned(), part);
        manifest.tables.insert(
            "public.tree".to_owned(),
            table(TableKind::Partitioned, rows, rows),
        );
        manifest
    };
    let found = compare(&tree(5), &tree(4), &CompareOptions::default());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].sentence, "partition public.part has 4 rows, expected 5");
}

#[test]
fn sequences_large_objects_settings_and_database_count() {
    let found = after(|m| {
        m.sequences.get_mut("public.images_id_seq").unwrap().is_called = false;
        m.large_objects.count = 1;
        m.settings.clear();
        m.comment = Some("new".to_owned());
        m.collate = "en_US.utf8".to_owned();
    });
    assert_eq!(
        found,
        [
            "sequence public.images_id_seq stands at 100, not yet called, expected 100",
            "there are 1 large objects, expected 0",
            "the database's comment is new, expected none",
            "the database's collation is en_US.utf8, expected C",
            "the database setting work_mem is missing, expected 8MB",
        ]
    );
}

#[test]
fn expressions_compare_by_meaning_and_everything_else_by_letter() {
    let constraint = |m: &mut DatabaseManifest, text: &str| {
        m.schema.get_mut("constraints").unwrap().insert(
            "public.images.status_check".to_owned(),
            facts(&[("definition", text)]),
        );
    };
    let found = after(|m| {
        constraint(
            m,
            "CHECK (((status)::text = ANY (ARRAY[('a'::character varying)::text])))",
        );
    });
    assert!(found.is_empty(), "{found:?}");
    let found = after(|m| constraint(m, "CHECK (((status)::text = 'b'::text))"));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("constraint public.images.status_check has definition CHECK"));
    let found = after(|m| {
        m.schema.get_mut("columns").unwrap().insert(
            "public.images.status".to_owned(),
            facts(&[("type", "character varying")]),
        );
    });
    assert_eq!(
        found,
        ["column public.images.status has type character varying, expected text"]
    );
}

#[test]
fn options_leave_out_what_a_unified_restore_changes() {
    let change = |m: &mut DatabaseManifest| {
        m.schema
            .get_mut("owners")
            .unwrap()
            .insert("table public.images".to_owned(), facts(&[("owner", "app")]));
        m.schema
            .get_mut("indexes")
            .unwrap()
            .insert("public.new".to_owned(), facts(&[("definition", "CREATE INDEX")]));
    };
    assert_eq!(
        after(change),
        [
            "index public.new is not expected to be there",
            "owner of table public.images has owner app, expected admin",
        ]
    );
    let options = CompareOptions {
        owners: false,
        extra_objects: false,
        ..CompareOptions::default()
    };
    assert!(with(&options, change).is_empty());
}

#[test]
fn manifests_of_another_form_are_not_compared() {
    let found = after(|m| {
        m.format = 1;
        m.tables.clear();
    });
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("different forms"), "{found:?}");
    let mut old = manifest();
    assert_eq!(old.comparable(), Ok(()));
    old.format = 1;
    assert!(
        old.comparable()
            .unwrap_err()
            .contains("another version of this tool")
    );
}
