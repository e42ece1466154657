//! Where the data of an old instance lie, and whether they outlive a stop.

use infra::docker::{self, Container, Mount};
use infra::postgres::container::{self, Found, Start, Storage};
use infra::postgres::facts::ServerFacts;
use serde::{Deserialize, Serialize};

use super::stack::TargetService;
use super::{DockerSeen, Eyes, Observed, SourceState};
use crate::config::Control;

/// Where the data of an old instance lie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageSeen {
    /// Not asked: the instance is no container and no volume.
    #[default]
    Elsewhere,
    /// In a container.
    Container {
        /// The data folder inside.
        folder: String,
        /// What becomes of it.
        storage: Storage,
        /// The shell script that starts the server, where one does.
        script: Option<String>,
    },
    /// In a volume whose container is gone.
    Volume(Found),
    /// The volume or mount of this name holds no data folder where one should be, but these.
    Unfit {
        /// The volume, or the folder of this machine.
        source: String,
        /// The folder that should be there; empty where any would do.
        wanted: String,
        /// The folders that are there.
        found: Vec<String>,
    },
    /// It cannot be told, and why.
    Problem(String),
}

pub(super) fn look(
    eyes: &Eyes<'_>,
    docker: &DockerSeen,
    name: &str,
    state: &SourceState,
    server: Option<&ServerFacts>,
) -> StorageSeen {
    match state {
        SourceState::Container(container) => {
            let running = server.and_then(|server| server.data_directory.clone());
            let folder = running.unwrap_or_else(|| eyes.settings.source_folder(name, container));
            let storage = container::storage(container, &folder, &docker.volumes);
            if let (Storage::Kept(mount), false) = (&storage, container.is_running())
                && let Some(problem) = unfit(eyes, container, mount, &folder)
            {
                return problem;
            }
            StorageSeen::Container {
                folder,
                storage,
                script: Start::of(container).err(),
            }
        }
        SourceState::Volume(volume) => in_volume(eyes, name, volume),
        _ => StorageSeen::Elsewhere,
    }
}

/// A stopped container cannot be asked where its data are: its mount is looked into.
fn unfit(eyes: &Eyes<'_>, container: &Container, mount: &Mount, folder: &str) -> Option<StorageSeen> {
    let source = mount.volume.as_ref().unwrap_or(&mount.source);
    let image = match container.image_id.as_str() {
        "" => &container.image,
        id => id,
    };
    match container::data_folders(eyes.runner, source, image) {
        Err(error) => Some(StorageSeen::Problem(error.to_string())),
        Ok(found) => {
            let found: Vec<String> = found
                .iter()
                .map(|found| found.path_in(&mount.destination))
                .collect();
            (!found.iter().any(|path| path == folder)).then(|| StorageSeen::Unfit {
                source: source.clone(),
                wanted: folder.to_owned(),
                found,
            })
        }
    }
}

fn in_volume(eyes: &Eyes<'_>, name: &str, volume: &str) -> StorageSeen {
    let source = &eyes.settings.databases[name].source;
    match docker::image_id(eyes.runner, &source.image) {
        Ok(Some(_)) => {}
        Ok(None) => {
            let problem = format!(
                "image {} is not on this machine: volume {volume} cannot be read",
                source.image
            );
            return StorageSeen::Problem(problem);
        }
        Err(error) => return StorageSeen::Problem(error.to_string()),
    }
    let found = match container::data_folders(eyes.runner, volume, &source.image) {
        Ok(found) => found,
        Err(error) => return StorageSeen::Problem(error.to_string()),
    };
    let wanted = source.data.display().to_string();
    let fits = |found: &&Found| wanted.is_empty() || found.folder == wanted.trim_start_matches('/');
    match found.iter().filter(fits).collect::<Vec<_>>().as_slice() {
        [only] => StorageSeen::Volume((*only).clone()),
        _ => StorageSeen::Unfit {
            source: volume.to_owned(),
            wanted,
            found: found
                .into_iter()
                .map(|found| format!("/{}", found.folder))
                .collect(),
        },
    }
}

/// Where the target's data lie, or will once its service is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetData {
    /// The data folder inside its container.
    pub folder: String,
    /// What becomes of it.
    pub storage: Storage,
}

/// Of a target in a container: as its container says, else as its Compose service and image do.
pub(super) fn target(eyes: &Eyes<'_>, seen: &Observed) -> Option<TargetData> {
    let settings = &eyes.settings.target;
    if !matches!(settings.control, Control::Compose | Control::Container) || seen.docker.problem.is_some() {
        return None;
    }
    if let Some(container) = &seen.target.container {
        let server = seen.target.server.as_ref();
        let folder = server.and_then(|server| server.data_directory.clone());
        let folder = folder.unwrap_or_else(|| container::data_folder(container));
        let storage = container::storage(container, &folder, &seen.docker.volumes);
        return Some(TargetData { folder, storage });
    }
    let stack = seen.platform.as_ref()?.stack.as_ref()?.as_ref().ok()?;
    let service = stack.target.as_ref()?;
    let image = service.image.as_ref().unwrap_or(&settings.image);
    // An image that is not here is looked at once it was pulled, by the step that starts the target.
    let image = docker::image_data(eyes.runner, image).ok().flatten()?;
    Some(composed(service, &image))
}

fn composed(service: &TargetService, image: &docker::ImageData) -> TargetData {
    let folder = service.data_folder.clone().or_else(|| image.folder.clone());
    let folder = folder.unwrap_or_else(|| container::DATA.to_owned());
    let holds = |mount: &&String| std::path::Path::new(&folder).starts_with(mount.as_str());
    let depth = |mount: &&String| mount.len();
    let mounted = service
        .mounts
        .iter()
        .map(|(_, target)| target)
        .filter(holds)
        .max_by_key(depth);
    let unnamed = image.volumes.iter().filter(holds).max_by_key(depth);
    let storage = match (mounted, unnamed) {
        (Some(mounted), Some(unnamed)) if unnamed.len() > mounted.len() => Storage::RemovedWithContainer,
        (Some(mounted), _) => {
            let source = service.mounts.iter().find(|(_, target)| target == mounted);
            let source = source.map(|(source, _)| source.clone()).unwrap_or_default();
            Storage::Kept(Mount {
                volume: None,
                memory: false,
                read_only: false,
                source,
                destination: mounted.clone(),
            })
        }
        (None, Some(_)) => Storage::RemovedWithContainer,
        (None, None) => Storage::Layer,
    };
    TargetData { folder, storage }
}
