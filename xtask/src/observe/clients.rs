//! The client programs that may dump a source and restore it on the target: those of the target, of the source, and what
//! else this machine has, each with its version. Nothing is asked where both sides have the same programs.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use infra::docker::{self, Container};
use infra::postgres::{Clients, programs, release};
use serde::{Deserialize, Serialize};

use super::{DockerSeen, Eyes, Observed, SourceSeen, SourceState, TargetSeen};
use crate::config::Control;

/// A version, or why it cannot be told.
pub type Version = Result<u32, String>;

/// Client programs of one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramsSeen {
    /// Where they are.
    pub clients: Clients,
    /// The image or folder as people know it.
    pub name: String,
    /// Their version.
    pub version: Version,
}

/// What can dump one database and restore it on the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientsSeen {
    /// Source and target have the same programs.
    Same(Clients),
    /// Different programs.
    Different {
        /// Version of the source's server.
        source: Version,
        /// Version of the target's server, or of what will start; `None` while its image is not on this machine: the step
        /// that pulls it asks.
        target: Option<Version>,
        /// Programs in order of preference.
        programs: Vec<ProgramsSeen>,
    },
}

/// What there is for each database that can be moved, and for one that the target serves already.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AllClients {
    /// By database.
    pub sources: BTreeMap<String, ClientsSeen>,
    /// Of the target; `None` while nothing of it is here.
    pub target: Option<ClientsSeen>,
    /// The extensions that a target which does not run will offer; asked where a source uses some and has other programs.
    #[serde(default)]
    pub extensions: Option<Vec<String>>,
}

/// A place that has client programs.
#[derive(Clone)]
struct Place {
    clients: Clients,
    /// The image's id or the folder: two places with one are one.
    id: String,
    name: String,
}

/// Asks each place once.
struct Asking<'a> {
    eyes: &'a Eyes<'a>,
    images: BTreeMap<String, Option<String>>,
    versions: BTreeMap<String, Version>,
}

pub(super) fn look(
    eyes: &Eyes<'_>,
    docker: &DockerSeen,
    sources: &BTreeMap<String, SourceSeen>,
    target: &TargetSeen,
) -> AllClients {
    if docker.needed && docker.engine.is_none() {
        return AllClients::default();
    }
    let mut asking = Asking::new(eyes);
    let theirs = asking.of_target(target);
    let there = sources
        .iter()
        .filter(|(_, source)| !matches!(source.state, SourceState::Absent | SourceState::SeveralVolumes(_)));
    let seen = there.map(|(name, source)| (name.clone(), asking.one(name, source, target, &theirs)));
    let seen: BTreeMap<String, ClientsSeen> = seen.collect();
    let unseen = target.server.is_none() && eyes.settings.target.control != Control::External;
    let has_some = |name: &String| {
        let database = sources.get(name).and_then(|source| source.database.as_ref());
        database.is_some_and(|database| !database.extensions.is_empty())
    };
    let wanted = unseen
        && seen
            .iter()
            .any(|(name, seen)| !matches!(seen, ClientsSeen::Same(_)) && has_some(name));
    let offered = theirs.first().filter(|_| wanted);
    AllClients {
        extensions: offered.and_then(|place| programs::extensions(eyes.runner, &place.clients).ok()),
        target: asking.of_served(target, &theirs),
        sources: seen,
    }
}

/// What can restore an archive on the target: a server of version `from` was dumped, and it may be gone.
pub fn for_archive(eyes: &Eyes<'_>, seen: &Observed, database: &str, from: u32) -> ClientsSeen {
    let mut asking = Asking::new(eyes);
    let theirs = asking.of_target(&seen.target);
    let to = seen.target.server.as_ref().map(|server| server.version_num);
    if let (Some(place), Some(to)) = (theirs.first(), to)
        && release::compare(to, from).is_some_and(Ordering::is_ge)
        && seen.target.container.is_some()
    {
        return ClientsSeen::Same(place.clients.clone());
    }
    let source = seen.sources.get(database);
    let own = source.map_or_else(Vec::new, |source| asking.of_source(database, source));
    let to = to.ok_or_else(|| SILENT.to_owned());
    asking.different(
        Ok(from),
        Some(to),
        [theirs, own].concat(),
        in_image(eyes.settings.target.control),
    )
}

/// Why the version of a server that does not answer is not known.
const SILENT: &str = "the server does not answer";

/// Whether the programs of an instance under this control are an image's.
pub fn in_image(control: Control) -> bool {
    matches!(control, Control::Compose | Control::Container)
}

impl<'a> Asking<'a> {
    fn new(eyes: &'a Eyes<'a>) -> Self {
        Self {
            eyes,
            images: BTreeMap::new(),
            versions: BTreeMap::new(),
        }
    }

    fn one(&mut self, name: &str, source: &SourceSeen, target: &TargetSeen, theirs: &[Place]) -> ClientsSeen {
        let own = self.of_source(name, source);
        if let (Some(own), Some(theirs)) = (own.first(), theirs.first())
            && own.id == theirs.id
        {
            return ClientsSeen::Same(theirs.clients.clone());
        }
        let from = match (&source.server, own.first()) {
            (Some(server), _) => Ok(server.version_num),
            (None, Some(own)) => self.version(own),
            (None, None) => Err(match &source.state {
                SourceState::Volume(_) => {
                    let image = &self.eyes.settings.databases[name].source.image;
                    format!("image {image} is not on this machine (docker pull {image})")
                }
                _ => SILENT.to_owned(),
            }),
        };
        let to = match (&target.server, theirs.first()) {
            (Some(server), _) => Some(Ok(server.version_num)),
            (None, _) if self.eyes.settings.target.control == Control::External => {
                Some(Err(SILENT.to_owned()))
            }
            (None, Some(theirs)) => Some(self.version(theirs)),
            (None, None) => None,
        };
        let all_in_images = in_image(self.eyes.settings.target.control)
            && matches!(source.state, SourceState::Container(_) | SourceState::Volume(_));
        self.different(from, to, [theirs, &own].concat(), all_in_images)
    }

    /// The target as a source of its own.
    fn of_served(&mut self, target: &TargetSeen, theirs: &[Place]) -> Option<ClientsSeen> {
        let place = theirs.first()?;
        let server = target.server.as_ref()?.version_num;
        Some(match self.eyes.settings.target.control {
            Control::External => self.different(Ok(server), Some(Ok(server)), theirs.to_vec(), false),
            _ => ClientsSeen::Same(place.clients.clone()),
        })
    }

    /// These places, and what else this machine has where its programs are wanted and none of them serves.
    fn different(
        &mut self,
        source: Version,
        target: Option<Version>,
        mut places: Vec<Place>,
        all_in_images: bool,
    ) -> ClientsSeen {
        let machine = |clients: &Clients| matches!(clients, Clients::Machine { .. });
        if !all_in_images && !places.iter().any(|place| machine(&place.clients)) {
            places.extend(folder(&self.eyes.settings.target.bin));
        }
        let mut programs: Vec<ProgramsSeen> = places.iter().map(|place| self.seen(place)).collect();
        let fits = |one: &ProgramsSeen| match (&one.version, &source, &target) {
            (Ok(client), Ok(from), Some(Ok(to))) => {
                machine(&one.clients) && release::serves(*client, *from, *to) == Some(true)
            }
            _ => false,
        };
        if !all_in_images && !programs.iter().any(fits) {
            for bin in programs::installed() {
                let other = folder(&bin).filter(|place| places.iter().all(|known| known.id != place.id));
                programs.extend(other.map(|place| self.seen(&place)));
            }
        }
        ClientsSeen::Different {
            source,
            target,
            programs,
        }
    }

    /// The target's programs, those of its server first; none while its image is not on this machine.
    fn of_target(&mut self, target: &TargetSeen) -> Vec<Place> {
        let settings = &self.eyes.settings.target;
        if !in_image(settings.control) {
            return folder(&settings.bin).into_iter().collect();
        }
        match &target.container {
            Some(container) => self.of_container(container),
            None => self.of_image(&settings.image).into_iter().collect(),
        }
    }

    fn of_source(&mut self, name: &str, source: &SourceSeen) -> Vec<Place> {
        let Some(database) = self.eyes.settings.databases.get(name) else {
            return Vec::new();
        };
        match &source.state {
            SourceState::Container(container) => self.of_container(container),
            SourceState::Volume(_) => self.of_image(&database.source.image).into_iter().collect(),
            SourceState::Cluster { cluster, .. } => folder(&cluster.bin).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// The image that a container runs, by its name where that still means the same image; and the image that the name
    /// means now, where it is another one.
    fn of_container(&mut self, container: &Container) -> Vec<Place> {
        let (id, name) = (&container.image_id, &container.image);
        let now = self.of_image(name);
        if let Some(now) = now.as_ref().filter(|now| now.id == *id) {
            return vec![now.clone()];
        }
        let own = Place {
            clients: image(id.clone()),
            id: id.clone(),
            name: format!("the image of container {}", container.name),
        };
        std::iter::once(own).chain(now).collect()
    }

    fn of_image(&mut self, name: &str) -> Option<Place> {
        Some(Place {
            clients: image(name.to_owned()),
            id: self.image(name)?,
            name: name.to_owned(),
        })
    }

    fn image(&mut self, name: &str) -> Option<String> {
        let runner = self.eyes.runner;
        let ask = || docker::image_id(runner, name).ok().flatten();
        self.images.entry(name.to_owned()).or_insert_with(ask).clone()
    }

    fn version(&mut self, place: &Place) -> Version {
        let runner = self.eyes.runner;
        let ask = || programs::version(runner, &place.clients, "pg_dump").map_err(|error| error.to_string());
        self.versions.entry(place.id.clone()).or_insert_with(ask).clone()
    }

    fn seen(&mut self, place: &Place) -> ProgramsSeen {
        ProgramsSeen {
            clients: place.clients.clone(),
            name: place.name.clone(),
            version: self.version(place),
        }
    }
}

fn image(image: String) -> Clients {
    Clients::Image {
        image,
        run: String::new(),
    }
}

/// A `bin` folder of this machine; an empty path is PATH.
fn folder(bin: &Path) -> Option<Place> {
    let named = !bin.as_os_str().is_empty();
    let place = match named {
        true => bin.to_owned(),
        false => infra::command::find_program("pg_dump")?.parent()?.to_owned(),
    };
    let id = std::fs::canonicalize(&place).unwrap_or_else(|_| place.clone());
    Some(Place {
        clients: Clients::Machine {
            bin: named.then(|| bin.to_owned()),
        },
        id: id.display().to_string(),
        name: place.display().to_string(),
    })
}
