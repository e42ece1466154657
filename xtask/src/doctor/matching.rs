//! Which revision is this? Every revision is built in a throw-away database on the same server, by Alembic itself, and its
//! schema is compared with the real one. The real database is only read.

use infra::alembic::{History, locations};
use infra::postgres::manifest::{self, CompareOptions, DatabaseManifest};
use infra::postgres::{Script, facts, quote};

use super::act::Stamp;
use super::fix::shown;
use crate::config::Vault;
use crate::plan::action::EnvValue;
use crate::steps::{Failure, World};

/// How many differences of the nearest revision are shown.
const SHOWN: usize = 5;

/// After the differences are gone.
const AGAIN: &str = "cargo xtask doctor --fix --only alembic-version-missing";

/// Alembic's own table, which is what the real database lacks.
const OWN_TABLE: &str = "alembic_version";

/// How the manifest names a large object.
const LARGE_OBJECT: &str = "large object ";

/// A throw-away database in which revisions are built.
pub(super) struct Rehearse<'a> {
    stamp: &'a Stamp,
    name: String,
}

impl<'a> Rehearse<'a> {
    pub(super) fn new(stamp: &'a Stamp, id: &str) -> Self {
        Self {
            name: format!("{}__doctor_{id}", stamp.database),
            stamp,
        }
    }

    fn create(&self) -> Script {
        Script::new(format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8';",
            quote::ident(&self.name)
        ))
    }

    /// Without `FORCE`: whoever is in it is not ours.
    fn drop(&self) -> Script {
        Script::new(format!("DROP DATABASE IF EXISTS {};", quote::ident(&self.name)))
    }

    fn upgrade(&self, revision: &str, vault: &Vault) -> infra::Cmd {
        let mut settings = self.stamp.builder.clone();
        settings.push((self.stamp.name_key.clone(), EnvValue::Plain(self.name.clone())));
        let what = format!("build revision {revision} in {}", self.name);
        self.stamp.alembic(what, &["upgrade", revision], &settings, vault)
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<String> {
        let server = self.stamp.instance.server(vault);
        let maintenance = &self.stamp.maintenance;
        let what = "build revisions aside";
        shown([
            server.psql(maintenance, &self.create(), what),
            self.upgrade("REVISION", vault),
            server.psql(maintenance, &self.drop(), what),
        ])
    }

    fn again(&self, world: &World<'_>) -> Result<(), Failure> {
        self.remove(world)?;
        let server = self.stamp.instance.server(world.vault);
        let what = format!("create throw-away database {}", self.name);
        server.execute(&world.runner, &self.stamp.maintenance, &self.create(), what)?;
        Ok(())
    }

    fn remove(&self, world: &World<'_>) -> Result<(), Failure> {
        let server = self.stamp.instance.server(world.vault);
        let what = format!("drop throw-away database {}", self.name);
        server.execute(&world.runner, &self.stamp.maintenance, &self.drop(), what)?;
        Ok(())
    }
}

/// A revision and how the real schema differs from it.
struct Compared {
    revision: String,
    differences: Vec<String>,
}

/// The one revision whose schema is exactly the database's.
///
/// # Errors
/// When none is, or several are; the message tells the nearest and how to name one.
pub(super) fn exact(stamp: &Stamp, world: &World<'_>) -> Result<String, Failure> {
    let id = world.run.id.as_str();
    let rehearse = Rehearse::new(stamp, &id[id.len().saturating_sub(4)..]);
    let compared = compare_all(stamp, &rehearse, world);
    // The throw-away database goes, whatever came out.
    let removed = rehearse.remove(world);
    let compared = compared?;
    removed?;
    judge(&stamp.database, compared)
}

fn compare_all(stamp: &Stamp, rehearse: &Rehearse<'_>, world: &World<'_>) -> Result<Vec<Compared>, Failure> {
    let server = stamp.instance.server(world.vault);
    let history = History::read(&locations(&stamp.backend, &stamp.versions))
        .map_err(|error| Failure::new(error.to_string()))?;
    let real = schema(manifest::schema(&world.runner, &server, &stamp.database)?);
    let mut all = Vec::new();
    let mut at: Vec<String> = Vec::new();
    for (number, revision) in history.in_order().iter().enumerate() {
        world.progress.note(&format!("building revision {}", revision.id));
        // Along a line of revisions each is one step from the one before; elsewhere the database is made again.
        if number == 0 || revision.down != at {
            rehearse.again(world)?;
        }
        world.runner.run(&rehearse.upgrade(&revision.id, world.vault))?;
        let seen = facts::database(&world.runner, &server, &rehearse.name)?;
        at = facts::alembic_revisions(&world.runner, &server, &seen)?;
        let built = schema(manifest::schema(&world.runner, &server, &rehearse.name)?);
        let differences = manifest::compare(&built, &real, &options());
        all.push(Compared {
            revision: revision.id.clone(),
            differences: differences.iter().map(ToString::to_string).collect(),
        });
    }
    Ok(all)
}

/// The schema alone: who owns what and who may what is not Alembic's, nor is what belongs to the database as a whole.
fn options() -> CompareOptions {
    CompareOptions {
        owners: false,
        privileges: false,
        settings: false,
        locale: false,
        database_comment: false,
        ..CompareOptions::default()
    }
}

/// Without Alembic's own table, and without what is said of large objects: those are data.
fn schema(mut manifest: DatabaseManifest) -> DatabaseManifest {
    for objects in manifest.schema.values_mut() {
        objects.retain(|object, _| is_schema(object));
    }
    manifest
}

fn is_schema(object: &str) -> bool {
    !object.contains(OWN_TABLE) && !object.starts_with(LARGE_OBJECT)
}

fn judge(database: &str, mut compared: Vec<Compared>) -> Result<String, Failure> {
    compared.sort_by_key(|one| one.differences.len());
    // None of them is known to be right: the person says whether it is this one.
    let by_name = |revision: &str| format!("cargo xtask doctor --fix --stamp {revision}");
    let exact: Vec<&str> = compared
        .iter()
        .filter(|one| one.differences.is_empty())
        .map(|one| one.revision.as_str())
        .collect();
    match (exact.as_slice(), compared.first()) {
        ([one], _) => Ok((*one).to_owned()),
        ([], Some(nearest)) => {
            let mut message = format!(
                "no revision has exactly the schema of {database}; the nearest is {} with {} {}",
                nearest.revision,
                nearest.differences.len(),
                if nearest.differences.len() == 1 {
                    "difference"
                } else {
                    "differences"
                }
            );
            for difference in nearest.differences.iter().take(SHOWN) {
                message.push_str(&format!("\n  {difference}"));
            }
            for other in compared.iter().skip(1) {
                message.push_str(&format!(
                    "\n{}: {} differences",
                    other.revision,
                    other.differences.len()
                ));
            }
            message.push_str("\nnothing was stamped");
            Err(Failure::new(message).hint(AGAIN).hint(by_name(&nearest.revision)))
        }
        ([], None) => Err(Failure::new("the checkout has no revision to compare with")),
        (several, _) => Err(Failure::new(format!(
            "revisions {} have the same schema, which is that of {database}; nothing was stamped",
            several.join(" and ")
        ))
        .hint(by_name("REVISION"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(revision: &str, differences: usize) -> Compared {
        Compared {
            revision: revision.to_owned(),
            differences: (0..differences).map(|n| format!("difference {n}")).collect(),
        }
    }

    #[test]
    fn what_is_said_of_large_objects_is_no_schema() {
        assert!(is_schema("table public.datasets"));
        assert!(!is_schema("large object 900001"));
        assert!(!is_schema("table public.alembic_version"));
    }

    #[test]
    fn only_one_exact_match_is_a_match() {
        let found = judge("labeler", vec![compared("a", 3), compared("b", 0)]);
        assert_eq!(found.unwrap(), "b");
        let several = judge("labeler", vec![compared("a", 0), compared("b", 0)]).unwrap_err();
        assert!(several.message.contains("a and b"), "{several}");
        let none = judge("labeler", vec![compared("a", 3), compared("b", 1)]).unwrap_err();
        assert!(
            none.message
                .contains("the nearest is b with 1 difference\n  difference 0\na: 3 differences"),
            "{none}"
        );
        assert_eq!(none.hints, [AGAIN, "cargo xtask doctor --fix --stamp b"]);
        assert!(!several.hints.iter().any(|hint| hint.ends_with("--stamp a")));
        assert!(judge("labeler", Vec::new()).is_err());
    }
}
