//! Old instances, the new one, and Redis.

use infra::postgres::facts::Undumped;
use infra::postgres::quote;

use super::{Case, external};
use crate::config::{Control, Settings};
use crate::model::Finding;
use crate::observe::{Holder, Named, NamedSeen, SourceSeen, SourceState};
use crate::plan::{Roles, charge};

pub(super) fn sources(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for (name, source) in &case.seen.sources {
        let settings = &case.settings.databases[name];
        match &source.state {
            // Without an engine nobody knows; that is told once.
            SourceState::Absent if is_unknown(case, name) => {}
            SourceState::Absent => findings.push(absent(case, name, source)),
            SourceState::SeveralVolumes(volumes) => findings.push(
                Finding::error(
                    format!("source.{name}.volume"),
                    format!("several volumes could hold {name}: {}", volumes.join(", ")),
                )
                .wanted("one")
                .hint(format!(
                    "cargo xtask migrate --set 'databases.{name}.source.volumes=[\"NAME\"]'"
                )),
            ),
            SourceState::Container(container) if container.name == case.settings.target.container => findings
                .push(
                    Finding::error(
                        format!("source.{name}.is-target"),
                        format!(
                            "container {} is both the source of {name} and the target",
                            container.name
                        ),
                    )
                    .wanted("two instances")
                    .hint("cargo xtask migrate --set target.container=NAME"),
                ),
            SourceState::Container(container)
                if container.status == "paused" || container.status == "restarting" =>
            {
                findings.push(
                    Finding::error(
                        format!("source.{name}.state"),
                        format!("container {} is {}", container.name, container.status),
                    )
                    .wanted("running or stopped")
                    .hint(format!("docker logs --tail 20 {}", container.name)),
                );
            }
            _ => {}
        }
        if let Some(problem) = &source.problem {
            let finding = Finding::error(format!("source.{name}.unreachable"), problem.clone());
            let finding = finding.wanted(match &source.state {
                SourceState::Container(_) => format!(
                    "an answer from the instance that holds {name}; set what was guessed wrong: databases.{name}.source.user, \
                     .port or .data"
                ),
                _ => format!("an answer from the instance that holds {name}"),
            });
            let endpoint = format!("databases.{name}.source");
            let hints = source.external.as_ref().map_or_else(Vec::new, |at| {
                external::tls_hints(&endpoint, &at.host, at.port, problem)
            });
            let guessed = matches!(source.state, SourceState::Container(_));
            let name_it =
                guessed.then(|| format!("cargo xtask migrate --set databases.{name}.source.user=ROLE"));
            findings.push(hints.into_iter().chain(name_it).fold(finding, Finding::hint));
        }
        if let Some(server) = &source.server
            && source.database.is_none()
        {
            let have: Vec<&str> = server.databases.keys().map(String::as_str).collect();
            findings.push(
                Finding::error(
                    format!("source.{name}.database"),
                    format!(
                        "the instance has no database {}; it has {}",
                        settings.source.database,
                        have.join(", ")
                    ),
                )
                .hint(format!(
                    "cargo xtask migrate --set databases.{name}.source.database=NAME"
                )),
            );
        }
    }
}

fn is_unknown(case: &Case<'_>, name: &str) -> bool {
    let control = case.settings.databases[name].source.control;
    matches!(control, Control::Compose | Control::Container) && case.seen.docker.problem.is_some()
}

fn absent(case: &Case<'_>, name: &str, seen: &SourceSeen) -> Finding {
    let database = &case.settings.databases[name];
    let source = &database.source;
    let looked = match source.control {
        Control::PgCtl => source.data.display().to_string(),
        _ => format!(
            "container {} or volume {}",
            source.containers.join(" or "),
            source.volumes.join(" or ")
        ),
    };
    let id = format!("source.{name}.absent");
    let mut found = format!("there is no old instance for {name}: looked for {looked}");
    let mut container = "NAME";
    if let Some(NamedSeen {
        place,
        what: Named::Elsewhere(Some(other)),
        ..
    }) = &seen.named
    {
        found.push_str(&format!("; .env names {place}, which is container {other}"));
        container = other;
    }
    // Asked for by name, it must be there; otherwise only the required ones must.
    if database.required || !case.request.only.is_empty() {
        Finding::error(id, found).hint(format!(
            "cargo xtask migrate --set {}",
            infra::command::shell_word(&format!("databases.{name}.source.containers=[\"{container}\"]"))
        ))
    } else {
        Finding::warning(id, found).wanted(format!("{name} is left as it is on the target"))
    }
}

/// Settings of roles that have no place on the target: everything belongs to one role there. People must know.
pub(super) fn left_behind(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if case.request.roles == Roles::Preserve {
        return;
    }
    for (name, source) in &case.seen.sources {
        let Some(database) = &source.database else {
            continue;
        };
        if !database.role_settings.is_empty() {
            findings.push(
                Finding::warning(
                    format!("source.{name}.role-settings"),
                    format!(
                        "settings of other roles than the application's stay behind: {}",
                        database.role_settings.join(", ")
                    ),
                )
                .wanted("the same `ALTER ROLE .. SET` on the target, where the application relies on it"),
            );
        }
    }
}

/// A prepared transaction survives the stop, and its rows are in no dump: somebody must end it first.
pub(super) fn prepared_transactions(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for (name, source) in &case.seen.sources {
        let Some(database) = &source.database else {
            continue;
        };
        for gid in &database.prepared_transactions {
            findings.push(
                Finding::error(
                    format!("source.{name}.prepared-transaction"),
                    format!(
                        "transaction {gid:?} of {name} is prepared and not ended: its rows would be lost"
                    ),
                )
                .wanted("no prepared transaction")
                .hint(format!(
                    "COMMIT PREPARED '{0}'; or ROLLBACK PREPARED '{0}';",
                    gid.replace('\'', "''")
                )),
            );
        }
    }
}

/// Rows that pg_dump leaves out. What an extension made itself its installation makes again: only the comparison can tell.
pub(super) fn undumped(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for (name, source) in &case.seen.sources {
        let tables = source.database.iter().flat_map(|database| &database.undumped);
        for Undumped { table, extension } in tables {
            let id = format!("source.{name}.undumped");
            findings.push(match extension {
                Some(extension) => Finding::warning(
                    id,
                    format!("{table} of {name} belongs to extension {extension} and holds rows, which no dump has"),
                )
                .wanted("rows that the extension makes itself; the run ends at the comparison where they are others")
                .hint(format!(
                    "ALTER EXTENSION {} DROP TABLE {table};  -- makes it a table like any other, in {name}",
                    quote::ident(extension)
                )),
                None => Finding::error(
                    id,
                    format!("{table} of {name} lies in a system schema and holds rows, which no dump has: they would be lost"),
                )
                .wanted("rows in schemas of your own only")
                .hint(format!("ALTER TABLE {table} SET SCHEMA public;  -- in {name}")),
            });
        }
    }
}

pub(super) fn source_logins(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for (name, source) in &case.seen.sources {
        if let Some(problem) = &source.login_problem {
            findings.push(
                Finding::error(
                    format!("source.{name}.login"),
                    format!("the login that .env names fails: {problem}"),
                )
                .wanted("host, role, password and database of the running old instance")
                .hint("cargo xtask status --settings"),
            );
        }
    }
}

pub(super) fn target_port(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let target = &case.seen.target;
    let Some(holder) = &target.port_holder else { return };
    // Without the engine nobody can say whose port it is: a container's is held by a process of the engine.
    if case.seen.docker.problem.is_some() && matches!(holder, Holder::Process(_)) {
        return;
    }
    let expected = match holder {
        Holder::Container(name) => {
            *name == case.settings.target.container
                || case
                    .seen
                    .sources
                    .values()
                    .any(|source| is_container(source, name))
        }
        // The target's own server.
        Holder::Process(_) => target.running || case.seen.sources.values().any(|s| is_on(s, case.settings)),
    };
    if !expected {
        let port = case.settings.target.port;
        if let Some(finding) = left_out(case, holder) {
            findings.push(finding);
            return;
        }
        let stop = match holder {
            Holder::Container(name) => format!("docker stop {name}"),
            Holder::Process(_) => "cargo xtask migrate --set target.port=PORT".to_owned(),
        };
        findings.push(
            Finding::error("target.port", format!("port {port} is taken by {holder}"))
                .wanted("a free port for the target")
                .hint(stop),
        );
    }
}

/// The old instance of a database that takes no part: to stop it by hand would take the place without its rows.
fn left_out(case: &Case<'_>, holder: &Holder) -> Option<Finding> {
    let Holder::Container(container) = holder else {
        return None;
    };
    let database = case.settings.old_container_of(container)?;
    if case.request.only.is_empty() || case.request.only.iter().any(|name| name == database) {
        return None;
    }
    let port = case.settings.target.port;
    let found = format!(
        "port {port} is taken by {holder}, the old instance of {database}, whose place the target takes; and {database} takes no part"
    );
    let all = format!(
        "cargo xtask migrate --only {},{database}",
        case.request.only.join(",")
    );
    Some(
        Finding::error("target.port", found)
            .wanted(format!(
                "{database} to come along: the two cannot run at the same time"
            ))
            .hint("cargo xtask migrate")
            .hint(all),
    )
}

fn is_container(source: &SourceSeen, name: &str) -> bool {
    matches!(&source.state, SourceState::Container(container) if container.name == name)
}

fn is_on(source: &SourceSeen, settings: &Settings) -> bool {
    matches!(&source.state, SourceState::Cluster { port: Some(port), .. } if *port == settings.target.port)
}

/// Reads the password without showing it, into the variable that is looked at.
const ASK_FOR_PASSWORD: &str = if cfg!(windows) {
    "$env:XTASK_TARGET_PASSWORD = Read-Host -MaskInput  # in PowerShell; then the same command again"
} else {
    "read -rs XTASK_TARGET_PASSWORD && export XTASK_TARGET_PASSWORD  # then the same command again"
};

pub(super) fn target_server(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if let Some(problem) = &case.seen.target.problem {
        let finding = Finding::error("target.unreachable", problem.clone());
        findings.push(if problem.contains("password authentication failed") {
            finding
                .wanted(format!(
                    "the password of {} on the target: XTASK_TARGET_PASSWORD, in the environment or in .xtask/secrets.env",
                    case.settings.target.user
                ))
                .hint(ASK_FOR_PASSWORD)
        } else {
            let target = &case.settings.target;
            let hints = external::tls_hints("target", &target.host, target.port, problem);
            hints.into_iter().fold(finding.wanted("a target that answers"), Finding::hint)
        });
    }
    if case.settings.target.control == Control::PgCtl && !case.seen.target.exists {
        findings.push(
            Finding::error(
                "target.cluster",
                format!("{} is not a data directory", case.settings.target.data.display()),
            )
            .hint("initdb -D DIRECTORY"),
        );
    }
    if !case.request.target_password {
        findings.push(
            Finding::error("target.password", "the target's password is not known")
                .wanted("XTASK_TARGET_PASSWORD, in the environment or in .xtask/secrets.env"),
        );
    }
}

pub(super) fn target_databases(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let moved = |name: &String| {
        case.seen
            .sources
            .get(name)
            .is_some_and(|source| source.state != SourceState::Absent)
    };
    for (name, database) in case.seen.target.databases.iter().filter(|(name, _)| moved(name)) {
        if !database.facts.has_content() {
            continue;
        }
        let kept = format!("{}__before_{}", database.facts.name, case.request.run);
        let finding = if case.request.set_aside {
            Finding::warning(
                format!("target.{name}.not-empty"),
                format!(
                    "database {} has content; it is kept as {kept}",
                    database.facts.name
                ),
            )
        } else {
            Finding::error(
                format!("target.{name}.not-empty"),
                format!(
                    "database {} exists on the target and holds {} relations",
                    database.facts.name, database.facts.relations
                ),
            )
            .wanted("an empty database, or the flag that keeps the content under another name")
            .hint("cargo xtask migrate --set-aside-existing")
        };
        let finding = in_use(case, name, finding);
        findings.push(finding);
    }
}

/// A database that `.env` names on the target already is the one people work with: it was moved before. To set it aside
/// would put the old instance's rows in its place.
fn in_use(case: &Case<'_>, name: &str, mut finding: Finding) -> Finding {
    let named = |source: &SourceSeen| {
        source
            .named
            .as_ref()
            .is_some_and(|named| named.what == Named::Target)
    };
    let on_target = |name: &str| {
        charge::names_target(case.seen, case.settings, name) == Some(true)
            || case.seen.sources.get(name).is_some_and(named)
    };
    if !on_target(name) {
        return finding;
    }
    let has_content = |name: &str| {
        let database = case.seen.target.databases.get(name);
        database.is_some_and(|database| database.facts.has_content())
    };
    let sources = case.seen.sources.iter();
    let others: Vec<&str> = sources
        .filter(|(name, source)| {
            source.state != SourceState::Absent && !(on_target(name) && has_content(name))
        })
        .map(|(name, _)| name.as_str())
        .collect();
    finding.found += "; .env names it, so it is the one in use, and --set-aside-existing would put the old rows in its place";
    if !case.request.set_aside {
        finding.hints = vec![match others.is_empty() {
            true => "cargo xtask verify".to_owned(),
            false => format!("cargo xtask migrate --only {}", others.join(",")),
        }];
    }
    finding
}

/// The names under which databases arrive must be free: what a killed run left may be the only trace somebody wants.
pub(super) fn incoming(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(target) = &case.seen.target.server else {
        return;
    };
    for name in case.seen.sources.keys() {
        let incoming = format!("{}__incoming", case.settings.databases[name].name);
        if target.databases.contains_key(&incoming) {
            findings.push(
                Finding::error(
                    format!("target.{name}.incoming"),
                    format!(
                        "database {incoming} exists on the target; a run that did not end may have left it"
                    ),
                )
                .wanted(format!("a free name: {name} arrives under it"))
                .hint(format!("DROP DATABASE {incoming}, when nobody needs it")),
            );
        }
    }
}

pub(super) fn connections(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(target) = &case.seen.target.server else {
        return;
    };
    let expected = case.settings.limits.expected_connections;
    let offered = target.max_connections.saturating_sub(target.reserved_connections);
    if expected > offered {
        findings.push(
            Finding::warning(
                "target.connections",
                format!("the target offers {offered} connections; the services' pools may open {expected}"),
            )
            .wanted("max_connections for all services that now share one instance"),
        );
    }
}

pub(super) fn redis(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let redis = &case.settings.redis;
    if redis.control == Control::None || case.seen.redis.answers {
        return;
    }
    if let Some(holder) = &case.seen.redis.port_holder {
        findings.push(
            Finding::error(
                "redis.port",
                format!("port {} is taken by {holder}, which is not Redis", redis.port),
            )
            .wanted("Redis, or a free port for it")
            .hint("cargo xtask migrate --set redis.port=PORT"),
        );
    }
}
