//! A target that we may only connect to: what our role may do there, and what of it is not ours.

use infra::postgres::facts::ServerFacts;
use infra::postgres::quote;

use super::super::Case;
use super::{direct, encrypted};
use crate::config::{Access, Control, SecretName};
use crate::model::Finding;
use crate::observe::is_placeholder;

pub(in crate::plan::preflight) fn target(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let settings = &case.settings.target;
    if settings.control != Control::External {
        return;
    }
    for (what, value) in [("host", &settings.host), ("user", &settings.user)] {
        if is_placeholder(value) {
            findings.push(
                Finding::error(
                    format!("target.{what}.placeholder"),
                    format!("target.{what} is {value}, a template's placeholder"),
                )
                .wanted("the real value")
                .hint("cargo xtask status --settings"),
            );
        }
    }
    for weak in &case.seen.target.weak {
        findings.push(
            Finding::error("target.password.weak", weak.clone())
                .wanted("a password that nobody knows from a repository"),
        );
    }
    one_place(case, findings);
    pooler(case, findings);
    let Some(server) = &case.seen.target.server else {
        encrypted("target", &settings.connection, None, findings);
        return;
    };
    encrypted("target", &settings.connection, Some(server), findings);
    direct("target", settings.port, server, findings);
    let user = quote::ident(&settings.user);
    if !server.createdb {
        findings.push(
            Finding::error(
                "target.createdb",
                format!(
                    "{} may not create databases: nothing can be restored aside",
                    settings.user
                ),
            )
            .wanted("the right, while the migration runs")
            .hint(format!(
                "ALTER ROLE {user} CREATEDB; (as the target's administrator; NOCREATEDB afterwards)"
            )),
        );
    }
    for (name, database) in &case.settings.databases {
        if database.access == Access::ReadOnly {
            if !server.databases.contains_key(&database.name) {
                findings.push(
                    Finding::error(
                        format!("target.{name}.missing"),
                        format!("database {} is not on the target", database.name),
                    )
                    .wanted("the other team's database"),
                );
            }
        } else if case.seen.sources.contains_key(name) {
            owner(case, name, server, findings);
        }
    }
    for (name, problem) in &case.seen.target.logins {
        let login = &case.settings.databases[name].login;
        findings.push(
            Finding::error(
                format!("target.{name}.login"),
                format!("the login {login} that .env will name for {name} fails: {problem}"),
            )
            .wanted(format!(
                "{} in the environment or .xtask/secrets.env",
                SecretName::Login(name.clone()).variable()
            )),
        );
    }
}

/// After the cutover all databases share one host and port; what is left out stays where it is.
fn one_place(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for (name, database) in &case.settings.databases {
        let follows = case.seen.sources.contains_key(name) || database.access == Access::ReadOnly;
        if !follows {
            findings.push(
                Finding::warning(
                    format!("target.{name}.elsewhere"),
                    format!("{name} is left out: .env goes on naming its old server, and not the host of the others"),
                )
                .wanted("one host and port for all databases"),
            );
        }
    }
}

/// What a pooler says to the parameters that we connect with.
fn pooler(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let sources = case.seen.sources.values();
    let sources = sources.filter_map(|source| source.problem.as_ref());
    for problem in sources.chain(&case.seen.target.problem) {
        let lower = problem.to_lowercase();
        if lower.contains("unsupported startup parameter") || lower.contains("pgbouncer") {
            findings.push(
                Finding::error(
                    "server.pooler",
                    "a connection pooler such as PgBouncer answers instead of the server",
                )
                .wanted("the server's direct address: dumps and snapshots do not survive a pooler"),
            );
        }
    }
}

/// We make a database for its owner, and put it in the place of what the owner has now.
fn owner(case: &Case<'_>, name: &str, server: &ServerFacts, findings: &mut Vec<Finding>) {
    let (database, user) = (&case.settings.databases[name], &case.settings.target.user);
    let login = if database.login.is_empty() {
        user
    } else {
        &database.login
    };
    if server.superuser {
        return;
    }
    let member = |role: &String| server.member_of.contains(role);
    let grant = |role: &str| {
        format!(
            "GRANT {} TO {}; (as the target's administrator)",
            quote::ident(role),
            quote::ident(user)
        )
    };
    if !member(login) {
        findings.push(
            Finding::error(
                format!("target.{name}.owner"),
                format!("{user} cannot make a database for {login}: it is no member of that role"),
            )
            .wanted("membership, or target.user set to the owner itself")
            .hint(grant(login)),
        );
    }
    if let Some(there) = server.databases.get(&database.name)
        && !member(&there.owner)
    {
        findings.push(
            Finding::error(
                format!("target.{name}.foreign"),
                format!(
                    "database {} on the target belongs to {}, which {user} is no member of",
                    database.name, there.owner
                ),
            )
            .wanted("a database that our role owns, so that it can step aside")
            .hint(format!(
                "ALTER DATABASE {} OWNER TO {}; (as the target's administrator)",
                quote::ident(&database.name),
                quote::ident(login)
            )),
        );
    }
}
