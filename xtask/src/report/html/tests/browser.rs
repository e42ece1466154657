//! Every page in a real browser: two widths, light and dark, by keyboard, on paper, and against the rules of axe-core.
//! Screenshots and PDFs are kept in target/browser.

use std::path::{Path, PathBuf};
use std::time::Duration;

use infra::{Cmd, Interrupt, Runner, browser};

use super::*;
use crate::checks::{CHECKS, Outcome, Scope, Verdict, Verdicts};
use crate::model::Exit;

fn redact(text: &str) -> String {
    let redactor = infra::secret::Redactor::default();
    redactor.add(&infra::Secret::new(SECRET));
    redactor.redact(text)
}

/// Id, title, start and length of each step.
const STEPS: [(&str, &str, f64, f64); 12] = [
    ("fence-labeler", "fence the source of labeler", 0.2, 1.3),
    ("fence-platform", "fence the source of platform", 1.5, 1.8),
    ("fence-users", "fence the source of users", 3.3, 1.3),
    ("backup", "back up labeler, platform, users", 4.6, 12.4),
    ("target", "start the target", 17.0, 0.4),
    (
        "restore",
        "restore and compare labeler, platform, users",
        17.4,
        31.8,
    ),
    ("swap", "put labeler, platform, users in place", 49.2, 2.1),
    ("schema", "bring the schema to e5b1946c3f25", 51.3, 3.1),
    ("cutover", "point .env at the target", 54.4, 0.1),
    ("redis", "have Redis", 54.5, 0.0),
    ("application", "ask the application", 54.5, 3.4),
    ("release", "close the readers", 57.9, 0.8),
];

const ENV: &str = "--- before\n+++ now\n@@ -10,4 +10,4 @@\n # <comment>\n PLATFORM_DB_HOST=<same>\n\
    -PLATFORM_DB_PORT=<old>\n+PLATFORM_DB_PORT=<new>\n \n-export LABELER_DB_PASSWORD=\"<old>\"\n\
    +export LABELER_DB_PASSWORD=\"<new>\"\n";

/// A run as it usually looks: three databases with some tables each, and every step. One that failed stopped at the
/// comparison, over one table.
fn usual(document: &RunDocument) -> RunReport<'_> {
    let failed = !document.verified;
    let bar = |(at, (id, title, start, seconds)): (usize, (&str, &str, f64, f64))| Bar {
        id: id.to_owned(),
        title: title.to_owned(),
        start,
        seconds,
        result: match (failed, at) {
            (true, 5) => "failed",
            (true, 6..) => "pending",
            (_, 9) => "skipped",
            _ => "done",
        },
    };
    let table = |database: &str, at: usize, name: &str, largest: u64| {
        let rows = largest / (at as u64 * 7 + 1);
        let sum = format!("{:016x}", rows.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let spoiled = failed && at == 2 && database == "labeler";
        let copy = match spoiled {
            true => (rows - 1, "0".repeat(16)),
            false => (rows, sum.clone()),
        };
        TableReport {
            name: format!("public.{name}"),
            bytes: rows * 640,
            before: (rows, sum),
            after: (!failed || database == "labeler").then_some(copy),
            not_counted: None,
            partitioned: false,
        }
    };
    let names = [
        "annotations",
        "images",
        "datasets",
        "\"Export Job\"",
        "annotation_history_2026_11",
    ];
    let database = |(name, largest): (&str, u64)| DatabaseReport {
        name: name.to_owned(),
        bytes: largest * 900,
        archive: largest * 210,
        tables: names
            .iter()
            .enumerate()
            .map(|(at, own)| table(name, at, own, largest))
            .collect(),
    };
    let databases = [("labeler", 812_344), ("platform", 4_810), ("users", 1_207)];
    RunReport {
        seconds: 58.7,
        bars: STEPS.into_iter().enumerate().map(bar).collect(),
        databases: databases.into_iter().map(database).collect(),
        env_files: vec![(
            "/home/someone/work/mvp-vision-ai-labeler/backend/.env".to_owned(),
            ENV.to_owned(),
        )],
        ..report(document)
    }
}

/// Checks of every outcome.
fn verdicts(faults: bool) -> Verdicts {
    let outcome = |at: usize| {
        match at % 9 {
        3 if faults => Outcome::Found(vec![
            Finding::error("env.one-instance", format!("`USER_DB_PORT` is 5433 ({SECRET})"))
                .wanted("one instance for all databases")
                .hint("cargo xtask migrate  # moves the data first, and .env with it")
                .hint(
                    "cargo xtask env set /home/someone/work/checkouts/mvp-vision-ai-labeler/backend/.env USER_DB_PORT=5432  \
                     # only when the target holds the data already, and nobody writes to the old instance any more",
                )
                .at(Path::new("../mvp-vision-ai-labeler/backend/.env"), 17),
        ]),
        5 if faults => Outcome::Found(vec![Finding::warning("compose.ports", "both publish port 6379")]),
        7 => Outcome::Skipped("the target is not a container".to_owned()),
        _ => Outcome::Passed,
    }
    };
    let verdict = |(at, check)| Verdict {
        check,
        outcome: outcome(at),
        seconds: 0.0,
    };
    Verdicts(CHECKS.iter().enumerate().map(verdict).collect())
}

/// Every kind of page: file name and text.
fn pages() -> Vec<(&'static str, String)> {
    let (done, stopped) = (document(true), document(false));
    let undone = RunReport {
        rolled_back: true,
        ..usual(&done)
    };
    let checks = |faults: bool| {
        let exit = if faults { Exit::Findings } else { Exit::Ok };
        checks_page(&verdicts(faults), Scope::All, "development", exit, &redact)
    };
    vec![
        ("run-done", page(&usual(&done), &redact)),
        ("run-stopped", page(&usual(&stopped), &redact)),
        ("run-rolled-back", page(&undone, &redact)),
        ("checks-passed", checks(false)),
        ("checks-failed", checks(true)),
    ]
}

#[test]
#[ignore = "needs Chromium"]
fn every_page_is_readable_at_two_widths_light_and_dark_by_keyboard_and_on_paper() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = root.join("target").join("browser");
    let runner = Runner::new(Interrupt::default());
    let found = browser::ensure(&runner, &folder.join(browser::ENVIRONMENT)).unwrap();
    let mut files: Vec<PathBuf> = Vec::new();
    for (name, text) in pages() {
        assert!(!text.contains("hunter"), "a secret is in {name}");
        let file = folder.join(format!("{name}.html"));
        infra::files::write_shared(&file, text.as_bytes()).unwrap();
        files.push(file);
    }
    let cmd = Cmd::new(&found.python, "look at the pages")
        .arg(root.join("xtask/src/report/html/tests/look.py"))
        .args([&found.program, &found.driver, &folder])
        .args(&files)
        .limit(Duration::from_secs(900));
    let said = runner.run(&cmd).unwrap().stdout_text();
    let problems: Vec<String> = serde_json::from_str(&said).unwrap();
    assert!(
        problems.is_empty(),
        "{problems:#?}\nthe pictures are in {}",
        folder.display()
    );
}
