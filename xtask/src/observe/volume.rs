//! Whether the volume of a target whose container is gone is still there.

use infra::compose::file::{ComposeFile, Service};
use infra::docker::Volume;

use super::{Eyes, Observed};
use crate::config::{Control, Settings};

/// Where the image keeps its data.
const DATA: &str = "/var/lib/postgresql";

pub(super) fn look(eyes: &Eyes<'_>, seen: &Observed) -> Option<Result<Option<String>, String>> {
    let settings = eyes.settings;
    let asked = settings.target.control == Control::Compose
        && seen.target.container.is_none()
        && seen.docker.problem.is_none();
    if !asked {
        return None;
    }
    let own = eyes.workspace.unified_compose();
    let checkout = seen
        .platform
        .as_ref()
        .and_then(|platform| platform.compose_file.clone());
    let path = checkout.unwrap_or(own);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return Some(Err(format!("{} cannot be read: {error}", path.display()))),
    };
    let lookup = |name: &str| settings.platform.compose_env.get(name).cloned();
    let file = match infra::compose::read_with_override(&path, text.trim_start_matches('\u{feff}'), &lookup) {
        Ok(file) => file,
        Err(error) => return Some(Err(format!("{}: {error}", path.display()))),
    };
    let Some(short) = short_name(&file, &settings.target.services) else {
        return Some(Err(format!("{} names no volume for its data", path.display())));
    };
    let Some(project) = project_of_target(settings, seen) else {
        return Some(Err("the name of the Compose project cannot be told".to_owned()));
    };
    Some(Ok(find(&seen.docker.volumes, &project, &short)))
}

/// The volume of the service that keeps PostgreSQL's data, as the file calls it.
fn short_name(file: &ComposeFile, services: &[String]) -> Option<String> {
    let wanted = |service: &&Service| services.is_empty() || services.contains(&service.name);
    let mut mounts = file
        .services
        .iter()
        .filter(wanted)
        .flat_map(|service| &service.mounts);
    let mount = mounts.find(|mount| mount.target.starts_with(DATA))?;
    // A folder of this machine is no volume.
    let named = !mount.source.contains(['/', '\\']) && !mount.source.starts_with('.');
    named.then(|| mount.source.clone())
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

/// The one that Compose would use, and no other project's.
fn find(volumes: &[Volume], project: &str, short: &str) -> Option<String> {
    let fits = |volume: &&Volume| {
        let label = |name: &str| {
            volume
                .labels
                .get(&format!("com.docker.compose.{name}"))
                .map(String::as_str)
        };
        match (label("project"), label("volume")) {
            (Some(of), Some(name)) => of == project && name == short,
            _ => volume.name == format!("{project}_{short}"),
        }
    };
    volumes.iter().find(fits).map(|volume| volume.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_volume_of_the_data_is_found_by_the_name_that_the_file_gives_it() {
        let text = "services:\n  postgres:\n    image: postgres\n    volumes:\n      - ./init:/docker-entrypoint-initdb.d\n      \
                    - postgres_data:/var/lib/postgresql/data\n  redis:\n    volumes:\n      - redis_data:/data\n";
        let file = infra::compose::read(std::path::Path::new("compose.yaml"), text, &|_| None).unwrap();
        assert_eq!(short_name(&file, &[]).as_deref(), Some("postgres_data"));
        assert_eq!(short_name(&file, &["redis".to_owned()]), None);
        let volume = |name: &str| Volume {
            name: name.to_owned(),
            labels: std::collections::BTreeMap::new(),
            memory: false,
        };
        let there = [volume("platform_redis_data"), volume("platform_postgres_data")];
        assert_eq!(
            find(&there, "platform", "postgres_data").as_deref(),
            Some("platform_postgres_data")
        );
        assert_eq!(find(&there[..1], "platform", "postgres_data"), None);
        // Another checkout's is not ours.
        assert_eq!(find(&there, "other", "postgres_data"), None);
    }

    #[test]
    fn a_projects_name_comes_from_the_folders() {
        assert_eq!(project_of("Vision AI.Platform"), "visionaiplatform");
        assert_eq!(project_of("_infra-structure"), "infra-structure");
    }
}
