//! What must be true of the copy: the source's manifest, as far as it comes over and under the names of the target.

use infra::postgres::manifest::{self, DatabaseManifest};
use infra::postgres::quote;

use crate::model::backup::DatabaseBackup;
use crate::plan::Roles;
use crate::plan::action::{Restore, RestoreDatabase};
use crate::plan::carried::ROLE_SETTINGS;

/// What must be true of the copy: the source's manifest, with the settings of roles under the names that those roles
/// have on the target.
pub(super) fn expected(
    action: &Restore,
    database: &RestoreDatabase,
    backup: &DatabaseBackup,
) -> DatabaseManifest {
    let mut wanted = backup.manifest.clone();
    // What a role had for all databases of its own instance, it has for this one on an instance that it shares.
    for (role, settings) in std::mem::take(&mut wanted.role_settings) {
        let own = wanted.settings.entry(role).or_default();
        for (name, value) in settings {
            own.entry(name).or_insert(value);
        }
    }
    wanted.settings = wanted
        .settings
        .into_iter()
        .filter_map(|(role, settings)| Some((role_on_target(action, database, backup, &role)?, settings)))
        .collect();
    for object in &database.left_out {
        forget(&mut wanted, &object.class, &object.name);
    }
    super::mappings::expect(action, database, &mut wanted);
    // A role whose settings all stay behind is no longer one with settings.
    wanted.settings.retain(|_, settings| !settings.is_empty());
    wanted
}

/// Takes an object out of a manifest: it stays behind, and a finding said so.
pub(super) fn forget(manifest: &mut DatabaseManifest, class: &str, name: &str) {
    if class == "setting" {
        manifest.settings.values_mut().for_each(|settings| {
            settings.remove(name);
        });
        return;
    }
    if class == ROLE_SETTINGS {
        manifest.settings.remove(name);
        return;
    }
    manifest.extension_versions.remove(name);
    // PostgreSQL quotes key words as well, each version its own.
    let spellings = [manifest::display_name(&[name]), quote::ident(name)];
    for objects in [format!("{}s", class.replace(' ', "_")), "others".to_owned()] {
        if let Some(objects) = manifest.schema.get_mut(&objects) {
            for shown in &spellings {
                objects.remove(shown);
                objects.remove(&format!("{class} {shown}"));
            }
        }
    }
    if let Some(comments) = manifest.schema.get_mut("comments") {
        for shown in &spellings {
            comments.remove(&format!("{class} {shown}"));
        }
    }
    manifest.schema.retain(|_, objects| !objects.is_empty());
}

/// A role of the source as it is called on the target; `""` is everybody. `None`: it has no place there, because in mode
/// `unify` everything belongs to one role.
pub(super) fn role_on_target(
    action: &Restore,
    database: &RestoreDatabase,
    backup: &DatabaseBackup,
    role: &str,
) -> Option<String> {
    let login = role == database.reader.user;
    match action.roles {
        _ if role.is_empty() => Some(String::new()),
        Roles::Preserve => Some(role.to_owned()),
        Roles::Unify if login => Some(database.owner.clone()),
        Roles::Unify => backup
            .policy_roles
            .iter()
            .any(|known| known == role)
            .then(|| role.to_owned()),
    }
}
