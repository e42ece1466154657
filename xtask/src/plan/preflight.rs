//! Everything that forbids a migration, reported together. Each check is a small function over what was seen.

mod environment;
mod external;
mod fit;
mod instances;
mod onboarding;
mod origin;
mod repositories;
mod services;
mod storage;

use crate::config::Settings;
use crate::model::{Finding, Severity};
use crate::observe::{Observed, SourceState};

use super::{Request, charge};

pub use external::onto_itself;
pub use onboarding::onboarding;

/// What a check looks at.
pub(super) struct Case<'a> {
    seen: &'a Observed,
    settings: &'a Settings,
    request: &'a Request,
}

/// All findings, the worst first.
pub fn preflight(seen: &Observed, settings: &Settings, request: &Request) -> Vec<Finding> {
    let case = Case {
        seen,
        settings,
        request,
    };
    let mut findings = seen.findings.clone();
    for check in [
        repositories::docker,
        repositories::pull,
        repositories::labeler,
        repositories::stack,
        services::rest,
        services::target_ports,
        repositories::python,
        repositories::alembic,
        environment::env_files,
        environment::application,
        environment::disk,
        environment::target_disk,
        instances::sources,
        storage::sources,
        storage::target,
        origin::named,
        origin::beside,
        instances::source_logins,
        instances::prepared_transactions,
        instances::undumped,
        instances::left_behind,
        instances::target_port,
        instances::target_server,
        instances::target_databases,
        instances::incoming,
        fit::unseen_target,
        fit::versions,
        fit::clients,
        fit::extensions,
        fit::tablespaces,
        instances::connections,
        instances::redis,
        external::sources,
        external::target,
        external::carried,
        external::same_server,
    ] {
        check(&case, &mut findings);
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// What forbids reading a database where the settings say, although its old instance is in use: `.env` names another
/// place. `command` is what the lines to paste begin with, instead of a migration.
pub fn another_place(seen: &Observed, settings: &Settings, name: &str, command: &str) -> Vec<Finding> {
    let request = Request::default();
    let case = Case {
        seen,
        settings,
        request: &request,
    };
    let mut findings = Vec::new();
    origin::named(&case, &mut findings);
    findings.extend(origin::besides_the_target(&case, name));
    let about = format!("source.{name}.");
    findings.retain(|finding| finding.severity == Severity::Error && finding.id.starts_with(&about));
    for hint in findings.iter_mut().flat_map(|finding| &mut finding.hints) {
        if let Some(rest) = hint.strip_prefix("cargo xtask migrate ") {
            *hint = format!("{command} {rest}");
        }
    }
    findings
}

/// Why there is nothing to do: `.env` names the target for every database, and every database that is required or whose
/// old instance is still here is there with content.
pub fn nothing_to_do(seen: &Observed, settings: &Settings) -> Option<String> {
    let target = &settings.target;
    let on_target = |name: &String| charge::names_target(seen, settings, name) == Some(true);
    let wanted: Vec<&String> = seen.sources.keys().collect();
    let there = |name: &&String| {
        seen.target
            .databases
            .get(*name)
            .is_some_and(|d| !d.facts.is_empty())
    };
    // An external source runs on; once it was moved it is closed.
    let stopped = seen
        .sources
        .values()
        .all(|source| !source.running || source.state == SourceState::External);
    let must = |name: &&String| {
        let required = settings.databases.get(*name).is_some_and(|d| d.required);
        required || seen.sources[*name].state.is_here()
    };
    let done = !wanted.is_empty()
        && stopped
        && wanted.iter().all(|name| on_target(name))
        && wanted.iter().filter(|name| must(name)).all(there);
    done.then(|| {
        let names: Vec<&str> = wanted.iter().map(|name| name.as_str()).collect();
        format!(
            "every .env file names {}:{} for {}, and what was to move is there",
            target.host,
            target.port,
            names.join(", ")
        )
    })
}

#[cfg(test)]
pub(crate) mod tests;
