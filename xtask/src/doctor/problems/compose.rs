//! Containers that a Compose project left behind.

use infra::docker::Container as Seen;

use crate::doctor::act::{Act, ChangeSetting, Container, Value, Verb};
use crate::doctor::{Case, Diagnosis, Examined, Fix, Problem, Proof};
use crate::observe::project_of_target;

const SYMPTOMS: &[&str] = &[
    "Found orphan containers*",
    "The container name \"*\" is already in use by container",
    "network * was found but has incorrect label",
];

pub(in crate::doctor) const STALE: Problem = Problem {
    id: "stale-compose-project",
    title: "\"Found orphan containers\", \"container name is already in use\"",
    meaning: "containers of an old Compose file still run, or Compose takes the target for another project's",
    symptoms: SYMPTOMS,
    causes: "After `git pull` the labeler's Compose file no longer has the old databases, so `docker-compose down` leaves them running: they \
             hold memory and ports, and take writes that nobody reads. Or the checkout's folder was renamed: Compose takes the project's name \
             from it, finds the container's name taken, and would start on a new, empty volume.",
    repair: "Stops old containers of databases that `.env` already finds on the target, and keeps them from starting by themselves; \
             volumes stay, and going back starts them again. For a project with another name, writes the container's own project name into \
             `.xtask/local.toml`, so that the same container and volume are used.",
    proof: &[
        Proof {
            created: "the old three run, `.env` names the target",
            recognised: "each by name",
            repaired: "stopped, kept from starting; going back starts them",
            test: "a_target_in_a_container_is_made_started_let_go_on_and_freed_of_who_has_its_port",
        },
        Proof {
            created: "another project name in the settings",
            recognised: "both projects, and the volume that holds the data",
            repaired: "the settings follow the container",
            test: "a_target_in_a_container_is_made_started_let_go_on_and_freed_of_who_has_its_port",
        },
    ],
    examine: stale,
};

fn stale(case: &Case<'_>) -> Examined {
    let docker = &case.seen.seen.docker;
    if !docker.needed || docker.problem.is_some() {
        return Ok(Vec::new());
    }
    let mut found: Vec<Diagnosis> = case
        .settings()
        .databases
        .iter()
        .filter(|(name, _)| case.in_charge(name))
        .flat_map(|(name, database)| {
            let old = database.source.containers.iter();
            old.filter(|old| **old != case.settings().target.container)
                .filter_map(|old| docker.container(old))
                .filter(|container| container.is_running())
                .map(|container| orphan(name, container))
        })
        .collect();
    found.extend(other_project(case));
    Ok(found)
}

fn orphan(database: &str, container: &Seen) -> Diagnosis {
    let name = &container.name;
    let stop = Container {
        policy: Some(container.restart.clone()),
        ..Container::new(Verb::Stop, name.clone())
    };
    let project = container.compose_project().unwrap_or("no project");
    Diagnosis::warning(
        name,
        format!("old container {name} runs, and .env finds {database} on the target"),
    )
    .evidence([format!(
        "container {name} of {project}, restart policy {}",
        container.restart
    )])
    .wanted("stopped: what is written there is lost")
    .fix(Some(
        Fix::new(format!("stop old container {name}"), vec![Act::Container(stop)])
            .disturbs(format!("whoever still uses {name}")),
    ))
}

/// The target's container belongs to another project than the one Compose would use now.
fn other_project(case: &Case<'_>) -> Option<Diagnosis> {
    let container = case.seen.seen.target.container.as_ref()?;
    let has = container.compose_project()?;
    case.seen.seen.platform.as_ref()?.compose_file.as_ref()?;
    let wanted = project_of_target(case.settings(), &case.seen.seen)?;
    if has == wanted {
        return None;
    }
    let act = ChangeSetting {
        file: case.workspace.private().join("local.toml"),
        changes: vec![("platform.compose-project".to_owned(), Value::Text(has.to_owned()))],
    };
    let found = format!(
        "container {} belongs to Compose project {has}, and Compose would use {wanted} now",
        container.name
    );
    let volume = container
        .mount_of(&infra::postgres::container::data_folder(container))
        .and_then(|mount| mount.volume.as_deref());
    Some(
        Diagnosis::warning("platform", found)
            .evidence(volume.map(|volume| format!("its data is in volume {volume}")))
            .wanted(format!("project {has}, whose volume holds the data"))
            .fix(Some(Fix::new(
                format!("use Compose project {has}"),
                vec![Act::ChangeSetting(act)],
            ))),
    )
}
