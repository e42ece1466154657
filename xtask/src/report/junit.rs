//! JUnit XML: one suite for each group of checks. JUnit knows no warnings: they stand in `system-out` of a test that
//! passed.

use std::fmt::Write;

use crate::checks::{Group, Outcome, Verdict, Verdicts};
use crate::model::{Finding, Severity};

/// The document.
pub fn junit(verdicts: &Verdicts) -> String {
    let failed = |verdict: &&Verdict| verdict.outcome.word() == "failed";
    let skipped = |verdict: &&Verdict| verdict.outcome.word() == "skipped";
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<testsuites name=\"verify\" tests=\"{}\" failures=\"{}\">",
        verdicts.0.len(),
        verdicts.0.iter().filter(failed).count()
    );
    for group in Group::ALL {
        let members: Vec<&Verdict> = verdicts.0.iter().filter(|v| v.check.group == group).collect();
        if members.is_empty() {
            continue;
        }
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{:.3}\">",
            group.name(),
            members.len(),
            members.iter().copied().filter(|v| failed(v)).count(),
            members.iter().copied().filter(|v| skipped(v)).count(),
            members.iter().map(|v| v.seconds).sum::<f64>()
        );
        for verdict in members {
            case(&mut out, verdict);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(out: &mut String, verdict: &Verdict) {
    let check = verdict.check;
    let place = verdict
        .outcome
        .findings()
        .iter()
        .find_map(|finding| finding.place.as_ref());
    let place = place.map_or_else(String::new, |place| {
        format!(" file=\"{}\" line=\"{}\"", escape(&place.file), place.line)
    });
    let _ = write!(
        out,
        "    <testcase classname=\"verify.{}\" name=\"{}\" time=\"{:.3}\"{place}",
        check.group.name(),
        check.id,
        verdict.seconds
    );
    match &verdict.outcome {
        Outcome::Passed => out.push_str("/>\n"),
        Outcome::Skipped(why) => {
            let _ = writeln!(
                out,
                ">\n      <skipped message=\"{}\"/>\n    </testcase>",
                escape(why)
            );
        }
        Outcome::Found(findings) => {
            out.push_str(">\n");
            let (errors, others): (Vec<&Finding>, Vec<&Finding>) = findings
                .iter()
                .partition(|finding| finding.severity == Severity::Error);
            for finding in errors {
                let _ = writeln!(
                    out,
                    "      <failure type=\"{}\" message=\"{}\">{}</failure>",
                    check.id,
                    escape(&finding.found),
                    escape(&finding.to_string())
                );
            }
            if !others.is_empty() {
                let texts: Vec<String> = others
                    .iter()
                    .map(|finding| escape(&finding.to_string()))
                    .collect();
                let _ = writeln!(out, "      <system-out>{}</system-out>", texts.join("\n"));
            }
            out.push_str("    </testcase>\n");
        }
    }
}

/// Text as XML; control characters that XML 1.0 forbids become `?`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if u32::from(c) < 0x20 || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            c => out.push(c),
        }
    }
    out
}
