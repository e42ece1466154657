//! What PUBLIC was denied stays denied, and the database's own privileges come along: pg_restore brings neither, when it
//! leaves privileges out or restores into a database that exists.

use infra::postgres::access::Closed;
use infra::postgres::{Script, Server, facts, quote};

use super::{Failure, World};
use crate::model::backup::DatabaseBackup;
use crate::plan::Roles;
use crate::plan::action::{Restore, RestoreDatabase};

/// Applies them to the incoming database, and looks whether they hold.
pub(super) fn apply_privileges(
    action: &Restore,
    server: &Server,
    database: &RestoreDatabase,
    backup: &DatabaseBackup,
    world: &World<'_>,
) -> Result<(), Failure> {
    let incoming = database.incoming();
    let preserve = action.roles == Roles::Preserve;
    // With privileges preserved, pg_restore has done the others.
    let closed: Vec<&Closed> = backup
        .access
        .closed
        .iter()
        .filter(|closed| !preserve || closed.kind == "database")
        .collect();
    let mut sql: Vec<String> = closed
        .iter()
        .map(|closed| revoke(closed, &incoming, &database.owner))
        .collect();
    if preserve {
        sql.extend(backup.access.database.iter().map(|granted| {
            let option = if granted.grantable {
                " WITH GRANT OPTION"
            } else {
                ""
            };
            let (database, role) = (quote::ident(&incoming), quote::ident(&granted.role));
            format!(
                "GRANT {} ON DATABASE {database} TO {role}{option};",
                granted.privilege
            )
        }));
    }
    if sql.is_empty() {
        return Ok(());
    }
    // A role without superuser may not change what belongs to another one; a superuser may, and what is the server's too.
    if let Some(owner) = action.acts_as(database).filter(|_| action.unprivileged) {
        sql.insert(0, format!("SET ROLE {};", quote::ident(owner)));
    }
    let what = format!("apply the privileges of database {}", database.name);
    server.execute(&world.runner, &incoming, &Script::new(sql.join("\n")), what)?;
    let found = facts::database(&world.runner, server, &incoming)?.access.closed;
    let open = closed.iter().filter(|wanted| {
        let is = |found: &&Closed| {
            (&found.kind, &found.name, &found.privilege) == (&wanted.kind, &wanted.name, &wanted.privilege)
        };
        found.iter().find(is).is_none()
    });
    for open in open {
        if let Some(ask) = ask(open) {
            let what = format!("ask whether everybody has {open}");
            if !server.json::<bool>(&world.runner, &incoming, &ask, what)? {
                continue;
            }
        }
        let message = format!(
            "everybody has {open} of the restored {}, and had not on the source",
            database.name
        );
        // What an extension makes is the server's, and a role without superuser may not close it.
        if !open.member {
            return Err(Failure::new(message));
        }
        world.progress.warn(&message);
    }
    Ok(())
}

/// Whether PUBLIC has a privilege that it usually has not on this server: since PostgreSQL 15 nobody may create in schema
/// public, so that there it does not count as denied.
fn ask(closed: &Closed) -> Option<Script> {
    let ask = "SELECT to_json(coalesce(has_schema_privilege('public', to_regnamespace(:'name'), :'privilege'), false));";
    let ask = Script::new(ask)
        .var("name", &closed.name)
        .var("privilege", &closed.privilege);
    (closed.kind == "schema").then_some(ask)
}

/// One privilege that PUBLIC usually has, taken away.
fn revoke(closed: &Closed, incoming: &str, owner: &str) -> String {
    let Closed {
        kind,
        name,
        privilege,
        member,
    } = closed;
    match kind.as_str() {
        "database" => format!(
            "REVOKE {privilege} ON DATABASE {} FROM PUBLIC;",
            quote::ident(incoming)
        ),
        "default" => format!(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE {privilege} ON {name} FROM PUBLIC;",
            quote::ident(owner)
        ),
        // The extension may be another version here, and without it.
        "routine" if *member => format!(
            "SELECT format('REVOKE {privilege} ON ROUTINE %s FROM PUBLIC', p) FROM to_regprocedure({}) AS p WHERE p IS NOT NULL \\gexec",
            quote::literal(name)
        ),
        kind => format!(
            "REVOKE {privilege} ON {} {name} FROM PUBLIC;",
            kind.to_uppercase()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_away_names_the_incoming_database_and_the_new_owner() {
        let closed = |kind: &str, name: &str, privilege: &str| Closed {
            kind: kind.to_owned(),
            name: name.to_owned(),
            privilege: privilege.to_owned(),
            member: false,
        };
        for (closed, sql) in [
            (
                closed("database", "", "CONNECT"),
                "REVOKE CONNECT ON DATABASE \"labeler__incoming\" FROM PUBLIC;",
            ),
            (
                closed("default", "ROUTINES", "EXECUTE"),
                "ALTER DEFAULT PRIVILEGES FOR ROLE \"admin\" REVOKE EXECUTE ON ROUTINES FROM PUBLIC;",
            ),
            (
                closed("routine", "public.f(text)", "EXECUTE"),
                "REVOKE EXECUTE ON ROUTINE public.f(text) FROM PUBLIC;",
            ),
        ] {
            assert_eq!(revoke(&closed, "labeler__incoming", "admin"), sql);
        }
    }

    #[test]
    fn a_schema_that_is_not_closed_here_by_default_is_asked_about() {
        let closed = |kind: &str| Closed {
            kind: kind.to_owned(),
            name: "public".to_owned(),
            privilege: "CREATE".to_owned(),
            member: false,
        };
        assert!(ask(&closed("schema")).is_some());
        assert!(ask(&closed("routine")).is_none());
    }
}
