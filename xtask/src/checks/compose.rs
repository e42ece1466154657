//! Compose files of both repositories.

mod instance;

use infra::compose::model::Published;
use infra::compose::{Config, Refused, Service};

use super::{Case, Check, Group, Looked, NotLooked, error, note, warning};
use crate::model::Finding;
use crate::observe::ComposeSeen;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "compose.readable",
        group: Group::Compose,
        meaning: "the Compose files of both repositories can be read",
        why: "Every other check of the file goes by what `docker compose config` or `docker-compose config` makes of it. A variable or a file \
              of `env_file` that only another machine has, or no Compose at all, is no fault: then nothing is looked at.",
        fix: "Correct what Compose names.",
        run: readable,
    },
    Check {
        id: "compose.no-old-instances",
        group: Group::Compose,
        meaning: "the labeler's Compose file starts no PostgreSQL",
        why: "The databases live on the platform's instance. An old service that comes back takes its port, and its data drifts away. \
              An override file counts; one in another Compose file of the folder is a warning.",
        fix: "Remove the service and its volume from the labeler's Compose file.",
        run: no_old_instances,
    },
    Check {
        id: "compose.one-instance",
        group: Group::Compose,
        meaning: "the platform's Compose file publishes exactly one PostgreSQL",
        why: "It is the one instance of all three databases; with none there is no target, with two nobody knows which is meant.",
        fix: "Publish the port of one service, and keep any other PostgreSQL inside the Compose network.",
        run: one_instance,
    },
    Check {
        id: "compose.databases",
        group: Group::Compose,
        meaning: "a new platform instance is born with all databases",
        why: "`POSTGRES_DB` makes one; the others come from scripts that run on an empty volume. Without them a new machine starts broken.",
        fix: "Add `CREATE DATABASE` to a script under `/docker-entrypoint-initdb.d`.",
        run: instance::databases,
    },
    Check {
        id: "compose.health-check",
        group: Group::Compose,
        meaning: "the platform's PostgreSQL has a health check",
        why: "Without one, `depends_on` and `up --wait` go on while the server still starts.",
        fix: "Add a `healthcheck` that asks over TCP: `pg_isready -h 127.0.0.1` does not answer for the first-run server.",
        run: instance::health_check,
    },
    Check {
        id: "compose.pinned-image",
        group: Group::Compose,
        meaning: "the platform's PostgreSQL image names a major version",
        why: "`latest` becomes the next major version one morning, and that server refuses to start on the old volume.",
        fix: "Write a tag with the major version, for example `postgres:16-alpine`.",
        run: instance::pinned_image,
    },
    Check {
        id: "compose.ports",
        group: Group::Compose,
        meaning: "no two services publish the same port",
        why: "The second one to start fails, across both repositories. Two Redis on one port are a note: either one serves. \
              Services of one file whose `profiles` have none in common are alternatives.",
        fix: "Give one of them another host port.",
        run: ports,
    },
    Check {
        id: "compose.data-mount",
        group: Group::Compose,
        meaning: "the platform's volume is mounted where its image keeps the data",
        why: "From 18 on the official image keeps its data in a folder of /var/lib/postgresql, and refuses to start with a volume at \
              /var/lib/postgresql/data.",
        fix: "Mount the volume at /var/lib/postgresql.",
        run: instance::data_mount,
    },
    Check {
        id: "compose.open-port",
        group: Group::Compose,
        meaning: "no PostgreSQL with a password that everybody can read is open to other machines",
        why: "A port without an address is published on every network of the machine, and the firewall does not see it: Docker opens it.",
        fix: "Publish it as `127.0.0.1:5432:5432`, or take the password from a variable without a default.",
        run: instance::open_port,
    },
];

/// What Compose makes of the labeler's file.
pub(super) fn labeler<'a>(case: &Case<'a>) -> Result<&'a Config, NotLooked> {
    understood(case.config()?.labeler_compose.as_ref(), "labeler")
}

/// What Compose makes of the platform's file.
pub(super) fn platform<'a>(case: &Case<'a>) -> Result<&'a Config, NotLooked> {
    understood(case.config()?.platform_compose.as_ref(), "platform")
}

/// The platform's file; where there is none, the labeler's.
pub(super) fn understood_any<'a>(case: &Case<'a>) -> Result<&'a Config, NotLooked> {
    match case.config()?.platform_compose {
        Some(_) => platform(case),
        None => labeler(case),
    }
}

/// The databases that a script of the image creates.
pub(super) fn created(script: &str) -> Vec<String> {
    instance::created_databases(script)
}

fn understood<'a>(seen: Option<&'a ComposeSeen>, whose: &str) -> Result<&'a Config, NotLooked> {
    let seen = seen.ok_or_else(|| NotLooked::because(format!("the {whose}'s Compose file is not here")))?;
    seen.config.as_ref().map_err(|refused| match refused.fault {
        true => NotLooked::because(format!("Compose does not read the {whose}'s file")),
        false => not_looked(refused),
    })
}

/// The program's own words, on one line.
fn words(refused: &Refused) -> String {
    let lines: Vec<&str> = refused.why.lines().map(str::trim).collect();
    lines.join(" ")
}

fn not_looked(refused: &Refused) -> NotLooked {
    NotLooked::because(format!("not looked at: {}", words(refused)))
}

fn readable(case: &Case<'_>) -> Looked {
    let config = case.config()?;
    let both = || config.labeler_compose.iter().chain(&config.platform_compose);
    if both().next().is_none() {
        return Err(NotLooked::because("no Compose file is here"));
    }
    let refused = both().filter_map(|seen| Some((&seen.path, seen.config.as_ref().err()?)));
    let (faults, unknown): (Vec<_>, Vec<_>) = refused.partition(|(_, refused)| refused.fault);
    match unknown.first() {
        Some((_, refused)) if faults.is_empty() => Err(not_looked(refused)),
        _ => Ok(faults
            .into_iter()
            .map(|(path, refused)| {
                error(format!("Compose does not read this file: {}", words(refused))).at(path, 0)
            })
            .collect()),
    }
}

fn no_old_instances(case: &Case<'_>) -> Looked {
    let file = labeler(case)?;
    let always = |service: &&Service| service.is_postgres() && service.profiles.is_empty();
    let old = file.services.iter().filter(always);
    let old = old.map(|service| {
        error(format!("service {} is a PostgreSQL server", service.name))
            .wanted("none: the platform runs the one instance")
            .at(&service.file, service.line)
    });
    let beside = case.config()?.labeler_compose.as_ref().map(servers_beside);
    Ok(old.chain(beside.unwrap_or_default()).collect())
}

/// PostgreSQL servers of other Compose files in the folder: whoever starts Compose there without `-f` may get those.
fn servers_beside(seen: &ComposeSeen) -> Vec<Finding> {
    let name = |seen: &ComposeSeen| seen.path.file_name().unwrap_or_default().display().to_string();
    let wanted = format!(
        "one Compose file: this reads {}, and Compose without -f may take the other",
        name(seen)
    );
    let found = seen.others.iter().flat_map(|other| match &other.config {
        Ok(config) => {
            let servers = config.services.iter().filter(|one| one.is_postgres());
            let told = servers.map(|service| {
                warning(format!(
                    "{} has PostgreSQL service {} as well",
                    name(other),
                    service.name
                ))
                .at(&service.file, service.line)
            });
            told.collect()
        }
        Err(refused) => {
            let text = format!("{} cannot be looked at: {}", name(other), words(refused));
            vec![warning(text).at(&other.path, 0)]
        }
    });
    found.map(|finding| finding.wanted(wanted.clone())).collect()
}

/// The PostgreSQL services that the host can reach. One that only a profile starts is a helper of tests.
pub(super) fn published(file: &Config) -> Vec<&Service> {
    let always = |service: &&Service| service.is_postgres() && service.profiles.is_empty();
    file.services
        .iter()
        .filter(always)
        .filter(|s| !s.ports.is_empty())
        .collect()
}

fn one_instance(case: &Case<'_>) -> Looked {
    let file = platform(case)?;
    let mut findings = match published(file).as_slice() {
        [_] => Vec::new(),
        [] => {
            let inside = file.services.iter().find(|service| service.is_postgres());
            let (text, line) = match inside {
                Some(service) => (
                    format!("service {} publishes no port", service.name),
                    service.line,
                ),
                None => ("there is no PostgreSQL service".to_owned(), 1),
            };
            let place = inside.map_or(&file.path, |service| &service.file);
            vec![
                error(text)
                    .wanted("one PostgreSQL that the host can reach")
                    .at(place, line),
            ]
        }
        [first, others @ ..] => others
            .iter()
            .map(|service| {
                error(format!(
                    "service {} publishes a second PostgreSQL beside {}",
                    service.name, first.name
                ))
                .wanted("one instance")
                .at(&service.file, service.line)
            })
            .collect(),
    };
    let beside = case.config()?.platform_compose.as_ref().map(servers_beside);
    findings.extend(beside.unwrap_or_default());
    Ok(findings)
}

fn ports(case: &Case<'_>) -> Looked {
    let (labeler, platform) = (labeler(case), platform(case));
    let files: Vec<&Config> = [&labeler, &platform].into_iter().flatten().copied().collect();
    if files.is_empty() {
        return labeler.map(|_| Vec::new());
    }
    let services = files
        .iter()
        .enumerate()
        .flat_map(|(of, file)| file.services.iter().map(move |service| (of, service)));
    let all: Vec<_> = services
        .flat_map(|(of, service)| service.ports.iter().map(move |port| (of, service, port)))
        .collect();
    let mut findings = Vec::new();
    for (at, (of, service, port)) in all.iter().enumerate() {
        let collides = |(other_of, other, other_port): &&(usize, &Service, &Published)| {
            other_port.collides(port) && !(of == other_of && service.is_alternative_to(other))
        };
        let Some((other_of, other, _)) = all[..at].iter().find(collides) else {
            continue;
        };
        // A PostgreSQL of the labeler is an old instance, and `compose.no-old-instances` says so.
        let is_old = |of: usize, service: &Service| of == 0 && labeler.is_ok() && service.is_postgres();
        if is_old(*of, service) || is_old(*other_of, other) {
            continue;
        }
        let text = format!(
            "service {} publishes port {}, as {} does in {}",
            service.name,
            port.port,
            other.name,
            other.file.display()
        );
        let finding = if service.is_redis() && other.is_redis() {
            note(text).wanted("nothing to do: either one serves, and only the first one to start runs")
        } else {
            error(text).wanted("another host port: the second one to start fails")
        };
        findings.push(finding.at(&service.file, service.line));
    }
    let seen = case.config()?;
    // A file that is here and not understood may publish the same port.
    if findings.is_empty() && seen.labeler_compose.is_some() {
        labeler?;
    }
    if findings.is_empty() && seen.platform_compose.is_some() {
        platform?;
    }
    Ok(findings)
}
