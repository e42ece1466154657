//! `report.html`: one file, nothing loaded, readable on a phone, on paper and by keyboard.

use std::fmt::Write;

use super::run_report::{Bar, DatabaseReport, RunReport, TableReport, commands, rows};
use crate::model::{Finding, Severity, time};

const TEMPLATE: &str = include_str!("templates/report.html");
const CSS: &str = include_str!("templates/report.css");

/// The page. `redact` masks secrets; it sees every text before it is escaped.
pub fn page(report: &RunReport<'_>, redact: &dyn Fn(&str) -> String) -> String {
    let page = Page { redact };
    let (outcome, tone) = report.outcome();
    let sections = page.sections(report);
    let nav: String = sections
        .iter()
        .map(|(id, title, _)| format!("<li><a href=\"#{id}\">{title}</a></li>\n"))
        .collect();
    let bodies: String = sections
        .iter()
        .map(|(id, title, body)| {
            format!("<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n{body}</section>\n")
        })
        .collect();
    let error = report.document.error.as_ref().map_or_else(String::new, |error| {
        format!("<p class=\"error\">{}</p>\n", page.text(error))
    });
    // Values go in last: a text that looks like a mark of the template stays a text.
    fill(
        TEMPLATE,
        &[
            (
                "title",
                &page.text(&format!("{outcome} - {}", report.document.run)),
            ),
            ("css", CSS),
            ("run", &page.text(&report.document.run)),
            ("tone", tone),
            (
                "sign",
                match tone {
                    "good" => "\u{2713}",
                    "bad" => "!",
                    _ => "\u{21a9}",
                },
            ),
            ("outcome", &page.text(&outcome)),
            ("error", &error),
            ("facts", &page.facts(report)),
            ("nav", &format!("<ul>\n{nav}</ul>\n")),
            ("sections", &bodies),
        ],
    )
}

/// Replaces each `{{name}}` once, from left to right, and never looks into what it put in.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len() * 4);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        out.push_str(
            values
                .iter()
                .find(|(known, _)| *known == name)
                .map_or("", |(_, value)| value),
        );
        rest = after;
    }
    out.push_str(rest);
    out
}

struct Page<'a> {
    redact: &'a dyn Fn(&str) -> String,
}

type Section = (&'static str, &'static str, String);

impl Page<'_> {
    /// Masked, then escaped.
    fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in (self.redact)(text).chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                c => out.push(c),
            }
        }
        out
    }

    fn facts(&self, report: &RunReport<'_>) -> String {
        let document = report.document;
        let target = &document.target;
        let names: Vec<&str> = report.databases.iter().map(|d| d.name.as_str()).collect();
        let bytes: u64 = report.databases.iter().map(|d| d.bytes).sum();
        let facts = [
            (
                "Began (UTC)",
                report.began.replace('T', " ").chars().take(19).collect(),
            ),
            ("Took", time::seconds(report.seconds)),
            (
                "Databases",
                if names.is_empty() {
                    "none yet".to_owned()
                } else {
                    names.join(", ")
                },
            ),
            ("Data", time::bytes(bytes)),
            (
                "Target",
                format!("{}@{}:{}", target.user, target.host, target.port),
            ),
            ("Backup", document.backup.display().to_string()),
        ];
        let one = |(name, value): &(&str, String)| {
            let class = if *name == "Backup" { " class=\"wide\"" } else { "" };
            format!("<div{class}><dt>{name}</dt><dd>{}</dd></div>\n", self.text(value))
        };
        facts.iter().map(one).collect()
    }

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
        let equal = database.tables.iter().all(TableReport::is_equal);
        let (class, word) = match (after, equal) {
            (None, _) => ("open", "not compared"),
            (Some(_), true) => ("equal", "every table equal"),
            (Some(_), false) => ("differs", "differs"),
        };
        let after = after.map_or_else(|| "-".to_owned(), time::count);
        let name = self.text(&database.name);
        let mut out = format!(
            "<details{}>\n<summary><strong>{name}</strong> <span class=\"{class}\">{word}</span> <span>{} tables</span> \
             <span>rows {} &#8594; {after}</span> <span>{}, archive {}</span></summary>\n<div class=\"scroll\">\n\
             <table class=\"tables\" role=\"table\">\n<caption>Tables of {name}: what the old instance held and what the \
             restored copy holds</caption>\n<thead><tr role=\"row\">",
            if equal { "" } else { " open" },
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
        format!("<ol class=\"steps\">\n{bars}</ol>\n")
    }

    fn findings(&self, findings: &[Finding]) -> String {
        let one = |finding: &Finding| {
            let word = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            let mut out = format!(
                "<li><p><span class=\"tag {word}\">{word}</span> {} <span class=\"dim\">{}</span></p>\n",
                self.text(&finding.found),
                self.text(&finding.id)
            );
            if !finding.wanted.is_empty() {
                let _ = writeln!(out, "<p class=\"dim\">wanted: {}</p>", self.text(&finding.wanted));
            }
            if let Some(place) = &finding.place {
                let _ = writeln!(
                    out,
                    "<p class=\"dim\">{}:{}</p>",
                    self.text(&place.file),
                    place.line
                );
            }
            for hint in finding.hints.iter().take(2) {
                let _ = writeln!(out, "<pre tabindex=\"0\">{}</pre>", self.text(hint));
            }
            out + "</li>\n"
        };
        let items: String = findings.iter().map(one).collect();
        format!("<ul class=\"findings\">\n{items}</ul>\n")
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
            out.push_str("<pre tabindex=\"0\" role=\"region\" aria-label=\"Changes to the file\">");
            for line in diff
                .lines()
                .filter(|line| !line.starts_with("---") && !line.starts_with("+++"))
            {
                let class = match line.chars().next() {
                    Some('+') => "added",
                    Some('-') => "removed",
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
                "<h3>{title}</h3>\n<pre tabindex=\"0\">{}</pre>\n",
                self.text(&command)
            )
        };
        let mut out: String = commands(report).into_iter().map(one).collect();
        if !report.rolled_back {
            let undo = report
                .bars
                .iter()
                .rev()
                .filter(|bar| matches!(bar.result, "done" | "failed"));
            let undo: String = undo
                .map(|bar| format!("<li>undo: {}</li>\n", self.text(&bar.title)))
                .collect();
            let _ = write!(
                out,
                "<details>\n<summary>What going back does, in this order</summary>\n<ol>\n{undo}</ol>\n</details>\n\
                 <p class=\"dim\">The old volumes are untouched until cleanup. Rows that were written to the target since the \
                 cutover are not in the old instances.</p>\n"
            );
        }
        out
    }
}

#[cfg(test)]
mod tests;
