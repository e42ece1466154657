//! Roles that the restored databases need on the target: in mode `preserve` the old ones with the password verifiers they
//! had, else those without which a restore fails. A role that we made carries our mark until its databases are in place.

use std::collections::BTreeMap;

use infra::Secret;
use infra::postgres::{Script, Server};
use serde::Deserialize;

use super::{Failure, World};
use crate::model::backup::DatabaseBackup;
use crate::plan::Roles;
use crate::plan::action::{Restore, RestoreDatabase};

/// State file: the roles that this run made or changed.
const MADE: &str = "made-roles";

#[derive(Deserialize)]
struct Role {
    name: String,
    login: bool,
    inherit: bool,
    createdb: bool,
    connection_limit: i32,
    /// `SCRAM-SHA-256$...`: as good as the password for whoever holds it.
    verifier: Option<Secret>,
    /// Policies did not bind it on the old instance, and would on the target.
    bypass: bool,
    /// The roles it is a member of.
    member_of: Vec<String>,
}

/// A role of the target.
#[derive(Deserialize)]
struct There {
    login: bool,
    mark: Option<String>,
}

/// The target's roles, and what we do to them.
struct Making<'a> {
    action: &'a Restore,
    world: &'a World<'a>,
    target: Server,
    there: BTreeMap<String, There>,
}

/// Makes the roles of these databases, one database after the other: two may name the same role.
pub(super) fn make(
    action: &Restore,
    backups: &[(&RestoreDatabase, DatabaseBackup)],
    world: &World<'_>,
) -> Result<(), Failure> {
    let target = action.target.server(world.vault);
    let ask = Script::new(
        "SELECT json_object_agg(rolname, json_build_object('login', rolcanlogin, \
         'mark', shobj_description(oid, 'pg_authid'))) FROM pg_roles;",
    );
    let what = "look at the target's roles";
    let there = target.json(&world.runner, &action.maintenance_database, &ask, what)?;
    let mut making = Making {
        action,
        world,
        target,
        there,
    };
    let mut ours = Vec::new();
    if action.roles == Roles::Preserve {
        for (database, backup) in backups {
            ours.extend(making.recreate(database, backup)?);
        }
    }
    // After those with a password: a policy may name them as well.
    for (_, backup) in backups {
        for role in &backup.policy_roles {
            if !making.there.contains_key(role) {
                let what = format!("create role {role}, which a policy or user mapping names");
                making.put("CREATE", role, "NOLOGIN", None, what)?;
            }
        }
    }
    making.members(&ours)
}

impl Making<'_> {
    /// The roles of one database. Never a superuser: on the old instance the application's role was the bootstrap
    /// superuser, on the shared one it owns its own database and nothing else. The answer is those that are ours now.
    fn recreate(
        &mut self,
        database: &RestoreDatabase,
        backup: &DatabaseBackup,
    ) -> Result<Vec<Role>, Failure> {
        let source = database.reader.server(self.world.vault);
        let ask =
            Script::new(include_str!("../../../infra/sql/role_verifiers.sql")).var("login", &database.owner);
        let what = format!("read the roles of {}", database.name);
        let roles: Vec<Role> = source.json(&self.world.runner, &backup.source_database, &ask, what)?;
        let mut ours = Vec::new();
        for role in roles {
            if let Some(verifier) = &role.verifier {
                self.world.runner.learn(verifier);
            }
            let verb = match self.there.get(&role.name) {
                None => "CREATE",
                Some(there) if self.is_left_over(there) => "ALTER",
                Some(there) if role.name == database.owner && role.login && !there.login => {
                    return Err(no_login(self.action, &self.target, &role.name));
                }
                // Made for another database, or before this run was interrupted.
                Some(there) if there.mark.as_ref() == Some(&self.action.mark()) => {
                    self.complete(&role)?;
                    ours.push(role);
                    continue;
                }
                // Somebody's.
                Some(_) => continue,
            };
            let what = format!("recreate role {}", role.name);
            self.put(
                verb,
                &role.name,
                &attributes(verb, &role, self.action.unprivileged),
                role.verifier.as_ref(),
                what,
            )?;
            ours.push(role);
        }
        Ok(ours)
    }

    /// Whether an earlier run of this workspace made it, and never put its databases in place.
    fn is_left_over(&self, there: &There) -> bool {
        let run = there.mark.as_deref().and_then(Restore::marked_by);
        run.is_some_and(|run| run != self.action.run && self.world.run.is_known(&run))
    }

    /// Gives a role of this run what another database needs it to have.
    fn complete(&self, role: &Role) -> Result<(), Failure> {
        if role.bypass && !self.action.unprivileged {
            let alter = Script::new("ALTER ROLE :\"name\" BYPASSRLS;").var("name", &role.name);
            let what = format!("let role {} bypass policies", role.name);
            let maintenance = &self.action.maintenance_database;
            self.target
                .execute(&self.world.runner, maintenance, &alter, what)?;
        }
        Ok(())
    }

    /// Creates or alters a role and marks it as ours, at once.
    fn put(
        &mut self,
        verb: &str,
        name: &str,
        attributes: &str,
        verifier: Option<&Secret>,
        what: String,
    ) -> Result<(), Failure> {
        let mut made: Vec<String> = self.world.run.load(MADE)?.unwrap_or_default();
        if !made.iter().any(|known| known == name) {
            made.push(name.to_owned());
            self.world.run.save(MADE, &made)?;
        }
        let password = if verifier.is_some() {
            " PASSWORD :'verifier'"
        } else {
            ""
        };
        let sql = format!(
            "BEGIN;\n{verb} ROLE :\"name\" {attributes}{password};\nCOMMENT ON ROLE :\"name\" IS :'mark';\nCOMMIT;"
        );
        let mark = self.action.mark();
        let mut script = Script::new(sql).var("name", name).var("mark", &mark);
        if let Some(verifier) = verifier {
            script = script.secret_var("verifier", verifier);
        }
        let maintenance = &self.action.maintenance_database;
        self.target
            .execute(&self.world.runner, maintenance, &script, what)?;
        let (login, mark) = (attributes.split(' ').any(|word| word == "LOGIN"), Some(mark));
        self.there.insert(name.to_owned(), There { login, mark });
        Ok(())
    }

    /// Who was in which role, as far as both are ours: what a role may do beside its own is decided there.
    fn members(&self, ours: &[Role]) -> Result<(), Failure> {
        for role in ours {
            for group in ours.iter().filter(|group| role.member_of.contains(&group.name)) {
                let grant = Script::new("GRANT :\"group\" TO :\"name\";")
                    .var("group", &group.name)
                    .var("name", &role.name);
                let what = format!("make {} a member of {}", role.name, group.name);
                let maintenance = &self.action.maintenance_database;
                self.target
                    .execute(&self.world.runner, maintenance, &grant, what)?;
            }
        }
        Ok(())
    }
}

/// What a role is made or becomes.
fn attributes(verb: &str, role: &Role, unprivileged: bool) -> String {
    let flag = |on: bool, name: &str| if on { name.to_owned() } else { format!("NO{name}") };
    // Only a superuser may give it; where we are none, a finding has said what policies hide.
    let bypass = flag(role.bypass && !unprivileged, "BYPASSRLS");
    // Only a superuser may even take these away from a role that exists; where we are none, it never had them.
    let high = match verb {
        "ALTER" if unprivileged => String::new(),
        _ => format!("NOSUPERUSER NOREPLICATION {bypass} "),
    };
    format!(
        "{high}NOCREATEROLE {} {} {} CONNECTION LIMIT {}",
        flag(role.login, "LOGIN"),
        flag(role.inherit, "INHERIT"),
        flag(role.createdb, "CREATEDB"),
        role.connection_limit,
    )
}

/// The login of the application is there and is none: the application would find out.
fn no_login(action: &Restore, target: &Server, name: &str) -> Failure {
    Failure::new(format!(
        "role {name}, which .env names, is on the target and may not log in, and no run of this workspace made it so"
    ))
    .hint(format!(
        "{} -c {}",
        target.connect_hint(&action.maintenance_database),
        infra::command::shell_word(&format!("DROP ROLE {}", infra::postgres::quote::ident(name)))
    ))
}

/// Takes our mark off the roles of this run: what they are is people's from now on.
pub(super) fn release(
    server: &Server,
    maintenance: &str,
    mark: &str,
    world: &World<'_>,
) -> Result<(), Failure> {
    let release = Script::new(
        "SELECT format('COMMENT ON ROLE %I IS NULL', rolname) FROM pg_roles \
         WHERE shobj_description(oid, 'pg_authid') = :'mark' \\gexec",
    )
    .var("mark", mark);
    server.execute(
        &world.runner,
        maintenance,
        &release,
        "take the mark off our roles",
    )?;
    Ok(())
}

/// Puts our mark on them again: their databases are no longer in place, and the next run makes them what they must be.
pub(super) fn claim(
    server: &Server,
    maintenance: &str,
    mark: &str,
    world: &World<'_>,
) -> Result<(), Failure> {
    let made: Vec<String> = world.run.load(MADE)?.unwrap_or_default();
    if made.is_empty() {
        return Ok(());
    }
    let claim = Script::new(
        "SELECT format('COMMENT ON ROLE %I IS %L', rolname, :'mark') FROM pg_roles \
         WHERE rolname IN (SELECT json_array_elements_text(:'made')) AND shobj_description(oid, 'pg_authid') IS NULL \\gexec",
    )
    .var("mark", mark)
    .var("made", serde_json::to_string(&made).unwrap_or_default());
    server.execute(&world.runner, maintenance, &claim, "mark our roles again")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_superuser_takes_away_what_only_a_superuser_has() {
        let role = Role {
            name: "labeler_user".to_owned(),
            login: true,
            inherit: true,
            createdb: false,
            connection_limit: -1,
            verifier: None,
            bypass: true,
            member_of: Vec::new(),
        };
        let rest = "NOCREATEROLE LOGIN INHERIT NOCREATEDB CONNECTION LIMIT -1";
        for (verb, unprivileged, high) in [
            ("CREATE", false, "NOSUPERUSER NOREPLICATION BYPASSRLS "),
            ("ALTER", false, "NOSUPERUSER NOREPLICATION BYPASSRLS "),
            ("CREATE", true, "NOSUPERUSER NOREPLICATION NOBYPASSRLS "),
            ("ALTER", true, ""),
        ] {
            assert_eq!(attributes(verb, &role, unprivileged), format!("{high}{rest}"));
        }
    }
}
