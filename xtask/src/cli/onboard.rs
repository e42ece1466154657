//! `cargo xtask onboard`

mod machine;
mod tell;

use std::path::PathBuf;

use anyhow::Context as _;

use self::machine::{local_values, open};
use self::tell::{show, start, tell};
use super::confirm::confirm;
use super::context::lock;
use super::output::out_line;
use super::{Context, Ending, Global, migrate, record, refuse, verify};
use crate::checks::{self, CHECKS, Check, Scope, Verdicts};
use crate::config::{SecretName, edit_local};
use crate::doctor;
use crate::engine::{self, Journal, JournalEvent, Outcome, StepState};
use crate::model::finding::worst;
use crate::model::{Exit, Finding, RunDir, RunId, Severity};
use crate::observe::{self, Eyes};
use crate::plan::action::EnvValue;
use crate::plan::{self, Action, Onboarding, Plan, Request, Roles};
use crate::report::documents::{self, OnboardDocument};
use crate::steps::{Failure, Planned, Step};

/// Onboard: make this machine ready for development, and check that it is
///
/// Looks for programs and checkouts, writes .xtask/local.toml, makes the labeler's virtual environment and its .env,
/// starts the platform's infrastructure, creates the databases, brings the schema to head and asks the application.
/// What is there already stays as it is: a second run changes nothing and ends with exit code 4. What --set says is
/// kept in .xtask/local.toml.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OnboardArgs {
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
    /// Show each step with its reason and its exact commands; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Where the labeler's checkout is, when it is not beside this workspace
    #[arg(long, value_name = "DIR")]
    labeler: Option<PathBuf>,
    /// Where the platform's checkout is, when it is not beside this workspace
    #[arg(long, value_name = "DIR")]
    platform: Option<PathBuf>,
    /// Print one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// A plan, the findings that do not forbid it, and what it was made on.
struct Prepared {
    findings: Vec<Finding>,
    plan: Plan,
}

/// Runs the command.
pub(crate) fn cmd_onboard(global: &Global, args: &OnboardArgs) -> anyhow::Result<Exit> {
    let (mut context, global) = open(global, args)?;
    let _lock = lock(&context, "cargo xtask onboard")?;
    if let Some(run) = migrate::open_run(&context)? {
        let message = format!("migration {} is not finished; it comes first", run.id);
        return Err(Ending::new(Exit::Preconditions, message)
            .hint(format!("cargo xtask migrate --resume {}", run.id))
            .into());
    }
    let prepared = prepare(&mut context, &global)?;
    let plan = &prepared.plan;
    if args.dry_run {
        show(&context, &prepared)?;
        return Ok(if plan.steps.is_empty() {
            Exit::NothingToDo
        } else {
            Exit::Ok
        });
    }
    for finding in &prepared.findings {
        context.terminal.line(&finding.to_string());
    }
    let (steps, notes) = if plan.steps.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        set_up(&context, plan, args.yes)?
    };
    let verdicts = check(&mut context);
    if context.runner.interrupt().is_set() {
        return Err(Ending::new(Exit::Interrupted, "interrupted").into());
    }
    let exit = match (verdicts.exit(false), plan.steps.is_empty()) {
        (Exit::Findings, _) => Exit::Findings,
        (Exit::Preconditions, _) => Exit::Preconditions,
        (_, true) => Exit::NothingToDo,
        (_, false) => Exit::Ok,
    };
    let document = OnboardDocument {
        schema_version: 1,
        ready: matches!(exit, Exit::Ok | Exit::NothingToDo),
        changed: !plan.steps.is_empty(),
        steps,
        checks: verdicts.counts(),
        findings: prepared
            .findings
            .into_iter()
            .chain(notes)
            .chain(verdicts.findings().cloned())
            .collect(),
        start: start(&context),
    };
    tell(&context, &document, &verdicts, exit);
    if args.json {
        let text = serde_json::to_string_pretty(&document)?;
        out_line(context.runner.redactor().redact(&text))?;
    }
    Ok(exit)
}

/// Looks, checks, plans.
fn prepare(context: &mut Context, global: &Global) -> anyhow::Result<Prepared> {
    let eyes = Eyes {
        workspace: &context.workspace,
        settings: &context.loaded.settings,
        runner: &context.runner,
        only: &[],
    };
    let seen = observe::observe(&eyes, &mut context.vault);
    let mut machine = observe::look_at_machine(&eyes, seen.labeler.as_ref());
    if let Some(environment) = &mut machine.environment {
        let open = environment_in_the_making(context)?;
        environment.ours = environment.without_pip && open.as_deref() == Some(&environment.folder);
    }
    if context.runner.interrupt().is_set() {
        return Err(Ending::new(Exit::Interrupted, "interrupted; nothing was changed").into());
    }
    let settings = &context.loaded.settings;
    let run = RunId::new();
    let request = Request {
        run: run.clone(),
        only: Vec::new(),
        roles: Roles::Unify,
        pull: false,
        set_aside: false,
        accept_unfenced: false,
        target_password: context.vault.get(&SecretName::Target).is_some(),
        reader_ports: Vec::new(),
    };
    let findings = plan::preflight_onboarding(&seen, &machine, settings, &request);
    if worst(&findings) == Some(Severity::Error) {
        return Err(refuse(&findings).into());
    }
    let local = local_values(&context.loaded, &context.workspace, global);
    let local_changes = edit_local(&machine.local_settings, &local)? != machine.local_settings;
    let wanted = Onboarding {
        run,
        local,
        local_changes,
        unfinished: unfinished(context)?,
    };
    let plan = plan::onboarding(
        &context.workspace,
        &context.loaded,
        &seen,
        &machine,
        &wanted,
        &context.vault,
    )?;
    make_up(context, &plan);
    Ok(Prepared { findings, plan })
}

/// Whether the last set-up stopped before its end.
fn unfinished(context: &Context) -> anyhow::Result<bool> {
    let Some(run) = RunDir::all(&context.workspace.onboardings())
        .into_iter()
        .next_back()
    else {
        return Ok(false);
    };
    Ok(migrate::state(&run)?.is_none_or(|state| !state.finished))
}

/// The virtual environment that a set-up began to make, when it never came to that step's end.
fn environment_in_the_making(context: &Context) -> anyhow::Result<Option<PathBuf>> {
    for run in RunDir::all(&context.workspace.onboardings()).iter().rev() {
        let Some((plan, state)) = record::read(run)? else {
            continue;
        };
        for (step, state) in plan.steps.iter().zip(&state.steps) {
            let Action::Environment(environment) = &step.action else {
                continue;
            };
            match state {
                StepState::Pending => {}
                StepState::Done { .. } => return Ok(None),
                _ if environment.create_with.is_some() => return Ok(Some(environment.folder.clone())),
                _ => return Ok(None),
            }
        }
    }
    Ok(None)
}

/// Makes up the values that the plan only names.
fn make_up(context: &mut Context, plan: &Plan) {
    for step in &plan.steps {
        let Action::Cutover(cutover) = &step.action else {
            continue;
        };
        for change in cutover.files.iter().flat_map(|file| &file.changes) {
            if let EnvValue::Secret(name @ SecretName::New(_)) = &change.value
                && context.vault.get(name).is_none()
            {
                context
                    .vault
                    .insert(&context.runner, name.clone(), infra::Secret::random());
            }
        }
    }
}

/// Confirms the plan and carries it out.
fn set_up(
    context: &Context,
    plan: &Plan,
    yes: bool,
) -> anyhow::Result<(Vec<documents::StepDocument>, Vec<Finding>)> {
    let terminal = &context.terminal;
    terminal.line("what this machine needs:");
    for (number, step) in plan.steps.iter().enumerate() {
        terminal.line(&format!("{:>3}. {}", number + 1, step.title));
    }
    terminal.line("     (cargo xtask onboard --dry-run shows every command)");
    confirm("go ahead?", yes, "cargo xtask onboard --yes")?;
    let run = RunDir::new(&context.workspace.onboardings(), plan.run.clone());
    run.create()?;
    let text = serde_json::to_vec_pretty(plan).context("failed to write the plan as JSON")?;
    infra::files::write_private(&run.plan(), &text).context("failed to write the plan")?;
    let mut journal = Journal::open(&run.journal())?;
    journal.append(JournalEvent::RunStarted {
        plan: infra::files::sha256_bytes(&text),
    })?;
    let outcome = engine::run(
        &Planned::all(&plan.steps),
        |step: &Planned<'_>| migrate::world(context, &run, step.id()),
        &mut journal,
        |event| terminal.event(&event),
    )?;
    let Outcome::Stopped { step, title, failure } = outcome else {
        let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
        let state = engine::fold(&ids, journal.entries())?;
        let mut notes = left_out(context, journal.entries());
        notes.extend(documents::rest(plan, &state).map(not_started));
        return Ok((documents::steps(plan, &state), notes));
    };
    let exit = if failure.interrupted {
        Exit::Interrupted
    } else {
        Exit::Resumable
    };
    let message = format!(
        "failed to {title}: {}\n\nwhat was done before stays; the same command goes on from here\nlog: {}",
        failure.message.trim_start_matches("failed to "),
        run.logs().join(format!("{step}.log")).display()
    );
    Err(what_next(failure)
        .into_iter()
        .fold(Ending::new(exit, message), Ending::hint)
        .into())
}

/// What to type after a step that stopped. The same command again ends at the same place, where the doctor knows the
/// failure.
fn what_next(failure: Failure) -> Vec<String> {
    let known = !failure.interrupted && !doctor::recognise(&failure.message).is_empty();
    let doctor = known.then(|| "cargo xtask doctor".to_owned());
    let first = failure.hints.into_iter().chain(doctor).take(1);
    first.chain(["cargo xtask onboard".to_owned()]).collect()
}

/// Databases that the application was not asked for, because they hold nothing yet.
fn left_out(context: &Context, entries: &[engine::Entry]) -> Vec<Finding> {
    let facts = entries.iter().filter_map(|entry| match &entry.event {
        JournalEvent::StepSucceeded { facts, .. } => facts["left_out"].as_array(),
        _ => None,
    });
    let keys: Vec<&str> = facts.flatten().filter_map(serde_json::Value::as_str).collect();
    let databases = context.loaded.settings.databases.values();
    let empty = databases.filter(|database| keys.contains(&database.health_key.as_str()));
    let names: Vec<&str> = empty.map(|database| database.name.as_str()).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let found = format!("databases that hold nothing yet: {}", names.join(", "));
    let finding = Finding::note(EMPTY, found);
    vec![
        finding
            .wanted("their tables: the platform's own set-up makes them, `cargo xtask restore` brings them"),
    ]
}

/// Services of the platform's stack that do not run.
fn not_started(rest: documents::RestDocument) -> Finding {
    let found = format!(
        "services of the platform that were not started: {}",
        rest.not_started.join("; ")
    );
    let finding = Finding::note(SERVICES, found);
    rest.line.into_iter().fold(finding, Finding::hint)
}

/// Id of the finding that names services without a container.
const SERVICES: &str = "platform.services";

/// Id of the finding that names databases without content.
const EMPTY: &str = "databases.empty";

/// The checks of configuration and databases, and whether Redis answers. The application is not running yet.
fn check(context: &mut Context) -> Verdicts {
    let wanted = |check: &&Check| match check.group.scope() {
        Scope::Config | Scope::Databases => true,
        _ => check.id == checks::REDIS,
    };
    let selected: Vec<&'static Check> = CHECKS.iter().filter(wanted).collect();
    verify::look(context, Scope::All, &selected, false).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_the_doctor_knows_is_sent_there() {
        let lost = Failure::new(
            "exit code 1\n  | psycopg2.errors.DuplicateObject: type \"dataset_source\" already exists",
        );
        assert_eq!(what_next(lost), ["cargo xtask doctor", "cargo xtask onboard"]);
        let other = Failure::new("something else");
        assert_eq!(what_next(other), ["cargo xtask onboard"]);
        let own = Failure::new("Connection refused").hint("docker logs x");
        assert_eq!(what_next(own), ["docker logs x", "cargo xtask onboard"]);
    }
}
