//! Lays the settings over each other and remembers where each value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use toml_edit::{Document, DocumentMut, Item, TableLike, Value};

use super::{Settings, Workspace};

/// Prefix of environment variables that are settings.
const PREFIX: &str = "XTASK_";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built into the program: the guide's own values.
    Guide,
    /// A file and a line.
    File(String, usize),
    /// An environment variable.
    Environment(String),
    /// `--set`.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guide => f.write_str("the guide's default"),
            Self::File(file, line) => write!(f, "{file}:{line}"),
            Self::Environment(name) => f.write_str(name),
            Self::Flag => f.write_str("--set"),
        }
    }
}

/// Settings that cannot be read: the text shows the place with a caret where there is one.
#[derive(Debug)]
pub struct ConfigError {
    /// The file, variable or flag.
    pub place: String,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why.trim_end())
    }
}

impl std::error::Error for ConfigError {}

/// Settings with the origin of every value.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The profile laid over them.
    pub profile: String,
    /// Dotted path to value text (secrets masked) and origin.
    pub origins: BTreeMap<String, (String, Origin)>,
}

/// Loads all layers.
///
/// # Errors
/// The first layer that cannot be read, with line and column.
pub fn load(
    workspace: &Workspace,
    profile: &str,
    environment: &[(String, String)],
    sets: &[String],
) -> Result<Loaded, ConfigError> {
    let mut merged = Merged::default();
    merged.file("the built-in settings", infra::MIGRATION_TOML, &|_| Origin::Guide)?;
    for file in [workspace.settings_file(), workspace.private().join("local.toml")] {
        if file.is_file() {
            let name = file
                .strip_prefix(workspace.root())
                .unwrap_or(&file)
                .display()
                .to_string();
            let text = read(&file)?;
            merged.file(&name, &text, &|line| Origin::File(name.clone(), line))?;
        }
    }
    merged.profile(profile)?;
    for (name, value) in environment {
        if let Some(path) = setting_of(name) {
            merged.set(&path, value, Origin::Environment(name.clone()), name)?;
        }
    }
    for set in sets {
        let Some((path, value)) = set.split_once('=') else {
            return Err(ConfigError {
                place: format!("--set {set}"),
                why: "wanted KEY=VALUE, for example --set target.port=5440".to_owned(),
            });
        };
        merged.set(path.trim(), value, Origin::Flag, &format!("--set {path}"))?;
    }
    let settings: Settings =
        toml_edit::de::from_document(merged.document.clone()).map_err(|error| ConfigError {
            place: "settings".to_owned(),
            why: error.to_string(),
        })?;
    validate(&settings)?;
    let mut origins = BTreeMap::new();
    leaves(merged.document.as_table(), "", &mut |path, value| {
        let text = if is_secret(path) {
            infra::secret::MASK.to_owned()
        } else {
            value.trim().to_owned()
        };
        let origin = merged.origins.get(path).cloned().unwrap_or(Origin::Guide);
        origins.insert(path.to_owned(), (text, origin));
    });
    Ok(Loaded {
        settings,
        profile: profile.to_owned(),
        origins,
    })
}

fn read(file: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(file).map_err(|error| ConfigError {
        place: file.display().to_string(),
        why: error.to_string(),
    })
}

/// `XTASK_TARGET__PORT` is `target.port`. Names without a double underscore are not settings (`XTASK_TARGET_PASSWORD`).
fn setting_of(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?;
    rest.contains("__").then(|| {
        rest.split("__")
            .map(|p| p.to_lowercase().replace('_', "-"))
            .collect::<Vec<_>>()
            .join(".")
    })
}

fn is_secret(path: &str) -> bool {
    // `env.password` is the *name* of a key.
    path.ends_with(".password") && !path.contains(".env.")
}

#[derive(Default)]
struct Merged {
    document: DocumentMut,
    origins: BTreeMap<String, Origin>,
}

impl Merged {
    /// Checks a file by itself, so that errors carry its line and column, then lays it over.
    fn file(&mut self, name: &str, text: &str, origin: &dyn Fn(usize) -> Origin) -> Result<(), ConfigError> {
        let error = |why: String| ConfigError {
            place: name.to_owned(),
            why,
        };
        let parsed = Document::parse(text.to_owned()).map_err(|e| error(e.to_string()))?;
        let layer: Settings = toml_edit::de::from_str(text).map_err(|e| error(e.to_string()))?;
        if let Some((name, _)) = layer
            .profiles
            .iter()
            .find(|(_, profile)| !profile.profiles.is_empty())
        {
            return Err(error(format!(
                "profile {name} holds profiles; a profile cannot be nested"
            )));
        }
        let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
        spans(parsed.as_table(), "", &mut |path, offset| {
            self.origins.insert(path.to_owned(), origin(line_of(offset)));
        });
        merge(self.document.as_table_mut(), parsed.as_table());
        Ok(())
    }

    fn profile(&mut self, name: &str) -> Result<(), ConfigError> {
        let profiles = self.document.as_table_mut().remove("profiles");
        if name == crate::DEFAULT_PROFILE {
            return Ok(());
        }
        let table = profiles.as_ref().and_then(Item::as_table_like);
        let Some(overlay) = table.and_then(|t| t.get(name)).and_then(Item::as_table_like) else {
            let mut known = vec![crate::DEFAULT_PROFILE];
            known.extend(table.into_iter().flat_map(|t| t.iter().map(|(k, _)| k)));
            return Err(ConfigError {
                place: format!("--profile {name}"),
                why: format!("no such profile; there is {}", known.join(", ")),
            });
        };
        let prefix = format!("profiles.{name}.");
        let moved: Vec<(String, Origin)> = self
            .origins
            .iter()
            .filter_map(|(path, origin)| Some((path.strip_prefix(&prefix)?.to_owned(), origin.clone())))
            .collect();
        self.origins.extend(moved);
        merge(self.document.as_table_mut(), overlay);
        Ok(())
    }

    /// One value by dotted path: TOML when it reads as TOML of a type that fits, else a string.
    fn set(&mut self, path: &str, text: &str, origin: Origin, place: &str) -> Result<(), ConfigError> {
        let candidates = [text.parse::<Value>().ok(), Some(Value::from(text))];
        let mut why = String::new();
        for value in candidates.into_iter().flatten() {
            let mut layer = DocumentMut::new();
            let mut item = Item::Value(value.decorated("", ""));
            for key in path
                .rsplit('.')
                .take(path.split('.').count() - 1)
                .collect::<Vec<_>>()
            {
                let mut table = toml_edit::Table::new();
                table.insert(key, item);
                item = Item::Table(table);
            }
            layer.insert(path.split('.').next().unwrap_or(path), item);
            match Settings::deserialize(toml_edit::de::Deserializer::from(layer.clone())) {
                Ok(_) => {
                    self.origins.insert(path.to_owned(), origin);
                    merge(self.document.as_table_mut(), layer.as_table());
                    return Ok(());
                }
                // The first reading of the value is the likelier one; its complaint is the better one.
                Err(error) if why.is_empty() => why = error.message().to_owned(),
                Err(_) => {}
            }
        }
        Err(ConfigError {
            place: place.to_owned(),
            why,
        })
    }
}

/// Lays `over` on `base`: tables merge, everything else replaces.
fn merge(base: &mut dyn TableLike, over: &dyn TableLike) {
    for (key, item) in over.iter() {
        match (
            base.get_mut(key).and_then(Item::as_table_like_mut),
            item.as_table_like(),
        ) {
            (Some(base), Some(over)) => merge(base, over),
            _ => {
                base.insert(key, item.clone());
            }
        }
    }
}

fn leaves(table: &dyn TableLike, prefix: &str, visit: &mut dyn FnMut(&str, &str)) {
    for (key, item) in table.iter() {
        let path = if prefix.is_empty() {
            key.to_owned()
        } else {
            format!("{prefix}.{key}")
        };
        match (item.as_table_like(), item.as_array_of_tables()) {
            (Some(table), _) => leaves(table, &path, visit),
            (None, Some(array)) => visit(&path, &format!("{} entries", array.len())),
            (None, None) => visit(&path, &item.to_string()),
        }
    }
}

fn spans(table: &dyn TableLike, prefix: &str, visit: &mut dyn FnMut(&str, usize)) {
    for (key, item) in table.iter() {
        let path = if prefix.is_empty() {
            key.to_owned()
        } else {
            format!("{prefix}.{key}")
        };
        if let Some(table) = item.as_table_like() {
            spans(table, &path, visit);
        } else {
            let start = item
                .span()
                .or_else(|| {
                    item.as_array_of_tables()
                        .and_then(|array| array.iter().next()?.span())
                })
                .map_or(0, |span| span.start);
            visit(&path, start);
        }
    }
}

/// What the types cannot say.
fn validate(settings: &Settings) -> Result<(), ConfigError> {
    let error = |why: String| {
        Err(ConfigError {
            place: "settings".to_owned(),
            why,
        })
    };
    if settings.schema_version != 1 {
        return error(format!(
            "schema-version is {}; this program reads 1",
            settings.schema_version
        ));
    }
    if settings.databases.is_empty() {
        return error("no [databases.NAME]: there is nothing to migrate".to_owned());
    }
    for (name, database) in &settings.databases {
        if database.name.is_empty() || database.source.database.is_empty() {
            return error(format!("databases.{name} needs `name` and `source.database`"));
        }
        if database.env.keys().contains(&"") {
            return error(format!(
                "databases.{name}.env needs host, port, name, user and password"
            ));
        }
    }
    let schema = &settings.schema.database;
    if !schema.is_empty() && !settings.databases.contains_key(schema) {
        return error(format!(
            "schema.database is {schema}, which is not one of [databases]"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_with(local: &str, environment: &[(&str, &str)], sets: &[&str]) -> Result<Loaded, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        infra::files::private_dir(&dir.path().join(".xtask")).unwrap();
        infra::files::write_private(&dir.path().join(".xtask/local.toml"), local.as_bytes()).unwrap();
        let environment: Vec<_> = environment
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect();
        let sets: Vec<_> = sets.iter().map(ToString::to_string).collect();
        load(
            &Workspace::at(dir.path()),
            crate::DEFAULT_PROFILE,
            &environment,
            &sets,
        )
    }

    #[test]
    fn layers_win_in_order_and_remember_where_they_came_from() {
        let loaded = load_with(
            "[target]\nport = 6000\nhost = \"db\"\n",
            &[("XTASK_TARGET__PORT", "6001"), ("XTASK_UNRELATED", "x")],
            &["redis.port=7000"],
        )
        .unwrap();
        assert_eq!(loaded.settings.target.port, 6001);
        assert_eq!(loaded.settings.target.host, "db");
        assert_eq!(loaded.settings.redis.port, 7000);
        assert_eq!(
            loaded.origins["target.port"].1,
            Origin::Environment("XTASK_TARGET__PORT".to_owned())
        );
        assert_eq!(
            loaded.origins["target.host"].1,
            Origin::File(".xtask/local.toml".to_owned(), 3)
        );
        assert_eq!(loaded.origins["redis.port"].1, Origin::Flag);
        assert_eq!(loaded.origins["target.user"].1, Origin::Guide);
    }

    #[test]
    fn a_password_is_never_in_the_list_of_settings() {
        let loaded = load_with("[target]\npassword = \"s3cr3t\"\n", &[], &[]).unwrap();
        assert!(!format!("{:?} {:?}", loaded.origins, loaded.settings).contains("s3cr3t"));
    }

    #[test]
    fn an_unknown_key_is_an_error_with_line_and_caret() {
        let error = load_with("[target]\nprot = 1\n", &[], &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 2, column 1") && error.contains('^') && error.contains("prot"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_type_is_an_error_with_line_and_caret() {
        let error = load_with("[target]\nport = \"many\"\n", &[], &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 2, column 8") && error.contains('^'),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_variable_or_flag_is_named() {
        let error = load_with("", &[("XTASK_TARGET__PORT", "many")], &[])
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("XTASK_TARGET__PORT"), "{error}");
        let error = load_with("", &[], &["target.prot=1"]).unwrap_err().to_string();
        assert!(error.contains("prot"), "{error}");
    }

    #[test]
    fn a_number_that_looks_like_a_string_is_taken_as_the_type_that_fits() {
        let loaded = load_with("", &[("XTASK_TARGET__USER", "12345")], &[]).unwrap();
        assert_eq!(loaded.settings.target.user, "12345");
    }
}
