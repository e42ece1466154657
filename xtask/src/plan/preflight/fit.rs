//! Whether the target can take what the sources hold; and what nobody can know of a target that does not run.

use infra::postgres::{major, version_text};

use super::Case;
use crate::config::Control;
use crate::model::{Finding, Severity};
use crate::observe::{ClientsSeen, SourceSeen, SourceState, servers};

/// A target that is here and does not run: it is looked at when it is started, which is after the old instances stopped.
pub(super) fn unseen_target(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let (target, settings) = (&case.seen.target, &case.settings.target);
    if target.running || settings.control == Control::External {
        return;
    }
    let (what, start) = match (&target.container, &target.volume) {
        (Some(container), _) => (
            format!("container {}, {}", container.name, container.status),
            Some(infra::docker::start(&container.name)),
        ),
        (None, Some(volume)) => (format!("volume {volume}, whose container is gone"), None),
        (None, None) if target.exists => {
            let cluster = servers::target_cluster(settings);
            let start = cluster.start(&[], &cluster.log());
            (format!("data directory {}", cluster.data.display()), Some(start))
        }
        (None, None) => return,
    };
    let finding = Finding::warning(
        "target.unseen",
        format!("the target is here and does not run ({what}): what it holds cannot be seen before the old instances stop"),
    )
    .wanted("a target that is empty, or that runs, so that its content is told now");
    let free = target.port_holder.is_none();
    let start = start.filter(|_| free).map(|cmd| cmd.to_string());
    findings.push(start.into_iter().fold(finding, Finding::hint));
}

/// Folders of the old server: everything goes to the default tablespace of the target.
pub(super) fn tablespaces(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for (name, source) in &case.seen.sources {
        let spaces = source.database.iter().flat_map(|database| &database.tablespaces);
        for (space, folder) in spaces {
            let id = format!("source.{name}.tablespace");
            if is_mounted(source, folder) {
                let found = format!("{name} uses tablespace {space} in {folder}");
                let wanted = "nothing: on the target all of it lies in the default tablespace";
                findings.push(Finding::warning(id, found).wanted(wanted));
            } else {
                let found = format!(
                    "{name} uses tablespace {space} in {folder}, which is in no volume of the old container: its reader does not see it"
                );
                findings.push(
                    Finding::error(id, found)
                        .wanted("everything in the default tablespace")
                        .hint(format!(
                            "ALTER TABLE ALL IN TABLESPACE \"{space}\" SET TABLESPACE pg_default;"
                        ))
                        .hint(format!(
                            "ALTER INDEX ALL IN TABLESPACE \"{space}\" SET TABLESPACE pg_default;"
                        )),
                );
            }
        }
    }
}

fn is_mounted(source: &SourceSeen, folder: &str) -> bool {
    match &source.state {
        SourceState::Container(container) => container
            .mounts
            .iter()
            .any(|mount| std::path::Path::new(folder).starts_with(&mount.destination)),
        _ => true,
    }
}

pub(super) fn versions(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(target) = &case.seen.target.server else {
        unseen_version(case, findings);
        return;
    };
    for (name, source) in &case.seen.sources {
        if let Some(server) = &source.server
            && major(server.version_num) > major(target.version_num)
        {
            findings.push(
                Finding::error(
                    format!("source.{name}.version"),
                    format!(
                        "the source is PostgreSQL {}, newer than the target's {}",
                        version_text(server.version_num),
                        version_text(target.version_num)
                    ),
                )
                .wanted("a target at least as new: an older server cannot read a newer dump"),
            );
        }
    }
}

/// Client programs that are new enough for both sides.
pub(super) fn clients(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let refused = |name: &str| {
        let id = format!("source.{name}.version");
        let error = |finding: &&Finding| finding.severity == Severity::Error && finding.id == id;
        findings.iter().find(error).is_some()
    };
    let found = crate::plan::clients::findings(case.seen, case.settings);
    let new: Vec<Finding> = found
        .into_iter()
        .filter(|(name, _)| !refused(name))
        .map(|(_, finding)| finding)
        .collect();
    findings.extend(new);
}

/// For a superuser; what another role leaves out or cannot have is told by [`super::external::carried`].
pub(super) fn extensions(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(target) = &case.seen.target.server else {
        unseen_extensions(case, findings);
        return;
    };
    for (name, source) in &case.seen.sources {
        let Some(database) = &source.database else {
            continue;
        };
        for extension in database
            .extensions
            .keys()
            .filter(|e| !target.available_extensions.contains(e) && target.superuser)
        {
            findings.push(
                Finding::error(
                    format!("source.{name}.extension"),
                    format!("{name} uses extension {extension}, which the target does not offer"),
                )
                .wanted("a target image with this extension"),
            );
        }
    }
}

/// What starts as the target: the image, or the folder with the programs.
fn target_programs(case: &Case<'_>) -> String {
    let target = &case.settings.target;
    match (target.control, &case.seen.target.container) {
        (Control::PgCtl, _) => target.bin.display().to_string(),
        (_, Some(container)) => container.image.clone(),
        (_, None) => target.image.clone(),
    }
}

fn source_programs(case: &Case<'_>, name: &str, source: &SourceSeen) -> Option<String> {
    match &source.state {
        SourceState::Container(container) => Some(container.image.clone()),
        SourceState::Cluster { cluster, .. } => Some(cluster.bin.display().to_string()),
        SourceState::Volume(_) => Some(case.settings.databases[name].source.image.clone()),
        _ => None,
    }
}

/// The same programs offer the same extensions; of others nothing is known before they run.
fn unseen_extensions(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let target = target_programs(case);
    for (name, source) in &case.seen.sources {
        let Some(database) = source
            .database
            .as_ref()
            .filter(|database| !database.extensions.is_empty())
        else {
            continue;
        };
        let old = source_programs(case, name, source);
        if old.as_ref() == Some(&target) || case.settings.target.control == Control::External {
            continue;
        }
        if let Some(offered) = &case.seen.clients.extensions {
            let lacking = database.extensions.keys().filter(|name| !offered.contains(name));
            findings.extend(lacking.map(|extension| {
                Finding::error(
                    format!("source.{name}.extension"),
                    format!("{name} uses extension {extension}, which the target does not offer: it is not in {target}"),
                )
                .wanted("a target with this extension")
            }));
            continue;
        }
        let extensions: Vec<&str> = database.extensions.keys().map(String::as_str).collect();
        let old = old.unwrap_or_else(|| "another server".to_owned());
        findings.push(
            Finding::warning(
                format!("source.{name}.extension"),
                format!(
                    "{name} uses {}, from {old}; whether {target} offers that is seen only when the target runs",
                    extensions.join(", ")
                ),
            )
            .wanted("a target with the same extensions, running, or with the image of the old instance"),
        );
    }
}

/// The tag of the official image says which version will start.
fn unseen_version(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if case.settings.target.control == Control::External {
        return;
    }
    let image = target_programs(case);
    // A platform checkout's own Compose file says what starts, until it has.
    let platform = case.seen.platform.as_ref();
    let elsewhere = platform.is_some_and(|platform| platform.compose_file.is_some());
    let decided = case.seen.target.container.is_some() || !elsewhere;
    for (name, source) in &case.seen.sources {
        let known = match case.seen.clients.sources.get(name) {
            Some(ClientsSeen::Different {
                target: Some(Ok(target)),
                ..
            }) => Some(major(*target)),
            _ => None,
        };
        if let Some(server) = &source.server
            && known
                .or_else(|| version_of_image(&image))
                .is_some_and(|new| major(server.version_num) > new)
        {
            let old = version_text(server.version_num);
            let id = format!("source.{name}.version");
            let found = format!("the source is PostgreSQL {old}, newer than the target's image {image}");
            let finding = match decided {
                true => Finding::error(id, found),
                false => Finding::warning(
                    id,
                    found + ", where that is what the platform's Compose file starts",
                ),
            };
            findings.push(
                finding
                    .wanted("a target at least as new: an older server cannot read a newer dump")
                    .hint("cargo xtask migrate --set target.image=IMAGE"),
            );
        }
    }
}

/// The major version of `postgres:16-alpine`; `None` for other images and for tags that begin with a word.
fn version_of_image(image: &str) -> Option<u32> {
    let (name, tag) = image.rsplit('/').next()?.split_once(':')?;
    let digits = tag.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|_| name == "postgres")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tag_of_the_official_image_says_its_version() {
        let read = super::version_of_image;
        assert_eq!(read("postgres:16-alpine"), Some(16));
        assert_eq!(read("registry.example:5000/library/postgres:17.2"), Some(17));
        for other in [
            "postgres",
            "postgres:latest",
            "pgvector/pgvector:pg16",
            "/usr/lib/postgresql/16/bin",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
