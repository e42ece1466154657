//! Whether the old instance that was found is the one that is meant, and what else lies in it.

use std::path::Path;

use infra::command::shell_word;

use super::Case;
use crate::model::{Finding, time};
use crate::observe::{MappingSeen, Named, NamedSeen, SourceSeen, SourceState};

/// The rows to move are those of the place that `.env` names.
pub(super) fn named(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for (name, source) in &case.seen.sources {
        if source.state == SourceState::Absent {
            continue;
        }
        let moved = case
            .seen
            .target
            .databases
            .get(name)
            .is_some_and(|d| d.facts.has_content());
        let named = source.named.as_ref();
        // What lies on the target has a finding of its own.
        if moved && named.is_some_and(|named| named.what == Named::Target) {
            continue;
        }
        if source.unsettled {
            findings.push(several(name, source));
            continue;
        }
        let Some(named) = named else { continue };
        findings.extend(match &named.what {
            Named::Found => other_database(case, name, source, named),
            Named::Target => Some(edited(case, name, source, named)),
            Named::Elsewhere(other) => Some(elsewhere(case, name, source, named, other.as_deref())),
            Named::Silent(why) => Some(silent(name, source, named, why)),
            Named::Several(addresses) => Some(ambiguous(name, source, named, addresses)),
            Named::Unproven => {
                unproven(name, source, named).or_else(|| other_database(case, name, source, named))
            }
        });
    }
}

fn several(name: &str, source: &SourceSeen) -> Finding {
    let mut containers = vec![source.state.in_words()];
    let rivals = source.rivals.iter();
    containers.extend(rivals.map(|other| format!("container {}, {}", other.name, other.status)));
    let place = source.named.as_ref().map_or_else(String::new, |named| {
        format!(", and .env, with {}, does not decide between them", named.place)
    });
    Finding::error(
        format!("source.{name}.containers"),
        format!(
            "several containers could hold {name}: {}{place}",
            containers.join("; ")
        ),
    )
    .wanted("the one whose rows the application uses")
    .hint(format!(
        "cargo xtask migrate --set 'databases.{name}.source.containers=[\"NAME\"]'"
    ))
}

fn silent(name: &str, source: &SourceSeen, named: &NamedSeen, why: &str) -> Finding {
    let serves =
        served(&source.state).map_or_else(String::new, |port| format!(", which publishes port {port}"));
    Finding::error(
        format!("source.{name}.silent"),
        format!(
            "no server answers at {}, which .env names for {name} ({why}); what was found is {}{serves}",
            named.place,
            source.state.in_words()
        ),
    )
    .wanted("set host and port in .env to an address at which the server to migrate answers")
    .hint(match &source.state {
        SourceState::Container(container) => format!("docker port {}  # its addresses", container.name),
        _ => format!(
            "cargo xtask env check {}",
            infra::command::shell_path(&named.file)
        ),
    })
}

fn ambiguous(name: &str, source: &SourceSeen, named: &NamedSeen, addresses: &[String]) -> Finding {
    Finding::error(
        format!("source.{name}.several"),
        format!(
            "different servers answer at {}, which .env names for {name}: {}; only one of them is {}",
            named.place,
            addresses.join(" and "),
            source.state.in_words()
        ),
    )
    .wanted("name an address instead of the host in .env, at which only the server to migrate answers")
    .hint(format!(
        "cargo xtask env check {}",
        infra::command::shell_path(&named.file)
    ))
}

fn elsewhere(
    case: &Case<'_>,
    name: &str,
    source: &SourceSeen,
    named: &NamedSeen,
    other: Option<&str>,
) -> Finding {
    let keys = mapping(case, name, &named.file);
    let is = other.map_or_else(String::new, |other| format!(", which is container {other}"));
    let port = served(&source.state);
    let at = port.map_or_else(String::new, |port| format!(", at port {port}"));
    let finding = Finding::error(
        format!("source.{name}.elsewhere"),
        format!(
            ".env names {} for {name}{is}; what was found is {}{at}",
            named.place,
            source.state.in_words()
        ),
    )
    .wanted("one and the same place: the rows that the application uses are the ones to move");
    if is_silent_target(case, named) {
        return finding
            .wanted("the target, running: .env names its place, and it may hold the rows already")
            .hint("cargo xtask doctor");
    }
    let finding = which(case, name, source, named, other)
        .into_iter()
        .fold(finding, Finding::hint);
    let Some(keys) = keys else { return finding };
    let finding = finding.at(&named.file, keys.port.lines.last().copied().unwrap_or(0));
    if other.is_none() && !named.here {
        // Somebody else's server: nothing says that the old instance of this machine is the newer one.
        return finding;
    }
    let port = port.map_or_else(|| "PORT".to_owned(), |port| port.to_string());
    finding.hint(format!(
        "cargo xtask env set {} {}=localhost {}={port}",
        infra::command::shell_path(&named.file),
        keys.host.key,
        keys.port.key
    ))
}

/// Whether `.env` names the place of a target that is here and does not run: a migration may have moved the rows there, so
/// the old place is nothing to go back to.
fn is_silent_target(case: &Case<'_>, named: &NamedSeen) -> bool {
    let target = &case.seen.target;
    let port = named.place.rsplit_once(':').map(|(_, port)| port);
    let is_its_place = named.here && port == Some(case.settings.target.port.to_string().as_str());
    is_its_place && !target.running && (target.exists || target.volume.is_some())
}

/// The line for whoever finds that `.env` is right.
fn which(
    case: &Case<'_>,
    name: &str,
    source: &SourceSeen,
    named: &NamedSeen,
    other: Option<&str>,
) -> Option<String> {
    if matches!(source.state, SourceState::Cluster { .. }) {
        return Some(format!(
            "cargo xtask migrate --set databases.{name}.source.data=PATH"
        ));
    }
    let is_anothers = |other: &str| {
        let mut databases = case.settings.databases.iter();
        databases.any(|(n, database)| n != name && database.source.containers.iter().any(|c| c == other))
    };
    match other {
        // Another database's old container: there `.env` cannot be right.
        Some(other) if is_anothers(other) => None,
        Some(other) => Some(format!(
            "cargo xtask migrate --set {}",
            shell_word(&format!("databases.{name}.source.containers=[\"{other}\"]"))
        )),
        None if named.here => Some(format!(
            "cargo xtask migrate --set 'databases.{name}.source.containers=[\"NAME\"]'"
        )),
        None if !case.settings.databases[name].required => {
            let others = case
                .seen
                .sources
                .keys()
                .map(String::as_str)
                .filter(|other| *other != name);
            let others: Vec<&str> = others.collect();
            Some(format!(
                "cargo xtask migrate --only {}  # without this one",
                others.join(",")
            ))
        }
        None => Some(format!(
            "cargo xtask migrate --set databases.{name}.source.host=HOST  # HOST as .env says it, when that is this machine"
        )),
    }
}

/// Edited by hand, as the old guide says, while the rows still lie in the old instance; or moved before.
fn edited(case: &Case<'_>, name: &str, source: &SourceSeen, named: &NamedSeen) -> Finding {
    let target = &case.seen.target;
    let id = format!("source.{name}.edited");
    let found = format!(".env names the target, {}, for {name} already", named.place);
    let from = source.state.in_words();
    if target.exists && !target.running {
        let finding = Finding::error(
            id,
            format!("{found}, and the target does not run: whether the newest rows are there or in {from} cannot be told"),
        )
        .wanted("the target, running");
        let start = target
            .container
            .as_ref()
            .map(|container| infra::docker::start(&container.name));
        return finding.hint(start.map_or_else(|| "cargo xtask doctor".to_owned(), |cmd| cmd.to_string()));
    }
    let holds = if target.server.is_some() {
        "which holds nothing of it"
    } else if target.volume.is_some() {
        "whose content cannot be seen before it runs"
    } else {
        "which is not there yet"
    };
    Finding::warning(id, format!("{found}, {holds}; its rows are taken from {from}"))
        .wanted("the old instance, as the place whose rows are the newest")
}

/// `.env` names the target, where the database lies already, but not as the settings do: which rows are meant?
pub(super) fn besides_the_target(case: &Case<'_>, name: &str) -> Option<Finding> {
    let source = case.seen.sources.get(name)?;
    let named = source.named.as_ref()?;
    let there = case.seen.target.databases.get(name)?;
    if named.what != Named::Target || !there.facts.has_content() {
        return None;
    }
    let keys = mapping(case, name, &named.file)?;
    let (target, database) = (&case.settings.target, &case.settings.databases[name].name);
    let said = keys.name.value.as_deref().unwrap_or_default();
    let word = |key: &str, value: &str| shell_word(&format!("{key}={value}"));
    Some(
        Finding::error(
            format!("source.{name}.besides-target"),
            format!(
                ".env names database {said} of the target, {}, for {name}; the settings name database {database} at {}:{} \
                 there, and {} as the old instance",
                named.place,
                target.host,
                target.port,
                source.state.in_words()
            ),
        )
        .wanted("one and the same: the rows that the application uses are the ones to keep")
        .hint(format!(
            "cargo xtask env set {} {} {}",
            infra::command::shell_path(&named.file),
            word(&keys.host.key, &target.host),
            word(&keys.name.key, database)
        ))
        .at(&named.file, keys.name.lines.last().copied().unwrap_or(0)),
    )
}

/// Nothing on this machine says where a container that is gone was reached.
fn unproven(name: &str, source: &SourceSeen, named: &NamedSeen) -> Option<Finding> {
    if matches!(source.state, SourceState::SeveralVolumes(_)) {
        return None;
    }
    Some(
        Finding::warning(
            format!("source.{name}.unproven"),
            format!(
                "{} is taken for {name}; nothing proves that it is what .env names as {}",
                source.state.in_words(),
                named.place
            ),
        )
        .wanted("a look at the number of rows afterwards, before the old data go"),
    )
}

/// The database of the instance that `.env` names is the one that is moved.
fn other_database(case: &Case<'_>, name: &str, source: &SourceSeen, named: &NamedSeen) -> Option<Finding> {
    let key = &mapping(case, name, &named.file)?.name;
    let (said, set) = (
        key.value.as_deref()?,
        &case.settings.databases[name].source.database,
    );
    // One that is not there fails the login, or is told as missing.
    let have = |database: &str| match &source.server {
        Some(server) => server.databases.contains_key(database),
        None => true,
    };
    (said != set && have(said) && have(set)).then(|| {
        Finding::error(
            format!("source.{name}.other-database"),
            format!(".env names database {said} for {name}, and the settings move {set}"),
        )
        .wanted("one and the same: the rows that the application uses are the ones to move")
        .hint(format!(
            "cargo xtask migrate --set {}",
            shell_word(&format!("databases.{name}.source.database={said}"))
        ))
        .at(&named.file, key.lines.last().copied().unwrap_or(0))
    })
}

fn mapping<'a>(case: &Case<'a>, name: &str, file: &Path) -> Option<&'a MappingSeen> {
    let file = case.seen.env_files.iter().find(|seen| seen.path == file)?;
    file.mappings.get(name)
}

/// The port of this machine that leads to it.
fn served(state: &SourceState) -> Option<u16> {
    match state {
        SourceState::Container(container) => container.ports.get(&5432)?.first().copied(),
        SourceState::Cluster { cluster, port } => port.or_else(|| cluster.configured_port()),
        _ => None,
    }
}

/// Only one database of an instance is moved; what else lies there goes with the old volume when that goes.
pub(super) fn beside(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for (name, source) in &case.seen.sources {
        for other in &source.beside {
            let size = time::bytes(other.bytes);
            findings.push(
                Finding::warning(
                    format!("source.{name}.beside"),
                    format!("the old instance of {name} also holds {}, {size}: it does not come along", other.in_words()),
                )
                .wanted("a dump of it, where somebody needs it: it stays on the old volume, which `cleanup` keeps as long as it is there"),
            );
        }
    }
}
