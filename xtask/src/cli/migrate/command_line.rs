//! The command as it was typed, for the audit log.

use super::MigrateArgs;
use crate::plan::Roles;

/// The command with the flags that decide something: what a person gave their word for.
pub(super) fn typed(args: &MigrateArgs) -> String {
    let mut line = "cargo xtask migrate".to_owned();
    for (given, flag) in [
        (args.resume.is_some(), "--resume"),
        (args.yes, "--yes"),
        (args.pull, "--pull"),
        (args.set_aside_existing, "--set-aside-existing"),
        (args.accept_unfenced_source, "--accept-unfenced-source"),
    ] {
        if given {
            line.push(' ');
            line.push_str(flag);
        }
    }
    let mut with =
        |flag: &str, value: &str| line.push_str(&format!(" {flag} {}", infra::command::shell_word(value)));
    if !args.only.is_empty() {
        with("--only", &args.only.join(","));
    }
    if args.roles != Roles::default() {
        with("--roles", "preserve");
    }
    if let Some(host) = &args.confirm_target {
        with("--confirm-target", host);
    }
    line
}
