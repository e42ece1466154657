//! `report.md`: the run for a pull request.

use std::fmt::Write;

use super::run_report::{RunReport, commands, rows};
use crate::model::{Severity, time};

/// The page. `redact` masks secrets.
pub fn page(report: &RunReport<'_>, redact: &dyn Fn(&str) -> String) -> String {
    let document = report.document;
    let mut out = format!("# {}\n\n", report.outcome().0);
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "Run `{}`, began {} UTC, took {}; target `{}@{}:{}`.\n",
        document.run,
        report.began,
        time::seconds(report.seconds),
        document.target.user,
        document.target.host,
        document.target.port
    );
    if let Some(error) = &document.error {
        let quoted: Vec<String> = error.lines().map(|line| format!("    {line}")).collect();
        let _ = writeln!(out, "{}\n", quoted.join("\n"));
    }
    if !report.databases.is_empty() {
        out.push_str("| Database | Tables | Rows before | Rows after | Size | Archive | Result |\n|---|--:|--:|--:|--:|--:|---|\n");
        for database in &report.databases {
            let (before, after) = rows(database);
            let result = match database.result() {
                ("differs", word) => format!("**{word}**"),
                (_, word) => word,
            };
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {result} |",
                cell(&database.name),
                database.tables.len(),
                time::count(before),
                after.map_or_else(|| "-".to_owned(), time::count),
                time::bytes(database.bytes),
                time::bytes(database.archive),
            );
        }
        out.push('\n');
        let differing = report
            .databases
            .iter()
            .flat_map(|d| d.tables.iter().map(move |t| (d, t)));
        for (database, table) in differing.filter(|(_, t)| t.after.is_some() && !t.is_equal()) {
            let _ = writeln!(out, "- `{}` of {} differs", table.name, database.name);
        }
    }
    out.push_str("| Step | Took | Result |\n|---|--:|---|\n");
    for bar in &report.bars {
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            cell(&bar.title),
            time::seconds(bar.seconds),
            bar.result
        );
    }
    if !document.findings.is_empty() {
        out.push_str("\n## Findings\n\n");
        for finding in &document.findings {
            let word = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            let _ = writeln!(out, "- {word} `{}`: {}", finding.id, cell(&finding.found));
        }
    }
    out.push_str("\n## What to run next\n\n");
    for (title, command) in commands(report) {
        let _ = writeln!(out, "- {title}: `{command}`");
    }
    redact(&out)
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .replace(['\r', '\n'], " ")
        .replace('<', "&lt;")
}
