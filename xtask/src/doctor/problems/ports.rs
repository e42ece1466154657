//! Somebody else has the target's port.

use crate::checks::NotLooked;
use crate::config::Control;
use crate::doctor::act::{Act, Container, Verb};
use crate::doctor::{Case, Diagnosis, Examined, Fix, Past, Problem, Proof};
use crate::observe::Holder;
use crate::plan::charge;

const SYMPTOMS: &[&str] = &[
    "port is already allocated",
    "address already in use",
    "could not bind IPv4 address \"*\": Address already in use",
    "Ports are not available",
];

pub(in crate::doctor) const CONFLICT: Problem = Problem {
    id: "port-conflict",
    title: "\"Port is already allocated\"",
    meaning: "the target cannot start, because somebody else has its port",
    symptoms: SYMPTOMS,
    causes: "An old container that nobody stopped (`docker-compose down` does not know the containers that its file no longer has), \
             another project's PostgreSQL, or one that is installed on this machine. The doctor names the container, or the \
             process and its number.",
    repair: "Stops the container that has the port, keeps it from starting by itself, and starts the target; going back starts it \
             again. An old instance is left alone, because it may hold newer rows: the lines are shown. A process that is no container \
             is never ended: its name and number are shown.",
    proof: &[
        Proof {
            created: "another container on the target's port",
            recognised: "its name",
            repaired: "it is stopped, the target started; going back starts it again",
            test: "a_target_in_a_container_is_made_started_let_go_on_and_freed_of_who_has_its_port",
        },
        Proof {
            created: "a process on the target's port",
            recognised: "its name and number",
            repaired: "not repaired: a process is never ended",
            test: "a_port_that_a_process_has_is_told_and_the_process_is_left_alone",
        },
    ],
    examine: conflict,
};

/// Who has the target's port, when it is not the target.
pub(super) fn taken(case: &Case<'_>) -> Option<Holder> {
    let seen = &case.seen.seen.target;
    let target = &case.settings().target;
    if seen.running
        && seen
            .container
            .as_ref()
            .is_none_or(|container| container.status == "running")
    {
        return None;
    }
    match &seen.port_holder {
        Some(Holder::Container(name)) if *name == target.container && case.target_is_container() => None,
        holder => holder.clone(),
    }
}

fn conflict(case: &Case<'_>) -> Examined {
    let target = &case.settings().target;
    if matches!(target.control, Control::External | Control::None) {
        return Ok(Vec::new());
    }
    if !case.target_is_needed() {
        return match case.seen.seen.target.server {
            Some(_) => Ok(Vec::new()),
            None => case.env_speaks().map(|()| Vec::new()),
        };
    }
    // Without the engine nobody can say whose port it is: a container's is held by a process of the engine.
    if case.target_is_container() && case.seen.seen.docker.problem.is_some() {
        return Err(NotLooked::because("the Docker engine does not answer"));
    }
    let Some(holder) = taken(case) else {
        return Ok(Vec::new());
    };
    // The port is the old instance's, and the problem of that one names who has it.
    let mut names = case.settings().databases.keys();
    if names.any(|name| case.old_in_charge(name).is_some()) {
        return Ok(Vec::new());
    }
    let found = Diagnosis::error(
        target.port.to_string(),
        format!(
            "port {} belongs to {holder}, and the target does not run",
            target.port
        ),
    )
    .wanted(format!("the target on port {}", target.port))
    .said(case.said(SYMPTOMS));
    let Holder::Container(name) = &holder else {
        return Ok(vec![found.hint(
            "end that process, or: cargo xtask doctor --set target.port=PORT",
        )]);
    };
    if let Some(database) = case.settings().old_container_of(name) {
        return Ok(vec![by_an_old_one(case, found, name, database)]);
    }
    let policy = case
        .seen
        .seen
        .docker
        .container(name)
        .map(|container| container.restart.clone());
    let stop = Act::Container(Container {
        policy,
        ..Container::new(Verb::Stop, name.clone())
    });
    let fix = case.start_target().map(|start| {
        Fix::new(
            format!("stop container {name} and start the target"),
            vec![stop, start],
        )
        .disturbs(format!("whoever uses container {name}"))
    });
    Ok(vec![found.fix(fix)])
}

/// An old instance: what it holds decides, and that is a person's to say.
fn by_an_old_one(case: &Case<'_>, found: Diagnosis, name: &str, database: &str) -> Diagnosis {
    let settings = case.settings();
    let (what, lines) = match case.past.get(database) {
        Some(Past::Stands { run, .. }) => (
            format!("it may hold rows written since run {run}, which are not on the target"),
            charge::old_or_target(settings, name).to_vec(),
        ),
        Some(Past::RolledBack(run)) => (
            format!("run {run} was rolled back: it is in use"),
            vec!["cargo xtask migrate".to_owned()],
        ),
        Some(Past::Unknown(..)) | None => (
            "nothing says whether the target has its rows".to_owned(),
            vec![
                "cargo xtask migrate --dry-run".to_owned(),
                format!("docker stop {name}  # when nobody needs what it holds; afterwards:"),
                infra::docker::start(&settings.target.container).to_string(),
            ],
        ),
    };
    let found = found.evidence([format!("it is the old instance of {database}; {what}")]);
    lines.into_iter().fold(found, Diagnosis::hint)
}
