//! Pages of one file: nothing loaded, readable on a phone, on paper and by keyboard.

mod checks;
mod run;

use std::fmt::Write;

use crate::model::{Finding, Severity};

pub use checks::page as checks_page;
pub use run::page;

const TEMPLATE: &str = include_str!("templates/report.html");
const CSS: &str = include_str!("templates/report.css");

/// How a page is coloured, and the sign beside its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warn,
    Bad,
    Quiet,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Quiet => "quiet",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Good => "\u{2713}",
            Self::Warn | Self::Bad => "!",
            Self::Quiet => "\u{21a9}",
        }
    }
}

/// Masks secrets and writes HTML.
struct Page<'a> {
    redact: &'a dyn Fn(&str) -> String,
}

/// Id, title and body of a section.
type Section = (&'static str, &'static str, String);

/// The head of a page: texts as they are, neither masked nor escaped yet.
struct Head<'a> {
    eyebrow: String,
    tone: Tone,
    outcome: String,
    lead: String,
    error: Option<&'a str>,
    /// Name, value, and whether it takes the whole width.
    facts: Vec<(&'static str, String, bool)>,
}

impl Page<'_> {
    /// The whole page.
    fn render(&self, head: &Head<'_>, sections: &[Section]) -> String {
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
        let error = head.error.map_or_else(String::new, |error| {
            format!("<p class=\"why\">{}</p>\n", self.text(error))
        });
        let one = |(name, value, wide): &(&str, String, bool)| {
            let class = if *wide { " class=\"wide\"" } else { "" };
            format!("<div{class}><dt>{name}</dt><dd>{}</dd></div>\n", self.text(value))
        };
        // Values go in last: a text that looks like a mark of the template stays a text.
        fill(
            TEMPLATE,
            &[
                (
                    "title",
                    &self.text(&format!("{} - {}", head.outcome, head.eyebrow)),
                ),
                ("css", CSS),
                ("eyebrow", &self.text(&head.eyebrow)),
                ("tone", head.tone.class()),
                ("sign", head.tone.sign()),
                ("outcome", &self.text(&head.outcome)),
                ("lead", &self.inline(&head.lead)),
                ("error", &error),
                ("facts", &head.facts.iter().map(one).collect::<String>()),
                ("nav", &format!("<ul>\n{nav}</ul>\n")),
                ("sections", &bodies),
            ],
        )
    }

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

    /// The same, with what stands between backticks as code.
    fn inline(&self, text: &str) -> String {
        let escaped = self.text(text);
        let parts: Vec<&str> = escaped.split('`').collect();
        if parts.len().is_multiple_of(2) {
            // One that is not closed is a character like any other.
            return escaped;
        }
        let mut out = String::with_capacity(escaped.len() + 16);
        for (at, part) in parts.into_iter().enumerate() {
            let code = at % 2 == 1;
            out.push_str(if code { "<code>" } else { "" });
            out.push_str(part);
            out.push_str(if code { "</code>" } else { "" });
        }
        out
    }

    fn findings<'f>(&self, findings: impl IntoIterator<Item = &'f Finding>) -> String {
        let items: String = findings
            .into_iter()
            .map(|finding| self.finding(finding))
            .collect();
        format!("<ul class=\"findings\">\n{items}</ul>\n")
    }

    fn finding(&self, finding: &Finding) -> String {
        let word = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let mut out = format!(
            "<li class=\"{word}\"><p class=\"what\"><span class=\"tag\">{word}</span> <code>{}</code></p>\n<p>{}</p>\n",
            self.text(&finding.id),
            self.inline(&finding.found),
        );
        // Writing to a String cannot fail.
        if let Some(place) = &finding.place {
            let line = match place.line {
                0 => String::new(),
                line => format!(":{line}"),
            };
            let _ = writeln!(out, "<p class=\"dim\">{}{line}</p>", self.text(&place.file));
        }
        if !finding.wanted.is_empty() {
            let _ = writeln!(
                out,
                "<p><span class=\"dim\">wanted</span> {}</p>",
                self.inline(&finding.wanted)
            );
        }
        for hint in finding.hints.iter().take(2) {
            let _ = writeln!(out, "<pre tabindex=\"0\">{}</pre>", self.text(hint));
        }
        out + "</li>\n"
    }
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

#[cfg(test)]
mod tests;
