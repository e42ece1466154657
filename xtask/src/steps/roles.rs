//! Mode `preserve`: the old roles on the target, with the password verifiers they had.

use infra::Secret;
use infra::postgres::Script;
use serde::Deserialize;

use super::{Failure, World};
use crate::model::backup::DatabaseBackup;
use crate::plan::action::{Restore, RestoreDatabase};

#[derive(Deserialize)]
struct Role {
    name: String,
    login: bool,
    inherit: bool,
    createdb: bool,
    connection_limit: i32,
    /// `SCRAM-SHA-256$...`: as good as the password for whoever holds it.
    verifier: Option<Secret>,
}

/// Creates the roles that are missing. Never a superuser: on the old instance the application's role was the bootstrap
/// superuser, on the shared one it owns its own database and nothing else.
pub(super) fn recreate(
    action: &Restore,
    database: &RestoreDatabase,
    backup: &DatabaseBackup,
    world: &World<'_>,
) -> Result<(), Failure> {
    let source = database.reader.server(world.vault);
    let ask =
        Script::new(include_str!("../../../infra/sql/role_verifiers.sql")).var("login", &database.owner);
    let what = format!("read the roles of {}", database.name);
    let roles: Vec<Role> = source.json(&world.runner, &backup.source_database, &ask, what)?;
    let target = action.target.server(world.vault);
    for role in roles {
        if let Some(verifier) = &role.verifier {
            world.runner.learn(verifier);
        }
        let flag = |on: bool, name: &str| if on { name.to_owned() } else { format!("NO{name}") };
        let verifier = role
            .verifier
            .as_ref()
            .map_or_else(String::new, |_| " PASSWORD :'verifier'".to_owned());
        let sql = format!(
            "SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') AS missing \\gset\n\\if :missing\n\
             CREATE ROLE :\"name\" NOSUPERUSER NOREPLICATION NOBYPASSRLS NOCREATEROLE {} {} {} CONNECTION LIMIT {}{verifier};\n\
             \\endif",
            flag(role.login, "LOGIN"),
            flag(role.inherit, "INHERIT"),
            flag(role.createdb, "CREATEDB"),
            role.connection_limit,
        );
        let mut create = Script::new(sql).var("name", &role.name);
        if let Some(verifier) = &role.verifier {
            create = create.secret_var("verifier", verifier);
        }
        let what = format!("recreate role {}", role.name);
        target.execute(&world.runner, &action.maintenance_database, &create, what)?;
    }
    Ok(())
}

/// The roles that policies name, where they are missing. They cannot log in: who may use them is a person's decision.
pub(super) fn create_policy_roles(
    action: &Restore,
    backup: &DatabaseBackup,
    world: &World<'_>,
) -> Result<(), Failure> {
    let target = action.target.server(world.vault);
    for role in &backup.policy_roles {
        let create = Script::new(
            "SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') AS missing \\gset\n\\if :missing\n\
             CREATE ROLE :\"name\" NOLOGIN;\n\\endif",
        )
        .var("name", role);
        let what = format!("create role {role}, which a policy names");
        target.execute(&world.runner, &action.maintenance_database, &create, what)?;
    }
    Ok(())
}
