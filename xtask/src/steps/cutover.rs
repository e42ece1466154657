//! Point `.env` at the target: only the values change, and the previous bytes are kept first.

use anyhow::Context;
use backend_env::{Document, Reader, Reading, file};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

use super::{Failure, Probe, World};
use crate::config::Vault;
use crate::model::{Finding, secret_key};
use crate::plan::action::{Cutover, EnvChange, EnvFile, EnvValue};

/// State file: SHA-256 of each file after the cutover, so that going back can tell whether somebody edited it since.
const AFTER: &str = "cutover";

#[derive(Default, Serialize, Deserialize)]
struct After(BTreeMap<String, String>);

pub(super) fn probe(action: &Cutover, world: &World<'_>) -> Result<Probe, Failure> {
    // Where nobody names a file, the last look at the old world is still to be taken.
    let mut all = !action.files.is_empty();
    for env in &action.files {
        let bytes = read(env)?;
        if env.path.exists() && is_written(env, &bytes, world.vault)? {
            continue;
        }
        all = false;
        if infra::files::sha256_bytes(&bytes) != env.sha256 {
            return Ok(Probe::Conflict(
                Finding::error(
                    "env.changed",
                    format!("{} was edited after the plan was made", env.path.display()),
                )
                .wanted("the file as it was, so that nobody's edit is lost")
                .hint("cargo xtask rollback; cargo xtask migrate"),
            ));
        }
    }
    Ok(if all { Probe::Satisfied } else { Probe::Absent })
}

pub(super) fn apply(action: &Cutover, world: &World<'_>) -> Result<Value, Failure> {
    let mut after: After = world.run.load(AFTER)?.unwrap_or_default();
    // The last moment at which the old world is in use.
    for fence in &action.unchanged {
        super::fence::external::unchanged(fence, &action.backup, world)?;
    }
    for fence in &action.fences {
        super::fence::held::holds(fence, &action.backup, world)?;
    }
    if action.files.is_empty() {
        world.progress.warn(
            "no .env file is named here: give the application what `cargo xtask env block` prints, now",
        );
    }
    for env in &action.files {
        if is_to_be_made(env) {
            make(env, &mut after, world)?;
            continue;
        }
        let mut open = file::open(&env.path)?;
        let mut document = open.document();
        if is_written(env, document.as_bytes(), world.vault)? {
            continue;
        }
        if !env.before.exists() {
            infra::files::write_private(&env.before, document.as_bytes())
                .context("failed to keep the previous bytes")?;
        }
        write_changes(env, &mut document, world.vault)?;
        infra::files::write_private(&after_file(env), document.as_bytes())
            .context("failed to keep the new bytes")?;
        // Before the file itself: a crash in between leaves the old bytes, whose sum is the plan's.
        after.0.insert(
            env.path.display().to_string(),
            infra::files::sha256_bytes(document.as_bytes()),
        );
        world.run.save(AFTER, &after)?;
        open.save(&document)?;
    }
    Ok(json!({ "files": action.files.iter().map(|env| &env.path).collect::<Vec<_>>() }))
}

pub(super) fn verify(action: &Cutover, world: &World<'_>) -> Result<(), Failure> {
    for env in &action.files {
        if !env.path.exists() || !is_written(env, &read(env)?, world.vault)? {
            return Err(Failure::new(format!(
                "{} does not name the target",
                env.path.display()
            )));
        }
        if let Some(python) = &action.python {
            read_back(env, python, world)?;
        }
    }
    Ok(())
}

/// The application's own python-dotenv must read what was meant; the previous bytes come back when it does not.
fn read_back(env: &EnvFile, python: &Path, world: &World<'_>) -> Result<(), Failure> {
    let wanted = env.changes.iter().map(|change| {
        let value = value(change, world.vault)?;
        Ok((change.key.clone(), value))
    });
    let wanted: BTreeMap<String, String> = wanted.collect::<Result<_, Failure>>()?;
    let failure = match infra::python::misread_keys(&world.runner, python, &env.path, &wanted) {
        Ok(None) => {
            world.progress.remark(&format!(
                "{} was read back by this program's model of python-dotenv: the application's environment has none",
                env.path.display()
            ));
            return Ok(());
        }
        Ok(Some(keys)) if keys.is_empty() => return Ok(()),
        Ok(Some(keys)) => Failure::new(format!(
            "the application would not read the new values of {} from {}: another line of the file sets them, in another spelling \
             for example",
            keys.join(", "),
            env.path.display()
        ))
        .hint(format!(
            "cargo xtask env check {}",
            infra::command::shell_path(&env.path)
        )),
        Err(error) => Failure::from(error),
    };
    match kept(env)? {
        Some(before) => drop(file::open(&env.path)?.save(&Document::parse(before))?),
        None => unmake(env, world)?,
    }
    Err(Failure {
        message: format!("{}\nthe file has its previous bytes again", failure.message),
        ..failure
    })
}

/// The previous bytes come back, unless somebody edited the file since.
pub(super) fn undo(action: &Cutover, world: &World<'_>) -> Result<(), Failure> {
    for env in &action.files {
        let Some(before) = kept(env)? else {
            unmake(env, world)?;
            continue;
        };
        let now = read(env)?;
        if now == before {
            continue;
        }
        if let Some(edit) = edit(env, world)? {
            return Err(Failure::new(format!(
                "{} was edited after the cutover; going back would lose that edit\n{}",
                env.path.display(),
                edit.diff
            ))
            .hint(format!(
                "compare with {} and copy it back by hand",
                env.before.display()
            )));
        }
        let mut open = file::open(&env.path)?;
        open.save(&Document::parse(before))?;
    }
    Ok(())
}

/// Whether the file is not there and has a template.
fn is_to_be_made(env: &EnvFile) -> bool {
    env.template.is_some() && !env.path.exists()
}

/// Writes a file that is not there, from its template; readable by its owner only.
fn make(env: &EnvFile, after: &mut After, world: &World<'_>) -> Result<(), Failure> {
    let mut document = Document::parse(read(env)?);
    write_changes(env, &mut document, world.vault)?;
    // Before the file itself, so that going back knows that it is ours.
    after.0.insert(
        env.path.display().to_string(),
        infra::files::sha256_bytes(document.as_bytes()),
    );
    world.run.save(AFTER, after)?;
    infra::files::write_private(&env.path, document.as_bytes())
        .with_context(|| format!("failed to write {}", env.path.display()))?;
    Ok(())
}

/// Removes a file that was made from a template, unless somebody edited it since.
fn unmake(env: &EnvFile, world: &World<'_>) -> Result<(), Failure> {
    if env.template.is_none() || !env.path.exists() {
        return Ok(());
    }
    let after: After = world.run.load(AFTER)?.unwrap_or_default();
    let made = after.0.get(&env.path.display().to_string());
    if made == Some(&infra::files::sha256_bytes(&read(env)?)) {
        std::fs::remove_file(&env.path)
            .with_context(|| format!("failed to remove {}", env.path.display()))?;
    }
    Ok(())
}

/// A `.env` file that somebody edited after the cutover.
#[derive(Debug)]
pub struct Edit {
    /// The file.
    pub path: std::path::PathBuf,
    /// The edit, without values.
    pub diff: String,
}

/// The files that somebody edited after the cutover. With `discard`, their bytes are kept beside the previous ones and
/// the edit no longer stands in the way.
///
/// # Errors
/// When a file cannot be read or kept.
pub fn edits(action: &Cutover, world: &World<'_>, discard: bool) -> Result<Vec<Edit>, Failure> {
    let mut found = Vec::new();
    for env in &action.files {
        let Some(edit) = edit(env, world)? else { continue };
        if discard {
            let now = read(env)?;
            let path = env.before.with_extension("edited");
            infra::files::write_private(&path, &now).context("failed to keep the edited file")?;
            let mut after: After = world.run.load(AFTER)?.unwrap_or_default();
            after
                .0
                .insert(env.path.display().to_string(), infra::files::sha256_bytes(&now));
            world.run.save(AFTER, &after)?;
        }
        found.push(edit);
    }
    Ok(found)
}

fn edit(env: &EnvFile, world: &World<'_>) -> Result<Option<Edit>, Failure> {
    let Some(before) = kept(env)? else { return Ok(None) };
    let now = read(env)?;
    let after: After = world.run.load(AFTER)?.unwrap_or_default();
    let written = after.0.get(&env.path.display().to_string());
    if now == before || written == Some(&infra::files::sha256_bytes(&now)) {
        return Ok(None);
    }
    let written = infra::files::read_regular(&after_file(env)).unwrap_or(before);
    let diff = secret_key::difference(&Document::parse(written), &Document::parse(now))
        .masked("as the cutover wrote it", "now");
    Ok(Some(Edit {
        path: env.path.clone(),
        diff: diff.to_string(),
    }))
}

/// Where the bytes are kept that the cutover wrote: an edit shows against them.
fn after_file(env: &EnvFile) -> std::path::PathBuf {
    env.before.with_extension("after")
}

/// The bytes before the cutover; `None` when it never came to this file.
fn kept(env: &EnvFile) -> Result<Option<Vec<u8>>, Failure> {
    if !env.before.exists() {
        return Ok(None);
    }
    Ok(Some(
        infra::files::read_regular(&env.before).context("failed to read the kept bytes")?,
    ))
}

/// What the cutover will change, as a unified diff without values.
///
/// # Errors
/// When a file cannot be read or a value cannot be written for every reader.
pub fn preview(action: &Cutover, vault: &Vault) -> Result<String, Failure> {
    let mut text = String::new();
    for env in &action.files {
        let before = Document::parse(read(env)?);
        let mut after = before.clone();
        write_changes(env, &mut after, vault)?;
        let name = env.path.display().to_string();
        text.push_str(&secret_key::difference(&before, &after).masked(&name, &name));
    }
    Ok(text)
}

fn write_changes(env: &EnvFile, document: &mut Document, vault: &Vault) -> Result<(), Failure> {
    for change in &env.changes {
        let value = value(change, vault)?;
        let (readers, _) = crate::model::readers::for_edit(document, &change.key);
        document
            .set(&change.key, value.as_bytes(), &readers)
            .map_err(|conflict| {
                Failure::new(format!(
                    "{} cannot be set in {}: {conflict}",
                    change.key,
                    env.path.display()
                ))
            })?;
    }
    Ok(())
}

/// The bytes that the changes start from.
fn read(env: &EnvFile) -> Result<Vec<u8>, Failure> {
    let path = match &env.template {
        Some(template) if is_to_be_made(env) => template,
        _ => &env.path,
    };
    Ok(std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?)
}

/// Whether every key reads as wanted, as the application reads it.
fn is_written(env: &EnvFile, bytes: &[u8], vault: &Vault) -> Result<bool, Failure> {
    let document = Document::parse(bytes);
    for change in &env.changes {
        let wanted = value(change, vault)?;
        match document.read(&change.key, Reader::PythonDotenv) {
            Reading::Value(found) if found == wanted.as_bytes() => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

fn value(change: &EnvChange, vault: &Vault) -> Result<String, Failure> {
    match &change.value {
        EnvValue::Plain(value) => Ok(value.clone()),
        EnvValue::Secret(name) => vault
            .get(name)
            .map(|secret| secret.expose().to_owned())
            .ok_or_else(|| Failure::new(format!("the value of {} is not known", change.key))),
    }
}
