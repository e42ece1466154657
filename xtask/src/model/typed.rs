//! Lines that people are to type. One that leaves out the profile, the settings or the workspace of the command line that it
//! follows acts on another server.

use std::borrow::Cow;
use std::sync::OnceLock;

/// What the command line of this process said, and a line to type must say again.
static OPTIONS: OnceLock<Vec<Said>> = OnceLock::new();

/// An option of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `--profile`, or `--set KEY=`: a line that holds it is left alone.
    name: String,
    /// The option with its value, as it is typed.
    typed: String,
}

impl Said {
    /// `--profile NAME`
    fn profile(name: &str) -> Self {
        Self::new("--profile", name)
    }

    /// `--workspace DIR`
    pub fn workspace(folder: &std::path::Path) -> Self {
        Self::new("--workspace", &folder.to_string_lossy())
    }

    /// `--set KEY=VALUE`; a password has to be typed again.
    pub fn setting(pair: &str) -> Option<Self> {
        let (key, value) = pair.split_once('=')?;
        let value = match key.ends_with("password") {
            true => "PASSWORD",
            false => value,
        };
        let typed = infra::command::shell_word(&format!("{key}={value}"));
        let name = format!("--set {}", typed.split_inclusive('=').next().unwrap_or_default());
        Some(Self {
            name,
            typed: format!("--set {typed}"),
        })
    }

    fn new(name: &str, value: &str) -> Self {
        Self {
            name: name.to_owned(),
            typed: format!("{name} {}", infra::command::shell_word(value)),
        }
    }
}

/// How a line begins.
const PROGRAM: &str = "cargo xtask ";

/// Commands whose second word belongs to them.
const GROUPS: [&str; 3] = ["backup", "env", "production"];

/// In front of what another process said of itself: nobody types that, and its profile is its own.
const SAID_BY_ANOTHER: &str = "at work: ";

/// Said once, when the command line is read.
pub fn goes_by(profile: &str, others: impl IntoIterator<Item = Said>) {
    let profile = (profile != crate::DEFAULT_PROFILE).then(|| Said::profile(profile));
    // Only the first counts: a process has one command line.
    let _ = OPTIONS.set(profile.into_iter().chain(others).collect());
}

/// A text whose lines to type say what the command line of this process said.
pub fn typed(text: &str) -> Cow<'_, str> {
    match OPTIONS.get() {
        Some(options) if !options.is_empty() && text.contains(PROGRAM) => Cow::Owned(with(text, options)),
        _ => Cow::Borrowed(text),
    }
}

/// As [`typed`], for a text that is a document: what would need an escape there is left out.
pub fn typed_in_document(text: &str) -> Cow<'_, str> {
    let Some(options) = OPTIONS.get() else {
        return Cow::Borrowed(text);
    };
    let plain =
        |said: &&Said| !said.typed.contains(['"', '\\', '<', '&']) && !said.typed.contains(char::is_control);
    let options: Vec<Said> = options.iter().filter(plain).cloned().collect();
    match !options.is_empty() && text.contains(PROGRAM) {
        true => Cow::Owned(with(text, &options)),
        false => Cow::Borrowed(text),
    }
}

/// A text whose lines to type name this profile; those that name one are left alone.
pub fn with_profile(text: &str, profile: &str) -> String {
    with(text, &[Said::profile(profile)])
}

fn with(text: &str, options: &[Said]) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| one_line(line, options)).collect();
    lines.join("\n")
}

fn one_line(line: &str, options: &[Said]) -> String {
    let mut parts = line.split(PROGRAM);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let by_another = text.ends_with(SAID_BY_ANOTHER);
        text.push_str(PROGRAM);
        let end = end_of_command(part);
        if by_another || end == 0 {
            text.push_str(part);
            continue;
        }
        text.push_str(&part[..end]);
        for said in options.iter().filter(|said| !part.contains(&said.name)) {
            text.push_str(&format!(" {}", said.typed));
        }
        text.push_str(&part[end..]);
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
    fn settings_and_workspace_are_said_again_and_a_password_is_not() {
        let set = |pair| Said::setting(pair).unwrap();
        let options = [
            Said::workspace(std::path::Path::new("/a b")),
            set("target.port=5440"),
            set("target.password=hunter2"),
            set("labeler.repository=[\"x\"]"),
        ];
        let line = "hint: cargo xtask migrate --resume R";
        let wanted = "hint: cargo xtask migrate --workspace '/a b' --set target.port=5440 \
                      --set target.password=PASSWORD --set 'labeler.repository=[\"x\"]' --resume R";
        assert_eq!(with(line, &options), wanted);
        assert_eq!(with(wanted, &options), wanted);
        assert_eq!(
            with("cargo xtask migrate --set target.port=PORT", &options[1..2]),
            "cargo xtask migrate --set target.port=PORT"
        );
    }

    #[test]
    fn a_profile_with_a_blank_is_one_word() {
        assert_eq!(
            with_profile("cargo xtask status", "a b"),
            "cargo xtask status --profile 'a b'"
        );
    }
}
