//! A read-only look at the world. Everything the plan decides on is in [`Observed`]; secrets are not.

mod alembic;
mod application;
mod candidates;
mod checkup;
pub mod clients;
mod compose;
mod config_files;
mod docker;
mod env;
mod held;
mod kept_rows;
mod live;
mod machine;
mod named;
mod old_names;
mod place;
mod ports;
mod repositories;
pub mod servers;
mod sources;
mod space;
mod stack;
mod storage;
mod target;
mod volume;
mod weak;

use std::collections::BTreeMap;

use infra::Runner;
use serde::{Deserialize, Serialize};

use crate::config::{Control, Settings, Vault, Workspace};
use crate::model::Finding;

pub use alembic::UNTOLD_TABLE;
pub use application::RunningApplication;
pub use checkup::{Checkup, Inside, LoginSeen, SCARCE, look_for_problems};
pub use clients::{AllClients, ClientsSeen, ProgramsSeen};
pub use compose::labeler_project;
#[cfg(test)]
pub use config_files::read_config_with;
pub use config_files::{AlembicFiles, ComposeSeen, ConfigSeen, EnvText, TextFile, read_config};
pub use docker::{DockerSeen, in_the_place_of};
pub use env::{EnvSeen, KeySeen, MappingSeen, is_placeholder, is_template, learn_config, learn_kept};
pub use kept_rows::Held;
#[cfg(test)]
pub use live::LogSeen;
pub use live::{
    ApplicationSeen, BackupSeen, BackupsSeen, DatabaseSeen, InstanceSeen, RowsSeen, base_of,
    look_at_application, look_at_backups, look_at_instance,
};
#[cfg(test)]
pub use machine::EnvironmentSeen;
pub use machine::{EnvFileSeen, MachineSeen, look_at_machine};
pub use named::{Named, NamedSeen};
pub use old_names::{OLD_PLACE, OldNames};
pub use ports::{Holder, holder};
pub use repositories::{LabelerSeen, PlatformSeen, compose_sums, labeler as look_at_labeler};
pub use sources::{ExternalSeen, SourceSeen, SourceState};
pub use space::SpaceSeen;
pub use stack::{OtherService, StackSeen, target_project};
pub use storage::{StorageSeen, TargetData};
pub use target::{RedisSeen, TargetDatabase, TargetSeen};
pub use volume::project_of_target;
pub use weak::weak_passwords;

/// What was seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observed {
    /// Docker and Compose.
    pub docker: DockerSeen,
    /// The labeler repository.
    pub labeler: Option<LabelerSeen>,
    /// The platform repository.
    pub platform: Option<PlatformSeen>,
    /// The `.env` files, in the order of the settings.
    pub env_files: Vec<EnvSeen>,
    /// The old instances, by database.
    pub sources: BTreeMap<String, SourceSeen>,
    /// The new instance.
    pub target: TargetSeen,
    /// Client programs.
    #[serde(default)]
    pub clients: AllClients,
    /// Redis.
    pub redis: RedisSeen,
    /// The application, where it answers already.
    pub application: Vec<RunningApplication>,
    /// Who holds the ports that services of the platform's stack publish, beside the target's own.
    #[serde(default)]
    pub held_ports: BTreeMap<u16, Holder>,
    /// What else may name the old places.
    #[serde(default)]
    pub old_names: OldNames,
    /// Free bytes where runs are kept.
    pub free_bytes: Option<u64>,
    /// Things that could not be looked at.
    pub findings: Vec<Finding>,
}

/// What looking needs.
pub struct Eyes<'a> {
    /// Where we are.
    pub workspace: &'a Workspace,
    /// The settings.
    pub settings: &'a Settings,
    /// Runs programs.
    pub runner: &'a Runner,
    /// Databases the person asked for; empty: all.
    pub only: &'a [String],
}

impl Eyes<'_> {
    /// Whether a database takes part.
    pub fn wants(&self, database: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == database)
    }
}

impl Observed {
    /// What the platform's Compose file says, where it can be read.
    pub fn stack(&self) -> Option<&StackSeen> {
        self.platform.as_ref()?.stack.as_ref()?.as_ref().ok()
    }

    /// The images of the target: what the Compose file starts, and what the client programs come from.
    pub fn images_of_target(&self, settings: &Settings) -> impl Iterator<Item = String> {
        let composed = self
            .stack()
            .and_then(|stack| stack.target.as_ref()?.image.clone());
        let composed = composed.filter(|_| settings.target.control == Control::Compose);
        composed.into_iter().chain([settings.target.image.clone()])
    }

    /// Every image that something may be started from.
    fn images(&self, settings: &Settings) -> Vec<String> {
        let others = self.stack().into_iter().flat_map(|stack| &stack.others);
        let redis = self
            .labeler
            .as_ref()
            .and_then(|labeler| labeler.redis_image.clone());
        let volumes = self
            .sources
            .iter()
            .filter(|(_, source)| matches!(source.state, SourceState::Volume(_)))
            .map(|(name, _)| settings.databases[name].source.image.clone());
        self.images_of_target(settings)
            .chain(others.filter_map(|service| service.image.clone()))
            .chain(redis)
            .chain(volumes)
            .collect()
    }

    /// Ports of the platform's services that are held.
    fn ports_held(&self, settings: &Settings, runner: &Runner) -> BTreeMap<u16, Holder> {
        let Some(stack) = self
            .stack()
            .filter(|_| settings.target.control == Control::Compose)
        else {
            return BTreeMap::new();
        };
        let target = stack.target.iter().flat_map(|service| &service.ports);
        let others = stack.others.iter().flat_map(|service| &service.ports);
        target
            .chain(others)
            .filter_map(|port| Some((*port, holder(&self.docker.containers, *port, runner)?)))
            .collect()
    }
}

/// Looks at everything. Secrets that are met go into `vault`.
pub fn observe(eyes: &Eyes<'_>, vault: &mut Vault) -> Observed {
    let mut findings = Vec::new();
    let docker = docker::look(eyes);
    let mut labeler = repositories::labeler(eyes);
    let mut platform = repositories::platform(eyes);
    let place = compose::ask(eyes, &docker, labeler.as_mut(), platform.as_mut());
    let env_files = env::look(eyes, labeler.as_ref(), vault);
    let table = labeler.as_ref().and_then(LabelerSeen::version_table);
    let sources = sources::look(eyes, &docker, &env_files, table, vault, &mut findings);
    let target = target::look(eyes, &docker, table, vault, &mut findings);
    if let Some(labeler) = &mut labeler {
        alembic::ask_from(eyes, labeler, sources.get(&eyes.settings.schema.database));
    }
    let clients = clients::look(eyes, &docker, &sources, &target);
    let redis = target::redis(eyes, &docker);
    let old_names = OldNames::of(
        eyes.settings,
        &env_files,
        &sources,
        labeler.as_ref(),
        platform.as_ref(),
    );
    findings.extend(old_names.still_there());
    findings.extend(application::missing_program(eyes));
    let application = application::look(eyes, &docker, labeler.as_ref());
    let free_bytes = infra::disk::free_bytes(&eyes.workspace.runs());
    let mut seen = Observed {
        docker,
        labeler,
        platform,
        env_files,
        sources,
        target,
        clients,
        redis,
        application,
        held_ports: BTreeMap::new(),
        old_names,
        free_bytes,
        findings,
    };
    let images = seen.images(eyes.settings);
    docker::missing_images(eyes, &mut seen.docker, images);
    seen.held_ports = seen.ports_held(eyes.settings, eyes.runner);
    seen.target.data = storage::target(eyes, &seen);
    seen.target.place = place.filter(|_| seen.target.container.is_none() && seen.docker.problem.is_none());
    // What cannot be told of it here is told where it matters, by the step that starts the target.
    let place = seen.target.place.as_ref().and_then(|place| place.as_ref().ok());
    let volume = place.and_then(|place| volume::existing(place, &seen).ok().flatten());
    seen.target.space = space::look(eyes, &seen, place);
    seen.target.volume = volume;
    seen
}
