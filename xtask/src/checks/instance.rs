//! The PostgreSQL instance.

use super::{Case, Check, Group, Looked, NotLooked, error, warning};
use crate::config::Control;
use crate::model::Finding;
use crate::observe::{Holder, InstanceSeen};
use crate::plan::charge;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "postgres.container",
        group: Group::Instance,
        meaning: "the platform's PostgreSQL container runs and is healthy",
        why: "It is the one instance of all databases.",
        fix: "`docker compose up -d` in the platform's infrastructure folder; `docker logs CONTAINER` says why it stops.",
        run: container,
    },
    Check {
        id: "postgres.port",
        group: Group::Instance,
        meaning: "the target's port is published by the target",
        why: "An old container or another PostgreSQL on this port answers in its place, with old data.",
        fix: "Stop whoever holds the port, then start the target.",
        run: port,
    },
    Check {
        id: "postgres.answers",
        group: Group::Instance,
        meaning: "the instance answers a query as its administrator",
        why: "A port that is open and a health check that is green do not prove that anybody can log in.",
        fix: "Read the message: a wrong password, a role that is missing, a server that still starts.",
        run: answers,
    },
    Check {
        id: "postgres.connections",
        group: Group::Instance,
        meaning: "connections in use, and those that all pools may open, fit in `max_connections`",
        why: "Three instances had three limits; one instance has one.",
        fix: "`ALTER SYSTEM SET max_connections = 200` and a restart, or smaller pools; `SELECT usename, datname, count(*) FROM pg_stat_activity GROUP BY 1, 2` says who holds them.",
        run: connections,
    },
];

/// The instance, when this scope looks at it.
pub(super) fn seen<'a>(case: &Case<'a>) -> Result<&'a InstanceSeen, NotLooked> {
    case.instance
        .ok_or_else(|| NotLooked::because("the instance is not in this scope"))
}

fn container(case: &Case<'_>) -> Looked {
    let seen = seen(case)?;
    let target = &case.settings().target;
    if !matches!(target.control, Control::Compose | Control::Container) {
        return Err(NotLooked::because("the target is not a container"));
    }
    if let Some(problem) = &seen.docker.problem {
        return Ok(vec![error(format!("Docker cannot be asked: {problem}"))]);
    }
    let Some(container) = &seen.target.container else {
        let finding = error(format!("there is no container {}", target.container))
            .wanted("the target that `cargo xtask migrate` makes")
            .hint("cargo xtask status")
            .hint("cargo xtask migrate --dry-run");
        return Ok(vec![finding]);
    };
    let mut findings = Vec::new();
    if container.status != "running" {
        let finding =
            error(format!("container {} is {}", container.name, container.status)).wanted("running");
        findings.push(match old_in_place(case, seen) {
            // It could not start, and the port has the finding that says what to do.
            Some(old) if case.moved => {
                finding.wanted(format!("it in the place of container {}", old.container))
            }
            Some(old) => not_moved(finding, &old),
            None => finding.hint(format!("docker start {}", container.name)),
        });
    } else if let Some(health) = container.health.as_deref().filter(|health| *health != "healthy") {
        findings.push(
            error(format!("container {} is {health}", container.name))
                .wanted("healthy")
                .hint(format!("docker logs --tail 50 {}", container.name)),
        );
    }
    Ok(findings)
}

/// An old instance that serves the target's port.
struct OldInPlace<'a> {
    container: &'a str,
    database: &'a str,
}

fn old_in_place<'a>(case: &Case<'a>, seen: &'a InstanceSeen) -> Option<OldInPlace<'a>> {
    let Some(Holder::Container(container)) = &seen.target.port_holder else {
        return None;
    };
    let database = case.settings().old_container_of(container)?;
    Some(OldInPlace { container, database })
}

/// Before the data has moved the old instance is the one in use: it is not to be stopped by hand.
fn not_moved(finding: Finding, old: &OldInPlace<'_>) -> Finding {
    let wanted = format!(
        "the target, once the data has moved: until then container {}, the old instance of {}, is in use",
        old.container, old.database
    );
    finding.wanted(wanted).hint("cargo xtask migrate")
}

fn port(case: &Case<'_>) -> Looked {
    let seen = seen(case)?;
    let target = &case.settings().target;
    if matches!(target.control, Control::External | Control::None) {
        return Err(NotLooked::because("the target is on another machine"));
    }
    let wanted = |finding: Finding| {
        Ok(vec![
            finding.wanted(format!("the target on port {}", target.port)),
        ])
    };
    let Some(holder) = &seen.target.port_holder else {
        return wanted(error(format!("nobody listens on port {}", target.port)));
    };
    if target.control == Control::PgCtl {
        return match (seen.target.running, &seen.target.server) {
            (true, Some(_)) => Ok(Vec::new()),
            // A cluster that runs may listen somewhere else.
            (true, None) => Err(NotLooked::because(format!(
                "{holder} listens on port {}, and does not answer as the target",
                target.port
            ))),
            (false, _) => wanted(error(format!(
                "port {} belongs to {holder}, and the target does not run",
                target.port
            ))),
        };
    }
    if let Some(old) = old_in_place(case, seen) {
        return Ok(vec![port_of_the_old(case, &old)]);
    }
    match (holder, &seen.target.container) {
        (Holder::Container(name), _) if *name == target.container => Ok(Vec::new()),
        (Holder::Container(name), _) => wanted(
            error(format!("port {} belongs to container {name}", target.port))
                .hint(format!("docker stop {name}")),
        ),
        (Holder::Process(_), _) if seen.docker.problem.is_some() => Err(NotLooked::because(format!(
            "{holder} listens on port {}, and Docker cannot be asked whether that is the target",
            target.port
        ))),
        // On the host's own network a container publishes nothing, and its processes listen.
        (Holder::Process(_), Some(container))
            if container.is_running() && container.ports.values().all(Vec::is_empty) =>
        {
            Err(NotLooked::because(format!(
                "{holder} listens on port {}, and container {} publishes no port",
                target.port, container.name
            )))
        }
        (Holder::Process(_), _) => wanted(error(format!(
            "port {} belongs to {holder}, and container {} does not publish it",
            target.port, target.container
        ))),
    }
}

fn port_of_the_old(case: &Case<'_>, old: &OldInPlace<'_>) -> Finding {
    let target = &case.settings().target;
    let OldInPlace { container, database } = old;
    if !case.moved {
        let text = format!(
            "port {} belongs to container {container}, the old instance of {database}: the data has not been moved yet",
            target.port
        );
        return not_moved(error(text), old);
    }
    let text = format!(
        "port {} belongs to container {container}, the old instance of {database}, which may hold newer rows",
        target.port
    );
    let finding = error(text).wanted(format!("the target on port {}", target.port));
    let lines = charge::old_or_target(case.settings(), container);
    lines.into_iter().fold(finding, Finding::hint)
}

fn answers(case: &Case<'_>) -> Looked {
    let seen = seen(case)?;
    if seen.target.server.is_some() {
        return Ok(Vec::new());
    }
    let target = &case.settings().target;
    let why = seen
        .target
        .problem
        .clone()
        .unwrap_or_else(|| "it does not run".to_owned());
    Ok(vec![
        error(format!(
            "the target {}@{}:{} cannot be asked: {why}",
            target.user, target.host, target.port
        ))
        .hint(DIAGNOSE),
    ])
}

/// What finds out why the target does not answer: its container may be gone, or all its connections taken.
pub(crate) const DIAGNOSE: &str = "cargo xtask doctor";

fn connections(case: &Case<'_>) -> Looked {
    let seen = seen(case)?;
    let server = seen
        .target
        .server
        .as_ref()
        .ok_or_else(|| NotLooked::because("the instance does not answer"))?;
    let usable = server.max_connections.saturating_sub(server.reserved_connections);
    let expected = case.settings().limits.expected_connections;
    let mut findings = Vec::new();
    if server.connections * 10 >= usable * 9 {
        findings.push(
            error(format!(
                "{} of {usable} connections are in use",
                server.connections
            ))
            .hint("SELECT usename, datname, count(*) FROM pg_stat_activity GROUP BY 1, 2 ORDER BY 3 DESC;"),
        );
    }
    if expected > usable {
        findings.push(
            warning(format!(
                "all pools together may open {expected} connections, and {usable} are allowed"
            ))
            .wanted("max_connections above limits.expected-connections")
            .hint("ALTER SYSTEM SET max_connections = 200;"),
        );
    }
    Ok(findings)
}
