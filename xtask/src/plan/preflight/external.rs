//! Servers that we may only connect to: how they are reached, what our roles may do there, whether they can be fenced.

use infra::postgres::facts::ServerFacts;
use infra::postgres::quote;

use super::Case;
use crate::config::{Access, Connection, Control, SecretName, Settings, SslMode};
use crate::model::Finding;
use crate::observe::{Observed, SourceSeen, SourceState, is_placeholder};
use crate::plan::access;
use crate::plan::carried::Carried;
use crate::plan::{Roles, charge};

/// How many sessions a finding names.
const SHOWN: usize = 5;

pub(super) fn sources(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for (name, source) in &case.seen.sources {
        if source.state != SourceState::External {
            continue;
        }
        let settings = &case.settings.databases[name].source;
        encrypted(
            &format!("source.{name}"),
            &settings.connection,
            source.server.as_ref(),
            findings,
        );
        if source.external.is_none() {
            findings.push(
                Finding::error(
                    format!("source.{name}.address"),
                    format!("neither the settings nor .env say where {name} is, and who reads it"),
                )
                .wanted(format!("databases.{name}.source.host, port and user"))
                .hint("cargo xtask status --settings"),
            );
            continue;
        }
        if case.request.roles == Roles::Preserve
            && source.server.as_ref().is_some_and(|server| !server.superuser)
        {
            findings.push(
                Finding::error(
                    format!("source.{name}.verifiers"),
                    format!("the role that reads {name} is no superuser and may not read stored passwords"),
                )
                .wanted("--roles unify"),
            );
        }
        may_read(name, source, findings);
        fence(case, name, source, findings);
    }
}

/// TLS, and proof of who answers.
fn encrypted(id: &str, connection: &Connection, server: Option<&ServerFacts>, findings: &mut Vec<Finding>) {
    let mode = connection.sslmode();
    if mode < SslMode::Require {
        findings.push(
            Finding::error(
                format!("{id}.tls"),
                format!("sslmode is {}: the connection may go unencrypted", mode.word()),
            )
            .wanted("verify-full")
            .hint("cargo xtask status --settings"),
        );
    } else if mode < SslMode::VerifyFull {
        findings.push(
            Finding::warning(
                format!("{id}.tls"),
                format!(
                    "sslmode is {}: nobody checks that the server is the one that is meant",
                    mode.word()
                ),
            )
            .wanted("verify-full"),
        );
    }
    let Some(server) = server else { return };
    if server.tls.is_none() {
        findings.push(
            Finding::error(format!("{id}.plain"), "the session is not encrypted").wanted("a server with TLS"),
        );
    }
    if server.standby {
        findings.push(
            Finding::error(format!("{id}.standby"), "the server is a standby")
                .wanted("the primary: only there a fence can be closed and data be written"),
        );
    }
}

/// Somebody between us and the server, by the port that the server itself names.
fn direct(id: &str, port: u16, server: &ServerFacts, findings: &mut Vec<Finding>) {
    if server.own_port.is_some_and(|own| own != port) {
        findings.push(
            Finding::warning(
                format!("{id}.pooler"),
                format!(
                    "port {port} is not the server's own ({}): a pooler or a tunnel is in between",
                    server.own_port.unwrap_or_default()
                ),
            )
            .wanted("the direct address: dumps and snapshots do not survive a pooler such as PgBouncer"),
        );
    }
}

fn may_read(name: &str, source: &SourceSeen, findings: &mut Vec<Finding>) {
    let Some(unprivileged) = &source.unprivileged else {
        return;
    };
    if !unprivileged.unreadable.is_empty() {
        let (first, more) = (
            unprivileged.unreadable.iter().take(SHOWN),
            unprivileged.unreadable.len(),
        );
        let first: Vec<&str> = first.map(String::as_str).collect();
        let role = source
            .external
            .as_ref()
            .map_or("the role", |external| external.user.as_str());
        let finding = Finding::error(
            format!("source.{name}.unreadable"),
            format!(
                "{role} may not read all of {name}: {} ({more} in all)",
                first.join(", ")
            ),
        )
        .wanted("the right to read every row: a backup without them would not be one");
        let rights = rights_to_read(&unprivileged.unreadable, &unprivileged.forced_policies, role);
        findings.push(rights.into_iter().fold(finding, Finding::hint));
    }
}

/// What opens everything to a role: no right to read opens what a policy hides from the owner itself.
fn rights_to_read(unreadable: &[String], forced: &[String], role: &str) -> Vec<String> {
    let role = quote::ident(role);
    let hidden = |what: &&String| {
        what.strip_prefix("table ")
            .is_some_and(|table| forced.iter().any(|f| f == table))
    };
    let behind_policies = unreadable.iter().filter(hidden).count();
    let mut rights = Vec::new();
    if behind_policies > 0 {
        rights.push(format!(
            "ALTER ROLE {role} BYPASSRLS; (as a superuser of the old server; NOBYPASSRLS afterwards)"
        ));
    }
    if behind_policies < unreadable.len() {
        rights.push(format!(
            "GRANT pg_read_all_data TO {role}; (as the old server's administrator)"
        ));
    }
    rights
}

fn fence(case: &Case<'_>, name: &str, source: &SourceSeen, findings: &mut Vec<Finding>) {
    let Some(external) = &source.external else { return };
    if let Some(server) = &source.server {
        direct(&format!("source.{name}"), external.port, server, findings);
    }
    if source.server.is_some() && !external.is_closable() {
        let why = match &external.maintenance_problem {
            Some(problem) => {
                format!("no other database of the server can be used to open it again: {problem}")
            }
            None => format!("{} does not own it", external.user),
        };
        let found = format!("the source of {name} cannot be closed while it is moved: {why}");
        let id = format!("source.{name}.fence");
        findings.push(match case.request.accept_unfenced {
            true => Finding::warning(id, found)
                .wanted("nobody who writes; the server's counters are compared before the cutover"),
            false => Finding::error(id, found)
                .wanted("a role that owns the database, or your word that nobody writes to it")
                .hint("cargo xtask migrate --accept-unfenced-source"),
        });
    }
    let others = external.sessions.iter().flat_map(|sessions| &sessions.others);
    let others: Vec<String> = others.map(ToString::to_string).collect();
    if !others.is_empty() {
        let shown = others.iter().take(SHOWN).cloned().collect::<Vec<_>>();
        findings.push(
            Finding::warning(
                format!("source.{name}.sessions"),
                format!(
                    "{} others are connected to {name} and lose their sessions: {}",
                    others.len(),
                    shown.join("; ")
                ),
            )
            .wanted("applications stopped before: those that come back stop the run"),
        );
    }
}

pub(super) fn target(case: &Case<'_>, findings: &mut Vec<Finding>) {
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

/// What stays behind or cannot be made.
pub(super) fn carried(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for (name, source) in &case.seen.sources {
        findings.extend(Carried::over(case.seen, case.settings, name).findings(name));
        if let (Some(server), Some(database)) = (&source.server, &source.database) {
            let shared = source.state == SourceState::External;
            let roles = case.request.roles;
            findings.extend(access::findings(name, &database.access, server, shared, roles));
        }
    }
}

/// A copy onto itself would end with neither.
pub(super) fn same_server(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(target) = &case.seen.target.server else {
        return;
    };
    for (name, source) in &case.seen.sources {
        let (Some(server), Some(database)) = (&source.server, &source.database) else {
            continue;
        };
        let there = case.seen.target.databases.get(name);
        let one_database = there.is_some_and(|there| there.facts.oid == database.oid);
        if server.is_same_server(target) && one_database {
            findings.push(
                Finding::error(
                    format!("source.{name}.is-target"),
                    format!(
                        "the source of {name} and the target are one server, and database {} is both",
                        database.name
                    ),
                )
                .wanted("two databases; a host may have several names")
                .hint("cargo xtask status --settings"),
            );
        }
    }
}

/// Why databases that `.env` finds on the target already cannot be moved there: no run put them there.
pub fn onto_itself(seen: &Observed, settings: &Settings) -> Vec<Finding> {
    let target = &settings.target;
    let names = seen.sources.keys();
    let there = names.filter(|name| charge::names_target(seen, settings, name) == Some(true));
    there
        .map(|name| {
            Finding::error(
                format!("source.{name}.is-target"),
                format!(
                    "the source of {name}, which .env names, and the target are one server, {}:{}, and no finished run of \
                     this profile moved it there",
                    target.host, target.port
                ),
            )
            .wanted("two servers: the settings of the target name the new one")
            .hint("cargo xtask status --settings")
        })
        .collect()
}

/// What to set when TLS keeps a server from being asked; `endpoint` is where its settings stand.
pub(super) fn tls_hint(endpoint: &str, problem: &str) -> Option<String> {
    let says = |words: &str| problem.contains(words);
    let setting = if says("does not match host name") {
        "host=NAME   (a name that its certificate carries)"
    } else if says("certificate verify failed") || says("root certificate file") {
        "connection.sslrootcert=FILE   (the certificate of the authority that signed the server's)"
    } else {
        return None;
    };
    Some(format!("cargo xtask production check --set {endpoint}.{setting}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_behind_a_forced_policy_are_opened_by_bypassrls_and_not_by_a_grant() {
        let all = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let rights =
            |unreadable: &[&str]| rights_to_read(&all(unreadable), &all(&["public.a"]), "u").concat();
        let hidden = rights(&["table public.a"]);
        assert!(
            hidden.contains("BYPASSRLS") && !hidden.contains("GRANT"),
            "{hidden}"
        );
        let closed = rights(&["table public.b"]);
        assert!(
            closed.contains("GRANT") && !closed.contains("BYPASSRLS"),
            "{closed}"
        );
        let both = rights(&["table public.a", "sequence public.s"]);
        assert!(both.contains("GRANT") && both.contains("BYPASSRLS"), "{both}");
    }

    #[test]
    fn what_tls_refuses_is_answered_with_the_setting_that_decides_it() {
        for (said, setting) in [
            (
                "SSL error: certificate verify failed",
                Some("target.connection.sslrootcert="),
            ),
            (
                "root certificate file \"/x\" does not exist",
                Some("target.connection.sslrootcert="),
            ),
            (
                "server certificate for \"a\" does not match host name \"b\"",
                Some("target.host="),
            ),
            ("password authentication failed", None),
        ] {
            let hint = tls_hint("target", said);
            assert_eq!(hint.is_some(), setting.is_some(), "{said}");
            assert!(
                hint.unwrap_or_default().contains(setting.unwrap_or_default()),
                "{said}"
            );
        }
    }
}
