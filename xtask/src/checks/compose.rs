//! Compose files of both repositories.

use infra::compose::model::{Published, image_name, image_tag};
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
        run: data_mount,
    },
    Check {
        id: "compose.open-port",
        group: Group::Compose,
        meaning: "no PostgreSQL with a password that everybody can read is open to other machines",
        why: "A port without an address is published on every network of the machine, and the firewall does not see it: Docker opens it.",
        fix: "Publish it as `127.0.0.1:5432:5432`, or take the password from a variable without a default.",
        run: open_port,
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

fn understood<'a>(seen: Option<&'a ComposeSeen>, whose: &str) -> Result<&'a Config, NotLooked> {
    let seen = seen.ok_or_else(|| NotLooked::because(format!("the {whose}'s Compose file is not here")))?;
    seen.config.as_ref().map_err(|refused| match refused.fault {
        true => NotLooked::because(format!("Compose does not read the {whose}'s file")),
        false => not_looked(refused),
    })
}

/// In the program's own words, on one line.
fn not_looked(refused: &Refused) -> NotLooked {
    let words: Vec<&str> = refused.why.lines().map(str::trim).collect();
    NotLooked::because(format!("not looked at: {}", words.join(" ")))
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
            .map(|(path, refused)| error(format!("Compose does not read this file: {refused}")).at(path, 0))
            .collect()),
    }
}

fn no_old_instances(case: &Case<'_>) -> Looked {
    let file = labeler(case)?;
    let old = file.services.iter().filter(|service| service.is_postgres());
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
    let name = |seen: &ComposeSeen| {
        let name = seen.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let all: Vec<String> = seen.others.iter().chain([seen]).map(name).collect();
    let first = infra::compose::NAMES
        .iter()
        .find(|known| all.iter().any(|name| name == *known));
    let wanted = match first {
        Some(first) => format!(
            "one Compose file: without -f Compose v2 takes {first}, and this reads {}",
            name(seen)
        ),
        None => format!("one Compose file: this reads {}", name(seen)),
    };
    let mut findings = Vec::new();
    for other in &seen.others {
        match &other.config {
            Ok(config) => findings.extend(config.services.iter().filter(|one| one.is_postgres()).map(
                |service| {
                    let text = format!("{} has PostgreSQL service {} as well", name(other), service.name);
                    warning(text)
                        .wanted(wanted.clone())
                        .at(&service.file, service.line)
                },
            )),
            Err(why) => {
                let text = format!("{} cannot be looked at: {why}", name(other));
                findings.push(warning(text).wanted(wanted.clone()).at(&other.path, 0));
            }
        }
    }
    findings
}

/// The PostgreSQL services that the host can reach.
fn published(file: &Config) -> Vec<&Service> {
    file.services
        .iter()
        .filter(|s| s.is_postgres() && !s.ports.is_empty())
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
    // The image makes a database named like the user when POSTGRES_DB is not set.
    let first = service
        .variable("POSTGRES_DB")
        .or_else(|| service.variable("POSTGRES_USER"))
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
    let missing: Vec<&str> = wanted
        .filter(|name| *name != first && !made.iter().any(|m| m == name))
        .collect();
    Ok(missing
        .into_iter()
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
    let code: String = without_blocks(text)
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

/// A text without what stands between `/*` and `*/`; in a shell script an open `/*` is a pattern.
fn without_blocks(text: &str) -> String {
    let Some((before, rest)) = text.split_once("/*") else {
        return text.to_owned();
    };
    let (mut depth, mut at) = (1, 0);
    while depth > 0 {
        let Some(next) = rest[at..].find(['/', '*']) else {
            return text.to_owned();
        };
        at += next;
        let step = match &rest.as_bytes()[at..(at + 2).min(rest.len())] {
            b"/*" => 1,
            b"*/" => -1,
            _ => 0,
        };
        depth += step;
        at += if step == 0 { 1 } else { 2 };
    }
    format!("{before} {}", without_blocks(&rest[at..]))
}

fn health_check(case: &Case<'_>) -> Looked {
    let service = instance(case)?;
    if service.health_check {
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
    if image_tag(image).is_some_and(names_a_major) {
        return Ok(Vec::new());
    }
    Ok(vec![
        error(format!(
            "image {} of service {} names no version",
            image, service.name
        ))
        .wanted(format!(
            "a tag with the major version, for example {}",
            case.settings().target.image
        ))
        .at(&service.file, service.line),
    ])
}

/// `16`, `16.4-alpine`, `pg16` and `latest-pg16`, or a digest; `alpine3.20` is the version of something else.
fn names_a_major(tag: &str) -> bool {
    let is_version = |part: &str| {
        let part = part.strip_prefix("pg").unwrap_or(part);
        part.starts_with(|c: char| c.is_ascii_digit())
    };
    tag.starts_with("sha256:") || tag.split(['-', '_']).any(is_version)
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
        let Some((_, other, _)) = all[..at].iter().find(collides) else {
            continue;
        };
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

/// The folder of the official images before 18.
const OLD_DATA: &str = "/var/lib/postgresql/data";

fn data_mount(case: &Case<'_>) -> Looked {
    let service = instance(case)?;
    let Some(image) = service
        .image
        .as_ref()
        .filter(|image| image_name(image) == "postgres")
    else {
        return Ok(Vec::new());
    };
    let digits = |tag: &str| {
        tag.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse::<u32>()
            .ok()
    };
    let new = image_tag(image).and_then(digits).is_some_and(|major| major >= 18);
    let old = service
        .mounts
        .iter()
        .any(|mount| mount.target.trim_end_matches('/') == OLD_DATA);
    if !new || !old || service.variable("PGDATA").is_some() {
        return Ok(Vec::new());
    }
    Ok(vec![
        error(format!(
            "image {image} does not start with a volume at {OLD_DATA}"
        ))
        .wanted("the volume at /var/lib/postgresql")
        .at(&service.file, service.line),
    ])
}

fn open_port(case: &Case<'_>) -> Looked {
    let seen = case.config()?.platform_compose.as_ref();
    let mut findings = Vec::new();
    for service in published(platform(case)?) {
        let password = service.variable("POSTGRES_PASSWORD");
        let readable = password.is_some_and(|password| seen.is_some_and(|seen| holds(&seen.text, password)));
        let open = service.ports.iter().find(|port| port.is_everywhere());
        if let (Some(port), true) = (open, readable) {
            let text = format!(
                "service {} is open to other machines on port {}, and its password is in the file",
                service.name, port.port
            );
            findings.push(
                note(text)
                    .wanted("127.0.0.1 before the port")
                    .at(&service.file, service.line),
            );
        }
    }
    Ok(findings)
}

/// Whether a word stands in a text.
fn holds(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.into_iter().chain(after).any(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::{created_databases, names_a_major};

    #[test]
    fn created_databases_are_found_in_sql_and_in_shell() {
        let text = "-- CREATE DATABASE no;\nCREATE DATABASE users OWNER admin;\ncreate database \"labeler\";\n\
                    # CREATE DATABASE never\npsql -c 'CREATE DATABASE extra'\n\
                    /* CREATE DATABASE no; /* nested */ CREATE DATABASE no; */ CREATE DATABASE last;\n";
        assert_eq!(created_databases(text), ["users", "labeler", "extra", "last"]);
        let text = "for file in /sql/*; do\n  psql -c 'CREATE DATABASE one'\ndone\n";
        assert_eq!(created_databases(text), ["one"]);
    }

    #[test]
    fn a_tag_is_pinned_by_postgresql_s_version_only() {
        for tag in [
            "16",
            "16-alpine",
            "16.4-alpine3.20",
            "pg16",
            "latest-pg16",
            "15-3.4",
            "sha256:0a",
        ] {
            assert!(names_a_major(tag), "{tag}");
        }
        for tag in ["latest", "alpine", "alpine3.20", "bookworm", "pg"] {
            assert!(!names_a_major(tag), "{tag}");
        }
    }
}
