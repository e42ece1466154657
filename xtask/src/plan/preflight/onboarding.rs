//! What a machine lacks for development and nobody but its person can give.

use std::path::Path;

use infra::command::shell_path;
use infra::programs::Program;

use super::{Case, environment, instances, repositories};
use crate::config::{Control, Settings};
use crate::model::Finding;
use crate::observe::{MachineSeen, Observed, SourceState};
use crate::plan::{Request, charge};

/// All findings, the worst first.
pub fn onboarding(
    seen: &Observed,
    machine: &MachineSeen,
    settings: &Settings,
    request: &Request,
) -> Vec<Finding> {
    let case = Case {
        seen,
        settings,
        request,
    };
    let mut findings = seen.findings.clone();
    for check in [
        repositories::docker,
        repositories::labeler,
        repositories::stack,
        repositories::alembic,
        instances::target_port,
        instances::target_server,
        instances::redis,
    ] {
        check(&case, &mut findings);
    }
    for finding in &mut findings {
        rephrase(finding, machine, settings);
    }
    programs(&case, machine, &mut findings);
    env_files(&case, machine, &mut findings);
    old_world(&case, &mut findings);
    in_backups(&case, machine, &mut findings);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// The same finding as before a migration has another way out here.
fn rephrase(finding: &mut Finding, machine: &MachineSeen, settings: &Settings) {
    let install = |program: Program| vec![program.hint(machine.manager).to_owned()];
    match finding.id.as_str() {
        "docker.missing" => finding.hints = install(Program::Docker),
        "docker.compose" => finding.hints = install(Program::Compose),
        "labeler.repository" => {
            let labeler = &settings.labeler;
            finding.hints = vec![
                clone(&labeler.url, labeler.repository.first(), machine),
                "cargo xtask onboard --labeler FOLDER  # when it is somewhere else".to_owned(),
            ];
        }
        "platform.repository" => {
            let platform = &settings.platform;
            finding.hints = vec![clone(&platform.url, platform.repository.first(), machine)];
        }
        _ => {
            for hint in &mut finding.hints {
                *hint = hint.replace("cargo xtask migrate", "cargo xtask onboard");
            }
        }
    }
}

/// `git clone URL FOLDER`. Without a setting, siblings are taken to have the same home.
fn clone(url: &str, folder: Option<&std::path::PathBuf>, machine: &MachineSeen) -> String {
    let folder = folder.map_or(Path::new("FOLDER"), |folder| folder);
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let beside = || {
        let origin = machine.origin.as_deref()?;
        infra::git::sibling(origin, &name)
    };
    let url = match url {
        "" => beside().unwrap_or_else(|| "URL".to_owned()),
        url => url.to_owned(),
    };
    format!("git clone {url} {}", shell_path(folder))
}

fn programs(case: &Case<'_>, machine: &MachineSeen, findings: &mut Vec<Finding>) {
    let missing = |program: Program| {
        let seen = machine.programs.iter().find(|(one, _)| *one == program);
        seen.is_none_or(|(_, version)| version.is_none())
    };
    let hint = |program: Program| program.hint(machine.manager);
    if missing(Program::Git) {
        let finding = Finding::warning("git.missing", "program `git` is not on this machine");
        findings.push(finding.wanted("git, for the checkouts").hint(hint(Program::Git)));
    }
    let create = machine
        .environment
        .as_ref()
        .is_some_and(|environment| !environment.exists || environment.ours);
    if machine.python.is_none() {
        let finding = Finding::error("python.missing", "Python 3.9 or newer is not on this machine");
        findings.push(
            finding
                .wanted("a Python for the labeler's virtual environment")
                .hint(hint(Program::Python)),
        );
    } else if let (Some(why), true) = (&machine.venv_problem, create) {
        let found = format!("this Python makes no virtual environments: {why}");
        findings.push(Finding::error("python.venv", found).hint(hint(Program::Python)));
    }
    let in_container = matches!(
        case.settings.target.control,
        Control::Compose | Control::Container
    );
    let has_bin = !case.settings.target.bin.as_os_str().is_empty();
    if !in_container && !has_bin && missing(Program::Psql) {
        let finding = Finding::error("psql.missing", "program `psql` is not on this machine");
        findings.push(
            finding
                .wanted("PostgreSQL's client programs, because the target is not a container")
                .hint(hint(Program::Psql)),
        );
    }
    if let Some(environment) = &machine.environment {
        if environment.requirements.is_none() {
            let file = case.settings.labeler.requirements.display();
            let found = format!("the labeler's backend has no {file}");
            findings.push(
                Finding::warning("labeler.requirements", found)
                    .wanted("the file that says what belongs into its environment"),
            );
        }
        if environment.without_pip && !environment.ours {
            let folder = environment.folder.display();
            let python = infra::python::in_environment(&environment.folder);
            findings.push(
                Finding::error(
                    "labeler.environment",
                    format!(
                        "the virtual environment {folder} has no pip, and lacks what its requirements name"
                    ),
                )
                .wanted("an environment that can be filled; or none, and it is made anew")
                .hint(format!("{} -m ensurepip --upgrade", shell_path(&python)))
                .hint(format!("remove {folder}, then: cargo xtask onboard")),
            );
        } else if let (Err(why), false) = (&environment.missing, environment.ours) {
            findings.push(Finding::error("labeler.environment", why.clone()).wanted(format!(
                "an environment that can be asked; or none, when {} may be made anew",
                environment.folder.display()
            )));
        }
    }
}

fn env_files(case: &Case<'_>, machine: &MachineSeen, findings: &mut Vec<Finding>) {
    for seen in &case.seen.env_files {
        if seen.exists {
            if let Some(problem) = &seen.problem {
                let found = format!("cannot read {}: {problem}", seen.path.display());
                findings.push(Finding::error("env.unreadable", found));
            }
            environment::rejected(seen, findings);
            continue;
        }
        let file = machine.env_files.iter().find(|file| file.path == seen.path);
        if file.is_none_or(|file| file.template.is_none()) {
            let found = format!("there is no {} and no template for it", seen.path.display());
            let template = &case.settings.labeler.env_example;
            let mut finding = Finding::error("env.template", found).wanted(format!("{}", template.display()));
            if let Some(labeler) = &case.seen.labeler {
                let (root, template) = (shell_path(&labeler.root), shell_path(template));
                finding = finding.hint(format!(
                    "git -C {root} checkout -- {template}  # when it was deleted"
                ));
            }
            findings.push(
                finding
                    .hint("cargo xtask onboard --set labeler.env-example=FILE  # when it has another name"),
            );
        }
    }
}

/// A machine that holds the old instances is migrated, not set up: an empty database in place of the old one would look
/// like a loss.
fn old_world(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let stays = |name: &String| {
        let content = case.seen.target.databases.get(name);
        let moved = charge::names_target(case.seen, case.settings, name) == Some(true);
        !moved && content.is_none_or(|database| database.facts.is_empty())
    };
    let sources = case.seen.sources.iter();
    let present = sources.filter(|(name, source)| source.state != SourceState::Absent && stays(name));
    let names: Vec<String> = present
        .map(|(name, source)| format!("{name} ({})", source.state.in_words()))
        .collect();
    if names.is_empty() {
        return;
    }
    let found = format!(
        "old instances are on this machine, and no .env names the target: {}",
        names.join(", ")
    );
    findings.push(
        Finding::error("sources.present", found)
            .wanted("their data in the target, before anything is made in its place")
            .hint("cargo xtask migrate"),
    );
}

/// Databases that are gone while a backup holds their rows. Where the target does not answer yet, the step that creates
/// databases looks again.
fn in_backups(case: &Case<'_>, machine: &MachineSeen, findings: &mut Vec<Finding>) {
    let Some(server) = &case.seen.target.server else {
        return;
    };
    let held = crate::plan::build::held(case.seen, machine, case.settings);
    let gone = held
        .into_iter()
        .filter(|held| !server.databases.contains_key(&held.name));
    findings.extend(gone.map(|held| held.missing(&case.settings.target.user)));
}
