//! `.xtask/local.toml`, edited with comments and order kept.

use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use toml_edit::DocumentMut;

use crate::config::Vault;
use crate::plan::action::{Cutover, EnvValue};
use crate::steps::{Failure, World};

/// State file: the previous text; `null` when there was no file.
const BEFORE: &str = "local-toml";

/// Change settings of this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangeSetting {
    /// The file.
    pub file: PathBuf,
    /// Keys with dots, and their values.
    pub changes: Vec<(String, Value)>,
}

/// A value.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

impl ChangeSetting {
    pub(super) fn commands(&self, _: &Vault) -> Vec<String> {
        let one = |(key, value): &(String, Value)| {
            let value = match value {
                Value::Number(number) => number.to_string(),
                Value::Text(text) => format!("{text:?}"),
            };
            format!("# in {}: {key} = {value}", self.file.display())
        };
        self.changes.iter().map(one).collect()
    }

    pub(super) fn apply(&self, world: &World<'_>) -> Result<(), Failure> {
        let before = self.text()?;
        let kept: Option<Option<String>> = world.run.load(BEFORE)?;
        if kept.is_none() {
            world.run.save(BEFORE, &before)?;
        }
        let context = || format!("failed to understand {}", self.file.display());
        let mut document: DocumentMut = before.unwrap_or_default().parse().with_context(context)?;
        for (key, value) in &self.changes {
            let mut item = document.as_item_mut();
            for part in key.split('.') {
                item = &mut item[part];
            }
            *item = match value {
                Value::Number(number) => toml_edit::value(*number),
                Value::Text(text) => toml_edit::value(text),
            };
        }
        self.write(&document.to_string())
    }

    pub(super) fn undo(&self, world: &World<'_>) -> Result<(), Failure> {
        match world.run.load::<Option<String>>(BEFORE)? {
            None => Ok(()),
            Some(Some(text)) => self.write(&text),
            Some(None) => Ok(std::fs::remove_file(&self.file)
                .with_context(|| format!("failed to remove {}", self.file.display()))?),
        }
    }

    fn text(&self) -> Result<Option<String>, Failure> {
        match std::fs::read_to_string(&self.file) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::new(format!(
                "failed to read {}: {error}",
                self.file.display()
            ))),
        }
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        infra::files::write_private(&self.file, text.as_bytes())
            .with_context(|| format!("failed to write {}", self.file.display()))?;
        Ok(())
    }
}

/// An edit of `.env` files as a person would make it.
pub(super) fn env_commands(cutover: &Cutover) -> Vec<String> {
    let files = cutover.files.iter();
    files
        .map(|file| {
            let changes: Vec<String> = file
                .changes
                .iter()
                .map(|change| match &change.value {
                    EnvValue::Plain(value) => infra::command::shell_word(&format!("{}={value}", change.key)),
                    // From standard input: a secret does not belong on a command line.
                    EnvValue::Secret(_) => format!("{}=-", change.key),
                })
                .collect();
            format!(
                "cargo xtask env set {} {}",
                infra::command::shell_word(&file.path.display().to_string()),
                changes.join(" ")
            )
        })
        .collect()
}
