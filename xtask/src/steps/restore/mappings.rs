//! User mappings in mode `unify`: what the old login may use on foreign servers, the target's role may, because the
//! application logs in as that one now.

use std::collections::BTreeMap;

use infra::postgres::manifest::{self, DatabaseManifest};
use infra::postgres::{Script, Server, quote};

use super::{Failure, World};
use crate::plan::Roles;
use crate::plan::action::{Restore, RestoreDatabase};

/// Whether the old login's mappings become the owner's. Only a superuser sees what they hold.
fn are_handed_over(action: &Restore, database: &RestoreDatabase) -> bool {
    action.roles == Roles::Unify && !action.unprivileged && database.reader.user != database.owner
}

/// Gives them to the owner of the restored database.
pub(super) fn hand_over(
    action: &Restore,
    server: &Server,
    database: &RestoreDatabase,
    world: &World<'_>,
) -> Result<(), Failure> {
    if !are_handed_over(action, database) {
        return Ok(());
    }
    let script = Script::new(
        "SELECT format('CREATE USER MAPPING FOR %I SERVER %I', :'owner', srvname) || coalesce(' OPTIONS (' || \
         (SELECT string_agg(format('%I %L', option_name, option_value), ', ') FROM pg_options_to_table(umoptions)) || ')', '')\n\
         FROM pg_user_mappings m WHERE usename = :'login' \
         AND NOT EXISTS (SELECT FROM pg_user_mappings o WHERE o.srvid = m.srvid AND o.usename = :'owner') \\gexec\n\
         SELECT format('DROP USER MAPPING FOR %I SERVER %I', usename, srvname)\n\
         FROM pg_user_mappings WHERE usename = :'login' \\gexec",
    )
    .var("login", &database.reader.user)
    .var("owner", &database.owner);
    let what = format!(
        "give the user mappings of {} to {}",
        database.name, database.owner
    );
    server.execute(&world.runner, &database.incoming(), &script, what)?;
    Ok(())
}

/// The manifest of a database whose mappings were handed over.
pub(super) fn expect(action: &Restore, database: &RestoreDatabase, wanted: &mut DatabaseManifest) {
    if !are_handed_over(action, database) {
        return;
    }
    if let Some(others) = wanted.schema.get_mut("others") {
        let [new, _] = spellings(&database.owner);
        rename(others, &database.reader.user, &new);
    }
}

/// Names the owner's mappings in `wanted` as the target's server does.
pub(super) fn spell(database: &RestoreDatabase, wanted: &mut DatabaseManifest, found: &DatabaseManifest) {
    let [plain, quoted] = spellings(&database.owner);
    let there = found.schema.get("others");
    let is_quoted = there.is_some_and(|there| there.keys().any(|object| object.starts_with(&quoted)));
    if let Some(others) = wanted.schema.get_mut("others") {
        rename(others, &database.owner, if is_quoted { &quoted } else { &plain });
    }
}

/// What the names of a role's mappings start with. PostgreSQL quotes key words as well, each version its own.
fn spellings(role: &str) -> [String; 2] {
    [manifest::display_name(&[role]), quote::ident(role)]
        .map(|role| format!("user mapping {role} on server "))
}

/// Lets the names of a role's mappings start with `new`.
fn rename<T>(others: &mut BTreeMap<String, T>, role: &str, new: &str) {
    let spellings = spellings(role);
    *others = std::mem::take(others)
        .into_iter()
        .map(|(object, facts)| {
            let server = spellings.iter().find_map(|old| object.strip_prefix(old.as_str()));
            match server {
                Some(server) => (format!("{new}{server}"), facts),
                None => (object, facts),
            }
        })
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_of_a_role_whose_name_is_a_key_word_are_found_in_both_spellings() {
        for (role, object) in [
            ("user", "user mapping \"user\" on server far"),
            ("labeler", "user mapping labeler on server far"),
            ("My Role", "user mapping \"My Role\" on server far"),
        ] {
            let mut others = BTreeMap::from([(object.to_owned(), ()), ("server far".to_owned(), ())]);
            let [new, _] = spellings("admin");
            rename(&mut others, role, &new);
            let names: Vec<&str> = others.keys().map(String::as_str).collect();
            assert_eq!(names, ["server far", "user mapping admin on server far"]);
        }
    }
}
