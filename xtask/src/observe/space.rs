//! Free space where the target's data lie, or will lie.

use std::path::Path;

use infra::compose::Place;
use infra::postgres::container;
use infra::{disk, docker};
use serde::{Deserialize, Serialize};

use super::{Eyes, Observed, servers};
use crate::config::Control;

/// Free space of a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceSeen {
    /// The place, for people.
    pub place: String,
    /// Free bytes.
    pub free: u64,
}

/// Space for the target's data; `None` where it cannot be told. `place` is where Compose puts the data of a container that is
/// not there.
pub(super) fn look(eyes: &Eyes<'_>, seen: &Observed, place: Option<&Place>) -> Option<SpaceSeen> {
    match eyes.settings.target.control {
        Control::External | Control::None => return None,
        Control::PgCtl => {
            let data = servers::target_cluster(&eyes.settings.target).data;
            let free = disk::free_bytes(&data).filter(|_| seen.target.exists)?;
            let place = data.display().to_string();
            return Some(SpaceSeen { place, free });
        }
        Control::Compose | Control::Container => {}
    }
    let Some(container) = &seen.target.container else {
        return of_place(eyes, seen, place?);
    };
    if container.status == "running" {
        let data = container::data_folder(container);
        let free = docker::free_bytes(eyes.runner, &container.name, &data)?;
        let place = format!("{data} of container {}", container.name);
        return Some(SpaceSeen { place, free });
    }
    let mount = container.mount_of(&container::data_folder(container))?;
    let place = match &mount.volume {
        Some(volume) => Place::Volume(volume.clone()),
        None => Place::Folder(mount.source.clone().into()),
    };
    of_place(eyes, seen, &place)
}

fn of_place(eyes: &Eyes<'_>, seen: &Observed, place: &Place) -> Option<SpaceSeen> {
    let (volume, place) = match place {
        Place::Folder(folder) => return of_folder(folder),
        Place::Volume(name) if seen.docker.volumes.iter().any(|volume| volume.name == *name) => {
            (Some(name.as_str()), format!("volume {name}"))
        }
        // It is made among the engine's own data.
        Place::Volume(_) => (None, "the Docker engine's data".to_owned()),
    };
    let image = seen
        .images_of_target(eyes.settings)
        .find(|image| !seen.docker.missing_images.contains(image))?;
    let free = docker::free_bytes_of(eyes.runner, &image, volume)?;
    Some(SpaceSeen { place, free })
}

fn of_folder(folder: &Path) -> Option<SpaceSeen> {
    let free = disk::free_bytes(folder)?;
    let place = folder.display().to_string();
    Some(SpaceSeen { place, free })
}
