//! Compose files of both repositories.

use infra::compose::file::{ComposeFile, Service, image_tag};

use super::{Case, Check, Group, Looked, NotLooked, error, warning};
use crate::observe::ComposeSeen;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "compose.readable",
        group: Group::Compose,
        meaning: "the Compose files of both repositories can be read",
        why: "Compose stops at the first line that is not YAML, and every other check of the file is blind.",
        fix: "Correct the line that is named; `docker compose config` shows what Compose makes of the file.",
        run: readable,
    },
    Check {
        id: "compose.no-old-instances",
        group: Group::Compose,
        meaning: "the labeler's Compose file starts no PostgreSQL",
        why: "The databases live on the platform's instance. An old service that comes back takes its port, and its data drifts away.",
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
        run: databases,
    },
    Check {
        id: "compose.health-check",
        group: Group::Compose,
        meaning: "the platform's PostgreSQL has a health check",
        why: "Without one, `depends_on` and `up --wait` go on while the server still starts.",
        fix: "Add a `healthcheck` that asks over TCP: `pg_isready -h 127.0.0.1` does not answer for the first-run server.",
        run: health_check,
    },
    Check {
        id: "compose.pinned-image",
        group: Group::Compose,
        meaning: "the platform's PostgreSQL image names a major version",
        why: "`latest` becomes the next major version one morning, and that server refuses to start on the old volume.",
        fix: "Write a tag with the major version, for example `postgres:16-alpine`.",
        run: pinned_image,
    },
    Check {
        id: "compose.ports",
        group: Group::Compose,
        meaning: "no two services publish the same port",
        why: "The second one to start fails, across both repositories. Two Redis on one port are a warning: either one serves.",
        fix: "Give one of them another host port.",
        run: ports,
    },
];

/// The labeler's Compose file.
pub(super) fn labeler<'a>(case: &Case<'a>) -> Result<&'a ComposeFile, NotLooked> {
    readable_file(case.config()?.labeler_compose.as_ref(), "labeler")
}

/// The platform's Compose file.
pub(super) fn platform<'a>(case: &Case<'a>) -> Result<&'a ComposeFile, NotLooked> {
    readable_file(case.config()?.platform_compose.as_ref(), "platform")
}

fn readable_file<'a>(seen: Option<&'a ComposeSeen>, whose: &str) -> Result<&'a ComposeFile, NotLooked> {
    let seen = seen.ok_or_else(|| NotLooked::because(format!("the {whose}'s Compose file is not here")))?;
    seen.file
        .as_ref()
        .map_err(|_| NotLooked::because(format!("the {whose}'s Compose file cannot be read")))
}

fn readable(case: &Case<'_>) -> Looked {
    let config = case.config()?;
    let seen: Vec<&ComposeSeen> = config
        .labeler_compose
        .iter()
        .chain(&config.platform_compose)
        .collect();
    if seen.is_empty() {
        return Err(NotLooked::because("no Compose file is here"));
    }
    let mut findings = Vec::new();
    for seen in seen {
        if let Err(error_of) = &seen.file {
            let text = format!("the file is not a Compose file: {}", error_of.why);
            findings.push(error(text).at(&seen.path, error_of.line));
        }
    }
    Ok(findings)
}

fn no_old_instances(case: &Case<'_>) -> Looked {
    let file = labeler(case)?;
    let old = file.services.iter().filter(|service| service.is_postgres());
    Ok(old
        .map(|service| {
            error(format!("service {} is a PostgreSQL server", service.name))
                .wanted("none: the platform runs the one instance")
                .at(&service.file, service.line)
        })
        .collect())
}

/// The PostgreSQL services that the host can reach.
fn published(file: &ComposeFile) -> Vec<&Service> {
    file.services
        .iter()
        .filter(|s| s.is_postgres() && !s.ports.is_empty())
        .collect()
}

fn one_instance(case: &Case<'_>) -> Looked {
    let file = platform(case)?;
    Ok(match published(file).as_slice() {
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
    })
}

/// The service the settings name, else the only published PostgreSQL.
fn instance<'a>(case: &Case<'a>) -> Result<&'a Service, NotLooked> {
    let file = platform(case)?;
    let name = &case.settings().target.service;
    let named = file.services.iter().find(|s| s.name == *name && s.is_postgres());
    let service = named.or_else(|| published(file).into_iter().next());
    let service =
        service.ok_or_else(|| NotLooked::because("the platform's Compose file has no PostgreSQL"))?;
    Ok(service)
}

fn databases(case: &Case<'_>) -> Looked {
    let service = instance(case)?;
    let environment = |name: &str| service.environment.get(name).map(|l| l.text.as_str());
    // The image makes a database named like the user when POSTGRES_DB is not set.
    let first = environment("POSTGRES_DB")
        .or_else(|| environment("POSTGRES_USER"))
        .unwrap_or("postgres");
    let scripts = &case.config()?.init_scripts;
    let made: Vec<String> = scripts
        .iter()
        .flat_map(|script| created_databases(&script.text))
        .collect();
    let wanted = case
        .settings()
        .databases
        .values()
        .map(|database| database.name.as_str());
    let missing = wanted.filter(|name| *name != first && !made.iter().any(|m| m == name));
    Ok(missing
        .map(|name| {
            let finding = error(format!("nothing creates database {name} on a new volume"))
                .wanted("POSTGRES_DB or a script under /docker-entrypoint-initdb.d")
                .hint(format!("CREATE DATABASE {name};"));
            match scripts.first() {
                Some(script) => finding.at(&script.path, 1),
                None => finding.at(&service.file, service.line),
            }
        })
        .collect())
}

/// The names behind `CREATE DATABASE` in an init script; comments do not count.
fn created_databases(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .map(|line| {
            let line = line.split("--").next().unwrap_or(line);
            if line.trim_start().starts_with('#') {
                "\n"
            } else {
                line
            }
        })
        .collect::<Vec<_>>()
        .join(" ");
    let words: Vec<&str> = code
        .split(|c: char| c.is_whitespace() || c == ';' || c == '(')
        .collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let is = |word: &str, wanted: &str| word.trim_matches(['"', '\'']).eq_ignore_ascii_case(wanted);
    words
        .windows(3)
        .filter(|window| is(window[0], "CREATE") && is(window[1], "DATABASE"))
        .map(|window| window[2].trim_matches(['"', '\'', '\\']).to_owned())
        .collect()
}

fn health_check(case: &Case<'_>) -> Looked {
    let service = instance(case)?;
    if service.health_check.is_some() {
        return Ok(Vec::new());
    }
    Ok(vec![
        error(format!("service {} has no health check", service.name))
            .wanted("one that asks over TCP")
            .hint("test: [\"CMD\", \"pg_isready\", \"-h\", \"127.0.0.1\", \"-U\", \"admin\", \"-d\", \"platform\"]")
            .at(&service.file, service.line),
    ])
}

fn pinned_image(case: &Case<'_>) -> Looked {
    let service = instance(case)?;
    let Some(image) = &service.image else {
        return Ok(Vec::new());
    };
    let pinned = image_tag(&image.text).is_some_and(|tag| tag.contains(|c: char| c.is_ascii_digit()));
    if pinned {
        return Ok(Vec::new());
    }
    Ok(vec![
        error(format!(
            "image {} of service {} names no version",
            image.text, service.name
        ))
        .wanted(format!(
            "a tag with the major version, for example {}",
            case.settings().target.image
        ))
        .at(&service.file, image.line),
    ])
}

fn ports(case: &Case<'_>) -> Looked {
    let files: Vec<&ComposeFile> = [labeler(case), platform(case)].into_iter().flatten().collect();
    if files.is_empty() {
        return Err(NotLooked::because("no Compose file can be read"));
    }
    let all: Vec<_> = files
        .iter()
        .flat_map(|file| &file.services)
        .flat_map(|service| service.ports.iter().map(move |port| (service, port)))
        .collect();
    let mut findings = Vec::new();
    for (at, (service, port)) in all.iter().enumerate() {
        let Some((other, other_port)) = all[..at].iter().find(|(_, p)| p.collides(port)) else {
            continue;
        };
        let text = format!(
            "service {} publishes port {}, as {} does in {}:{}",
            service.name,
            port.port,
            other.name,
            other.file.display(),
            other_port.line
        );
        let finding = if service.is_redis() && other.is_redis() {
            warning(text).wanted("one Redis on this port: only the first one to start runs")
        } else {
            error(text).wanted("another host port: the second one to start fails")
        };
        findings.push(finding.at(&service.file, port.line));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::created_databases;

    #[test]
    fn created_databases_are_found_in_sql_and_in_shell() {
        let text = "-- CREATE DATABASE no;\nCREATE DATABASE users OWNER admin;\ncreate database \"labeler\";\n\
                    # CREATE DATABASE never\npsql -c 'CREATE DATABASE extra'\n";
        assert_eq!(created_databases(text), ["users", "labeler", "extra"]);
    }
}
