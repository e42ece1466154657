//! Which instance, database and role the mappings name.

use backend_env::Document;

use super::{advise, files, line, mappings, shown, value};
use crate::checks::{Case, Looked, error, settings};
use crate::model::{Finding, Severity};
use crate::observe::EnvText;

/// `localhost`, `LOCALHOST` and `127.0.0.1` are one machine.
pub fn host_name(host: &str) -> String {
    match host {
        "127.0.0.1" | "::1" => "localhost".to_owned(),
        _ => host.to_lowercase(),
    }
}

/// `05432` and `5432` are one port.
pub fn port_number(port: &str) -> String {
    port.parse::<u16>()
        .map_or_else(|_| port.to_owned(), |port| port.to_string())
}

/// A template holds the team's place; a machine that moved its own says nothing of it.
fn target_is_the_teams(case: &Case<'_>) -> bool {
    ["target.host", "target.port"]
        .iter()
        .all(|setting| settings::is_the_teams(case, setting))
}

/// A key that says something else than it should, and what it should say.
struct Wrong<'a> {
    key: &'a str,
    found: String,
    wanted: String,
}

/// The one finding of a file: all of them have one cause.
fn finding(
    case: &Case<'_>,
    file: &EnvText,
    document: &Document,
    wrong: &[Wrong<'_>],
    wanted: String,
) -> Finding {
    let said: Vec<String> = wrong
        .iter()
        .map(|one| format!("{} is {}", one.key, shown(&one.found)))
        .collect();
    let finding = error(said.join(", "))
        .wanted(wanted)
        .at(&file.path, line(document, wrong[0].key));
    let keys: Vec<(&str, &str)> = wrong.iter().map(|one| (one.key, one.wanted.as_str())).collect();
    advise(case, finding, &file.path, &keys)
}

/// Hosts and ports that are not the target's.
fn misplaced<'a>(case: &Case<'a>, document: &Document) -> Vec<Wrong<'a>> {
    let target = &case.settings().target;
    let (host, port) = (host_name(&target.host), target.port.to_string());
    let mut wrong = Vec::new();
    for (_, _, mapping) in mappings(case) {
        let places = [
            (&mapping.host, host_name as fn(&str) -> String, &host),
            (&mapping.port, port_number, &port),
        ];
        for (key, spelled, wanted) in places {
            let found = value(document, key).map(|found| spelled(&found));
            wrong.extend(found.filter(|found| found != wanted).map(|found| Wrong {
                key,
                found,
                wanted: wanted.clone(),
            }));
        }
    }
    wrong
}

pub fn target(case: &Case<'_>) -> Looked {
    let target = &case.settings().target;
    let mut findings = Vec::new();
    for (file, document) in files(case, target_is_the_teams(case))? {
        let wrong = misplaced(case, document);
        if !wrong.is_empty() {
            let wanted = format!("{}:{}, the target, for all databases", target.host, target.port);
            findings.push(finding(case, file, document, &wrong, wanted));
        }
    }
    Ok(findings)
}

pub fn names(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    for (file, document) in files(case, true)? {
        let wrong: Vec<Wrong<'_>> = mappings(case)
            .filter_map(|(_, wanted, mapping)| {
                let found = value(document, &mapping.name).filter(|found| found != wanted)?;
                Some(Wrong {
                    key: &mapping.name,
                    found,
                    wanted: wanted.to_owned(),
                })
            })
            .collect();
        if !wrong.is_empty() {
            let wanted: Vec<&str> = wrong.iter().map(|one| one.wanted.as_str()).collect();
            findings.push(finding(case, file, document, &wrong, wanted.join(", ")));
        }
    }
    Ok(findings)
}

pub fn roles(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    for (file, document) in files(case, true)? {
        // Where it names another server, `env.target` says so, and the role belongs to that server.
        if !misplaced(case, document).is_empty() {
            continue;
        }
        let mut wrong = Vec::new();
        for (name, database) in &case.settings().databases {
            let (mapping, wanted) = (&database.env, database.login_on(&case.settings().target));
            let found = value(document, &mapping.user).filter(|found| found != wanted);
            wrong.extend(
                found
                    .filter(|found| !was_made(case, name, found))
                    .map(|found| Wrong {
                        key: &mapping.user,
                        found,
                        wanted: wanted.to_owned(),
                    }),
            );
        }
        if !wrong.is_empty() {
            let wanted = format!("{}, or a role that was made on the target", wrong[0].wanted);
            findings.push(Finding {
                severity: Severity::Warning,
                ..finding(case, file, document, &wrong, wanted)
            });
        }
    }
    Ok(findings)
}

/// Whether this role was made on the target (`--roles preserve`): it logs in there, and may do what it has to.
fn was_made(case: &Case<'_>, name: &str, role: &str) -> bool {
    let Some(seen) = case.instance else { return false };
    let mut mappings = seen.env_files.iter().filter_map(|file| file.mappings.get(name));
    let is_login = mappings.next().and_then(|mapping| mapping.user.value.as_deref()) == Some(role);
    let works =
        |refused: &Option<Result<Vec<_>, String>>| matches!(refused, Some(Ok(refused)) if refused.is_empty());
    is_login
        && seen
            .databases
            .get(name)
            .is_some_and(|database| works(&database.application_role))
}
