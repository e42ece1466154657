//! User mappings in mode `unify`: what the old login may use on foreign servers, the target's role may, because the
//! application logs in as that one now.

use infra::postgres::manifest::{self, DatabaseManifest};
use infra::postgres::{Script, Server};

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
    let of = |role: &str| format!("user mapping {} on server ", manifest::display_name(&[role]));
    let (old, new) = (of(&database.reader.user), of(&database.owner));
    let Some(others) = wanted.schema.get_mut("others") else {
        return;
    };
    *others = std::mem::take(others)
        .into_iter()
        .map(|(object, facts)| match object.strip_prefix(&old) {
            Some(server) => (format!("{new}{server}"), facts),
            None => (object, facts),
        })
        .collect();
}
