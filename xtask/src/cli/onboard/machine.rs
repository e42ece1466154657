//! What is this machine's own: said by flags or a person, found, and kept in `.xtask/local.toml`.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::Context as _;

use super::OnboardArgs;
use crate::cli::confirm::ask;
use crate::cli::{Context, Ending, Global};
use crate::config::{Loaded, Origin};
use crate::model::Exit;

/// The context with what the flags and, on a terminal, the person say of this machine; all of it as if it came from
/// `--set`.
pub(super) fn open(global: &Global, args: &OnboardArgs) -> anyhow::Result<(Context, Global)> {
    let mut global = global.clone();
    let keys = global.sets.iter().filter_map(|set| set.split('=').next());
    if let Some(key) = keys.map(str::trim).find(|key| key.ends_with(".password")) {
        let message = format!("--set {key}: a password does not belong into .xtask/local.toml");
        return Err(Ending::new(Exit::Usage, message)
            .hint("write XTASK_TARGET_PASSWORD=... into .xtask/secrets.env")
            .into());
    }
    for (key, folder) in [("labeler", &args.labeler), ("platform", &args.platform)] {
        if let Some(folder) = folder {
            global.sets.push(repository(key, folder)?);
        }
    }
    let context = Context::new(&global)?;
    if args.yes || args.dry_run || !std::io::stdin().is_terminal() {
        return Ok((context, global));
    }
    let candidates = &context.loaded.settings.labeler.repository;
    if candidates
        .iter()
        .any(|path| context.workspace.resolve(path).is_dir())
    {
        return Ok((context, global));
    }
    let question = "where is the labeler's checkout? (empty: show how to clone it)";
    let Some(answer) = ask(question)? else {
        return Ok((context, global));
    };
    global.sets.push(repository("labeler", Path::new(&answer))?);
    let context = Context::at(context.workspace, &global, context.runner.interrupt().clone())?;
    Ok((context, global))
}

/// `labeler.repository=["/absolute/path"]`
fn repository(key: &str, folder: &Path) -> anyhow::Result<String> {
    let folder = std::path::absolute(folder).with_context(|| format!("no path: {}", folder.display()))?;
    if !folder.is_dir() {
        let message = format!("no such folder: {}", folder.display());
        return Err(Ending::new(Exit::Preconditions, message).into());
    }
    Ok(format!("{key}.repository={}", list(&folder)))
}

fn list(path: &Path) -> String {
    let mut array = toml_edit::Array::new();
    array.push(path.to_string_lossy().into_owned());
    array.to_string()
}

/// What belongs into `.xtask/local.toml`: what `--set` says, and where the checkouts were found.
pub(super) fn local_values(
    loaded: &Loaded,
    workspace: &crate::config::Workspace,
    global: &Global,
) -> Vec<(String, String)> {
    let mut values = Vec::new();
    let sets = global.sets.iter().filter_map(|set| set.split_once('='));
    values.extend(sets.map(|(key, value)| (key.trim().to_owned(), value.to_owned())));
    let settings = &loaded.settings;
    for (key, candidates) in [
        ("labeler.repository", &settings.labeler.repository),
        ("platform.repository", &settings.platform.repository),
    ] {
        let local = loaded
            .origins
            .get(key)
            .is_some_and(|(_, origin)| is_local(origin));
        let found = candidates.iter().find(|path| workspace.resolve(path).is_dir());
        if let (Some(found), false) = (found, local) {
            values.push((key.to_owned(), list(found)));
        }
    }
    values
}

/// Whether a value is this machine's own already.
fn is_local(origin: &Origin) -> bool {
    match origin {
        Origin::File(name, _) => Path::new(name).ends_with("local.toml"),
        Origin::Flag | Origin::Environment(_) => true,
        Origin::Guide => false,
    }
}
