//! Removes what was listed and confirmed.

use anyhow::Context as _;
use infra::docker;
use infra::postgres::Script;

use super::items::{Item, Removal};
use crate::cli::{Context, Ending};
use crate::model::Exit;
use crate::plan::charge;

/// Removes all of it; what fails does not keep the rest.
pub(super) fn remove(context: &Context, items: &[Item]) -> anyhow::Result<Exit> {
    let mut failures = Vec::new();
    for item in items {
        match remove_one(context, item) {
            Ok(()) => context.terminal.line(&format!("  removed {}", item.text)),
            Err(error) => failures.push(format!("{}: {error:#}", item.text)),
        }
    }
    if failures.is_empty() {
        return Ok(Exit::Ok);
    }
    let message = format!("not everything could be removed:\n  {}", failures.join("\n  "));
    Err(Ending::new(Exit::Findings, message)
        .hint("cargo xtask cleanup")
        .into())
}

fn remove_one(context: &Context, item: &Item) -> anyhow::Result<()> {
    let runner = &context.runner;
    match &item.how {
        Removal::Container(name) => {
            // Without -v: volumes go by their own names or not at all.
            let cmd =
                infra::Cmd::new(docker::PROGRAM, format!("remove container {name}")).args(["rm", "-f", name]);
            runner.run(&cmd)?;
        }
        Removal::Volume(name) => {
            let cmd = infra::Cmd::new(docker::PROGRAM, format!("remove volume {name}"))
                .args(["volume", "rm", name]);
            runner.run(&cmd)?;
        }
        Removal::Database(name) => {
            let settings = &context.loaded.settings;
            let server = charge::target(settings, "").server(&context.vault);
            let drop = Script::new("DROP DATABASE IF EXISTS :\"name\" WITH (FORCE);").var("name", name);
            let maintenance = &settings.target.maintenance_database;
            server.execute(runner, maintenance, &drop, format!("drop database {name}"))?;
        }
        Removal::Folder(path) => {
            std::fs::remove_dir_all(path).with_context(|| format!("failed to remove {}", path.display()))?;
        }
    }
    Ok(())
}
