//! Write this machine's own settings; what is not meant stays as it is.

use anyhow::Context;
use serde_json::{Value, json};

use super::{Failure, Probe, World};
use crate::config::edit_local;
use crate::plan::action::LocalSettings;

/// The previous bytes, in the run's folder.
const BEFORE: &str = "local-settings";

pub(super) fn probe(action: &LocalSettings, _: &World<'_>) -> Result<Probe, Failure> {
    let text = read(action)?.unwrap_or_default();
    Ok(if edited(action, &text)? == text {
        Probe::Satisfied
    } else {
        Probe::Absent
    })
}

pub(super) fn apply(action: &LocalSettings, world: &World<'_>) -> Result<Value, Failure> {
    let before = read(action)?;
    let after = edited(action, before.as_deref().unwrap_or_default())?;
    if world.run.load::<(Option<String>, String)>(BEFORE)?.is_none() {
        world.run.save(BEFORE, &(&before, &after))?;
    }
    write(action, &after)?;
    Ok(json!({ "file": action.file }))
}

pub(super) fn verify(action: &LocalSettings, world: &World<'_>) -> Result<(), Failure> {
    match probe(action, world)? {
        Probe::Satisfied => Ok(()),
        _ => Err(Failure::new(format!(
            "{} does not hold what was written",
            action.file.display()
        ))),
    }
}

/// The previous bytes come back, unless somebody edited the file since.
pub(super) fn undo(action: &LocalSettings, world: &World<'_>) -> Result<(), Failure> {
    let Some((before, after)) = world.run.load::<(Option<String>, String)>(BEFORE)? else {
        return Ok(());
    };
    match (read(action)?, before) {
        (Some(now), Some(before)) if now == after => write(action, &before),
        (Some(now), None) if now == after => Ok(std::fs::remove_file(&action.file)
            .with_context(|| format!("failed to remove {}", action.file.display()))?),
        _ => Ok(()),
    }
}

/// `None` when there is no file.
fn read(action: &LocalSettings) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(&action.file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error)
            .with_context(|| format!("failed to read {}", action.file.display()))
            .map_err(Failure::from),
    }
}

fn edited(action: &LocalSettings, text: &str) -> Result<String, Failure> {
    edit_local(text, &action.values).map_err(|error| Failure::new(error.to_string()))
}

fn write(action: &LocalSettings, text: &str) -> Result<(), Failure> {
    let folder = action.file.parent().unwrap_or(&action.file);
    infra::files::private_dir(folder)
        .and_then(|()| infra::files::write_private(&action.file, text.as_bytes()))
        .with_context(|| format!("failed to write {}", action.file.display()))?;
    Ok(())
}
