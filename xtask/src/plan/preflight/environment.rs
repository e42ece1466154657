//! `.env` files, the running application, the disk.

use infra::command::shell_path;

use super::Case;
use crate::config::Control;
use crate::model::{Finding, time};
use crate::observe::EnvSeen;

pub(super) fn env_files(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for file in &case.seen.env_files {
        env_file(case, file, findings);
    }
}

fn env_file(case: &Case<'_>, file: &EnvSeen, findings: &mut Vec<Finding>) {
    if let Some(problem) = &file.problem {
        let example = case
            .seen
            .labeler
            .as_ref()
            .map(|l| l.root.join(&case.settings.labeler.env_example));
        let mut finding = Finding::error(
            "env.missing",
            format!("cannot read {}: {problem}", file.path.display()),
        )
        .wanted("the file that names the old instances");
        if let Some(example) = example.filter(|path| !file.exists && path.is_file()) {
            let copy = if cfg!(windows) { "copy" } else { "cp" };
            finding = finding.hint(format!(
                "{copy} {} {}",
                shell_path(&example),
                shell_path(&file.path)
            ));
        }
        findings.push(finding);
        return;
    }
    if let Some(why) = &file.locked {
        let found = format!("{} cannot be changed: {why}", file.path.display());
        let wanted = "a folder that takes a new file, before anything is stopped";
        findings.push(Finding::error("env.locked", found).wanted(wanted));
    }
    rejected(file, findings);
    let wanted = file
        .mappings
        .iter()
        .filter(|(name, _)| case.seen.sources.contains_key(*name));
    for (name, mapping) in wanted {
        for key in mapping.keys() {
            let line = key.lines.last().copied().unwrap_or(0);
            if key.lines.is_empty() {
                findings.push(
                    Finding::error("env.key-missing", format!("{} is not set", key.key))
                        .wanted(format!("it names the {name} database"))
                        .hint(format!(
                            "cargo xtask env set {} {}=VALUE",
                            shell_path(&file.path),
                            key.key
                        ))
                        .at(&file.path, 0),
                );
            } else if key.lines.len() > 1 {
                let lines: Vec<String> = key.lines.iter().map(ToString::to_string).collect();
                findings.push(
                    Finding::warning(
                        "env.key-twice",
                        format!(
                            "{} is set on lines {}; the last one counts",
                            key.key,
                            lines.join(", ")
                        ),
                    )
                    .at(&file.path, line),
                );
            }
            if let Some((other, at)) = &key.other_spelling {
                findings.push(
                    Finding::error(
                        "env.key-case",
                        format!(
                            "{other} is set beside {}: pydantic-settings takes a key whatever its case, and the last line counts",
                            key.key
                        ),
                    )
                    .wanted("remove one of the two lines")
                    .hint(format!("cargo xtask env unset {} {other}", shell_path(&file.path)))
                    .at(&file.path, *at),
                );
            }
            if let Some(fault) = &key.fault {
                findings.push(
                    Finding::error(
                        "env.rejected",
                        format!("the application reads no {}: {}", key.key, fault.why),
                    )
                    .wanted(format!("it names the {name} database"))
                    .hint(check(file))
                    .at(&file.path, fault.line),
                );
            }
            if key.placeholder {
                findings.push(
                    Finding::error(
                        "env.placeholder",
                        format!("{} still has the template's value", key.key),
                    )
                    .wanted("the real value")
                    .hint(format!(
                        "cargo xtask env set {} {}=-",
                        shell_path(&file.path),
                        key.key
                    ))
                    .at(&file.path, line),
                );
            }
        }
    }
}

pub(super) fn rejected(file: &EnvSeen, findings: &mut Vec<Finding>) {
    // A file that the application cannot read is one fault, whoever else stumbles over it.
    let fatal = file.rejected.iter().any(|one| one.application);
    for one in file.rejected.iter().filter(|one| one.application || !fatal) {
        let why = &one.fault.why;
        let finding = if one.application {
            Finding::error(
                "env.rejected",
                format!(
                    "the application's reader, {}, gives up on the file: {why}",
                    one.reader
                ),
            )
            .wanted("a file whose every key it reads")
        } else {
            Finding::warning(
                "env.rejected",
                format!("{} gives up on the file: {why}", one.reader),
            )
        };
        findings.push(finding.hint(check(file)).at(&file.path, one.fault.line));
    }
}

fn check(file: &EnvSeen) -> String {
    format!("cargo xtask env check {}", shell_path(&file.path))
}

pub(super) fn application(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for running in &case.seen.application {
        let port = running.port;
        findings.push(match &running.process {
            Some(process) => Finding::note(
                "application.running",
                format!("the application runs on port {port}, {process}; it is stopped first"),
            )
            .wanted("start it again afterwards, so that it reads the new .env"),
            None => Finding::warning(
                "application.running",
                format!(
                    "something like the application answers on port {port}; it loses its databases while this runs"
                ),
            )
            .wanted("stop it, and start it again afterwards, so that it reads the new .env"),
        });
    }
}

/// A new cluster without rows, and its first WAL.
const EMPTY_CLUSTER: u64 = 64 << 20;

/// Space where the target's data lie. The restored copy is as large as the data, and its WAL comes on top until a checkpoint.
pub(super) fn target_disk(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(space) = &case.seen.target.space else {
        let container = matches!(
            case.settings.target.control,
            Control::Compose | Control::Container
        );
        if container && case.seen.docker.problem.is_none() {
            findings.push(Finding::note(
                "target.space",
                "free space where the target's data lie cannot be told",
            ));
        }
        return;
    };
    let data = data_bytes(case);
    let needed = (2 * data).max(EMPTY_CLUSTER);
    if space.free < needed {
        findings.push(
            Finding::error(
                "target.space",
                format!(
                    "{} are free in {}, where the target's data lie, for {} of data",
                    time::bytes(space.free),
                    space.place,
                    time::bytes(data)
                ),
            )
            .wanted(format!("{}: the restored copy and its WAL", time::bytes(needed)))
            .hint("cargo xtask cleanup")
            .hint("docker system df -v"),
        );
    }
}

/// Bytes of the databases that are moved, as far as their servers run.
fn data_bytes(case: &Case<'_>) -> u64 {
    let sources = case.seen.sources.values();
    let sizes = sources.filter_map(|source| source.database.as_ref().map(|database| database.bytes));
    sizes.sum()
}

pub(super) fn disk(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let data = data_bytes(case);
    // Archives are smaller than the data, the restored copy is as large, and its WAL comes on top until a checkpoint. On a
    // server elsewhere only the archives are ours.
    let (times, what) = match case.settings.target.control {
        Control::External => (1, "the archives"),
        _ => (3, "archives, the restored copy and its WAL"),
    };
    let needed = data * times;
    match case.seen.free_bytes {
        Some(free) if free < needed => findings.push(
            Finding::error(
                "disk.space",
                format!("{} are free for {} of data", time::bytes(free), time::bytes(data)),
            )
            .wanted(format!("{}: {what}", time::bytes(needed))),
        ),
        Some(_) => {}
        None => findings.push(Finding::note(
            "disk.space",
            "free disk space cannot be told on this system",
        )),
    }
}
