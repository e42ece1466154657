//! Whose a restored database is, and whether the application can read it.

use infra::Runner;
use infra::postgres::ailments::{self, ShutOut};
use infra::postgres::facts::ServerFacts;
use infra::postgres::unprivileged::Unprivileged;
use infra::postgres::{Script, Server};

use crate::cli::Context;
use crate::model::Finding;
use crate::observe::Observed;
use crate::plan::charge;

/// The owner of the database whose place is taken. A role without superuser can only act as one that it is a member of.
pub(super) fn inherited<'a>(server: &'a ServerFacts, target_name: &str) -> Option<&'a str> {
    let owner = server.databases.get(target_name)?.owner.as_str();
    (server.superuser || server.member_of.iter().any(|role| role == owner)).then_some(owner)
}

/// Whether an archive holds what its owner could not make and the superuser that logs in can.
pub(super) fn needs_superuser(
    runner: &Runner,
    target: &Server,
    maintenance: &str,
    server: &ServerFacts,
    source: &Unprivileged,
    owner: &str,
) -> anyhow::Result<bool> {
    let may_all = server.roles.get(owner).is_some_and(|role| role.superuser);
    if !server.superuser || may_all || owner == target.user {
        return Ok(false);
    }
    let left_out = |class: &str| ["event trigger", "publication"].contains(&class);
    if !source.needs_superuser.is_empty()
        || !source.forced_policies.is_empty()
        || source.left_out.iter().any(|object| left_out(&object.class))
    {
        return Ok(true);
    }
    if source.extensions.is_empty() {
        return Ok(false);
    }
    let names: Vec<&String> = source.extensions.keys().collect();
    let ask = Script::new(
        "SELECT to_json(EXISTS (SELECT FROM json_array_elements_text(:'names') AS n WHERE NOT EXISTS (\
         SELECT FROM pg_available_extension_versions v WHERE v.name = n AND (v.trusted OR NOT v.superuser))));",
    )
    .var("names", serde_json::to_string(&names)?);
    Ok(target.json(
        runner,
        maintenance,
        &ask,
        "ask which extensions an owner may create",
    )?)
}

/// What a login may not read, in words; `None`: nothing.
fn in_words(shut_out: &ShutOut) -> Option<String> {
    match (shut_out.connect, &shut_out.example) {
        (false, _) => Some("may not connect to it".to_owned()),
        (true, Some(example)) if shut_out.tables == 1 => Some(format!("may not read {example}")),
        (true, Some(example)) => Some(format!(
            "may not read {} of its tables, {example} for one",
            shut_out.tables
        )),
        (true, None) => None,
    }
}

/// The application must be able to read what took the place that `.env` names: says so where it cannot.
pub(super) fn tell_who_is_shut_out(context: &Context, seen: &Observed, database: &str, target_name: &str) {
    let settings = &context.loaded.settings;
    let is_place = settings
        .databases
        .get(database)
        .is_some_and(|known| known.name == target_name);
    if !is_place || charge::names_target(seen, settings, database) != Some(true) {
        return;
    }
    let mappings = seen
        .env_files
        .iter()
        .filter_map(|file| file.mappings.get(database));
    let mut logins: Vec<&str> = mappings
        .filter_map(|mapping| mapping.user.value.as_deref())
        .collect();
    logins.sort_unstable();
    logins.dedup();
    for login in logins {
        if let Some(finding) = shut_out(context, database, target_name, login) {
            context.terminal.line(&finding.to_string());
        }
    }
}

fn shut_out(context: &Context, database: &str, target_name: &str, login: &str) -> Option<Finding> {
    let target = charge::target(&context.loaded.settings, "").server(&context.vault);
    let said = match ailments::shut_out(&context.runner, &target, target_name, login) {
        Ok(Some(found)) => in_words(&found)?,
        Ok(None) => "is no role of the target".to_owned(),
        Err(error) => format!("could not be asked about: {error}"),
    };
    Some(
        Finding::warning(
            format!("restore.{database}.login"),
            format!(".env names {login} for {target_name}, and that role {said}"),
        )
        .wanted("a login that can read what was restored")
        .hint("cargo xtask doctor --fix --only permission-denied"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_login_may_not_read_is_said_and_nothing_else() {
        let seen = |connect, tables, example: Option<&str>| {
            let example = example.map(str::to_owned);
            let seen = ShutOut {
                connect,
                tables,
                example,
            };
            in_words(&seen)
        };
        assert_eq!(seen(true, 0, None), None);
        assert_eq!(seen(false, 0, None).unwrap(), "may not connect to it");
        assert_eq!(seen(true, 1, Some("public.a")).unwrap(), "may not read public.a");
        assert_eq!(
            seen(true, 7, Some("public.a")).unwrap(),
            "may not read 7 of its tables, public.a for one"
        );
    }
}
