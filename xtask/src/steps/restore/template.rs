//! What `template0` gives every new database and the source has no more: schema `public`, extension `plpgsql`. An archive
//! does not say that they are gone.

use infra::postgres::facts::ServerFacts;
use infra::postgres::manifest::DatabaseManifest;
use infra::postgres::{Script, Server, quote};

use super::{Failure, World, forget};
use crate::plan::action::{Restore, RestoreDatabase};

/// The first version in which schema `public` is the database owner's.
const OWNERS_PUBLIC: u32 = 150_000;

/// One object of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Given {
    class: &'static str,
    name: &'static str,
}

const PUBLIC: Given = Given {
    class: "schema",
    name: "public",
};

const PLPGSQL: Given = Given {
    class: "extension",
    name: "plpgsql",
};

/// What the source lacks of the template.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lacking {
    /// Dropped before anything is restored.
    dropped: Vec<Given>,
    /// Left, because our role may not drop it.
    left: Vec<Given>,
}

impl Lacking {
    /// Decides it by what must be true of the copy.
    pub(super) fn of(wanted: &DatabaseManifest, unprivileged: bool, target: &ServerFacts) -> Self {
        let has = |given: &Given| match given.class {
            "schema" => wanted
                .schema
                .get("schemas")
                .is_some_and(|schemas| schemas.contains_key(given.name)),
            _ => wanted.extension_versions.contains_key(given.name),
        };
        let ours = |given: &Given| !unprivileged || (*given == PUBLIC && target.version_num >= OWNERS_PUBLIC);
        let (dropped, left) = [PLPGSQL, PUBLIC]
            .into_iter()
            .filter(|given| !has(given))
            .partition(ours);
        Self { dropped, left }
    }

    /// Drops it from the new database.
    pub(super) fn drop(
        &self,
        action: &Restore,
        server: &Server,
        database: &RestoreDatabase,
        world: &World<'_>,
    ) -> Result<(), Failure> {
        for given in &self.left {
            world.progress.warn(&format!(
                "{} {} stays in {}: the source has none, and our role may not drop it",
                given.class, given.name, database.name
            ));
        }
        if self.dropped.is_empty() {
            return Ok(());
        }
        let owner = action.acts_as(database).filter(|_| action.unprivileged);
        let incoming = database.incoming();
        let what = format!("drop from {incoming} what the source does not have");
        server.execute(&world.runner, &incoming, &self.script(owner), what)?;
        Ok(())
    }

    fn script(&self, owner: Option<&str>) -> Script {
        let role = owner.map(|owner| format!("SET ROLE {};", quote::ident(owner)));
        // Without CASCADE: nothing is in them yet.
        let drops = self
            .dropped
            .iter()
            .map(|given| format!("DROP {} IF EXISTS {};", given.class.to_uppercase(), given.name));
        Script::new(role.into_iter().chain(drops).collect::<Vec<_>>().join("\n"))
    }

    /// Takes what is left out of what was found in the copy.
    pub(super) fn overlook(&self, found: &mut DatabaseManifest) {
        for given in &self.left {
            forget(found, given.class, given.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(has: &[Given], unprivileged: bool, version: u32) -> Lacking {
        let mut wanted: DatabaseManifest = serde_json::from_value(serde_json::json!({
            "format": 2, "database": "users", "server_version_num": 160_000, "encoding": "UTF8", "collate": "C",
            "ctype": "C", "locale_provider": "c", "locale": null, "comment": null, "bytes": 1, "settings": {},
            "extension_versions": {}, "tables": {}, "sequences": {},
            "large_objects": infra::postgres::manifest::LargeObjects::default(), "schema": {},
        }))
        .unwrap();
        for given in has {
            if given.class == "extension" {
                let version = "1.0".to_owned();
                wanted.extension_versions.insert(given.name.to_owned(), version);
            } else {
                let schemas = wanted.schema.entry("schemas".to_owned()).or_default();
                schemas.insert(given.name.to_owned(), Default::default());
            }
        }
        let target = serde_json::json!({
            "version_num": version, "max_connections": 100, "reserved_connections": 3, "connections": 1, "role": "admin",
            "superuser": true, "createdb": true, "createrole": true, "databases": {}, "roles": {},
            "available_extensions": [],
        });
        Lacking::of(&wanted, unprivileged, &serde_json::from_value(target).unwrap())
    }

    #[test]
    fn only_what_the_source_lacks_is_dropped_and_only_by_a_role_that_may() {
        assert_eq!(lacking(&[PUBLIC, PLPGSQL], false, 160_000), Lacking::default());
        assert_eq!(lacking(&[], false, 140_000).dropped, [PLPGSQL, PUBLIC]);
        let by_owner = lacking(&[], true, 150_000);
        assert_eq!((by_owner.dropped, by_owner.left), (vec![PUBLIC], vec![PLPGSQL]));
        assert_eq!(lacking(&[PLPGSQL], true, 140_000).left, [PUBLIC]);
    }
}
