//! Which instance, database and role the mappings name.

use std::collections::BTreeMap;

use super::{advise, files, line, mappings, shown, value};
use crate::checks::{Case, Looked, error, settings, warning};
use crate::observe::is_template;

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

pub fn one_instance(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    let target = &case.settings().target;
    let team = target_is_the_teams(case);
    for (file, document) in files(case, true)? {
        let hosts = mappings(case).filter_map(|(_, _, m)| Some((m.host.as_str(), value(document, &m.host)?)));
        let hosts: Vec<(&str, String)> = hosts.map(|(key, host)| (key, host_name(&host))).collect();
        let ports = mappings(case).filter_map(|(_, _, m)| Some((m.port.as_str(), value(document, &m.port)?)));
        let ports: Vec<(&str, String)> = ports.map(|(key, port)| (key, port_number(&port))).collect();
        for (values, own) in [(hosts, host_name(&target.host)), (ports, target.port.to_string())] {
            let Some(usual) = usual(&values, &own) else {
                continue;
            };
            let there = values.iter().filter(|(_, found)| *found == usual).count();
            let others = match there + 1 == values.len() {
                true => "the other databases are",
                false => "another database is",
            };
            for (key, found) in values.iter().filter(|(_, found)| *found != usual) {
                let finding = error(format!(
                    "{key} is {}, while {others} on {}",
                    shown(found),
                    shown(&usual)
                ))
                .wanted("one instance for all databases")
                .at(&file.path, line(document, key));
                // Where most are may be an old instance: only the target is the place for all.
                findings.push(match team || !is_template(&file.path) {
                    true => advise(case, finding, &file.path, key, &own),
                    false => finding,
                });
            }
        }
    }
    Ok(findings)
}

/// The target's value if anyone has it, and else the one that most mappings have.
fn usual(values: &[(&str, String)], own: &str) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, value) in values {
        *counts.entry(value).or_default() += 1;
    }
    let best = counts
        .iter()
        .max_by_key(|(value, count)| (**value == own, **count));
    best.map(|(value, _)| (*value).to_owned())
}

/// A template holds the team's port; a machine that moved its own says nothing of it.
fn target_is_the_teams(case: &Case<'_>) -> bool {
    ["target.host", "target.port"]
        .iter()
        .all(|setting| settings::is_the_teams(case, setting))
}

pub fn target(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    let target = &case.settings().target;
    let team = target_is_the_teams(case);
    for (file, document) in files(case, team)? {
        let value = |key: &str| value(document, key);
        let hosts =
            mappings(case).filter_map(|(_, _, m)| Some((m.host.as_str(), host_name(&value(&m.host)?))));
        let ports =
            mappings(case).filter_map(|(_, _, m)| Some((m.port.as_str(), port_number(&value(&m.port)?))));
        for (values, wanted) in [
            (hosts.collect::<Vec<(&str, String)>>(), &host_name(&target.host)),
            (ports.collect(), &target.port.to_string()),
        ] {
            // One that stayed behind is the business of `env.one-instance`; this is about all of them.
            let Some(usual) = usual(&values, wanted).filter(|usual| usual != wanted) else {
                continue;
            };
            if let Some((key, _)) = values.iter().find(|(_, value)| *value == usual) {
                let finding = error(format!(
                    "{key} is {}, and the target is on {wanted}",
                    shown(&usual)
                ))
                .at(&file.path, line(document, key));
                findings.push(advise(case, finding, &file.path, key, wanted));
            }
        }
    }
    Ok(findings)
}

pub fn names(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    for (file, document) in files(case, true)? {
        for (_, wanted, mapping) in mappings(case) {
            let Some(found) = value(document, &mapping.name).filter(|found| found != wanted) else {
                continue;
            };
            let finding = error(format!(
                "{} is {} instead of {wanted}",
                mapping.name,
                shown(&found)
            ))
            .at(&file.path, line(document, &mapping.name));
            findings.push(advise(case, finding, &file.path, &mapping.name, wanted));
        }
    }
    Ok(findings)
}

pub fn roles(case: &Case<'_>) -> Looked {
    let mut findings = Vec::new();
    for (file, document) in files(case, true)? {
        for (name, database) in &case.settings().databases {
            let (mapping, wanted) = (&database.env, database.login_on(&case.settings().target));
            let Some(found) = value(document, &mapping.user).filter(|found| found != wanted) else {
                continue;
            };
            if was_made(case, name, &found) {
                continue;
            }
            let finding = warning(format!(
                "{} is {}, and its role on the target is {wanted}",
                mapping.user,
                shown(&found)
            ))
            .wanted(format!(
                "{wanted}, or a role {} that was made on the target",
                shown(&found)
            ))
            .at(&file.path, line(document, &mapping.user));
            findings.push(advise(case, finding, &file.path, &mapping.user, wanted));
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
