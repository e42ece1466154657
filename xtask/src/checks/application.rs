//! The application and Redis.

use infra::redis::Pong;

use super::{Case, Check, Group, Looked, NotLooked, error};
use crate::observe::ApplicationSeen;
use crate::steps::judge;

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
        id: "redis.pong",
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
    if settings.ports.is_empty() {
        return Err(NotLooked::because(
            "the settings name no port in application.ports",
        ));
    }
    if seen.port.is_none() {
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
