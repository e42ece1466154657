//! Whether the data of the instances outlive what the run does with them.

use infra::docker::Container;
use infra::postgres::container::Storage;

use super::Case;
use crate::config::Settings;
use crate::model::Finding;
use crate::observe::{SourceState, StorageSeen};

/// Stopping an old instance must not destroy its data, and a reader must find them.
pub(super) fn sources(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for (name, source) in &case.seen.sources {
        let finding = match (&source.storage, &source.state) {
            (
                StorageSeen::Container {
                    folder,
                    storage,
                    script,
                },
                SourceState::Container(container),
            ) => stored(name, container, folder, storage, source.running)
                .or_else(|| script.as_ref().map(|script| scripted(name, container, script))),
            (
                StorageSeen::Unfit {
                    source,
                    wanted,
                    found,
                },
                _,
            ) => Some(unfit(name, source, wanted, found)),
            (StorageSeen::Problem(problem), _) => Some(unknown(case.settings, name, problem)),
            _ => None,
        };
        findings.extend(finding);
    }
}

fn stored(
    name: &str,
    container: &Container,
    folder: &str,
    storage: &Storage,
    running: bool,
) -> Option<Finding> {
    let id = format!("source.{name}.storage");
    let container = &container.name;
    let save = format!("cargo xtask backup create --only {name}");
    let saved = "the migration stops the old server; save its data first, and move them to a container with a named volume";
    Some(match storage {
        Storage::Kept(_) => return None,
        Storage::RemovedWithContainer => Finding::error(
            id,
            format!("stopping container {container} deletes the data of {name}: it was started with --rm, and its volume has no name"),
        )
        .wanted(saved)
        .hint(save),
        Storage::LosesContainer(mount) => {
            let finding = Finding::error(
                id,
                format!("container {container} was started with --rm: stopping it removes it, and nothing could start it again"),
            );
            match &mount.volume {
                Some(volume) => finding
                    .wanted(format!("stop it yourself; its data stay in volume {volume}, which is migrated without the container"))
                    .hint(format!("docker stop -t 120 {container}"))
                    .hint(format!("cargo xtask migrate --set 'databases.{name}.source.volumes=[\"{volume}\"]'")),
                None => finding
                    .wanted(format!("the same container without --rm, on {}", mount.source))
                    .hint(save),
            }
        }
        Storage::Memory => Finding::error(
            id,
            format!("the data folder of {name}, {folder} in container {container}, lies in memory: a stop empties it"),
        )
        .wanted(saved)
        .hint(save),
        Storage::Layer => {
            let finding = Finding::error(
                id,
                format!(
                    "the data folder of {name}, {folder} in container {container}, lies in no volume: no other container can \
                     read it"
                ),
            )
            .wanted(saved);
            match running {
                true => finding.hint(save),
                false => finding.hint(format!("docker start {container}")).hint(save),
            }
        }
    })
}

fn scripted(name: &str, container: &Container, script: &str) -> Finding {
    Finding::error(
        format!("source.{name}.script"),
        format!(
            "container {} starts its server with a shell script ({script}): a read-only copy of that server cannot be started",
            container.name
        ),
    )
    .wanted("start it with `postgres` and its settings as the container's command")
    .hint(format!("cargo xtask backup create --only {name}"))
}

fn unfit(name: &str, source: &str, wanted: &str, found: &[String]) -> Finding {
    let id = format!("source.{name}.storage");
    let there = match found {
        [] => "holds no PostgreSQL data folder".to_owned(),
        found => format!("holds {}", found.join(", ")),
    };
    let missing = match wanted {
        "" => String::new(),
        wanted => format!(", and not {wanted}"),
    };
    let finding = Finding::error(
        id,
        format!("{source}, which should hold the data of {name}, {there}{missing}"),
    );
    match found {
        [] => finding
            .wanted("name the volume that holds the data")
            .hint(format!(
                "cargo xtask migrate --set 'databases.{name}.source.volumes=[\"NAME\"]'"
            )),
        [first, ..] => finding.wanted("name the data folder to migrate").hint(format!(
            "cargo xtask migrate --set databases.{name}.source.data={first}"
        )),
    }
}

fn unknown(settings: &Settings, name: &str, problem: &str) -> Finding {
    Finding::error(format!("source.{name}.storage"), problem.to_owned())
        .wanted(format!("an image here that can read the data of {name}"))
        .hint(format!("docker pull {}", settings.databases[name].source.image))
}

/// The target's data must outlive its container.
pub(super) fn target(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(data) = &case.seen.target.data else {
        return;
    };
    let service = &case.settings.target.service;
    let lost = match &data.storage {
        Storage::Kept(mount) if !mount.is_anonymous() => return,
        Storage::Kept(_) | Storage::RemovedWithContainer => {
            "a volume without a name, which goes with its container"
        }
        Storage::LosesContainer(_) => return,
        Storage::Memory => "memory",
        Storage::Layer => "the container itself, in no volume",
    };
    findings.push(
        Finding::error(
            "target.storage",
            format!("the target's data folder, {}, would lie in {lost}", data.folder),
        )
        .wanted(format!(
            "mount a named volume at {} in service {service} of the platform's Compose file",
            data.folder
        )),
    );
}
