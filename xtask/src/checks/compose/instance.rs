//! The platform's PostgreSQL service.

use infra::compose::Service;
use infra::compose::model::{image_name, image_tag};

use super::{platform, published};
use crate::checks::{Case, Looked, NotLooked, error, note};

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

pub(super) fn databases(case: &Case<'_>) -> Looked {
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
pub(super) fn created_databases(text: &str) -> Vec<String> {
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

pub(super) fn health_check(case: &Case<'_>) -> Looked {
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

pub(super) fn pinned_image(case: &Case<'_>) -> Looked {
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

/// The folder of the official images before 18.
const OLD_DATA: &str = "/var/lib/postgresql/data";

pub(super) fn data_mount(case: &Case<'_>) -> Looked {
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

pub(super) fn open_port(case: &Case<'_>) -> Looked {
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
