//! `cargo xtask env check`

use std::collections::HashSet;
use std::path::PathBuf;

use backend_env::{Document, Environment, Reader};
use serde_json::json;

use super::{open, out_line};
use crate::model::finding::worst;
use crate::model::{Exit, Finding, Severity};
use crate::observe::is_placeholder;

/// Check one file: readers that disagree, keys set twice, placeholders, keys its template lacks or has more
#[derive(Debug, Clone, clap::Args)]
pub(super) struct CheckArgs {
    /// The file
    file: PathBuf,
    /// Its template, for example backend/.env.example
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn cmd_check(args: &CheckArgs) -> anyhow::Result<Exit> {
    let document = open(&args.file)?.document();
    let template = args
        .against
        .as_deref()
        .map(open)
        .transpose()?
        .map(|file| file.document());
    let findings = check(&args.file, &document, template.as_ref());
    if args.json {
        let text = json!({ "schema_version": 1, "file": args.file, "findings": findings });
        out_line(serde_json::to_string_pretty(&text)?)?;
    } else {
        for finding in &findings {
            out_line(finding)?;
        }
        if findings.is_empty() {
            out_line(format_args!("{}: every reader agrees", args.file.display()))?;
        }
    }
    Ok(match worst(&findings) {
        Some(Severity::Error) => Exit::Findings,
        Some(Severity::Warning) => Exit::WarningsOnly,
        _ => Exit::Ok,
    })
}

fn check(path: &std::path::Path, document: &Document, template: Option<&Document>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for disagreement in document.disagreements(Reader::ALL) {
        let found = disagreement.to_string();
        findings.push(Finding::warning("env.readers-disagree", found).at(path, disagreement.line()));
    }
    for (key, lines) in document.duplicates() {
        let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let found = format!("{key} is set on lines {}; the last one counts", text.join(", "));
        findings.push(Finding::warning("env.key-twice", found).at(path, lines.last().copied().unwrap_or(0)));
    }
    let readings = document.read_all(Reader::PythonDotenv, &Environment::empty());
    for entry in document.entries() {
        let text = readings
            .get(entry.key())
            .value()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        if text.is_some_and(|text| is_placeholder(&text)) {
            let found = format!("{} still has the template's value", entry.key());
            let fix = format!(
                "cargo xtask env set {} {}=-",
                infra::command::shell_path(path),
                entry.key()
            );
            findings.push(
                Finding::error("env.placeholder", found)
                    .hint(fix)
                    .at(path, entry.line()),
            );
        }
    }
    if document.has_bom() {
        let found = "the file begins with a byte order mark, which python-dotenv before 1.2.3 takes for part of the first key";
        findings.push(Finding::warning("env.bom", found).at(path, 1));
    }
    if let Some(line) = document.crlf_lines().first() {
        let found = "lines end in CRLF: the carriage return is no part of a value; a shell that sources the file would keep it";
        findings.push(Finding::note("env.crlf", found).at(path, *line));
    }
    let Some(template) = template else { return findings };
    let keys = |document: &'_ Document| -> HashSet<String> {
        document.entries().map(|entry| entry.key().to_owned()).collect()
    };
    let (own, wanted) = (keys(document), keys(template));
    for entry in template.entries().filter(|entry| !own.contains(entry.key())) {
        let found = format!("{} is in the template and not in the file", entry.key());
        findings.push(Finding::error("env.key-missing", found).at(path, 0));
    }
    for entry in document.entries().filter(|entry| !wanted.contains(entry.key())) {
        let found = format!("{} is not in the template", entry.key());
        findings.push(Finding::warning("env.key-unknown", found).at(path, entry.line()));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str, template: Option<&str>) -> Vec<(String, usize)> {
        let template = template.map(Document::parse);
        let findings = check(
            std::path::Path::new(".env"),
            &Document::parse(text),
            template.as_ref(),
        );
        findings
            .into_iter()
            .map(|f| (f.id, f.place.map_or(0, |place| place.line)))
            .collect()
    }

    #[test]
    fn a_clean_file_has_no_finding() {
        assert_eq!(ids("A=1\nB='x y'\n", Some("A=\nB=\n")), []);
    }

    /// Quadratic work would take hours here.
    #[test]
    fn a_hundred_thousand_keys_are_checked() {
        let text: String = (0..100_000)
            .map(|number| format!("KEY_{number}=value\n"))
            .collect();
        assert_eq!(ids(&text, Some(&text)), []);
    }

    #[test]
    fn each_fault_is_found_with_its_line() {
        let found = ids(
            "A=1\nB=x#c\t# d\nA=2\nP=change_me\nX=1\n",
            Some("A=\nB=\nP=\nM=\n"),
        );
        let wanted = [
            ("env.readers-disagree", 2),
            ("env.key-twice", 3),
            ("env.placeholder", 4),
            ("env.key-missing", 0),
            ("env.key-unknown", 5),
        ];
        for (id, line) in wanted {
            assert!(
                found.contains(&(id.to_owned(), line)),
                "{id}:{line} is not among {found:?}"
            );
        }
    }
}
