mod browser;

use super::super::documents::{RunDocument, StepDocument, TargetDocument};
use super::*;
use crate::model::Finding;
use crate::report::run_report::{Bar, DatabaseReport, RunReport, TableReport};

const SECRET: &str = "hunter'2<&>";

fn document(verified: bool) -> RunDocument {
    RunDocument {
        rest: None,
        schema_version: 1,
        verified,
        runtime: None,
        run: "20261122_140000_abcd".to_owned(),
        steps: vec![StepDocument {
            name: "fence".to_owned(),
            seconds: 1.0,
            result: "done",
        }],
        databases: Vec::new(),
        backup: "backup".into(),
        uploads: vec!["s3://bucket/labeler/20261122/run".to_owned()],
        target: TargetDocument {
            host: "localhost".to_owned(),
            port: 5432,
            user: "admin".to_owned(),
        },
        error: (!verified).then(|| format!("login failed with {SECRET}")),
        findings: vec![
            Finding::warning("env.key-twice", "<script>alert(1)</script> {{css}}")
                .wanted("one")
                .hint(format!("psql postgres://u:{SECRET}@h")),
        ],
    }
}

fn report(document: &RunDocument) -> RunReport<'_> {
    let table = |name: &str, after: Option<(u64, &str)>| TableReport {
        name: name.to_owned(),
        bytes: 8192,
        before: (3, "00ff00ff00ff00ff".to_owned()),
        after: after.map(|(rows, sum)| (rows, sum.to_owned())),
        not_counted: None,
        partitioned: false,
    };
    RunReport {
        document,
        rolled_back: false,
        began: "2026-11-22T14:00:00.000Z".to_owned(),
        seconds: 10.0,
        bars: vec![Bar {
            id: "fence-labeler".to_owned(),
            title: "stop the \"old\" instances".to_owned(),
            start: 2.0,
            seconds: 5.0,
            result: if document.verified { "done" } else { "failed" },
        }],
        databases: vec![DatabaseReport {
            name: "labeler".to_owned(),
            bytes: 1 << 20,
            archive: 1 << 10,
            tables: vec![
                table("public.\"a<b\"", Some((2, "11ff00ff00ff00ff"))),
                table("public.c", Some((3, "00ff00ff00ff00ff"))),
                table("public.d", None),
            ],
        }],
        env_files: vec![(
            ".env".to_owned(),
            "--- before\n+++ now\n@@ -1 +1 @@\n-A=***\n+A=***\n".to_owned(),
        )],
    }
}

fn render(verified: bool) -> String {
    let redactor = infra::secret::Redactor::default();
    redactor.add(&infra::Secret::new(SECRET));
    let document = document(verified);
    page(&report(&document), &|text| redactor.redact(text))
}

#[test]
fn the_outcome_stands_first() {
    let page = render(true);
    assert!(page.find("<h1>").unwrap() < page.find("<section").unwrap());
    assert!(page.contains("Done and checked: one table compared equal"));
    let failed = render(false);
    assert!(failed.contains("Stopped at: stop the &quot;old&quot; instances"));
    assert!(failed.contains("cargo xtask migrate --resume 20261122_140000_abcd"));
}

#[test]
fn where_the_backup_was_uploaded_to_stands_in_the_report() {
    assert!(render(true).contains("s3://bucket/labeler/20261122/run"));
}

#[test]
fn the_numbers_of_tables_agree_when_some_are_not_counted() {
    let document = document(true);
    let mut report = report(&document);
    let tables = &mut report.databases[0].tables;
    tables.retain(|table| table.is_equal());
    tables.push(TableReport {
        name: "public.scratch".to_owned(),
        bytes: 0,
        before: (0, String::new()),
        after: Some((0, String::new())),
        not_counted: Some("it is unlogged".to_owned()),
        partitioned: false,
    });
    let html = page(&report, &str::to_owned);
    let markdown = super::super::markdown::page(&report, &str::to_owned);
    assert!(html.contains("<dd>2, 1 not counted</dd>"), "{html}");
    for text in [&html, &markdown] {
        assert!(text.contains("one table compared equal, 1 not counted"), "{text}");
        assert!(text.contains("equal, 1 not counted"), "{text}");
        assert!(!text.contains("every table equal"), "{text}");
    }
}

#[test]
fn nothing_outside_the_file_is_referred_to() {
    let page = render(true);
    for word in [
        "http:", "https:", "src=", "url(", "@import", "<link", "<script", "<iframe", "<img", "<object",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    let targets = page
        .match_indices("href=\"")
        .map(|(at, word)| &page[at + word.len()..]);
    assert!(targets.into_iter().all(|target| target.starts_with('#')));
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn every_link_leads_somewhere_and_ids_are_unique() {
    let page = render(true);
    let ids: Vec<&str> = page
        .match_indices(" id=\"")
        .filter_map(|(at, w)| page[at + w.len()..].split('"').next())
        .collect();
    let unique: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
    for (at, word) in page.match_indices("href=\"#") {
        let target = page[at + word.len()..].split('"').next().unwrap();
        assert!(ids.contains(&target), "{target}");
    }
}

#[test]
fn no_secret_is_in_either_page_and_no_text_becomes_markup() {
    let page = render(false);
    assert!(page.contains("login failed with ***"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; {{css}}"));
    assert!(page.contains("public.&quot;a&lt;b&quot;"));
    let redactor = infra::secret::Redactor::default();
    redactor.add(&infra::Secret::new(SECRET));
    let document = document(false);
    let markdown = super::super::markdown::page(&report(&document), &|text| redactor.redact(text));
    for text in [page, markdown] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[test]
fn a_table_that_differs_opens_its_database() {
    let page = render(true);
    assert!(page.contains("<details open>"));
    assert!(page.contains("class=\"differs\" data-label=\"result\">differs<"));
    assert!(page.contains("class=\"equal\" data-label=\"result\">equal<"));
    assert!(page.contains("class=\"open\" data-label=\"result\">not compared<"));
}
