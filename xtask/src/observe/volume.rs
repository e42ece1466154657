//! Where the data of a target lie whose container is gone.

use infra::compose::Place;

use super::{Observed, PlatformSeen};
use crate::config::Settings;

/// The volume, when it is there.
pub(super) fn existing(place: &Place, seen: &Observed) -> Result<Option<String>, String> {
    match place {
        Place::Volume(name) => {
            let there = seen.docker.volumes.iter().any(|volume| volume.name == *name);
            Ok(there.then(|| name.clone()))
        }
        Place::Folder(folder) => Err(format!("the data lie in {}, not in a volume", folder.display())),
    }
}

/// The project's name that Compose would use for the target.
pub fn project_of_target(settings: &Settings, seen: &Observed) -> Option<String> {
    project_name(settings, seen.platform.as_ref())
}

pub(super) fn project_name(settings: &Settings, platform: Option<&PlatformSeen>) -> Option<String> {
    let checkout = platform.and_then(|platform| platform.compose_file.as_ref());
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
