//! Servers that we may only connect to: how they are reached, what our roles may do there, whether they can be fenced.

mod target;

pub(super) use self::target::target;

use infra::postgres::facts::ServerFacts;
use infra::postgres::quote;

use super::Case;
use crate::config::{Connection, Settings, SslMode};
use crate::model::Finding;
use crate::observe::{ExternalSeen, Observed, SourceSeen, SourceState};
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
        sessions(name, source, case.settings.limits.jobs(), findings);
        fence(case, name, source, findings);
    }
}

/// Sessions of a backup beside the jobs of pg_dump: its leader, the snapshot, two of the manifest, the heartbeat, a question.
const BESIDE_JOBS: u32 = 6;

/// A limit of our role that a backup would run into.
fn sessions(name: &str, source: &SourceSeen, jobs: u32, findings: &mut Vec<Finding>) {
    let Some(server) = source.server.as_ref().filter(|server| !server.superuser) else {
        return;
    };
    let limit = server.roles.get(&server.role).map(|role| role.connection_limit);
    let Some(limit) = limit.and_then(|limit| u32::try_from(limit).ok()) else {
        return;
    };
    let needed = jobs + BESIDE_JOBS;
    if limit < needed {
        findings.push(
            Finding::error(
                format!("source.{name}.connection-limit"),
                format!(
                    "role {} may have {limit} sessions on the server of {name}; a backup takes up to {needed}",
                    server.role
                ),
            )
            .wanted("a role without CONNECTION LIMIT, or with a higher one")
            .hint(format!(
                "ALTER ROLE {} CONNECTION LIMIT {needed};  -- by an administrator of that server",
                quote::ident(&server.role)
            )),
        );
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
    if server.pooled {
        let setting = match id.strip_prefix("source.") {
            Some(name) => format!("databases.{name}.source"),
            None => id.to_owned(),
        };
        findings.push(
            Finding::error(
                format!("{id}.pooler"),
                "a connection pooler answers: a new connection is given a session that began before it",
            )
            .wanted("the server's direct address: dumps, snapshots and a closed database do not survive a pooler")
            .hint(format!(
                "cargo xtask production check --set {setting}.host=HOST --set {setting}.port=PORT  # then in the settings"
            )),
        );
    } else if server.own_port.is_some_and(|own| own != port) {
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
    let large_objects = unreadable.iter().any(|what| what.starts_with("large object "));
    let mut rights = Vec::new();
    if behind_policies > 0 {
        rights.push(format!(
            "ALTER ROLE {role} BYPASSRLS; (as a superuser of the old server; NOBYPASSRLS afterwards)"
        ));
    }
    let others = |what: &String| !hidden(&what) && !what.starts_with("large object ");
    if unreadable.iter().any(others) {
        rights.push(format!(
            "GRANT pg_read_all_data TO {role}; (as the old server's administrator)"
        ));
    }
    if large_objects {
        // pg_read_all_data does not open them.
        let grant = quote::literal(&format!("GRANT SELECT ON LARGE OBJECT %s TO {role}"));
        rights.push(format!(
            "SELECT format({grant}, oid) FROM pg_largeobject_metadata \\gexec (psql in that database, as the large objects' \
             owner or a superuser of the old server)"
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
    uncounted(case, name, external, findings);
    let replication = external
        .sessions
        .iter()
        .flat_map(|sessions| &sessions.replication);
    let replication: Vec<&str> = replication.map(String::as_str).collect();
    if !replication.is_empty() {
        findings.push(
            Finding::warning(
                format!("source.{name}.replication"),
                format!("{name} is replicated: {}", replication.join("; ")),
            )
            .wanted(
                "consumers that know: none can connect to a closed database, and none of this comes over; a slot that \
                 nobody reads keeps the old server's write-ahead log",
            ),
        );
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

/// A server that is told not to count writes. Behind a closed door all rows are read again; before an open one the
/// counters are all there is for the time after that.
fn uncounted(case: &Case<'_>, name: &str, external: &ExternalSeen, findings: &mut Vec<Finding>) {
    let places = external.sessions.iter().flat_map(|sessions| &sessions.uncounted);
    let places: Vec<&str> = places.map(String::as_str).collect();
    if places.is_empty() {
        return;
    }
    let id = format!("source.{name}.uncounted");
    let found = format!(
        "the server does not count all that is written to {name}: {}",
        places.join("; ")
    );
    findings.push(match external.is_closable() || case.request.accept_unfenced {
        true => Finding::warning(id, found)
            .wanted("track_counts on: what was written after the backup is found by reading all rows again, not by tables"),
        false => Finding::error(id, found)
            .wanted("track_counts on, or your word that nobody writes to it")
            .hint("cargo xtask migrate --accept-unfenced-source"),
    });
}

/// What stays behind or cannot be made.
pub(super) fn carried(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for (name, source) in &case.seen.sources {
        findings
            .extend(Carried::over(case.seen, case.settings, name).findings(name, &case.settings.target.user));
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

/// What to set when TLS keeps a server from being asked; `endpoint` is where its settings stand, `host` and `port` where it is.
pub(super) fn tls_hints(endpoint: &str, host: &str, port: u16, problem: &str) -> Vec<String> {
    let says = |words: &str| problem.contains(words);
    let check = |setting: &str| format!("cargo xtask production check --set {endpoint}.{setting}");
    let authority =
        check("connection.sslrootcert=FILE  # the certificate of the authority that signed the server's");
    if says("does not match host name") {
        vec![check("host=NAME  # a name that its certificate carries")]
    } else if says("root certificate file") {
        vec![authority]
    } else if says("certificate verify failed") {
        // libpq does not say whether the authority is another or the certificate has expired; this does.
        let server = infra::command::shell_word(&format!("{host}:{port}"));
        let ask = format!(
            "openssl s_client -starttls postgres -connect {server} -CAfile FILE -verify_return_error </dev/null"
        );
        vec![
            format!("{ask}  # tells why: a certificate that has expired is the other team's to renew"),
            authority,
        ]
    } else {
        Vec::new()
    }
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
        let large = rights(&["large object pg_catalog.16999"]);
        assert!(
            large.contains("'GRANT SELECT ON LARGE OBJECT %s TO \"u\"'")
                && !large.contains("pg_read_all_data"),
            "{large}"
        );
    }

    #[test]
    fn what_tls_refuses_is_answered_with_the_setting_that_decides_it() {
        for (said, setting) in [
            (
                "SSL error: certificate verify failed",
                Some("target.connection.sslrootcert="),
            ),
            (
                "SSL error: certificate verify failed",
                Some("openssl s_client -starttls postgres -connect db:5433 "),
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
            let hints = tls_hints("target", "db", 5433, said);
            assert_eq!(hints.is_empty(), setting.is_none(), "{said}");
            assert!(
                hints.concat().contains(setting.unwrap_or_default()),
                "{said}: {hints:?}"
            );
        }
    }
}
