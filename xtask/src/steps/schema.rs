//! Bring the schema to head, and look where it really stands: the project's script exits 0 on "no" too.

use infra::alembic::{self, VersionTable};
use infra::postgres::{facts, manifest};
use serde_json::{Value, json};

use super::restore::MANIFEST_WORKERS;
use super::since::baseline_state;
use super::{Failure, Probe, World};
use crate::plan::action::UpgradeSchema;

/// State file: Alembic was started. Until the manifest after it is there, it may have done half of its work.
const BEGUN: &str = "schema-begun";

/// Where the database stands, and where Alembic would bring it.
struct Standing {
    revisions: Vec<String>,
    heads: Vec<String>,
}

pub(super) fn probe(action: &UpgradeSchema, world: &World<'_>) -> Result<Probe, Failure> {
    let now = standing(action, world)?;
    Ok(if now.revisions == now.heads && !was_cut_short(action, world)? {
        Probe::Satisfied
    } else {
        Probe::Absent
    })
}

pub(super) fn apply(action: &UpgradeSchema, world: &World<'_>) -> Result<Value, Failure> {
    let server = action.target.server(world.vault);
    if was_cut_short(action, world)? {
        // An Alembic that outlived its run; before the cutover nobody else knows this database.
        let end = crate::plan::action::Swap::end_sessions(&action.database);
        let what = format!("end the sessions of database {}", action.database);
        server.execute(&world.runner, &action.database, &end, what)?;
    }
    let before = standing(action, world)?.revisions;
    world.run.save(BEGUN, &true)?;
    let run = world.runner.stream(&action.command(world.vault), |_| {});
    run?;
    let after = standing(action, world)?.revisions;
    // What the target holds before anybody writes to it: going back compares with it.
    let manifest = manifest::collect(
        &world.runner,
        &server,
        &action.database,
        None,
        MANIFEST_WORKERS,
        &|_| {},
    )?;
    world.run.save(&baseline_state(&action.name), &manifest)?;
    Ok(json!({ "from": before, "to": after }))
}

fn was_cut_short(action: &UpgradeSchema, world: &World<'_>) -> anyhow::Result<bool> {
    let begun = world.run.load::<bool>(BEGUN)?.unwrap_or_default();
    let baseline: Option<serde::de::IgnoredAny> = world.run.load(&baseline_state(&action.name))?;
    Ok(begun && baseline.is_none())
}

pub(super) fn verify(action: &UpgradeSchema, world: &World<'_>) -> Result<(), Failure> {
    let now = standing(action, world)?;
    if now.revisions == now.heads {
        return Ok(());
    }
    let found = match now.revisions[..] {
        [] => "no revision".to_owned(),
        _ => now.revisions.join(", "),
    };
    Err(Failure::new(format!(
        "{} on the target stands at {found} instead of head {}; where the application's settings let .env win over the \
         environment, as `load_dotenv(override=True)` does, Alembic went to the old database, which is fenced",
        action.database,
        now.heads.join(", ")
    )))
}

/// The schema changed only in the target's copy; the swap's undo puts that aside as a whole.
pub(super) fn undo(_: &UpgradeSchema, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}

/// Alembic tells head and version table; the rows are read on the target itself, wherever `env.py` would connect.
fn standing(action: &UpgradeSchema, world: &World<'_>) -> Result<Standing, Failure> {
    let runner = &world.runner;
    let history = alembic::history(runner, &action.python, &action.backend, &[])?;
    let history = history.ok_or_else(|| {
        Failure::new(format!(
            "the environment of {} has no Alembic",
            action.python.display()
        ))
    })?;
    if let Some(fault) = history.faults.first() {
        return Err(Failure::new(format!("{}: {}", fault.file.display(), fault.what)));
    }
    let asked = || alembic::answer::<Option<VersionTable>>(runner, &action.version_table(world.vault));
    let table = match history.version_table {
        Some(table) => table,
        None => {
            asked()?.ok_or_else(|| Failure::new("env.py runs no migrations, so it has no version table"))?
        }
    };
    let server = action.target.server(world.vault);
    Ok(Standing {
        revisions: facts::alembic_revisions(runner, &server, &action.database, &table)?,
        heads: history.heads,
    })
}
