//! Lays the settings over each other and remembers where each value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use toml_edit::{Document, DocumentMut, Item, TableLike, Value};

use super::broken::{self, Broken};
use super::standard::Standard;
use super::{Settings, Workspace, unread};

/// Prefix of environment variables that are settings.
pub(super) const PREFIX: &str = "XTASK_";
/// The one setting that holds a password.
const TARGET_PASSWORD: &str = "target.password";

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
    /// Variables that look like ours and that nothing reads, in words.
    pub unread: Vec<String>,
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
    let mut merged = Merged::built_in()?;
    for file in [workspace.settings_file(), workspace.local_settings()] {
        if file.is_file() {
            let name = file
                .strip_prefix(workspace.root())
                .unwrap_or(&file)
                .display()
                .to_string();
            let text = read(&file)?;
            merged.file(&name, &text, &|line| Origin::File(name.clone(), line))?;
            if file == workspace.settings_file() {
                merged.team = Some(name);
            }
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
                // Whatever it is, it may be a password.
                place: "--set".to_owned(),
                why: "wanted KEY=VALUE, for example --set target.port=5440".to_owned(),
            });
        };
        merged.set(path.trim(), value, Origin::Flag, &format!("--set {path}"))?;
    }
    let shipped = Merged::shipped(profile)?;
    super::standard::external(&mut merged, &shipped, &Standard::new(environment))?;
    let mut settings: Settings =
        toml_edit::de::from_document(merged.document.clone()).map_err(|error| ConfigError {
            place: "settings".to_owned(),
            why: broken::message(&error),
        })?;
    validate(&settings)?;
    let mut paths = Vec::new();
    leaves(merged.document.as_table(), "", &mut |path, _| {
        paths.push(path.to_owned())
    });
    paths.retain(|path| merged.is_said(path, &shipped));
    settings.chosen = paths.into_iter().collect();
    let sources = settings
        .databases
        .values_mut()
        .map(|database| &mut database.source.connection);
    for connection in sources.chain([&mut settings.target.connection]) {
        let file = &mut connection.sslrootcert;
        // libpq's word for the authorities that the system trusts.
        if !file.as_os_str().is_empty() && file.as_os_str() != "system" {
            *file = workspace.resolve(file);
        }
    }
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
    let paths: Vec<&str> = origins.keys().map(String::as_str).collect();
    let unread = unread::variables(environment, &settings, &paths)?;
    Ok(Loaded {
        settings,
        unread,
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

/// All layers, as far as they are laid.
#[derive(Default)]
pub(super) struct Merged {
    document: DocumentMut,
    origins: BTreeMap<String, Origin>,
    /// Where the profile itself, or a layer that is one person's, gives the target's password.
    target_password: Option<String>,
    /// The team's file, which may hold what this program brings.
    team: Option<String>,
}

impl Merged {
    fn built_in() -> Result<Self, ConfigError> {
        let mut merged = Self::default();
        merged.file("the built-in settings", infra::MIGRATION_TOML, &|_| Origin::Guide)?;
        Ok(merged)
    }

    /// What this program brings of a profile; of one that it does not know, what it brings without.
    fn shipped(profile: &str) -> Result<Self, ConfigError> {
        let mut with = Self::built_in()?;
        match with.profile(profile) {
            Ok(()) => Ok(with),
            Err(_) => Self::built_in(),
        }
    }

    /// Whether a value is there that the team or a person wrote: not empty, and not what this program brings.
    pub(super) fn is_said(&self, path: &str, shipped: &Self) -> bool {
        let Some(value) = self.text(path) else {
            return false;
        };
        let brought = match self.origins.get(path) {
            None | Some(Origin::Guide) => true,
            Some(Origin::File(file, _)) => Some(file) == self.team.as_ref(),
            Some(Origin::Environment(_) | Origin::Flag) => false,
        };
        !(brought && shipped.text(path) == Some(value))
    }

    /// Checks a file by itself, so that errors carry its line and column, then lays it over.
    fn file(&mut self, name: &str, text: &str, origin: &dyn Fn(usize) -> Origin) -> Result<(), ConfigError> {
        let error = |why: String| ConfigError {
            place: name.to_owned(),
            why,
        };
        let parsed = Document::parse(text.to_owned()).map_err(|e| error(e.in_text(text)))?;
        let layer: Settings = toml_edit::de::from_str(text).map_err(|e| error(e.in_text(text)))?;
        if let Some((name, _)) = layer
            .profiles
            .iter()
            .find(|(_, profile)| !profile.profiles.is_empty())
        {
            return Err(error(format!(
                "profile {name} holds profiles; a profile cannot be nested"
            )));
        }
        if name.ends_with("local.toml") && layer.target.password.is_some() {
            self.target_password = Some(name.to_owned());
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
        if let Some((_, origin)) = moved.iter().find(|(path, _)| path == TARGET_PASSWORD) {
            self.target_password = Some(origin.to_string());
        }
        self.origins.extend(moved);
        merge(self.document.as_table_mut(), overlay);
        Ok(())
    }

    /// A value that is there and says something.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let text = match self.item(path)?.as_value()? {
            Value::String(text) => text.value().clone(),
            other => other.to_string().trim().to_owned(),
        };
        (!text.is_empty() && text != "0").then_some(text)
    }

    /// The keys of a table.
    pub(super) fn keys(&self, path: &str) -> Vec<String> {
        let table = self.item(path).and_then(Item::as_table_like);
        let keys = table.into_iter().flat_map(|table| table.iter());
        keys.map(|(key, _)| key.to_owned()).collect()
    }

    /// Takes the target's password out. The answer is the place that gave it, when that was not the team's file under
    /// the profiles.
    pub(super) fn take_target_password(&mut self) -> Option<String> {
        if let Some(target) = self.document.get_mut("target").and_then(Item::as_table_like_mut) {
            target.remove("password");
        }
        match self.origins.remove(TARGET_PASSWORD) {
            Some(origin @ (Origin::Environment(_) | Origin::Flag)) => Some(origin.to_string()),
            _ => self.target_password.take(),
        }
    }

    fn item(&self, path: &str) -> Option<&Item> {
        let start = self.document.as_item();
        path.split('.').try_fold(start, |item, key| item.get(key))
    }

    /// One value by dotted path: TOML when it reads as TOML of a type that fits, else a string.
    pub(super) fn set(
        &mut self,
        path: &str,
        text: &str,
        origin: Origin,
        place: &str,
    ) -> Result<(), ConfigError> {
        if let Some(own) = path
            .strip_prefix("profiles.")
            .and_then(|rest| rest.split_once('.'))
        {
            // The profile was laid over the settings before this: it would change nothing, without a word.
            return Err(ConfigError {
                place: place.to_owned(),
                why: format!(
                    "a setting of a profile is given without it: {}, beside --profile {}",
                    own.1, own.0
                ),
            });
        }
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
                Err(error) if why.is_empty() => why = broken::message(&error),
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
    if let Some(problem) = settings.storage.problem() {
        return error(problem);
    }
    let problem = settings.maintenance.problem();
    if let Some(why) = problem.or_else(|| settings.application.problem()) {
        return error(why);
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
mod tests;
