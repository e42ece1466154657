//! `report.html` of a run: the outcome first, then the data on both sides, where the time went, and how to go back.

use std::fmt::Write;

use super::{Head, Page, Section};
use crate::model::time;
use crate::report::run_report::{Bar, DatabaseReport, RunReport, TableReport, commands, rows};

/// The page. `redact` masks secrets; it sees every text before it is escaped.
pub fn page(report: &RunReport<'_>, redact: &dyn Fn(&str) -> String) -> String {
    let page = Page { redact };
    let (outcome, tone) = report.outcome();
    let head = Head {
        eyebrow: format!("Database migration {}", report.document.run),
        tone,
        outcome,
        lead: lead(report),
        error: report.document.error.as_deref(),
        facts: facts(report),
    };
    page.render(&head, &page.sections(report))
}

/// What it means, in two sentences.
fn lead(report: &RunReport<'_>) -> String {
    let target = &report.document.target;
    if report.rolled_back {
        return "The old instances run on their own volumes, and `.env` names them. What was moved stays on the target \
                under another name."
            .to_owned();
    }
    if report.document.verified {
        let without = report.without_databases();
        return format!(
            "`.env` names {}:{}, and the application answered from there. It was without its databases for {}. \
             The old volumes are untouched.",
            target.host,
            target.port,
            time::seconds(without)
        );
    }
    let done = |id: &str| {
        report
            .bars
            .iter()
            .any(|bar| bar.id.starts_with(id) && bar.result == "done")
    };
    if done("cutover") {
        "`.env` names the target, whose databases are complete; what is left is named below.".to_owned()
    } else if done("fence") {
        "The old instances are stopped and untouched, `.env` still names them, and the target shows no half-restored \
         database."
            .to_owned()
    } else {
        "`.env` is untouched, and the target shows no half-restored database.".to_owned()
    }
}

fn facts(report: &RunReport<'_>) -> Vec<(&'static str, String, bool)> {
    let document = report.document;
    let tables = match report.tables() {
        (all, 0) => all.to_string(),
        (all, left) => format!("{all}, {left} not counted"),
    };
    let before: u64 = report.databases.iter().map(|d| rows(d).0).sum();
    let bytes: u64 = report.databases.iter().map(|d| d.bytes).sum();
    let began: String = report.began.replace('T', " ").chars().take(19).collect();
    let mut facts = vec![
        ("Began (UTC)", began, false),
        ("Took", time::seconds(report.seconds), false),
    ];
    if !report.databases.is_empty() {
        facts.push(("Databases", report.databases.len().to_string(), false));
        facts.push(("Tables", tables, false));
        facts.push(("Rows", time::count(before), false));
        facts.push(("Data", time::bytes(bytes), false));
    }
    let target = &document.target;
    facts.push((
        "Target",
        format!("{}@{}:{}", target.user, target.host, target.port),
        true,
    ));
    facts.push(("Backup", document.backup.display().to_string(), true));
    for location in &document.uploads {
        facts.push(("Uploaded to", location.clone(), true));
    }
    facts
}

impl Page<'_> {
    fn sections(&self, report: &RunReport<'_>) -> Vec<Section> {
        let mut sections = Vec::new();
        if !report.databases.is_empty() {
            let body = report
                .databases
                .iter()
                .map(|database| self.database(database))
                .collect();
            sections.push(("databases", "Databases", body));
        }
        sections.push(("timeline", "Timeline", self.timeline(report)));
        if !report.document.findings.is_empty() {
            sections.push(("findings", "Findings", self.findings(&report.document.findings)));
        }
        if !report.env_files.is_empty() {
            sections.push(("env", "Changes to .env", self.env(report)));
        }
        sections.push(("next", "What to run next", self.next(report)));
        sections
    }

    fn database(&self, database: &DatabaseReport) -> String {
        let (before, after) = rows(database);
        let (class, word) = database.result();
        let after = after.map_or_else(|| "-".to_owned(), time::count);
        let name = self.text(&database.name);
        let mut out = format!(
            "<details{}>\n<summary><strong>{name}</strong><span class=\"{class}\">{word}</span><span>{} tables</span>\
             <span>{} &#8594; {after} rows</span><span>{}, archive {}</span></summary>\n<div class=\"scroll\" \
             tabindex=\"0\" role=\"region\" aria-label=\"Tables of {name}\">\n\
             <table class=\"tables\" role=\"table\">\n<caption>What the old instance held, and what the restored copy \
             holds. A checksum covers every row.</caption>\n<thead><tr role=\"row\">",
            if class == "equal" { "" } else { " open" },
            database.tables.len(),
            time::count(before),
            time::bytes(database.bytes),
            time::bytes(database.archive),
        );
        for (class, title) in [
            ("", "Table"),
            ("number", "Rows before"),
            ("number", "Rows after"),
            ("number", "Size"),
            ("", "Result"),
            ("", "Checksum before"),
            ("", "Checksum after"),
        ] {
            // Writing to a String cannot fail.
            let _ = write!(
                out,
                "<th scope=\"col\" role=\"columnheader\" class=\"{class}\">{title}</th>"
            );
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for table in &database.tables {
            out.push_str(&self.table(table));
        }
        out.push_str("</tbody>\n</table>\n</div>\n</details>\n");
        out
    }

    fn table(&self, table: &TableReport) -> String {
        let counted = table.not_counted.is_none();
        let short = |sum: &str| match counted {
            true => self.text(&sum.chars().take(12).collect::<String>()),
            false => "-".to_owned(),
        };
        let number = |rows: u64| {
            if counted {
                time::count(rows)
            } else {
                "-".to_owned()
            }
        };
        let (after, sum) = match &table.after {
            Some((rows, sum)) => (number(*rows), short(sum)),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let (class, word) = match (&table.not_counted, &table.after) {
            (Some(_), _) => ("open", "not counted"),
            (None, None) => ("open", "not compared"),
            (None, Some(_)) if table.is_equal() => ("equal", "equal"),
            (None, Some(_)) => ("differs", "differs"),
        };
        format!(
            "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\">{}</th>\
             <td role=\"cell\" class=\"number\" data-label=\"rows before\">{}</td>\
             <td role=\"cell\" class=\"number\" data-label=\"rows after\">{after}</td>\
             <td role=\"cell\" class=\"number\" data-label=\"size\">{}</td>\
             <td role=\"cell\" class=\"{class}\" data-label=\"result\">{word}</td>\
             <td role=\"cell\" class=\"sum\" data-label=\"before\">{}</td>\
             <td role=\"cell\" class=\"sum\" data-label=\"after\">{sum}</td></tr>\n",
            self.text(&table.name),
            number(table.before.0),
            time::bytes(table.bytes),
            short(&table.before.1),
        )
    }

    fn timeline(&self, report: &RunReport<'_>) -> String {
        let whole = report
            .bars
            .iter()
            .map(|bar| bar.start + bar.seconds)
            .fold(report.seconds, f64::max)
            .max(0.001);
        let one = |bar: &Bar| {
            let percent = |seconds: f64| (seconds / whole * 100.0).clamp(0.0, 100.0);
            let took = if bar.result == "pending" {
                "-".to_owned()
            } else {
                time::seconds(bar.seconds)
            };
            format!(
                "<li class=\"{}\"><span class=\"title\">{}</span><span class=\"track\" aria-hidden=\"true\">\
                 <i style=\"--from:{:.2}%;--long:{:.2}%\"></i></span><span class=\"time\">{took}</span>\
                 <span class=\"state\">{}</span></li>\n",
                bar.result,
                self.text(&bar.title),
                percent(bar.start).min(99.0),
                percent(bar.seconds),
                bar.result,
            )
        };
        let bars: String = report.bars.iter().map(one).collect();
        let marks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| {
            let at = part * 100.0;
            format!(
                "<i style=\"--at:{at:.0}%\"><b>{}</b></i>",
                time::seconds(whole * part)
            )
        });
        format!(
            "<div class=\"axis\" aria-hidden=\"true\"><span></span><span class=\"ticks\">{}</span></div>\n\
             <ol class=\"steps\">\n{bars}</ol>\n",
            marks.concat()
        )
    }

    fn env(&self, report: &RunReport<'_>) -> String {
        let mut out =
            String::from("<p class=\"dim\">Values are masked; the run keeps the previous bytes.</p>\n");
        for (file, diff) in &report.env_files {
            let _ = writeln!(out, "<h3>{}</h3>", self.text(file));
            if diff.is_empty() {
                out.push_str("<p>As before.</p>\n");
                continue;
            }
            let _ = write!(
                out,
                "<pre class=\"diff\" tabindex=\"0\" role=\"region\" aria-label=\"Changes to {}\">",
                self.text(file)
            );
            for line in diff
                .lines()
                .filter(|line| !line.starts_with("---") && !line.starts_with("+++"))
            {
                let class = match line.chars().next() {
                    Some('+') => "added",
                    Some('-') => "removed",
                    Some('@') => "hunk",
                    _ => "same",
                };
                // The mark of a carriage return has no glyph in most fonts.
                let line = line.trim_end_matches(['\u{240d}', '\r']);
                let _ = write!(out, "<span class=\"{class}\">{}</span>", self.text(line));
            }
            out.push_str("</pre>\n");
        }
        out
    }

    fn next(&self, report: &RunReport<'_>) -> String {
        let one = |(title, command): (&str, String)| {
            format!(
                "<li><h3>{title}</h3>\n<pre tabindex=\"0\">{}</pre></li>\n",
                self.text(&command)
            )
        };
        let cards: String = commands(report).into_iter().map(one).collect();
        let mut out = format!("<ul class=\"next\">\n{cards}</ul>\n");
        if !report.rolled_back {
            let undo = report
                .bars
                .iter()
                .rev()
                .filter(|bar| matches!(bar.result, "done" | "failed"));
            let undo: String = undo
                .map(|bar| format!("<li>{}</li>\n", self.text(&bar.title)))
                .collect();
            let _ = write!(
                out,
                "<details>\n<summary class=\"plain\">What going back undoes, in this order</summary>\n<ol \
                 class=\"undo\">\n{undo}</ol>\n</details>\n\
                 <p class=\"dim\">The old volumes are untouched until cleanup. Rows that were written to the target since \
                 the cutover are not in the old instances: going back says so first, and keeps them in a backup.</p>\n"
            );
        }
        out
    }
}
