//! What only a superuser could restore becomes its owner's.

use infra::postgres::{Script, Server, ailments};

use super::{Failure, World};
use crate::plan::action::{Restore, RestoreDatabase};

/// Gives what was restored to the owner of the database; what extensions made stays the server's.
pub(super) fn give(
    action: &Restore,
    server: &Server,
    database: &RestoreDatabase,
    world: &World<'_>,
) -> Result<(), Failure> {
    if !database.given_over {
        return Ok(());
    }
    let incoming = database.incoming();
    let anothers = ailments::foreign_objects(&world.runner, server, &incoming, &database.owner)?;
    if anothers.is_empty() {
        return Ok(());
    }
    let mut sql = String::from("BEGIN;\n");
    for object in &anothers {
        sql.push_str(&object.give);
        sql.push('\n');
    }
    sql.push_str("COMMIT;");
    let what = format!(
        "give what was restored of {} to {}",
        database.name, database.owner
    );
    server.execute(&world.runner, &incoming, &Script::new(sql), what)?;
    world.progress.warn(&format!(
        "{} holds what only a superuser can make: it was restored as {} and given to {}",
        database.name, action.target.user, database.owner
    ));
    Ok(())
}
