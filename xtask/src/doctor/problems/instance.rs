//! The target does not answer: the engine, the container or the server.

use infra::docker::Container as Seen;
use infra::postgres::CONNECT_SECONDS;

use crate::checks::NotLooked;
use crate::config::{Control, Target};
use crate::doctor::act::{Act, ChangeSetting, Container, Value, Verb};
use crate::doctor::{Case, Diagnosis, Examined, Fix, Problem, Proof, symptom};
use crate::observe::servers;
use crate::plan::action::{EnvChange, EnvValue};

pub(in crate::doctor) const SYMPTOMS: &[&str] = &[
    "connection to server at \"*\"*, port * failed: Connection refused",
    "could not connect to server: Connection refused",
    "connection to server at \"*\"*, port * failed: Connection timed out",
    "server closed the connection unexpectedly",
    "the database system is starting up",
    "the database system is shutting down",
    "Cannot connect to the Docker daemon",
];

pub(in crate::doctor) const REFUSED: Problem = Problem {
    id: "connection-refused",
    title: "\"Connection refused\" on port 5432",
    meaning: "nobody serves the port where `.env` says the databases are",
    symptoms: SYMPTOMS,
    causes: "The Docker engine is down; the container is not there, is stopped, paused, keeps restarting, or is unhealthy; it runs \
             and publishes another port. For a server in a data directory: it does not run, or on another port. The doctor \
             looks which, and shows the last lines of the server's log.",
    repair: "Starts what is stopped, makes the container that is missing while its volume is left (where that is gone too, the doctor \
             prints the restore instead), restarts one that is unhealthy, or points the settings and `.env` at the port that is published. The Docker engine, and a container that keeps \
             restarting, are a person's: the log says why.",
    proof: &[
        Proof {
            created: "server stopped with pg_ctl",
            recognised: "the server does not run, with its log",
            repaired: "started; going back stops it",
            test: "a_stopped_server_is_started_and_going_back_stops_it",
        },
        Proof {
            created: "`kill -STOP` of the server",
            recognised: "it accepts connections and does not answer",
            repaired: "not repaired: who stopped it, and why, is a person's to say",
            test: "a_server_that_accepts_connections_and_does_not_answer_is_told_as_that",
        },
        Proof {
            created: "settings and `.env` name another port than the server's",
            recognised: "the port that it serves",
            repaired: "settings and `.env` follow; going back brings both files' bytes back",
            test: "a_server_on_another_port_is_followed_by_the_settings_and_env",
        },
        Proof {
            created: "`DOCKER_HOST` that leads nowhere",
            recognised: "the engine does not answer",
            repaired: "not repaired: the engine is not ours to start",
            test: "a_target_in_a_container_is_made_started_let_go_on_and_freed_of_who_has_its_port",
        },
        Proof {
            created: "no container; `docker stop`; `docker pause`",
            recognised: "each by name, with the last lines of its log",
            repaired: "made and started with Compose; started; let go on",
            test: "a_target_in_a_container_is_made_started_let_go_on_and_freed_of_who_has_its_port",
        },
        Proof {
            created: "a container whose health check fails; one that publishes another port",
            recognised: "unhealthy; the port that is published",
            repaired: "restarted; settings and `.env` follow",
            test: "a_container_that_is_unhealthy_elsewhere_restarting_or_out_of_space_is_told",
        },
        Proof {
            created: "a container that ends as soon as it starts",
            recognised: "it keeps restarting, and its log says why",
            repaired: "not repaired: the log is a person's to read",
            test: "a_container_that_is_unhealthy_elsewhere_restarting_or_out_of_space_is_told",
        },
    ],
    examine: refused,
};

fn refused(case: &Case<'_>) -> Examined {
    if !case.target_is_needed() {
        return match case.seen.seen.target.server {
            // It answers, whoever needs it.
            Some(_) => Ok(Vec::new()),
            None => case.env_speaks().map(|()| Vec::new()),
        };
    }
    if case.seen.seen.target.server.is_some() {
        // Asked from inside, a container answers whatever port it publishes; the application comes from outside.
        let mut charged = case.seen.logins.iter().filter(|(name, _)| case.in_charge(name));
        let container = case.seen.seen.target.container.as_ref();
        let elsewhere = container
            .filter(|_| case.target_is_container() && charged.all(|(_, login)| !login.reached))
            .and_then(|container| elsewhere(case, container));
        return Ok(elsewhere.or_else(|| unhealthy(case)).into_iter().collect());
    }
    let target = &case.settings().target;
    // Not silent, but closed to us: other problems say why.
    let said = case.said(SYMPTOMS);
    let problem = case.seen.seen.target.problem.as_deref();
    if let Some(problem) = problem
        && case.seen.seen.target.running
        && said.is_none()
        && !is_silent(problem)
    {
        return Err(NotLooked::because(format!(
            "the target refuses its administrator: {}",
            symptom::telling(problem)
        )));
    }
    // Not refused: it takes the connection, and then nothing.
    let said = said.or_else(|| problem.filter(|problem| is_silent(problem)).map(symptom::telling));
    let found = match target.control {
        Control::Compose | Control::Container => container(case)?,
        Control::PgCtl => cluster(case),
        Control::External | Control::None => Some(
            Diagnosis::error(
                place(target),
                silence(case).unwrap_or_else(|| format!("nothing answers on {}", place(target))),
            )
            .wanted("the server, which is not ours to start")
            .hint(format!(
                "pg_isready --host {} --port {}",
                target.host, target.port
            )),
        ),
    };
    Ok(found
        .map(|found| found.said(said).evidence(log(case)))
        .into_iter()
        .collect())
}

/// Whether a failure says that time ran out, on our side or on psql's.
fn is_silent(problem: &str) -> bool {
    problem.contains("timeout expired") || problem.contains("no end after")
}

/// A server that takes connections and says nothing.
fn silence(case: &Case<'_>) -> Option<String> {
    let seen = &case.seen.seen.target;
    let mut charged = case.seen.logins.iter().filter(|(name, _)| case.in_charge(name));
    let accepts = charged.any(|(_, login)| login.reached);
    let silent = seen.problem.as_deref().is_some_and(is_silent);
    (accepts && silent).then(|| {
        format!(
            "the server on {} accepts connections and does not answer within {CONNECT_SECONDS} s",
            place(&case.settings().target)
        )
    })
}

fn place(target: &Target) -> String {
    format!("{}:{}", target.host, target.port)
}

/// A container that answers us and fails its health check: Compose starts nothing that waits for it.
fn unhealthy(case: &Case<'_>) -> Option<Diagnosis> {
    let container = case.seen.seen.target.container.as_ref()?;
    if container.health.as_deref() != Some("unhealthy") {
        return None;
    }
    let found = state(case, container)?;
    Some(Diagnosis {
        finding: crate::model::Finding {
            severity: crate::model::Severity::Warning,
            ..found.finding
        },
        ..found
    })
}

/// The last lines of the server's log.
fn log(case: &Case<'_>) -> Vec<String> {
    let lines = case.seen.log.iter();
    lines.map(|line| format!("log: {line}")).collect()
}

fn container(case: &Case<'_>) -> Result<Option<Diagnosis>, NotLooked> {
    let seen = &case.seen.seen;
    let name = &case.settings().target.container;
    if let Some(problem) = &seen.docker.problem {
        let found = Diagnosis::error("docker", format!("the Docker engine does not answer: {problem}"))
            .wanted("an engine, which is not ours to start");
        return Ok(Some(if cfg!(target_os = "linux") {
            found.hint("sudo systemctl start docker")
        } else {
            found.hint("start Docker Desktop")
        }));
    }
    let names = || case.settings().databases.keys();
    if let Some(old) = names().find_map(|database| case.old_in_charge(database)) {
        return Ok(Some(
            Diagnosis::error(
                name,
                format!(
                    "neither container {name} nor the old instance {} answers",
                    old.name
                ),
            )
            .wanted("the old instance: nothing has moved its rows")
            .hint("cargo xtask doctor --only old-instance-stopped"),
        ));
    }
    let Some(container) = &seen.target.container else {
        return Ok(Some(absent(case)));
    };
    if super::ports::taken(case).is_some() {
        // The port is the cause; the repair of that one starts the container.
        return Ok(Some(
            Diagnosis::error(name, format!("container {name} is {}", container.status))
                .wanted("its port, which somebody else has")
                .hint("cargo xtask doctor --only port-conflict"),
        ));
    }
    let cause = state(case, container).or_else(|| elsewhere(case, container));
    Ok(Some(cause.unwrap_or_else(|| {
        let what = silence(case).unwrap_or_else(|| format!("container {name} runs and does not answer"));
        Diagnosis::error(name, what)
            .wanted("a server that answers a query")
            .hint(format!("docker logs --tail 50 {name}"))
    })))
}

/// No container: made again where its volume is left, and nowhere else.
fn absent(case: &Case<'_>) -> Diagnosis {
    let name = &case.settings().target.container;
    let found = Diagnosis::error(name, format!("there is no container {name}"));
    match &case.seen.target_volume {
        Some(Ok(Some(volume))) => {
            let make = case.start_target();
            found
                .evidence([format!("its data is in volume {volume}")])
                .wanted("the platform's PostgreSQL")
                .fix(make.map(|start| Fix::new(format!("make and start container {name}"), vec![start])))
        }
        Some(Ok(None)) => {
            let found = found.evidence(["its volume is gone too: a new container would be empty".to_owned()]);
            let charged: Vec<_> = case
                .seen
                .backups
                .iter()
                .filter(|(name, _)| case.in_charge(name))
                .collect();
            if charged.is_empty() {
                return found
                    .wanted("nothing of it is left on this machine, and no backup: a new one is made from the start")
                    .hint("cargo xtask onboard")
                    .hint("cargo xtask migrate");
            }
            // The instance first, then what the backup holds.
            let start = case
                .start_target()
                .and_then(|start| start.commands(&crate::config::Vault::default()).pop());
            let found = found
                .evidence(start.map(|line| format!("a new, empty instance: {line}")))
                .evidence(
                    charged
                        .iter()
                        .skip(1)
                        .map(|(name, held)| restore(name, &held.backup)),
                )
                .wanted("a new instance, then the data, which a backup holds");
            charged.first().map_or_else(
                || found.clone(),
                |(name, held)| found.clone().hint(restore(name, &held.backup)),
            )
        }
        Some(Err(why)) => found
            .evidence([format!("whether its volume is left cannot be told: {why}")])
            .wanted("the platform's PostgreSQL on the volume that holds its data")
            .hint("docker volume ls"),
        None => found.wanted("a container that is made by hand, as it was"),
    }
}

fn restore(name: &str, backup: &str) -> String {
    format!("cargo xtask restore {backup} --database {name}")
}

/// A container that does not run as it should.
fn state(case: &Case<'_>, container: &Seen) -> Option<Diagnosis> {
    let name = &container.name;
    let found = |what: String| Diagnosis::error(name, what).wanted(format!("{name} running and healthy"));
    let act = |verb| vec![Act::Container(Container::new(verb, name.clone()))];
    match container.status.as_str() {
        "exited" | "created" | "dead" => {
            // Compose waits for a real query, and knows what else belongs to it.
            let acts = case
                .start_target()
                .map_or_else(|| act(Verb::Start), |start| vec![start]);
            Some(
                found(format!("container {name} is stopped ({})", container.status))
                    .fix(Some(Fix::new(format!("start container {name}"), acts))),
            )
        }
        "paused" => Some(found(format!("container {name} is paused")).fix(Some(Fix::new(
            format!("let container {name} go on"),
            act(Verb::Unpause),
        )))),
        "restarting" => Some(
            found(format!("container {name} starts, ends and starts again"))
                .hint(format!("docker logs --tail 50 {name}")),
        ),
        _ => match container.health.as_deref() {
            Some("unhealthy") => Some(
                found(format!("container {name} runs and is unhealthy")).fix(Some(
                    Fix::new(format!("restart container {name}"), act(Verb::Restart))
                        .disturbs("everybody who is connected: the server restarts"),
                )),
            ),
            Some("starting") => Some(
                found(format!("container {name} is starting"))
                    .hint("wait a moment, then: cargo xtask doctor"),
            ),
            _ => None,
        },
    }
}

/// A container that serves another port of this machine.
fn elsewhere(case: &Case<'_>, container: &Seen) -> Option<Diagnosis> {
    let wanted = case.settings().target.port;
    let ports = container.ports.get(&5432).cloned().unwrap_or_default();
    if ports.contains(&wanted) {
        return None;
    }
    let found = |what: String| {
        Diagnosis::error(&container.name, what).wanted(format!("port {wanted}, which the settings name"))
    };
    Some(match ports.first() {
        None => found(format!(
            "container {} publishes no port of this machine",
            container.name
        ))
        .hint("publish 5432 in the platform's Compose file, then: docker compose up -d"),
        Some(port) => {
            found(format!("container {} publishes port {port}", container.name)).fix(follow(case, *port))
        }
    })
}

/// Point the settings and `.env` at the port that is served.
fn follow(case: &Case<'_>, port: u16) -> Option<Fix> {
    let settings = case.settings();
    let changes: Vec<EnvChange> = settings
        .databases
        .iter()
        .filter(|(name, _)| case.in_charge(name))
        .map(|(_, database)| EnvChange {
            key: database.env.port.clone(),
            value: EnvValue::Plain(port.to_string()),
        })
        .collect();
    let env = case.set_env(&changes)?;
    let setting = Act::ChangeSetting(ChangeSetting {
        file: case.workspace.private().join("local.toml"),
        changes: vec![("target.port".to_owned(), Value::Number(i64::from(port)))],
    });
    Some(Fix::new(
        format!("point the settings and .env at port {port}"),
        vec![setting, env],
    ))
}

fn cluster(case: &Case<'_>) -> Option<Diagnosis> {
    let target = &case.settings().target;
    let cluster = servers::target_cluster(target);
    let data = cluster.data.display();
    let found = |what: String| Diagnosis::error(place(target), what);
    if !case.seen.seen.target.exists {
        return Some(
            found(format!("there is no data directory {data}")).wanted("the cluster that target.data names"),
        );
    }
    if !case.seen.seen.target.running {
        if super::ports::taken(case).is_some() {
            return Some(
                found(format!("the server of {data} does not run"))
                    .wanted("its port, which somebody else has")
                    .hint("cargo xtask doctor --only port-conflict"),
            );
        }
        let fix = case
            .start_target()
            .map(|start| Fix::new("start the server", vec![start]));
        return Some(found(format!("the server of {data} does not run")).fix(fix));
    }
    match cluster.running_port() {
        Some(port) if port != target.port => Some(
            found(format!("the server of {data} serves port {port}"))
                .wanted(format!("port {}, which the settings name", target.port))
                .fix(follow(case, port)),
        ),
        _ => Some(
            found(silence(case).unwrap_or_else(|| format!("the server of {data} runs and does not answer")))
                .wanted("a server that answers: it is stopped, overloaded, or waits for a lock")
                .hint(format!("read {}", cluster.log().display())),
        ),
    }
}
