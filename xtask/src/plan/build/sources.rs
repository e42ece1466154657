//! The sources: how each is fenced, read, and closed.

use anyhow::{Context, bail};

use super::Builder;
use crate::config::{Control, SecretName};
use crate::observe::{ExternalSeen, SourceSeen, SourceState, servers};
use crate::plan::action::*;
use crate::plan::socket_dir;

impl Builder<'_> {
    /// One fence for each source that is there.
    pub(super) fn fences(&self) -> anyhow::Result<Vec<Fence>> {
        let mut fences = Vec::new();
        for (name, source) in &self.seen.sources {
            if source.state == SourceState::Absent {
                continue;
            }
            let settings = &self.settings.databases[name].source;
            let fenced = self.fenced(name, source, fences.len())?;
            let user = match (&fenced, &source.state) {
                (Fenced::External(external), _) => external.instance.user.clone(),
                (_, SourceState::Container(container)) if container.postgres_user.is_some() => {
                    container.postgres_user.clone().unwrap_or_default()
                }
                _ => settings.user.clone(),
            };
            fences.push(Fence {
                database: name.clone(),
                source_database: settings.database.clone(),
                fenced,
                user,
                clients: servers::clients(&self.settings.target, self.request.run.as_str()),
                run: self.request.run.clone(),
            });
        }
        if fences.is_empty() {
            bail!("there is no source to migrate");
        }
        Ok(fences)
    }

    fn fenced(&self, name: &str, source: &SourceSeen, number: usize) -> anyhow::Result<Fenced> {
        Ok(match &source.state {
            SourceState::Container(container) => Fenced::Container {
                name: container.name.clone(),
                id: container.id.clone(),
                image: container.image.clone(),
                pgdata: container.pgdata.clone(),
                restart: container.restart.clone(),
                was_running: source.running,
                data: container
                    .data_mount()
                    .map(|m| m.volume.clone().unwrap_or(m.source.clone())),
            },
            SourceState::Volume(volume) => Fenced::Volume {
                volume: volume.clone(),
                image: self.settings.databases[name].source.image.clone(),
            },
            SourceState::Cluster { cluster, port } => Fenced::Cluster {
                cluster: cluster.clone(),
                was_on: *port,
                socket_dir: socket_dir(self.request.run.as_str(), name),
                reader_port: *self
                    .request
                    .reader_ports
                    .get(number)
                    .context("no port was reserved for a reader")?,
            },
            SourceState::External => {
                let seen = source
                    .external
                    .as_ref()
                    .context("the external source was not seen")?;
                Fenced::External(self.external(name, seen))
            }
            SourceState::SeveralVolumes(_) | SourceState::Absent => {
                bail!("the source of {name} cannot be fenced")
            }
        })
    }

    fn external(&self, name: &str, seen: &ExternalSeen) -> External {
        let source = &self.settings.databases[name].source;
        let server = servers::over_tcp(
            format!("source {name}"),
            &seen.host,
            seen.port,
            &seen.user,
            None,
            &self.settings.target,
        );
        let server = infra::postgres::Server {
            options: source.connection.options(),
            ..server
        };
        let closable = seen.is_closable();
        External {
            instance: Instance::of(server, SecretName::Source(name.to_owned())),
            // Where another database cannot be used, the one that is moved has to answer for itself.
            maintenance_database: match seen.maintenance_problem {
                None => servers::maintenance_database(source).to_owned(),
                Some(_) => source.database.clone(),
            },
            closable,
            vouched: !closable && self.request.accept_unfenced,
        }
    }

    /// The images that are missing of what the run starts: the target, Redis, and readers of volumes.
    pub(super) fn images(&self) -> Option<Images> {
        let (settings, seen) = (self.settings, self.seen);
        let target = match settings.target.control {
            Control::Compose => seen.images_of_target(settings).collect(),
            _ => Vec::new(),
        };
        let starts_redis = settings.redis.control == Control::Compose && !seen.redis.answers;
        let redis = seen.labeler.as_ref().filter(|_| starts_redis);
        let volumes = seen
            .sources
            .iter()
            .filter(|(_, source)| matches!(source.state, SourceState::Volume(_)))
            .map(|(name, _)| &settings.databases[name].source.image);
        let mut images: Vec<String> = target
            .into_iter()
            .chain(redis.and_then(|labeler| labeler.redis_image.clone()))
            .chain(volumes.cloned())
            .filter(|image| seen.docker.missing_images.contains(image))
            .collect();
        images.sort();
        images.dedup();
        (!images.is_empty()).then_some(Images {
            images,
            limit_seconds: settings.limits.image_pull_seconds,
        })
    }

    /// The backup of all sources.
    pub(super) fn backup(&self, fences: &[Fence]) -> Backup {
        let databases = fences.iter().map(|fence| BackupDatabase {
            name: fence.database.clone(),
            source_database: fence.source_database.clone(),
            reader: fence.reader(),
            watched: fence.external().is_some(),
        });
        Backup {
            databases: databases.collect(),
            folder: self.folder.join("backup"),
            jobs: self.settings.limits.jobs(),
        }
    }

    /// Upload of the backup of external sources, where a bucket is set.
    pub(super) fn upload(&self, fences: &[Fence]) -> Option<Upload> {
        let storage = &self.settings.storage;
        let wanted = !storage.bucket.is_empty() && !external(fences).is_empty();
        wanted.then(|| Upload {
            folder: self.folder.join("backup"),
            storage: storage.clone(),
        })
    }

    /// The external sources, to be closed; `None` when there are none.
    pub(super) fn seal(&self, fences: &[Fence]) -> Option<Seal> {
        let fences = external(fences);
        (!fences.is_empty()).then(|| Seal {
            fences,
            folder: self.folder.join("backup"),
        })
    }
}

/// The fences of external sources.
pub(super) fn external(fences: &[Fence]) -> Vec<Fence> {
    fences
        .iter()
        .filter(|fence| fence.external().is_some())
        .cloned()
        .collect()
}
