//! Variables of the environment that look like ours and that nothing reads: a setting that was meant and never came.

use super::layers::PREFIX;
use super::own_secrets::variables as secrets;
use super::{ConfigError, Settings};
use crate::model::nearest;

/// Variables of ours that are no settings.
const OWN: [&str; 7] = [
    "XTASK_WORKSPACE",
    "XTASK_PG_BIN",
    "XTASK_CRASH_AFTER",
    "XTASK_CLOCK",
    infra::ports::FROM,
    "XTASK_CI_LEFT_OUT",
    "XTASK_TEST_PG_BIN",
];

/// What is said of each that nothing reads.
///
/// # Errors
/// For one that is a setting but for an underscore: going on would use another value than the one that was given.
pub(super) fn variables(
    environment: &[(String, String)],
    settings: &Settings,
    paths: &[&str],
) -> Result<Vec<String>, ConfigError> {
    let secrets = secrets(settings);
    let mut known: Vec<&str> = OWN.to_vec();
    known.extend(secrets.iter().map(String::as_str));
    let mut unread = Vec::new();
    for (name, _) in environment {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if rest.contains("__") || rest.starts_with("NEW_") || known.contains(&name.as_str()) {
            continue;
        }
        if let Some(path) = paths.iter().find(|path| flat(path) == rest.to_uppercase()) {
            return Err(ConfigError {
                place: name.clone(),
                why: format!("nothing reads it; the setting {path} is {}", variable(path)),
            });
        }
        let meant = nearest(name, known.iter().copied());
        let meant = meant.map_or_else(
            || format!("a setting has two underscores between its parts, as {PREFIX}TARGET__PORT has"),
            |nearest| format!("the nearest is {nearest}"),
        );
        unread.push(format!("nothing reads {name}; {meant}"));
    }
    Ok(unread)
}

/// `target.port` as somebody spells it who does not know of the second underscore.
fn flat(path: &str) -> String {
    path.to_uppercase().replace(['.', '-'], "_")
}

fn variable(path: &str) -> String {
    format!(
        "{PREFIX}{}",
        path.to_uppercase().replace('-', "_").replace('.', "__")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str) -> Result<Vec<String>, String> {
        let settings: Settings = toml_edit::de::from_str(infra::MIGRATION_TOML).unwrap();
        let environment = [(name.to_owned(), "hunter2".to_owned())];
        variables(
            &environment,
            &settings,
            &["target.port", "databases.users.source.database"],
        )
        .map_err(|error| error.to_string())
    }

    #[test]
    fn a_setting_with_one_underscore_is_refused_and_other_names_are_told() {
        assert_eq!(
            said("XTASK_TARGET_PORT").unwrap_err(),
            "XTASK_TARGET_PORT: nothing reads it; the setting target.port is XTASK_TARGET__PORT"
        );
        assert!(said("XTASK_DATABASES_USERS_SOURCE_DATABASE").is_err());
        assert_eq!(
            said("XTASK_TARGET_PASWORD").unwrap(),
            ["nothing reads XTASK_TARGET_PASWORD; the nearest is XTASK_TARGET_PASSWORD"]
        );
        assert!(said("XTASK_FOO_BAR_BAZ_AND_MORE_OF_IT").unwrap()[0].contains("two underscores"));
        for name in [
            "XTASK_WORKSPACE",
            "XTASK_CLOCK",
            "XTASK_TARGET_PASSWORD",
            "XTASK_SOURCE_USERS_PASSWORD",
            "XTASK_NEW_SECRET_KEY",
            "XTASK_TARGET__PORT",
            "PGHOST",
        ] {
            assert_eq!(said(name).unwrap(), Vec::<String>::new(), "{name}");
        }
    }
}
