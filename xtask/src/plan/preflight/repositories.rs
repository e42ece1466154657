//! Programs and checkouts.

use infra::command::shell_word;

use super::Case;
use crate::config::Control;
use crate::model::Finding;

/// What `--pull` asks for can be pulled.
pub(super) fn pull(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if !case.request.pull || case.seen.platform.is_some() {
        return;
    }
    findings.push(
        Finding::error(
            "platform.pull",
            "--pull was given, and the platform's checkout is not here",
        )
        .wanted(format!(
            "it in one of {:?} of this workspace",
            case.settings.platform.repository
        ))
        .hint("cargo xtask migrate"),
    );
}

pub(super) fn docker(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let docker = &case.seen.docker;
    if !docker.needed {
        return;
    }
    if let Some(problem) = &docker.problem {
        let missing = problem.contains("is not on this machine");
        let (id, found, hint) = if missing {
            (
                "docker.missing",
                "program `docker` is not on this machine",
                "https://docs.docker.com/get-docker or: sudo apt-get install docker.io docker-compose",
            )
        } else {
            (
                "docker.engine",
                problem.as_str(),
                "start Docker Desktop, or: sudo systemctl start docker",
            )
        };
        findings.push(
            Finding::error(id, found)
                .wanted("a Docker engine that answers: the old and the new instances are containers")
                .hint(hint),
        );
        return;
    }
    let compose_needed = case.settings.target.control == Control::Compose
        || (case.settings.redis.control == Control::Compose && !case.seen.redis.answers);
    if compose_needed && docker.compose.is_none() {
        let (found, other) = match (case.settings.docker.compose, &docker.other_compose) {
            (Some(asked), Some((other, version))) => (
                format!(
                    "docker.compose asks for `{}`, which is not on this machine; `{}` {version} is",
                    asked.name(),
                    other.name()
                ),
                Some(format!(
                    "cargo xtask migrate --set 'docker.compose=\"{}\"'",
                    other.name()
                )),
            ),
            _ => (
                "neither `docker compose` nor `docker-compose` is on this machine".to_owned(),
                None,
            ),
        };
        let finding = Finding::error("docker.compose", found)
            .wanted("Compose, to start the platform's infrastructure and Redis");
        let install = "https://docs.docker.com/compose/install or: sudo apt-get install docker-compose";
        findings.push(other.into_iter().fold(finding, Finding::hint).hint(install));
    }
}

pub(super) fn labeler(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let candidates = |paths: &[std::path::PathBuf]| {
        paths
            .iter()
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let settings = case.settings;
    match &case.seen.labeler {
        None => findings.push(
            Finding::error(
                "labeler.repository",
                "the labeler repository is not beside this workspace",
            )
            .wanted(format!("one of {}", candidates(&settings.labeler.repository)))
            .hint("cargo xtask migrate --set 'labeler.repository=[\"PATH\"]'"),
        ),
        Some(labeler) if !labeler.backend.is_dir() => findings.push(
            Finding::error(
                "labeler.backend",
                format!("{} is not a folder", labeler.backend.display()),
            )
            .hint("cargo xtask migrate --set labeler.backend=PATH"),
        ),
        Some(_) => {}
    }
    if settings.target.control != Control::Compose {
        return;
    }
    match &case.seen.platform {
        None => findings.push(
            Finding::warning(
                "platform.repository",
                "the platform repository is not beside this workspace",
            )
            .wanted("its Compose file; infra/compose/unified.yaml is used instead"),
        ),
        Some(platform) if platform.compose_file.is_none() => findings.push(
            Finding::error(
                "platform.infrastructure",
                format!(
                    "{} has no infrastructure folder with a Compose file",
                    platform.root.display()
                ),
            )
            .wanted(format!(
                "one of {}",
                candidates(&settings.platform.infrastructure)
            ))
            .hint("cargo xtask migrate --set 'platform.infrastructure=[\"PATH\"]'"),
        ),
        Some(_) => {}
    }
}

/// The stack is started when the old instances are down: what Compose or the steps after it would stumble over is told before.
pub(super) fn stack(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let target = &case.settings.target;
    let platform = case.seen.platform.as_ref();
    let Some((stack, file)) =
        platform.and_then(|seen| Some((seen.stack.as_ref()?, seen.compose_file.as_ref()?)))
    else {
        return;
    };
    if target.control != Control::Compose {
        return;
    }
    let stack = match stack {
        Ok(stack) => stack,
        Err(refused) => {
            findings.push(
                Finding::error(
                    "platform.compose",
                    format!(
                        "Compose does not start the target from this file: {}",
                        refused.why
                    ),
                )
                .wanted("what it asks for, and a file, with the override beside it, that Compose reads")
                .hint("cargo xtask verify --only compose.readable")
                .at(file, 0),
            );
            return;
        }
    };
    for one in stack.unlike(target) {
        // Another image or role serves as well, where the instance is there already.
        let finding = match one.setting {
            "target.image" | "target.user" => Finding::warning("platform.target", one.found),
            _ => Finding::error("platform.target", one.found),
        };
        let set = one.composed.map(|composed| {
            format!(
                "cargo xtask migrate --set {}={}",
                one.setting,
                shell_word(&composed)
            )
        });
        findings.push(set.into_iter().fold(finding.wanted(one.wanted), Finding::hint));
    }
}

pub(super) fn python(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(labeler) = &case.seen.labeler else { return };
    let asks = case.settings.application.is_started() || !case.settings.schema.database.is_empty();
    if !asks {
        return;
    }
    let backend = infra::command::shell_path(&labeler.backend);
    let install = if cfg!(windows) {
        format!("cd {backend} && py -m venv .venv && .venv\\Scripts\\pip install -r requirements.txt")
    } else {
        format!("cd {backend} && python3 -m venv .venv && .venv/bin/pip install -r requirements.txt")
    };
    match &labeler.python {
        None => findings.push(
            Finding::error("labeler.python", "the labeler has no virtual environment")
                .wanted("a Python with its requirements, to run Alembic and to start the application")
                .hint(install),
        ),
        Some(python) if !labeler.has_alembic && !case.settings.schema.database.is_empty() => {
            let found = format!("the environment of {} has no Alembic", python.display());
            let found = match &labeler.alembic {
                Err(why) => format!("{found} that answers: {why}"),
                Ok(_) => found,
            };
            findings.push(Finding::error("labeler.alembic", found).hint(install));
        }
        Some(_) => {}
    }
}

pub(super) fn alembic(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let schema = &case.settings.schema;
    let (Some(labeler), false) = (&case.seen.labeler, schema.database.is_empty()) else {
        return;
    };
    let history = match &labeler.alembic {
        Ok(history) => history,
        // What is missing then is told as such.
        Err(_) if !labeler.has_alembic => return,
        Err(why) => return findings.push(Finding::error("alembic.history", why)),
    };
    if !history.faults.is_empty() {
        let faults = history.faults.iter();
        findings.extend(
            faults.map(|fault| Finding::error("alembic.history", &fault.what).at(&fault.file, fault.line)),
        );
        return;
    }
    let heads = history.heads.join(", ");
    if history.heads.len() != 1 {
        findings.push(
            Finding::error("alembic.heads", format!("the checkout has the heads {heads}"))
                .wanted("one head: with several, `upgrade head` does not know where to go")
                .hint(format!(
                    "cd {} && python -m alembic merge heads",
                    infra::command::shell_path(&labeler.backend)
                )),
        );
    }
    let Some(source) = case.seen.sources.get(&schema.database) else {
        return;
    };
    if history.version_table.is_none() && source.database.is_some() {
        findings.push(
            Finding::warning("alembic.version-table", crate::observe::UNTOLD_TABLE)
                .wanted(
                    "a literal `version_table` and `version_table_schema` in its `context.configure`: \
                         until Alembic runs, nobody looks at which revision the data stands",
                )
                .at(history.env.as_deref().unwrap_or(&labeler.backend), 0),
        );
    }
    let standing = source.revisions.as_deref().unwrap_or_default();
    let known = |revision: &String| history.revisions.contains_key(revision);
    if let (Some(why), true) = (
        &history.stuck,
        standing.iter().all(known) && history.heads.len() == 1,
    ) {
        findings.push(
            Finding::error(
                "alembic.several-revisions",
                format!("the data stands at the revisions {}, and Alembic says: {why}", standing.join(", ")),
            )
            .wanted("rows in the version table from which `alembic upgrade head` can begin: usually all but the newest are too many"),
        );
    }
    for revision in standing.iter().filter(|revision| !known(revision)) {
        findings.push(
            Finding::error(
                "alembic.unknown-revision",
                format!(
                    "the data stands at revision {revision}, which this checkout (head {heads}) does not know"
                ),
            )
            .wanted("a checkout at least as new as the data")
            .hint(format!(
                "git -C {} pull",
                infra::command::shell_path(&labeler.root)
            )),
        );
    }
}
