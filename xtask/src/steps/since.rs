//! What was written on the target since the cutover.

use std::collections::BTreeMap;

use infra::postgres::manifest::{self, CompareOptions, DatabaseManifest, Difference};

use super::restore::{MANIFEST_WORKERS, restored_state};
use super::{Failure, World, parallel};
use crate::model::RunDir;
use crate::plan::action::{Restore, RestoreDatabase};

/// State file: the manifest of a database after Alembic and before the cutover.
pub(super) fn baseline_state(name: &str) -> String {
    format!("baseline-{name}")
}

/// Whether it was written down what a database held after its schema was upgraded.
///
/// # Errors
/// When what was written down cannot be read.
pub fn is_recorded(run: &RunDir, name: &str) -> anyhow::Result<bool> {
    let recorded: Option<serde::de::IgnoredAny> = run.load(&baseline_state(name))?;
    Ok(recorded.is_some())
}

/// The last manifest that was taken before anybody else could write.
fn baseline(run: &RunDir, name: &str) -> anyhow::Result<Option<DatabaseManifest>> {
    match run.load(&baseline_state(name))? {
        Some(manifest) => Ok(Some(manifest)),
        None => run.load(&restored_state(name)),
    }
}

/// The differences of each database on the target against what it held just before the cutover; databases without any
/// are left out.
///
/// # Errors
/// When it cannot be told: an unknown is never "nothing was written".
pub fn written_since(
    action: &Restore,
    options: &CompareOptions,
    world: &World<'_>,
) -> Result<BTreeMap<String, Vec<Difference>>, Failure> {
    let server = action.target.server(world.vault);
    let one = |database: &RestoreDatabase| {
        let name = &database.name;
        let Some(before) = baseline(&world.run, name)? else {
            return Err(Failure::new(format!(
                "what {name} held before the cutover was never recorded"
            )));
        };
        before.comparable().map_err(Failure::new)?;
        let now = manifest::collect(
            &world.runner,
            &server,
            &database.target_name,
            None,
            MANIFEST_WORKERS,
            &|_| {},
        )?;
        Ok((name.clone(), manifest::compare(&before, &now, options)))
    };
    let found = parallel(&action.databases, one)?;
    Ok(found
        .into_iter()
        .filter(|(_, differences)| !differences.is_empty())
        .collect())
}
