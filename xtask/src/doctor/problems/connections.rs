//! Every connection is taken.

use infra::postgres::ailments::{Connections, SessionHolder};
use infra::postgres::quote::ident;

use crate::checks::NotLooked;
use crate::config::Control;
use crate::doctor::act::{Act, Back, RaiseConnections, Restart, Sql};
use crate::doctor::{Case, Diagnosis, Examined, Fix, Problem, Proof};
use crate::model::time;
use crate::observe::servers;

const SYMPTOMS: &[&str] = &[
    "sorry, too many clients already",
    "remaining connection slots are reserved",
    "too many connections for role \"*\"",
    "too many connections for database \"*\"",
];

/// Memory that one more connection may need while it works: its share of shared memory (some 20 kB) and a backend's own.
const MEMORY_PER_CONNECTION: u64 = 10 << 20;

pub(in crate::doctor) const TOO_MANY: Problem = Problem {
    id: "too-many-connections",
    title: "\"Too many connections\"",
    meaning: "every connection that the target allows is taken, or nearly",
    symptoms: SYMPTOMS,
    causes: "Three instances had three limits, one instance has one: the pools of all services share `max_connections`. Or one role or \
             database has a limit of its own (`CONNECTION LIMIT`). The doctor counts who holds connections, by database, role and \
             application, and how many of them do nothing.",
    repair: "Raises `max_connections` with `ALTER SYSTEM` and restarts the server, which ends every session: it asks first. It looks at the \
             memory of the server's machine or container before, and does not raise what would not fit. Going back resets the value \
             and restarts again. A limit of a role or database is lifted without a restart.",
    proof: &[
        Proof {
            created: "`max_connections` = 10 and seven sessions that do nothing",
            recognised: "`remaining connection slots are reserved`, and who holds them",
            repaired: "200 after a restart; going back makes it 10",
            test: "too_many_connections_are_counted_and_the_limit_is_raised_and_lowered_again",
        },
        Proof {
            created: "`ALTER ROLE .. CONNECTION LIMIT 0`",
            recognised: "`too many connections for role`",
            repaired: "the limit lifted; going back sets it again",
            test: "a_limit_of_one_role_is_lifted_without_a_restart",
        },
    ],
    examine: too_many,
};

fn too_many(case: &Case<'_>) -> Examined {
    let said = case.said(SYMPTOMS);
    let connections = match (case.inside(), said) {
        (Ok(Some(inside)), _) => inside.connections.as_ref().map_err(NotLooked::because)?,
        (Ok(None), None) => return Ok(Vec::new()),
        // Not one connection is left for us either.
        (_, Some(said)) => return Ok(vec![locked_out(case, said)]),
        (Err(why), None) => return Err(why),
    };
    let mut found = limits(case, connections);
    let usable = connections.max.saturating_sub(connections.reserved);
    let full = said.is_some() && found.is_empty();
    if full || connections.used * 10 >= usable * 9 {
        let what = format!(
            "{} of {usable} connections are taken ({} more are kept for superusers)",
            connections.used, connections.reserved
        );
        let diagnosis = if full {
            Diagnosis::error("max_connections", what)
        } else {
            Diagnosis::warning("max_connections", what)
        };
        let fix = raise(case, connections);
        let diagnosis = match (&fix, connections.memory) {
            (None, Some(memory)) => diagnosis.wanted(format!(
                "fewer sessions: {} of memory are left, too little for more",
                time::bytes(memory)
            )),
            _ => diagnosis.wanted("smaller pools, or a higher max_connections"),
        };
        found.push(
            diagnosis
                .said(said)
                .evidence(connections.holders.iter().map(holder))
                .fix(fix),
        );
    }
    Ok(found)
}

fn holder(holder: &SessionHolder) -> String {
    let or = |text: &str, otherwise: &str| match text {
        "" => otherwise.to_owned(),
        text => text.to_owned(),
    };
    format!(
        "{} sessions: database {}, role {}, application {}; {} of them do nothing, the longest for {}",
        holder.sessions,
        or(&holder.database, "(none)"),
        or(&holder.role, "(none)"),
        or(&holder.application, "(does not say)"),
        holder.idle,
        time::seconds(holder.longest_idle as f64)
    )
}

/// Limits of one role or one database.
fn limits(case: &Case<'_>, connections: &Connections) -> Vec<Diagnosis> {
    let mut found = Vec::new();
    for (name, login, line) in case.complaints(&SYMPTOMS[2..]) {
        let role = connections.role_limits.get(&login.role);
        let database = connections.database_limits.get(&login.database);
        let (kind, object, limit) = match (role, database) {
            (Some(limit), _) if line.contains("for role") => ("ROLE", &login.role, *limit),
            (_, Some(limit)) if line.contains("for database") => ("DATABASE", &login.database, *limit),
            _ => continue,
        };
        let statement = |limit: i64| format!("ALTER {kind} {} CONNECTION LIMIT {limit};", ident(object));
        let what = format!("lift the connection limit of {} {object}", kind.to_lowercase());
        let sql = Sql {
            what: what.clone(),
            instance: case.target(),
            database: case.maintenance().to_owned(),
            statements: vec![statement(-1)],
            back: Back::Statements(vec![statement(i64::from(limit))]),
            secrets: std::collections::BTreeMap::new(),
        };
        let text = format!(
            "{} {object} may have {limit} connections, and has them",
            kind.to_lowercase()
        );
        found.push(
            Diagnosis::error(name, text)
                .said(Some(line))
                .evidence(connections.holders.iter().map(holder))
                .fix(Some(Fix::new(what, vec![Act::Sql(sql)]))),
        );
    }
    found
}

/// Nobody gets in, the administrator neither.
fn locked_out(case: &Case<'_>, said: &str) -> Diagnosis {
    let fix = restart(case).map(|restart| {
        // PostgreSQL's own default: the server does not tell any more.
        describe(RaiseConnections {
            locked_out: true,
            ..raised(case, restart, 100, None)
        })
    });
    Diagnosis::error(
        "max_connections",
        "every connection is taken, also those kept for superusers",
    )
    .said(Some(said))
    .evidence(case.seen.sessions.iter().cloned())
    .wanted("smaller pools, or a higher max_connections")
    .fix(fix)
}

fn raise(case: &Case<'_>, connections: &Connections) -> Option<Fix> {
    let act = raised(case, restart(case)?, connections.max, connections.altered.clone());
    let needed = u64::from(act.to - connections.max) * MEMORY_PER_CONNECTION;
    if connections.memory.is_some_and(|memory| memory < needed) {
        return None;
    }
    Some(describe(act))
}

fn describe(act: RaiseConnections) -> Fix {
    Fix::new(
        format!("raise max_connections to {} and restart the server", act.to),
        vec![Act::RaiseConnections(act)],
    )
    .disturbs("everybody who is connected: the server restarts")
}

/// The next round hundred above twice what there is, and above what all services together may open.
fn raised(case: &Case<'_>, restart: Restart, max: u32, altered: Option<String>) -> RaiseConnections {
    let limits = &case.settings().limits;
    let wanted = (max * 2).max(limits.expected_connections * 5 / 4).max(200);
    RaiseConnections {
        instance: case.target(),
        maintenance: case.maintenance().to_owned(),
        to: wanted.div_ceil(100) * 100,
        from: max,
        altered,
        restart,
        locked_out: false,
        limit_seconds: limits.target_start_seconds,
    }
}

/// How the target restarts; `None` where that is not ours to do.
fn restart(case: &Case<'_>) -> Option<Restart> {
    let target = &case.settings().target;
    match target.control {
        Control::Compose | Control::Container => Some(Restart::Container(target.container.clone())),
        Control::PgCtl => Some(Restart::Cluster(servers::target_cluster(target))),
        Control::External | Control::None => None,
    }
}
