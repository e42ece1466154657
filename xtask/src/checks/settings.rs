//! The team's settings against the checkouts they describe.

use super::{Case, Check, Group, Looked, NotLooked, error, warning};
use crate::config::{Control, Origin};
use crate::model::Finding;
use crate::observe::StackSeen;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "settings.repositories",
        group: Group::Settings,
        meaning: "the labeler's or the platform's checkout is found",
        why: "Without a checkout every check of its files is skipped, and a run that looks at nothing finds nothing.",
        fix: "Clone the repository beside this workspace, or name its folder: `cargo xtask verify --set 'labeler.repository=[\"PATH\"]'`.",
        run: repositories,
    },
    Check {
        id: "settings.paths",
        group: Group::Settings,
        meaning: "the files and folders that the settings name are in the labeler's checkout",
        why: "A renamed backend folder or schema script is noticed before the merge instead of in the middle of a migration.",
        fix: "Correct the path in `infra/migration.toml`, or undo the rename.",
        run: paths,
    },
    Check {
        id: "settings.target",
        group: Group::Settings,
        meaning: "the target's service, container, image, port and role are those of the platform's Compose file",
        why: "The migration starts the platform's service and then connects to what the settings say; the two must be one.",
        fix: "Correct `[target]` in `infra/migration.toml`, or the Compose file.",
        run: target,
    },
    Check {
        id: "settings.redis",
        group: Group::Settings,
        meaning: "the Redis service of the settings is in the labeler's Compose file, on the port they say",
        why: "The migration starts Redis under this name and asks it on this port.",
        fix: "Correct `[redis]` in `infra/migration.toml`, or the Compose file.",
        run: redis,
    },
    super::accept::CHECK,
];

fn repositories(case: &Case<'_>) -> Looked {
    let config = case.config()?;
    if config.labeler.is_some() || config.platform.is_some() {
        return Ok(Vec::new());
    }
    let finding = warning("neither the labeler's nor the platform's checkout is beside this workspace")
        .wanted("at least one of them: the other checks have nothing to look at")
        .hint("cargo xtask verify --set 'labeler.repository=[\"PATH\"]'");
    Ok(vec![place(case, finding, "labeler.repository")])
}

fn paths(case: &Case<'_>) -> Looked {
    let root = labeler(case)?;
    let settings = case.settings();
    let backend = root.join(&settings.labeler.backend);
    let mut findings = Vec::new();
    let mut wanted = vec![
        ("labeler.backend", backend.clone()),
        ("labeler.env-example", root.join(&settings.labeler.env_example)),
    ];
    if !settings.schema.database.is_empty() {
        wanted.push(("schema.script", backend.join(&settings.schema.script)));
    }
    for (setting, path) in wanted {
        if !path.exists() {
            let finding = error(format!("{setting} names {}, which is not there", path.display()));
            findings.push(place(case, finding, setting));
        }
    }
    Ok(findings)
}

fn target(case: &Case<'_>) -> Looked {
    let target = &case.settings().target;
    if target.control != Control::Compose {
        return Err(NotLooked::because("the target is not started through Compose"));
    }
    let compose = super::compose::platform(case)?;
    let unlike = StackSeen::of(compose, target).unlike(target);
    let findings = unlike.into_iter().map(|one| {
        let finding = error(one.found).wanted(one.wanted);
        place(case, finding, one.setting)
    });
    Ok(findings.collect())
}

fn redis(case: &Case<'_>) -> Looked {
    let redis = &case.settings().redis;
    if redis.control != Control::Compose {
        return Err(NotLooked::because("Redis is not started through Compose"));
    }
    let compose = super::compose::labeler(case)?;
    let Some(service) = compose.service(&redis.service) else {
        let finding = error(format!(
            "redis.service is {}, which {} does not define",
            redis.service,
            compose.path.display()
        ));
        return Ok(vec![place(case, finding, "redis.service")]);
    };
    if service.ports.iter().any(|port| port.port == redis.port) {
        return Ok(Vec::new());
    }
    let finding = error(format!(
        "redis.port is {}, which service {} does not publish",
        redis.port, service.name
    ))
    .wanted(format!("the port of {}", service.file.display()));
    Ok(vec![place(case, finding, "redis.port")])
}

/// The labeler's folder.
pub(super) fn labeler<'a>(case: &Case<'a>) -> Result<&'a std::path::Path, NotLooked> {
    case.config()?
        .labeler
        .as_deref()
        .ok_or_else(|| NotLooked::because("the labeler's checkout is not here"))
}

/// Whether a value is the team's, and not this machine's or this command's.
pub(super) fn is_the_teams(case: &Case<'_>, setting: &str) -> bool {
    match case.loaded.origins.get(setting).map(|(_, origin)| origin) {
        Some(Origin::File(file, _)) => !file.contains("local.toml"),
        Some(Origin::Environment(_) | Origin::Flag) => false,
        Some(Origin::Guide) | None => true,
    }
}

/// Where a setting was given its value: a file's line, else the settings file as a whole.
pub(super) fn place(case: &Case<'_>, finding: Finding, setting: &str) -> Finding {
    match case.loaded.origins.get(setting).map(|(_, origin)| origin) {
        Some(Origin::File(file, line)) => finding.at(&case.root.join(file), *line),
        Some(Origin::Environment(_) | Origin::Flag) => finding,
        Some(Origin::Guide) | None => finding.at(&case.root.join("infra").join("migration.toml"), 0),
    }
}
