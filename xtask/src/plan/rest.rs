//! What becomes of the services that the platform's stack has beside the target.

use crate::config::{Control, Settings};
use crate::observe::{Holder, Observed, OtherService, SourceState, project_of_target};

use super::action::{LeftOut, StackService};

/// The services that do not run yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Nothing stands in the way of these.
    pub start: Vec<StackService>,
    /// These are not started.
    pub left_out: Vec<LeftOut>,
}

impl Rest {
    /// Of the platform's own stack. Our own Compose file, and a target that Compose does not start, have none.
    pub fn of(seen: &Observed, settings: &Settings) -> Self {
        let mut rest = Self::default();
        let Some(stack) = seen
            .stack()
            .filter(|_| settings.target.control == Control::Compose)
        else {
            return rest;
        };
        let project = project_of_target(settings, seen).unwrap_or_default();
        for service in stack.others.iter().filter(|service| !service.profiled) {
            let own = |container: &&infra::docker::Container| service.is(container, &project);
            let runs = seen
                .docker
                .containers
                .iter()
                .filter(own)
                .any(|own| own.is_running());
            if runs {
                continue;
            }
            match hindrance(seen, settings, service, &rest.start) {
                Some((why, typeable)) => rest.left_out.push(LeftOut {
                    name: service.name.clone(),
                    why,
                    typeable,
                }),
                None => rest.start.extend(startable(service)),
            }
        }
        rest
    }

    /// Whether every service runs.
    pub fn is_empty(&self) -> bool {
        self.start.is_empty() && self.left_out.is_empty()
    }
}

fn startable(service: &OtherService) -> Option<StackService> {
    Some(StackService {
        name: service.name.clone(),
        container: service.container.clone(),
        image: service.image.clone()?,
        ports: service.ports.clone(),
    })
}

/// Why a service is not started, and whether a person can start it once that is out of the way.
fn hindrance(
    seen: &Observed,
    settings: &Settings,
    service: &OtherService,
    before: &[StackService],
) -> Option<(String, bool)> {
    if service.postgres {
        let target = &settings.target.service;
        let why = format!("it is a PostgreSQL server, and only {target} holds the migrated databases");
        return Some((why, false));
    }
    let Some(image) = service.image.as_ref().filter(|_| !service.builds) else {
        return Some(("its image is built from the checkout".to_owned(), true));
    };
    let redis = &settings.redis;
    if redis.control != Control::None && service.ports.contains(&redis.port) {
        let other = match &seen.redis.port_holder {
            Some(holder) if seen.redis.answers => format!("{holder} serves Redis there already"),
            _ => "the run starts the labeler's Redis there".to_owned(),
        };
        return Some((format!("it needs port {}, and {other}", redis.port), false));
    }
    for port in &service.ports {
        if *port == settings.target.port || before.iter().any(|other| other.ports.contains(port)) {
            return Some((
                format!("port {port} is used by another service of the stack"),
                true,
            ));
        }
        match seen.held_ports.get(port) {
            Some(holder) if !is_old(seen, holder) => {
                return Some((format!("port {port} is used by {holder}"), true));
            }
            _ => {}
        }
    }
    let missing = seen.docker.missing_images.contains(image);
    missing.then(|| (format!("image {image} is not on this machine"), true))
}

/// Whether an old instance holds a port: it is stopped before.
fn is_old(seen: &Observed, holder: &Holder) -> bool {
    let Holder::Container(name) = holder else {
        return false;
    };
    let mut sources = seen.sources.values();
    sources.any(|source| matches!(&source.state, SourceState::Container(old) if old.name == *name))
}
