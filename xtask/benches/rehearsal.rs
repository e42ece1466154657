//! `cargo bench -p xtask --bench rehearsal -- [ROWS ...]`: seconds per step of a rehearsal on the local runtime, the
//! peak memory of xtask itself, and the old guide's way (`pg_dump > file; psql < file`) on the same labeler database.
//! Prints Markdown for docs/benchmarks.md; judges nothing.
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark starts the program it measures"
)]
#![expect(clippy::print_stdout, reason = "its result is what it prints")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use backend_env::{Document, Reader};
use serde_json::Value;

fn main() {
    // `cargo bench` adds `--bench`.
    let rows: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let rows = if rows.is_empty() { vec![50_000] } else { rows };
    let measured: Vec<(u64, Measured)> = rows.iter().map(|rows| (*rows, rehearse(*rows))).collect();
    println!(
        "| step | {} |",
        join(&measured, |(rows, _)| format!("{rows} rows"))
    );
    println!("|---|{}", "---:|".repeat(measured.len()));
    for (index, step) in measured[0].1.steps.iter().enumerate() {
        println!(
            "| {} | {} |",
            step.0,
            join(&measured, |(_, m)| format!("{:.1} s", m.steps[index].1))
        );
    }
    println!(
        "| all steps | {} |",
        join(&measured, |(_, m)| format!(
            "{:.1} s",
            m.steps.iter().map(|s| s.1).sum::<f64>()
        ))
    );
    println!(
        "| data moved | {} |",
        join(&measured, |(_, m)| format!("{} MiB", m.bytes >> 20))
    );
    println!(
        "| peak memory of xtask | {} |",
        join(&measured, |(_, m)| format!("{} MiB", m.peak_kib >> 10))
    );
    println!(
        "| the old guide, labeler only | {} |",
        join(&measured, |(_, m)| format!("{:.1} s", m.guide))
    );
}

fn join<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(" | ")
}

struct Measured {
    steps: Vec<(String, f64)>,
    bytes: u64,
    peak_kib: u64,
    guide: f64,
}

fn xtask() -> Command {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
}

fn rehearse(rows: u64) -> Measured {
    let prepared = xtask()
        .args([
            "rehearse",
            "--runtime",
            "local",
            "--prepare",
            "--rows",
            &rows.to_string(),
        ])
        .stderr(Stdio::inherit())
        .output()
        .expect("xtask starts");
    assert!(prepared.status.success(), "the rehearsal could not be prepared");
    let workspace = String::from_utf8(prepared.stdout)
        .expect("a path")
        .trim()
        .to_owned();
    let guide = guide(&workspace);
    let mut child = xtask()
        .args(["--workspace", &workspace, "migrate", "--yes", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("xtask starts");
    let mut peak_kib = 0;
    while child.try_wait().expect("a child can be waited for").is_none() {
        peak_kib = peak_kib.max(high_water(child.id()));
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let output = child.wait_with_output().expect("its output");
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(document["verified"], true, "the migration is verified");
    let steps = document["steps"].as_array().expect("steps").iter();
    let steps = steps
        .map(|step| {
            (
                step["name"].as_str().unwrap_or_default().to_owned(),
                step["seconds"].as_f64().unwrap_or(0.0),
            )
        })
        .collect();
    let databases = document["databases"].as_array().expect("databases").iter();
    let bytes = databases.filter_map(|database| database["bytes"].as_u64()).sum();
    let stopped = xtask()
        .args(["rehearse", "--stop"])
        .status()
        .expect("xtask starts");
    assert!(stopped.success(), "the rehearsal is removed");
    Measured {
        steps,
        bytes,
        peak_kib,
        guide,
    }
}

/// The largest resident set of a process so far (Linux; 0 elsewhere).
fn high_water(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Dump and restore of the labeler database as the old guide does it, into a second database of the same instance.
fn guide(workspace: &str) -> f64 {
    let workspace = std::path::Path::new(workspace);
    let base = workspace.parent().expect("a folder");
    let env = std::fs::read(base.join("mvp-vision-ai-labeler/backend/.env")).expect("the sample .env");
    let document = Document::parse(env);
    let read = |key: &str| {
        let reading = document.read(key, Reader::PythonDotenv);
        String::from_utf8(reading.value().expect("a value").to_vec()).expect("text")
    };
    let settings = std::fs::read_to_string(workspace.join(".xtask/local.toml")).expect("the settings");
    let settings: toml_edit::DocumentMut = settings.parse().expect("TOML");
    let bin = settings["target"]["bin"].as_str().expect("a folder").to_owned();
    let client = |name: &str| {
        let mut command = Command::new(std::path::Path::new(&bin).join(name));
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &read("LABELER_DB_PORT"),
            "-U",
            &read("LABELER_DB_USER"),
        ]);
        command
            .env("PGPASSWORD", read("LABELER_DB_PASSWORD"))
            .stdout(Stdio::null());
        command
    };
    let run = |command: &mut Command| assert!(command.status().expect("it starts").success());
    run(client("psql").args(["-q", "-d", "postgres", "-c", "CREATE DATABASE by_hand"]));
    let file = base.join("by_hand.sql");
    let started = Instant::now();
    run(client("pg_dump").args(["-d", "labeler", "-f"]).arg(&file));
    run(client("psql").args(["-q", "-d", "by_hand", "-f"]).arg(&file));
    let seconds = started.elapsed().as_secs_f64();
    run(client("psql").args(["-q", "-d", "postgres", "-c", "DROP DATABASE by_hand"]));
    seconds
}
