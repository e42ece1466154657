//! What is said of TOML that cannot be read: place, key and caret, and never a value. Any value may be a password, and
//! where a quote is missing nobody can tell where one ends.

use infra::secret::MASK;

/// A place in a text and what is wrong there, without the text's values.
pub(super) fn describe(text: &str, at: Option<usize>, message: &str) -> String {
    let message = without_value(message);
    let Some(at) = at else { return message };
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let number = text[..start].matches('\n').count() + 1;
    let column = text[start..at].chars().count() + 1;
    let shown = if is_closed(&text[..start]) {
        without_values(line)
    } else {
        MASK.to_owned()
    };
    let margin = " ".repeat(number.to_string().len());
    let before = " ".repeat((column - 1).min(shown.chars().count()));
    format!(
        "TOML error at line {number}, column {column}\n{margin} |\n{number} | {shown}\n{margin} | {before}^\n{message}"
    )
}

/// Whether a new statement begins behind this text: not within a string or a list of several lines.
fn is_closed(before: &str) -> bool {
    let even = |quotes: &str| before.matches(quotes).count().is_multiple_of(2);
    even("\"\"\"") && even("'''") && before.matches('[').count() == before.matches(']').count()
}

/// `  port = 5440 # mine` becomes `  port = ***`. A line that is neither `KEY =` nor `[TABLE]` is all mask.
fn without_values(line: &str) -> String {
    let bare = |text: &str| {
        let of_a_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        !text.is_empty() && text.chars().all(of_a_key)
    };
    let table = line.trim().trim_start_matches('[').trim_end_matches(']');
    if line.trim_start().starts_with('[') && line.trim_end().ends_with(']') && bare(table) {
        return line.trim_end().to_owned();
    }
    match line.split_once('=') {
        Some((key, _)) if bare(key.trim()) => format!("{key}= {MASK}"),
        _ => known_key(line).map_or_else(|| MASK.to_owned(), |key| format!("{key} {MASK}")),
    }
}

/// The key at the beginning of a line that is none of `KEY =`, when a setting is called so: nothing else is surely no value.
fn known_key(line: &str) -> Option<&str> {
    let text = line.trim_start().trim_start_matches(['"', '\'']);
    let end = text.find([' ', '\t', ':', '"', '\''])?;
    let key = &text[..end];
    let is_it = |line: &str| {
        line.trim_start_matches(['#', ' '])
            .split('=')
            .next()
            .map(str::trim)
            == Some(key)
    };
    (key == "password"
        || infra::MIGRATION_TOML
            .lines()
            .any(|line| line.contains('=') && is_it(line)))
    .then_some(key)
}

/// ``invalid type: string "many", expected u16`` without what was found. What was expected is ours to say.
fn without_value(message: &str) -> String {
    for start in [
        "invalid type: ",
        "invalid value: ",
        "unknown variant ",
        "invalid length ",
    ] {
        let Some(from) = message.find(start) else { continue };
        let found = from + start.len();
        let expected = message.rfind(", expected").filter(|at| *at >= found);
        let kind = message[found..].split(['"', '`']).next().unwrap_or_default();
        let kind = match kind.split_once(", expected") {
            // Nothing was quoted: `sequence`, `map`.
            Some(_) => continue,
            None => kind,
        };
        let rest = expected.map_or("", |at| &message[at..]);
        return format!("{}{kind}{MASK}{rest}", &message[..found]);
    }
    message.to_owned()
}

/// For errors of the parser and of the types.
pub(super) trait Broken {
    /// What is wrong with `text`, without its values.
    fn in_text(&self, text: &str) -> String;
}

impl Broken for toml_edit::TomlError {
    fn in_text(&self, text: &str) -> String {
        describe(text, self.span().map(|span| span.start), self.message())
    }
}

impl Broken for toml_edit::de::Error {
    fn in_text(&self, text: &str) -> String {
        describe(text, self.span().map(|span| span.start), self.message())
    }
}

/// The message of a value that has no line.
pub(super) fn message(error: &toml_edit::de::Error) -> String {
    without_value(error.message())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    /// What is said of a text that holds `hunter2`, in whole or in part.
    fn said(text: &str) -> String {
        let parsed = toml_edit::Document::parse(text.to_owned());
        let error = match parsed {
            Err(error) => error.in_text(text),
            Ok(_) => toml_edit::de::from_str::<Settings>(text)
                .unwrap_err()
                .in_text(text),
        };
        println!("{text}\n{error}\n");
        error
    }

    #[test]
    fn a_line_that_cannot_be_read_is_told_without_its_value() {
        let secret = "hunter2";
        for (text, key) in [
            // No end, no beginning, no quotes.
            ("[target]\npassword = \"hunter2\nport = 1\n", "password"),
            ("[target]\npassword = hunter2\"\n", "password"),
            ("[target]\npassword = hunter2\n", "password"),
            ("[target]\npassword = 'hunter2\"\n", "password"),
            ("[target]\npassword: \"hunter2\"\n", ""),
            ("[target]\n\"password = hunter2\"\n", ""),
            ("[target]\nhunter2\n", ""),
            ("[target]\npassword \"hunter2\" = 1\n", ""),
            // Two on a line, in both orders.
            ("[target]\npassword = \"hunter2\" user = \"x\"\n", "password"),
            ("[target]\nuser = \"x\" password = \"hunter2\"\n", "user"),
            ("target = { user = \"x\" password = \"hunter2\" }\n", "target"),
            ("target = { password = \"hunter2\", prot = 1 }\n", "target"),
            // Several lines.
            ("[target]\npassword = \"\"\"\nhunter2\n", ""),
            ("[target]\npassword = '''\nhunter2=x\n\u{1}'''\n", ""),
            ("[target]\npassword = \"\"\"\nhunter2\\q = 1\"\"\"\n", ""),
            ("[target]\npassword = [\n  hunter2=1,\n]\n", ""),
            ("password = [\n\"a\"\n  hunter2\n]\n", ""),
            // Escapes, types, words that are not known.
            ("[target]\npassword = \"hunter2\\q\"\n", "password"),
            ("[target]\nport = \"hunter2\"\n", "port"),
            ("[target]\nport = \"x, expected hunter2\"\n", "port"),
            ("[target]\ncontrol = \"hunter2\"\n", "control"),
            ("[target]\npassword = [\"hunter2\"]\n", "password"),
            (
                "[target]\npassword = \"hunter2\"\npassword = \"hunter2\"\n",
                "password",
            ),
        ] {
            let error = said(text);
            assert!(!error.contains(secret), "{text}\n{error}");
            assert!(error.contains("line ") && error.contains("column "), "{error}");
            assert!(error.contains('^'), "{error}");
            assert!(
                error.contains(&format!("{key} = {MASK}")) || key.is_empty(),
                "{text}\n{error}"
            );
        }
        let number = said("[target]\npassword = 8437216\n");
        assert!(!number.contains("8437216"), "{number}");
    }

    #[test]
    fn the_caret_stands_under_the_key_and_a_table_keeps_its_name() {
        assert_eq!(
            said("[target]\nprot = 5440 # mine\n").lines().collect::<Vec<_>>()[..4],
            ["TOML error at line 2, column 1", "  |", "2 | prot = ***", "  | ^"]
        );
        assert!(said("# one\n[tarjet]\nport = 1\n").contains("2 | [tarjet]\n  |  ^"));
    }

    #[test]
    fn a_known_key_stays_where_the_equals_sign_is_missing() {
        for text in [
            "[target]\nport 5440\n",
            "[target]\nport: 5440\n",
            "[target]\n\"port\" 5440\n",
        ] {
            let error = said(text);
            assert!(
                error.contains("2 | port ***\n") && !error.contains("5440"),
                "{error}"
            );
        }
        assert!(said("[target]\npassword: hunter2\n").contains("2 | password ***\n"));
    }

    #[test]
    fn what_was_expected_stays() {
        let error = said("[target]\nport = \"hunter2\"\n");
        assert!(
            error.contains("invalid type: string ***, expected u16"),
            "{error}"
        );
    }
}
