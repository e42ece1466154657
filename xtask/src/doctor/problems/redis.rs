//! Redis, whose port both stacks publish.

use crate::config::Control;
use crate::doctor::act::{Act, Container, Verb};
use crate::doctor::{Case, Diagnosis, Examined, Fix, Problem, Proof};
use crate::observe::Holder;
use crate::plan::{Action, Roles};

const SYMPTOMS: &[&str] = &[
    "*6379*port is already allocated",
    "Error * connecting to *:6379*Connection refused",
    "NOAUTH Authentication required",
];

pub(in crate::doctor) const CONFLICT: Problem = Problem {
    id: "redis-conflict",
    title: "Redis: \"port is already allocated\" on 6379",
    meaning: "nothing answers `PONG` on Redis's port, or two Redis want the same one",
    symptoms: SYMPTOMS,
    causes: "The platform's Compose file starts a Redis on the port where the labeler's starts its own: the second fails, and stays behind \
             as a container that never ran. One Redis is enough, whoever started it. Or the port belongs to something else, or no Redis runs.",
    repair: "Where one answers, removes the other container that never ran (it has no data; its volume stays). Where none answers and the port is \
             free, starts the labeler's. Where a container that is no Redis has the port, stops it first; a process is never ended.",
    proof: &[Proof {
        created: "both stacks started: the labeler's Redis never ran",
        recognised: "who has the port",
        repaired: "the container that never ran is removed",
        test: "a_target_in_a_container_is_made_started_let_go_on_and_freed_of_who_has_its_port",
    }],
    examine: conflict,
};

fn conflict(case: &Case<'_>) -> Examined {
    let settings = &case.settings().redis;
    let redis = &case.seen.seen.redis;
    if settings.control == Control::None {
        return Ok(Vec::new());
    }
    let place = format!("{}:{}", settings.host, settings.port);
    let own = case.seen.seen.docker.container(&settings.container);
    if redis.answers {
        let other = match &redis.port_holder {
            Some(holder @ Holder::Container(name)) if *name != settings.container => holder,
            _ => return Ok(Vec::new()),
        };
        // Never ran: what once ran may be wanted again.
        let Some(own) = own.filter(|own| own.status == "created") else {
            return Ok(Vec::new());
        };
        let fix = Fix::new(
            format!("remove container {}, which never ran", own.name),
            vec![Act::Container(Container::new(Verb::Forget, own.name.clone()))],
        );
        return Ok(vec![
            Diagnosis::warning(
                &own.name,
                format!(
                    "{other} serves {place}, so container {} could not start",
                    own.name
                ),
            )
            .wanted("one Redis, whoever started it")
            .fix(Some(fix)),
        ]);
    }
    let start = || {
        case.part(Roles::Unify, "start Redis", |parts| {
            let redis = parts.redis()?.filter(|redis| redis.project.is_some());
            Ok(redis.map(Action::StartRedis))
        })
    };
    Ok(vec![match &redis.port_holder {
        None => Diagnosis::error(&place, format!("no Redis answers on {place}"))
            .wanted("a Redis that says PONG")
            .fix(start().map(|start| Fix::new("start the labeler's Redis", vec![start]))),
        Some(holder @ Holder::Container(name)) => {
            let policy = case.seen.seen.docker.container(name).map(|c| c.restart.clone());
            let stop = Act::Container(Container {
                policy,
                ..Container::new(Verb::Stop, name.clone())
            });
            let fix = start().map(|start| {
                Fix::new(
                    format!("stop container {name} and start the labeler's Redis"),
                    vec![stop, start],
                )
                .disturbs(format!("whoever uses container {name}"))
            });
            Diagnosis::error(
                &place,
                format!("{holder} has port {} and is no Redis", settings.port),
            )
            .wanted("a Redis that says PONG")
            .fix(fix)
        }
        Some(holder) => Diagnosis::error(
            &place,
            format!("{holder} has port {} and is no Redis", settings.port),
        )
        .wanted("a Redis that says PONG")
        .hint("end that process, or: cargo xtask doctor --set redis.port=PORT"),
    }])
}
