//! What programs say, and which problem says so.

use super::{PROBLEMS, Problem};

/// The first line of a text that a pattern describes. `*` stands for anything on the line; case does not count.
pub(super) fn line<'a>(pattern: &str, text: &'a str) -> Option<&'a str> {
    let parts: Vec<String> = pattern.split('*').map(str::to_lowercase).collect();
    // A program's words stand behind a bar where an error quotes them.
    let bare = |line: &'a str| line.trim_start_matches(['|', ' ', '\t']).trim_end();
    text.lines().map(bare).find(|line| {
        let lower = line.to_lowercase();
        let mut rest = lower.as_str();
        parts.iter().all(|part| match rest.find(part.as_str()) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    })
}

/// The first line that one of these patterns describes.
pub(super) fn any<'a>(patterns: &[&str], text: &'a str) -> Option<&'a str> {
    patterns.iter().find_map(|pattern| line(pattern, text))
}

/// The problems that speak like this text, in the order of the catalogue.
pub fn recognise(text: &str) -> Vec<&'static Problem> {
    let speaks = |problem: &&Problem| any(problem.symptoms, text).is_some();
    PROBLEMS.iter().filter(speaks).collect()
}

/// The line of a failure that says what is wrong: not the place in a query, nor the caret under it.
pub(super) fn telling(text: &str) -> &str {
    let lines = || {
        text.lines()
            .map(|line| line.trim_start_matches(['|', ' ']).trim_end())
    };
    let says = |line: &&str| {
        ["FATAL:", "ERROR:", "PANIC:", "error:"]
            .iter()
            .any(|word| line.contains(word))
    };
    let place = |line: &&str| line.is_empty() || line.starts_with("LINE ") || line.trim() == "^";
    let found = lines().find(says).or_else(|| lines().rfind(|line| !place(line)));
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telling_line_is_not_the_caret() {
        let text = "failed to ask: exit code 3\n  command: psql\n  | ERROR:  relation \"x\" does not exist\n  | LINE 1: SELECT x\n  |                ^";
        assert_eq!(telling(text), "ERROR:  relation \"x\" does not exist");
        assert_eq!(telling("failed to ask\n  | no answer\n  |    ^"), "no answer");
        assert_eq!(
            any(&["relation \"*\" does not exist"], text),
            Some("ERROR:  relation \"x\" does not exist")
        );
    }
}
