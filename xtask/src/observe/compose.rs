//! What Compose says of the projects that a run starts: each is asked about once.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use infra::compose::{Config, Place, Program, Project, Refused};

use super::stack::{StackSeen, target_project};
use super::volume::project_name;
use super::{DockerSeen, Eyes, LabelerSeen, PlatformSeen};
use crate::config::{Control, Settings};

/// A checkout's Compose files, as every command of ours gives them to Compose.
pub fn checkout_project(
    program: Program,
    file: PathBuf,
    laid_over: Option<PathBuf>,
    name: &str,
    env: &BTreeMap<String, String>,
) -> Project {
    Project {
        program,
        file,
        laid_over,
        name: (!name.is_empty()).then(|| name.to_owned()),
        env: env.clone().into_iter().collect(),
    }
}

/// The labeler's project; `None` without its Compose file or a Compose program.
pub fn labeler_project(settings: &Settings, docker: &DockerSeen, seen: &LabelerSeen) -> Option<Project> {
    let (program, _) = docker.compose.as_ref()?;
    let (file, over) = (seen.compose_file.clone()?, seen.compose_override.clone());
    let labeler = &settings.labeler;
    Some(checkout_project(
        *program,
        file,
        over,
        &labeler.compose_project,
        &labeler.compose_env,
    ))
}

/// Asks what the target's project and Redis's are, and keeps the answers. Returns where the target's data lie.
pub(super) fn ask(
    eyes: &Eyes<'_>,
    docker: &DockerSeen,
    labeler: Option<&mut LabelerSeen>,
    platform: Option<&mut PlatformSeen>,
) -> Option<Result<Place, String>> {
    let settings = eyes.settings;
    let answer = OnceCell::new();
    let target = || {
        let project = || target_project(eyes.workspace, settings, docker, platform.as_deref());
        answer.get_or_init(|| Some(project()?.read(eyes.runner))).as_ref()
    };
    if let Some(labeler) = labeler.filter(|_| settings.redis.control == Control::Compose) {
        let own = labeler_project(settings, docker, labeler).map(|project| project.read(eyes.runner));
        // Without a checkout of either repository our own file has a Redis.
        let config = own.as_ref().or_else(|| target().filter(|_| platform.is_none()));
        labeler.redis_image = config.and_then(|config| {
            config
                .as_ref()
                .ok()?
                .service(&settings.redis.service)?
                .image
                .clone()
        });
    }
    if settings.target.control == Control::Compose {
        target();
    }
    let answer = answer.into_inner().flatten()?;
    let name = project_name(settings, platform.as_deref());
    let place = place(&answer, settings, name.as_deref());
    if let Some(platform) = platform.filter(|platform| platform.compose_file.is_some()) {
        platform.stack = Some(answer.map(|config| StackSeen::of(&config, &settings.target)));
    }
    Some(place)
}

fn place(answer: &Result<Config, Refused>, settings: &Settings, name: Option<&str>) -> Result<Place, String> {
    let config = answer.as_ref().map_err(ToString::to_string)?;
    let name = name.ok_or("the name of the Compose project cannot be told")?;
    let place = config.data_place(&settings.target.service, name);
    place.ok_or_else(|| format!("{} names no volume for its data", config.path.display()))
}
