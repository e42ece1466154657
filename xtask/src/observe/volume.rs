//! Where the data of a target lie whose container is gone.

use infra::compose::Place;

use super::stack::target_project;
use super::{Eyes, Observed};
use crate::config::{Control, Settings};

/// The place of the data, as Compose reads the file; `None` where the container says it, or nobody can.
pub(super) fn place(eyes: &Eyes<'_>, seen: &Observed) -> Option<Result<Place, String>> {
    let settings = eyes.settings;
    let asked = settings.target.control == Control::Compose
        && seen.target.container.is_none()
        && seen.docker.problem.is_none();
    if !asked {
        return None;
    }
    let project = target_project(eyes.workspace, settings, &seen.docker, seen.platform.as_ref())?;
    let Some(name) = project_of_target(settings, seen) else {
        return Some(Err("the name of the Compose project cannot be told".to_owned()));
    };
    Some(
        match project.data_place(eyes.runner, &settings.target.service, &name) {
            Ok(Some(place)) => Ok(place),
            Ok(None) => Err(format!("{} names no volume for its data", project.file.display())),
            Err(error) => Err(error.to_string()),
        },
    )
}

/// The volume, when it is there.
pub(super) fn existing(place: Result<Place, String>, seen: &Observed) -> Result<Option<String>, String> {
    match place? {
        Place::Volume(name) => {
            let there = seen.docker.volumes.iter().any(|volume| volume.name == name);
            Ok(there.then_some(name))
        }
        Place::Folder(folder) => Err(format!("the data lie in {}, not in a volume", folder.display())),
    }
}

/// The project's name that Compose would use for the target.
pub fn project_of_target(settings: &Settings, seen: &Observed) -> Option<String> {
    let checkout = seen
        .platform
        .as_ref()
        .and_then(|platform| platform.compose_file.as_ref());
    match (settings.platform.compose_project.as_str(), checkout) {
        ("", None) => Some("platform".to_owned()),
        ("", Some(file)) => Some(project_of(file.parent()?.file_name()?.to_str()?)),
        (named, _) => Some(named.to_owned()),
    }
}

/// The project's name that Compose makes from a folder's: lower case, and only letters, digits, `-` and `_`.
fn project_of(folder: &str) -> String {
    let lower = folder.to_lowercase();
    let kept: String = lower
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_')
        .collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projects_name_comes_from_the_folders() {
        assert_eq!(project_of("Vision AI.Platform"), "visionaiplatform");
        assert_eq!(project_of("_infra-structure"), "infra-structure");
    }
}
