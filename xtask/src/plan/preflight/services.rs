//! The services of the platform's Compose file: the target's ports, and what becomes of the others.

use super::Case;
use crate::config::Control;
use crate::model::Finding;
use crate::observe::{Holder, SourceState};
use crate::plan::Rest;

/// Services of the platform's stack that will not be started. The databases do not need them.
pub(super) fn rest(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let left_out = Rest::of(case.seen, case.settings).left_out;
    if left_out.is_empty() {
        return;
    }
    let said: Vec<String> = left_out.iter().map(ToString::to_string).collect();
    findings.push(
        Finding::note(
            "platform.services",
            format!(
                "services of the platform that will not be started: {}",
                said.join("; ")
            ),
        )
        .wanted("nothing to do: the databases do not need them"),
    );
}

/// Ports that the target's service publishes beside the one that the settings name.
pub(super) fn target_ports(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let settings = &case.settings.target;
    let service = case.seen.stack().and_then(|stack| stack.target.as_ref());
    let Some(service) = service.filter(|_| settings.control == Control::Compose) else {
        return;
    };
    let old = |name: &str| {
        let mut sources = case.seen.sources.values();
        sources.any(|source| matches!(&source.state, SourceState::Container(one) if one.name == name))
    };
    for port in service.ports.iter().filter(|port| **port != settings.port) {
        let stop = match case.seen.held_ports.get(port) {
            None => continue,
            Some(Holder::Container(name)) if *name == settings.container || old(name) => continue,
            // Its own server, behind a proxy of the engine.
            Some(Holder::Process(_)) if case.seen.target.running => continue,
            Some(Holder::Container(name)) => Some(format!("docker stop {name}")),
            Some(Holder::Process(_)) => None,
        };
        let holder = &case.seen.held_ports[port];
        let finding = Finding::error(
            "target.port",
            format!(
                "port {port}, which service {} publishes, is taken by {holder}",
                service.name
            ),
        )
        .wanted("a free port for the target");
        findings.push(stop.into_iter().fold(finding, Finding::hint));
    }
}
