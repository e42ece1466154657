//! Lines that people are to type. One that leaves its profile out acts on another server than the line that it follows.

use std::borrow::Cow;
use std::sync::OnceLock;

/// The profile of this process, when it is not the default one.
static PROFILE: OnceLock<String> = OnceLock::new();

/// How a line begins.
const PROGRAM: &str = "cargo xtask ";

/// Commands whose second word belongs to them.
const GROUPS: [&str; 3] = ["backup", "env", "production"];

/// In front of what another process said of itself: nobody types that, and its profile is its own.
const SAID_BY_ANOTHER: &str = "at work: ";

/// Said once, when the command line is read.
pub fn goes_by(profile: &str) {
    if profile != crate::DEFAULT_PROFILE {
        // Only the first counts: a process has one command line.
        let _ = PROFILE.set(profile.to_owned());
    }
}

/// A text whose lines to type name the profile of this process.
pub fn typed(text: &str) -> Cow<'_, str> {
    match PROFILE.get() {
        Some(profile) if text.contains(PROGRAM) => Cow::Owned(with_profile(text, profile)),
        _ => Cow::Borrowed(text),
    }
}

/// A text whose lines to type name this profile; those that name one are left alone.
pub fn with_profile(text: &str, profile: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| one_line(line, profile)).collect();
    lines.join("\n")
}

fn one_line(line: &str, profile: &str) -> String {
    let mut parts = line.split(PROGRAM);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let by_another = text.ends_with(SAID_BY_ANOTHER);
        text.push_str(PROGRAM);
        let end = end_of_command(part);
        if by_another || end == 0 || part.split([' ', '`', ')']).any(|word| word == "--profile") {
            text.push_str(part);
            continue;
        }
        let profile = infra::command::shell_word(profile);
        text.push_str(&format!("{} --profile {profile}{}", &part[..end], &part[end..]));
    }
    text
}

/// Where the command's name ends; 0 when none follows.
fn end_of_command(text: &str) -> usize {
    let word = |text: &str| text.bytes().take_while(u8::is_ascii_lowercase).count();
    let first = word(text);
    let rest = &text[first..];
    let second = rest.strip_prefix(' ').map_or(0, word);
    match GROUPS.contains(&&text[..first]) && second > 0 {
        true => first + 1 + second,
        false => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_to_type_names_its_profile_once() {
        for (text, wanted) in [
            (
                "go back with: cargo xtask rollback R",
                "go back with: cargo xtask rollback --profile p R",
            ),
            (
                "(cargo xtask migrate --dry-run shows every command)",
                "(cargo xtask migrate --profile p --dry-run shows every command)",
            ),
            (
                "cargo xtask backup create --only a",
                "cargo xtask backup create --profile p --only a",
            ),
            ("cargo xtask status", "cargo xtask status --profile p"),
            (
                "`cargo xtask verify`, or cargo xtask status.",
                "`cargo xtask verify --profile p`, or cargo xtask status --profile p.",
            ),
            (
                "one\ncargo xtask cleanup R\nthree",
                "one\ncargo xtask cleanup --profile p R\nthree",
            ),
        ] {
            assert_eq!(with_profile(text, "p"), wanted);
            // Twice is once.
            assert_eq!(with_profile(wanted, "p"), wanted);
        }
    }

    #[test]
    fn what_is_no_line_to_type_is_left_as_it_is() {
        for text in [
            "cargo xtask migrate --yes --profile q",
            "another command is at work: cargo xtask migrate, process 7",
            "Written by cargo xtask. Secrets are masked",
            "cargo xtask --help",
            "",
        ] {
            assert_eq!(with_profile(text, "p"), text);
        }
    }

    #[test]
    fn a_profile_with_a_blank_is_one_word() {
        assert_eq!(
            with_profile("cargo xtask status", "a b"),
            "cargo xtask status --profile 'a b'"
        );
    }
}
