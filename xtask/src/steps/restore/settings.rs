//! Settings of a database, which an archive does not hold.

use infra::Secret;
use infra::postgres::facts::DatabaseSetting;
use infra::postgres::{Script, Server, quote};

use super::expected::role_on_target;
use super::{Failure, World};
use crate::model::backup::DatabaseBackup;
use crate::plan::action::{Restore, RestoreDatabase};
use crate::plan::carried::ROLE_SETTINGS;

/// Settings that live in the catalogue of the instance and not in the archive (`ALTER DATABASE .. SET`).
pub(super) fn apply_settings(
    action: &Restore,
    server: &Server,
    database: &RestoreDatabase,
    backup: &DatabaseBackup,
    world: &World<'_>,
) -> Result<(), Failure> {
    let incoming = quote::ident(&database.incoming());
    let mut script = Script::default();
    let left_out = |setting: &DatabaseSetting| {
        database
            .left_out
            .iter()
            .any(|object| match object.class.as_str() {
                "setting" => object.name == setting.name,
                ROLE_SETTINGS => setting.role.as_ref() == Some(&object.name),
                _ => false,
            })
    };
    let settings = backup.settings.iter().filter(|setting| !left_out(setting));
    // A role without superuser changes another role's database as that role; settings of roles are its own to make.
    let owner = action.acts_as(database).filter(|_| action.unprivileged);
    let as_owner = |statement: &str| match owner {
        Some(owner) => format!("SET ROLE {};\n{statement}RESET ROLE;\n", quote::ident(owner)),
        None => statement.to_owned(),
    };
    for (number, setting) in settings.enumerate() {
        let role = setting.role.as_deref().unwrap_or_default();
        let (whom, everybody) = match role_on_target(action, database, backup, role) {
            None => continue,
            Some(everybody) if everybody.is_empty() => (format!("DATABASE {incoming}"), true),
            Some(role) => (
                format!("ROLE {} IN DATABASE {incoming}", quote::ident(&role)),
                false,
            ),
        };
        let name = quote::ident(&setting.name);
        // Lists are stored quoted as PostgreSQL wants them; one quoted string would be one name.
        let list = matches!(
            setting.name.as_str(),
            "search_path" | "temp_tablespaces" | "session_preload_libraries" | "local_preload_libraries"
        );
        let variable = format!("value{number}");
        let value = match list {
            true => list_literals(&setting.value),
            false => {
                script = script.secret_var(&variable, &Secret::new(setting.value.clone()));
                format!(":'{variable}'")
            }
        };
        let statement = format!("ALTER {whom} SET {name} TO {value};\n");
        script = script.then(&if everybody {
            as_owner(&statement)
        } else {
            statement
        });
    }
    if backup.connection_limit >= 0 {
        script = script.then(&as_owner(&format!(
            "ALTER DATABASE {incoming} CONNECTION LIMIT {};\n",
            backup.connection_limit
        )));
    }
    let what = format!("apply the settings of database {}", database.name);
    server.execute(&world.runner, &action.maintenance_database, &script, what)?;
    Ok(())
}

/// A stored list (`a, "B c", ""`) as SQL literals (`'a', 'B c', ''`): an empty name is a legal element, and no legal
/// identifier. pg_dump writes them the same way.
fn list_literals(stored: &str) -> String {
    let mut elements = Vec::new();
    let (mut element, mut quoted, mut seen) = (String::new(), false, false);
    let mut characters = stored.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                element.push('"');
            }
            '"' => {
                quoted = !quoted;
                seen = true;
            }
            ',' if !quoted => {
                elements.push(std::mem::take(&mut element));
                seen = false;
            }
            c if c.is_whitespace() && !quoted => {}
            c => {
                element.push(c);
                seen = true;
            }
        }
    }
    if seen || !elements.is_empty() {
        elements.push(element);
    }
    let literal = |element: &String| format!("'{}'", element.replace('\'', "''"));
    if elements.is_empty() {
        "''".to_owned()
    } else {
        elements.iter().map(literal).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::list_literals;

    #[test]
    fn a_stored_list_becomes_literals_and_an_empty_element_stays() {
        assert_eq!(
            list_literals(r#""$user", public, "Ex""ports", it's"#),
            r#"'$user', 'public', 'Ex"ports', 'it''s'"#
        );
        assert_eq!(list_literals(r#""""#), "''");
        assert_eq!(list_literals(""), "''");
    }
}
