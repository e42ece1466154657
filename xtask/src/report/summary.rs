//! The table at the end of a run.

use std::fmt::Write;

use crate::model::time;

use super::documents::RunDocument;

/// Steps with their durations, databases with their rows, and where things are.
pub fn summary(document: &RunDocument) -> String {
    let mut out = String::new();
    let width = document
        .steps
        .iter()
        .map(|step| step.name.len())
        .max()
        .unwrap_or(4)
        .max(4);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{:<width$}  {:>12}  result", "step", "duration");
    for step in &document.steps {
        let duration = if step.seconds > 0.0 {
            time::seconds(step.seconds)
        } else {
            "-".to_owned()
        };
        let _ = writeln!(out, "{:<width$}  {duration:>12}  {}", step.name, step.result);
    }
    let total: f64 = document.steps.iter().map(|step| step.seconds).sum();
    let _ = writeln!(out, "{:<width$}  {:>12}", "total", time::seconds(total));
    let _ = writeln!(
        out,
        "\n{:<12} {:>7} {:>14} {:>14} {:>11}  result",
        "database", "tables", "rows before", "rows after", "size"
    );
    for database in &document.databases {
        // A partitioned table's rows are its partitions'.
        let own = || database.tables.iter().filter(|table| !table.partitioned);
        let before: u64 = own().map(|table| table.source_rows).sum();
        let compared = database
            .tables
            .iter()
            .all(|table| table.target_rows == Some(table.source_rows));
        let after: Option<u64> = own().map(|table| table.target_rows).sum();
        let _ = writeln!(
            out,
            "{:<12} {:>7} {:>14} {:>14} {:>11}  {}",
            database.name,
            database.tables.len(),
            time::count(before),
            after.map_or_else(|| "-".to_owned(), time::count),
            time::bytes(database.bytes),
            if compared {
                "every table compared equal"
            } else {
                "not compared"
            },
        );
    }
    let _ = writeln!(out, "\nbackup: {}", document.backup.display());
    for location in &document.uploads {
        let _ = writeln!(out, "uploaded: {location}");
    }
    let _ = writeln!(
        out,
        "target: {}@{}:{}",
        document.target.user, document.target.host, document.target.port
    );
    out
}
