//! The application and Redis.

use infra::redis::Pong;

use super::{Case, Check, Group, Looked, NotLooked, error};
use crate::observe::ApplicationSeen;
use crate::steps::judge;

/// The check of Redis.
pub const REDIS: &str = "redis.pong";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "app.health",
        group: Group::Application,
        meaning: "the application answers every probe with the body that the settings want",
        why: "Its status endpoint says 200 even when a database is down: only the body tells.",
        fix: "Start it from the backend's folder; after a cutover restart it, so that it reads the new `.env`.",
        run: health,
    },
    Check {
        id: "app.write-probe",
        group: Group::Application,
        meaning: "what is created through the API reads back as it was written, and can be deleted",
        why: "Reading proves that the databases are there; only a write proves roles, sequences, triggers and the disk.",
        fix: "Read what the application answers. The check runs with `--write-probe` only: `application.write-probes` says what it creates.",
        run: writes,
    },
    Check {
        id: "app.log",
        group: Group::Application,
        meaning: "the application's log tells of no error since its last start",
        why: "A request that fails in the background shows nowhere else.",
        fix: "Read the line that is named. `application.logs` says where the log may be.",
        run: log,
    },
    Check {
        id: REDIS,
        group: Group::Application,
        meaning: "Redis says PONG",
        why: "The application starts without it and fails later.",
        fix: "`docker compose up -d redis` in the labeler's folder.",
        run: redis,
    },
];

fn seen<'a>(case: &Case<'a>) -> Result<&'a ApplicationSeen, NotLooked> {
    case.application
        .ok_or_else(|| NotLooked::because("the application is not in this scope"))
}

fn health(case: &Case<'_>) -> Looked {
    let seen = seen(case)?;
    let settings = &case.settings().application;
    if settings.probes.is_empty() {
        return Err(NotLooked::because("the settings have no probes"));
    }
    let elsewhere = settings.address().is_some();
    if settings.ports.is_empty() && !elsewhere {
        return Err(NotLooked::because(
            "the settings name no port in application.ports and no application.url",
        ));
    }
    if seen.port.is_none() && !elsewhere {
        let ports: Vec<String> = settings.ports.iter().map(ToString::to_string).collect();
        let finding = error(format!(
            "the application answers on none of the ports {}",
            ports.join(", ")
        ))
        .wanted("the running application")
        .hint("cargo xtask verify --set 'application.ports=[PORT]'");
        return Ok(vec![finding]);
    }
    let judged = seen.answers.iter().filter_map(|(probe, answer)| {
        let answer = answer.as_ref().map_err(Clone::clone);
        let why = answer.and_then(|answer| judge(probe, answer)).err()?;
        Some(error(format!("GET {}: {why}", probe.path)))
    });
    Ok(judged.collect())
}

fn writes(case: &Case<'_>) -> Looked {
    seen(case)?;
    let writes = case
        .writes
        .ok_or_else(|| NotLooked::because("nothing is written without --write-probe"))?;
    if writes.is_empty() {
        return Err(NotLooked::because(
            "the application does not answer, or the settings have no write probes",
        ));
    }
    if writes.iter().all(|(_, done)| *done == Ok(false)) {
        return Err(NotLooked::because("there is nothing to borrow values from"));
    }
    let failed = writes
        .iter()
        .filter_map(|(path, done)| Some((path, done.as_ref().err()?)));
    Ok(failed
        .map(|(path, why)| error(format!("write probe {path}: {why}")))
        .collect())
}

fn log(case: &Case<'_>) -> Looked {
    let log = seen(case)?.log.as_ref();
    let log = log.ok_or_else(|| NotLooked::because("none of the logs in application.logs is there"))?;
    let log = match log {
        Ok(log) => log,
        Err(why) => return Ok(vec![error(why.clone())]),
    };
    let Some((line, text)) = log.errors.last() else {
        return Ok(Vec::new());
    };
    let text: String = text.chars().take(200).collect();
    Ok(vec![
        error(format!(
            "{} lines tell of an error; the last: {text}",
            log.errors.len()
        ))
        .at(&log.path, *line),
    ])
}

fn redis(case: &Case<'_>) -> Looked {
    let seen = seen(case)?;
    let redis = &case.settings().redis;
    if redis.control == crate::config::Control::None {
        return Err(NotLooked::because("the settings leave Redis out"));
    }
    let place = format!("{}:{}", redis.host, redis.port);
    Ok(match &seen.redis {
        Ok(Pong::Pong) => Vec::new(),
        Ok(Pong::NeedsPassword) => vec![error(format!("Redis on {place} wants a password"))],
        Ok(Pong::Other(text)) => vec![error(format!("{place} does not answer as Redis does: {text}"))],
        Err(why) => vec![error(format!("no Redis answers on {place}: {why}"))],
    })
}
