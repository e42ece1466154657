//! Which pg_dump and pg_restore move a database: decided by the versions of both servers, down to the minor.

use infra::postgres::{Clients, major, release, version_text};

use crate::config::{Control, Settings};
use crate::model::Finding;
use crate::observe::clients::in_image;
use crate::observe::{ClientsSeen, Observed, ProgramsSeen, SourceState, servers};

/// The programs for one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// For pg_dump, where the source is reached.
    pub dump: Clients,
    /// For pg_restore, where the target is reached.
    pub restore: Clients,
}

/// Where programs must be to reach each side: in an image, or on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sides {
    source_in_image: bool,
    target_in_image: bool,
}

impl Sides {
    fn of(seen: &Observed, settings: &Settings, name: &str) -> Self {
        let state = seen.sources.get(name).map(|source| &source.state);
        Self {
            source_in_image: matches!(state, Some(SourceState::Container(_) | SourceState::Volume(_))),
            target_in_image: in_image(settings.target.control),
        }
    }
}

/// Why no programs can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    /// A version is not known.
    Unknown(String),
    /// None of them serves.
    NoneServes,
}

/// The programs for a database that is migrated. `run` marks the containers of image programs.
///
/// # Errors
/// A finding that names both versions and every program that was looked at.
pub fn choose(seen: &Observed, settings: &Settings, name: &str, run: &str) -> Result<Chosen, Box<Finding>> {
    let id = format!("source.{name}.clients");
    let Some(clients) = seen.clients.sources.get(name) else {
        let found = format!("the client programs for {name} were not looked at");
        return Err(Box::new(Finding::error(id, found)));
    };
    let target = servers::clients(&settings.target, "");
    match pick(clients, Sides::of(seen, settings, name), &target) {
        Ok(chosen) => Ok(Chosen {
            dump: marked(chosen.dump, run),
            restore: marked(chosen.restore, run),
        }),
        Err(why) => Err(Box::new(refusal(id, name, clients, settings, &why))),
    }
}

/// The programs that dump a database where it is served now. The target may be one that they do not serve: such a backup
/// is restored elsewhere.
///
/// # Errors
/// As [`choose`].
pub fn for_backup(
    seen: &Observed,
    settings: &Settings,
    name: &str,
    on_target: bool,
    run: &str,
) -> Result<Clients, Box<Finding>> {
    let sides = Sides::of(seen, settings, name);
    let (clients, in_image) = match on_target {
        true => (seen.clients.target.as_ref(), sides.target_in_image),
        false => (seen.clients.sources.get(name), sides.source_in_image),
    };
    if !on_target && let Ok(chosen) = choose(seen, settings, name, run) {
        return Ok(chosen.dump);
    }
    let found = match clients {
        Some(ClientsSeen::Same(clients)) => return Ok(marked(clients.clone(), run)),
        Some(ClientsSeen::Different { source, programs, .. }) => {
            let usable = source.as_ref().ok().and_then(|source| {
                dumps(programs, in_image, *source, u32::MAX).map(|one| marked(one.clients.clone(), run))
            });
            match (usable, source) {
                (Some(clients), _) => return Ok(clients),
                (None, Err(why)) => format!("the version of {name}'s server is not known: {why}"),
                (None, Ok(source)) => format!(
                    "{name} is PostgreSQL {}, and no pg_dump that is here is as new: {}",
                    version_text(*source),
                    looked_at(programs)
                ),
            }
        }
        None => format!("the client programs for {name} were not looked at"),
    };
    Err(Box::new(
        Finding::error(format!("source.{name}.clients"), found)
            .wanted("install client programs that are at least as new as the server"),
    ))
}

/// The programs that restore an archive on the target; `None`: none fits, and only the comparison can tell whether the
/// target's own are good enough.
pub fn for_archive(clients: &ClientsSeen, settings: &Settings, run: &str) -> Option<Clients> {
    let in_image = in_image(settings.target.control);
    let sides = Sides {
        source_in_image: in_image,
        target_in_image: in_image,
    };
    let own = servers::clients(&settings.target, "");
    let chosen = pick(clients, sides, &own).ok()?;
    Some(marked(chosen.restore, run))
}

/// What forbids moving the databases that were seen, with the database.
pub fn findings(seen: &Observed, settings: &Settings) -> Vec<(String, Finding)> {
    let docker = seen.docker.needed && seen.docker.engine.is_none();
    let silent = settings.target.control == Control::External && seen.target.server.is_none();
    if docker || silent {
        // Said already, and nothing was asked.
        return Vec::new();
    }
    let there = seen.sources.iter().filter(|(_, source)| {
        let refused = matches!(source.state, SourceState::Absent | SourceState::SeveralVolumes(_));
        !refused && (source.server.is_some() || !source.running)
    });
    there
        .filter_map(|(name, _)| Some((name.clone(), *choose(seen, settings, name, "").err()?)))
        .collect()
}

fn marked(clients: Clients, run: &str) -> Clients {
    match clients {
        Clients::Image { image, .. } => Clients::Image {
            image,
            run: run.to_owned(),
        },
        machine @ Clients::Machine { .. } => machine,
    }
}

fn reaches(one: &ProgramsSeen, in_image: bool) -> bool {
    matches!(one.clients, Clients::Image { .. }) == in_image
}

/// The first pg_dump that is at least as new as the source, and whose archive a pg_restore of major `upper` reads.
fn dumps(programs: &[ProgramsSeen], in_image: bool, source: u32, upper: u32) -> Option<&ProgramsSeen> {
    programs.iter().filter(|one| reaches(one, in_image)).find(|one| {
        one.version.as_ref().is_ok_and(|client| {
            let new_enough = match major(*client) == major(source) {
                true => *client >= source,
                false => release::serves(*client, source, *client) == Some(true),
            };
            new_enough && major(*client) <= upper
        })
    })
}

/// `own` are the programs of a target whose image is not here yet.
fn pick(clients: &ClientsSeen, sides: Sides, own: &Clients) -> Result<Chosen, Why> {
    let (source, target, programs) = match clients {
        ClientsSeen::Same(clients) => {
            return Ok(Chosen {
                dump: clients.clone(),
                restore: clients.clone(),
            });
        }
        ClientsSeen::Different {
            source,
            target,
            programs,
        } => (source, target, programs),
    };
    let source = *source.as_ref().map_err(|why| Why::Unknown(why.clone()))?;
    let same_side = sides.source_in_image == sides.target_in_image;
    let Some(target) = target else {
        // Whether the image that is pulled is new enough is asked when it is here.
        let dump = match same_side {
            true => own.clone(),
            false => dumps(programs, sides.source_in_image, source, u32::MAX)
                .ok_or(Why::NoneServes)?
                .clients
                .clone(),
        };
        return Ok(Chosen {
            dump,
            restore: own.clone(),
        });
    };
    let target = *target.as_ref().map_err(|why| Why::Unknown(why.clone()))?;
    let serves = |one: &&ProgramsSeen| {
        let version = one.version.as_ref();
        version.is_ok_and(|client| release::serves(*client, source, target) == Some(true))
    };
    let usable = programs.iter().filter(|one| reaches(one, sides.target_in_image));
    let restore = usable.into_iter().find(serves).ok_or(Why::NoneServes)?;
    let dump = match same_side {
        true => restore,
        false => {
            let upper = restore.version.as_ref().map_or(0, |version| major(*version));
            dumps(programs, sides.source_in_image, source, upper).ok_or(Why::NoneServes)?
        }
    };
    Ok(Chosen {
        dump: dump.clients.clone(),
        restore: restore.clients.clone(),
    })
}

fn looked_at(programs: &[ProgramsSeen]) -> String {
    let one = |one: &ProgramsSeen| match &one.version {
        Ok(version) => format!("{} ({})", one.name, version_text(*version)),
        Err(why) => format!("{} ({why})", one.name),
    };
    let all: Vec<String> = programs.iter().map(one).collect();
    match all.is_empty() {
        true => "none is here".to_owned(),
        false => all.join(", "),
    }
}

fn refusal(id: String, name: &str, clients: &ClientsSeen, settings: &Settings, why: &Why) -> Finding {
    let ClientsSeen::Different {
        source,
        target,
        programs,
    } = clients
    else {
        return Finding::error(id, format!("no client programs serve {name}"));
    };
    let text = |version: &Result<u32, String>| match version {
        Ok(version) => format!("PostgreSQL {}", version_text(*version)),
        Err(_) => "of a version that is not known".to_owned(),
    };
    let (from, to) = (text(source), target.as_ref().map(text));
    let sides = format!(
        "{name} is {from}, the target is {}",
        to.as_deref().unwrap_or("not here yet")
    );
    if let Why::Unknown(why) = why {
        return Finding::error(
            id,
            format!("{sides}: which pg_dump and pg_restore fit cannot be told: {why}"),
        )
        .wanted("start the old server, or have its image or programs on this machine");
    }
    let cannot_compare = match (source, target) {
        (Ok(source), Some(Ok(target))) => release::compare(*source, *target).is_none(),
        _ => false,
    };
    let rule = match cannot_compare {
        true => "this tool does not know which of the two releases is newer",
        false => {
            "pg_dump and pg_restore must be releases at least as new as both, of a major version between them"
        }
    };
    let finding = Finding::error(id, format!("{sides}: {rule}; looked at {}", looked_at(programs)));
    let newest = match (source, target) {
        (Ok(source), Some(Ok(target))) => (major(*source), major(*target)),
        _ => return finding,
    };
    let in_image = in_image(settings.target.control);
    let finding = finding.wanted(match cannot_compare {
        true => "migrate onto a server that has the same programs as the old one, or use a newer version of this tool".to_owned(),
        false if in_image => "get a newer image, then run the same command again".to_owned(),
        false => format!("install newer client programs of PostgreSQL {}, then run the same command again", newest.1),
    });
    if cannot_compare {
        return finding;
    }
    match in_image {
        true => finding.hint(format!("docker pull {}", settings.target.image)),
        false => finding
            .hint(format!("sudo apt-get update && sudo apt-get install postgresql-client-{}", newest.1))
            .hint("cargo xtask migrate --set target.bin=FOLDER  # where newer programs of the target's major version are"),
    }
}

#[cfg(test)]
mod tests;
