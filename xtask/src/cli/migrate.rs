//! `cargo xtask migrate`

use std::io::{BufRead, IsTerminal, Write};

use anyhow::Context as _;

use super::output::{out, out_line};
use super::{Context, Ending, Global, refuse};
use crate::engine::{self, Journal, JournalEvent, Lock, Outcome};
use crate::model::finding::worst;
use crate::model::run_dir::read_json;
use crate::model::{Exit, Finding, RunDir, RunId, Severity};
use crate::observe::{self, Eyes};
use crate::plan::{self, Plan, Request, Roles};
use crate::report::documents::{self, RunDocument, TargetDocument};
use crate::report::summary;
use crate::steps::{Planned, World};

/// Migrate: show the plan, ask, back up, move, check, and say how to go back
///
/// Stops the old instances and reads them in isolation, backs up every database, starts the new instance, restores
/// under another name, compares every table, puts the databases in place, brings the schema to head, points `.env` at
/// the target and asks the application whether it works.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct MigrateArgs {
    /// Move only these databases (labeler is always among them unless left out here)
    #[arg(long, value_name = "DB", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Show each step with its reason and its exact commands, and what changes in .env; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    /// Go on with a run that stopped (the newest, or the one named)
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "")]
    pub(crate) resume: Option<String>,
    /// How roles come over
    #[arg(long, value_enum, default_value_t = Roles::Unify)]
    pub(crate) roles: Roles,
    /// Pull the platform's checkout first (git pull --ff-only)
    #[arg(long)]
    pub(crate) pull: bool,
    /// Keep existing content of a target database under another name, DB__before_RUN
    #[arg(long)]
    pub(crate) set_aside_existing: bool,
    /// Print one JSON document about the run on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the command.
pub(crate) fn cmd_migrate(global: &Global, args: &MigrateArgs) -> anyhow::Result<Exit> {
    let mut context = Context::new(global)?;
    if args.dry_run {
        let (findings, plan) = prepare(&mut context, args)?;
        for finding in &findings {
            context.terminal.line(&finding.to_string());
        }
        let Some(plan) = plan else {
            return Err(refuse(&[]).into());
        };
        out(plan::render(&plan))?;
        for step in &plan.steps {
            if let plan::Action::Cutover(cutover) = &step.action {
                let diff = crate::steps::preview(cutover, &context.vault)
                    .map_err(|failure| Ending::new(Exit::Preconditions, failure.message))?;
                out(format_args!("\n{diff}"))?;
            }
        }
        return Ok(Exit::Ok);
    }
    let document = migrate(&mut context, args)?;
    if args.json {
        out_line(serde_json::to_string_pretty(&document)?)?;
    } else {
        out(summary(&document))?;
    }
    let run = &document.run;
    context.terminal.line(&format!(
        "\ndone and checked. Run {run}; the old volumes are untouched."
    ));
    context
        .terminal
        .line(&format!("go back:   cargo xtask rollback {run}"));
    context.terminal.line(&format!(
        "clean up:  cargo xtask cleanup {run}   (when you are sure)"
    ));
    Ok(Exit::Ok)
}

/// The whole migration: lock, plan or resume, confirm, run.
pub(crate) fn migrate(context: &mut Context, args: &MigrateArgs) -> anyhow::Result<RunDocument> {
    let lock = Lock::take(&context.workspace.private(), "cargo xtask migrate")?;
    let _lock = lock.map_err(|held| {
        Ending::new(
            Exit::Preconditions,
            format!("another migration is at work: {}", held.0),
        )
        .hint("cargo xtask status")
    })?;
    let (run, plan, mut journal, findings) = match &args.resume {
        Some(name) => resume(context, name)?,
        None => begin(context, args)?,
    };
    let outcome = execute(context, &run, &plan, &mut journal)?;
    let mut document = describe(context, &run, &plan, &journal, findings)?;
    if let Outcome::Stopped { failure, .. } = &outcome {
        document.error = Some(failure.message.clone());
    }
    write_reports(context, &run, &plan, &journal, &document);
    match outcome {
        Outcome::Finished => Ok(document),
        Outcome::Stopped { step, title, failure }
            if step == plan::IMAGES && is_first(&document, &failure) =>
        {
            // Nothing has stopped yet: a precondition is not met. The run is closed, so that the next one starts afresh.
            let steps = Planned::all(&plan.steps);
            let world = |step: &Planned<'_>| world(context, &run, crate::steps::Step::id(step));
            engine::undo(&steps, world, &mut journal, |_| {})?;
            let message = failure.message.trim_start_matches("failed to ");
            let message = format!("failed to {title}: {message}\n\nnothing was changed");
            let ending = Ending::new(Exit::Preconditions, message);
            Err(failure.hints.into_iter().fold(ending, Ending::hint).into())
        }
        Outcome::Stopped { step, title, failure } => {
            let exit = if failure.interrupted {
                Exit::Interrupted
            } else {
                Exit::Resumable
            };
            let log = run.logs().join(format!("{step}.log"));
            let mut message = match failure.interrupted {
                true => format!("interrupted while at: {title}\n\n"),
                false => {
                    format!(
                        "failed to {title}: {}\n\n",
                        failure.message.trim_start_matches("failed to ")
                    )
                }
            };
            let done = |id: &str| {
                document
                    .steps
                    .iter()
                    .any(|s| s.name.starts_with(id) && s.result == "done")
            };
            message.push_str(match (done("fence"), done("cutover")) {
                (_, true) => "the target is in charge: .env names it, and its databases are complete\n",
                (true, false) => {
                    "the old instances are stopped and fenced; .env is untouched, the target shows no half-restored database\n"
                }
                (false, false) => ".env is untouched, the target shows no half-restored database\n",
            });
            message.push_str(&format!("log: {}\n", log.display()));
            message.push_str(&format!("go back with: cargo xtask rollback {}", run.id));
            let ending = Ending::new(exit, message);
            let ending = failure.hints.into_iter().take(1).fold(ending, Ending::hint);
            Err(ending
                .hint(format!("cargo xtask migrate --resume {}", run.id))
                .into())
        }
    }
}

/// Whether a step failed by itself before any other was done.
fn is_first(document: &RunDocument, failure: &crate::steps::Failure) -> bool {
    let done = |step: &documents::StepDocument| matches!(step.result, "done" | "skipped");
    !failure.interrupted && !document.steps.iter().any(done)
}

/// Looks, checks, plans. The plan is missing when a finding forbids it.
fn prepare(context: &mut Context, args: &MigrateArgs) -> anyhow::Result<(Vec<Finding>, Option<Plan>)> {
    for name in &args.only {
        if !context.loaded.settings.databases.contains_key(name) {
            let known: Vec<&str> = context
                .loaded
                .settings
                .databases
                .keys()
                .map(String::as_str)
                .collect();
            let message = format!("--only {name}: no such database; there is {}", known.join(", "));
            return Err(Ending::new(Exit::Usage, message).into());
        }
    }
    let eyes = Eyes {
        workspace: &context.workspace,
        settings: &context.loaded.settings,
        runner: &context.runner,
        only: &args.only,
    };
    let seen = observe::observe(&eyes, &mut context.vault);
    if context.runner.interrupt().is_set() {
        return Err(Ending::new(Exit::Interrupted, "interrupted; nothing was changed").into());
    }
    let settings = &context.loaded.settings;
    if let Some(why) = plan::nothing_to_do(&seen, settings) {
        return Err(Ending::new(Exit::NothingToDo, format!("nothing to do: {why}")).into());
    }
    let request = Request {
        run: RunId::new(),
        only: args.only.clone(),
        roles: args.roles,
        pull: args.pull,
        set_aside: args.set_aside_existing,
        target_password: context.vault.get(&crate::config::SecretName::Target).is_some(),
        reader_ports: infra::ports::free(settings.databases.len()).context("failed to find free ports")?,
    };
    let findings = plan::preflight(&seen, settings, &request);
    if worst(&findings) == Some(Severity::Error) {
        return Err(refuse(&findings).into());
    }
    let plan = plan::build(
        &context.workspace,
        &context.loaded,
        &seen,
        &request,
        &context.vault,
    )?;
    Ok((findings, Some(plan)))
}

type Begun = (RunDir, Plan, Journal, Vec<Finding>);

fn begin(context: &mut Context, args: &MigrateArgs) -> anyhow::Result<Begun> {
    if let Some(open) = open_run(context)? {
        return Err(
            Ending::new(Exit::Preconditions, format!("run {} is not finished", open.id))
                .hint(format!("cargo xtask migrate --resume {}", open.id))
                .hint(format!("cargo xtask rollback {}", open.id))
                .into(),
        );
    }
    let (findings, plan) = prepare(context, args)?;
    let plan = plan.context("there is no plan")?;
    confirm(context, &plan, &findings, args.yes)?;
    let run = RunDir::new(&context.workspace.runs(), plan.run.clone());
    run.create()?;
    let text = serde_json::to_vec_pretty(&plan).context("failed to write the plan as JSON")?;
    infra::files::write_private(&run.plan(), &text).context("failed to write the plan")?;
    let mut journal = Journal::open(&run.journal())?;
    journal.append(JournalEvent::RunStarted {
        plan: infra::files::sha256_bytes(&text),
    })?;
    Ok((run, plan, journal, findings))
}

/// The newest run that neither finished nor was rolled back.
fn open_run(context: &Context) -> anyhow::Result<Option<RunDir>> {
    let Some(run) = RunDir::all(&context.workspace.runs()).into_iter().next_back() else {
        return Ok(None);
    };
    let Some(plan) = read_json::<Plan>(&run.plan())? else {
        return Ok(None);
    };
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    let state = engine::fold(&ids, &Journal::read(&run.journal())?)?;
    Ok(state.is_open().then_some(run))
}

fn resume(context: &mut Context, name: &str) -> anyhow::Result<Begun> {
    let run = context.run((!name.is_empty()).then_some(name))?;
    let plan: Plan = read_json(&run.plan())?.with_context(|| format!("run {} has no plan", run.id))?;
    let mut journal = Journal::open(&run.journal())?;
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    let state = engine::fold(&ids, journal.entries())?;
    if state.finished {
        return Err(Ending::new(
            Exit::NothingToDo,
            format!("nothing to do: run {} is finished", run.id),
        )
        .into());
    }
    if state.rolled_back {
        return Err(
            Ending::new(Exit::Preconditions, format!("run {} was rolled back", run.id))
                .hint("cargo xtask migrate")
                .into(),
        );
    }
    if state.is_going_back() {
        let message = format!(
            "run {} is on its way back; it cannot go forward from there",
            run.id
        );
        return Err(Ending::new(Exit::Preconditions, message)
            .hint(format!("cargo xtask rollback {}", run.id))
            .into());
    }
    let eyes = Eyes {
        workspace: &context.workspace,
        settings: &context.loaded.settings,
        runner: &context.runner,
        only: &plan.databases,
    };
    let seen = observe::observe(&eyes, &mut context.vault);
    learn_kept(context, &run)?;
    let now = plan::inputs(&context.loaded, &seen);
    let changed: Vec<String> = plan
        .inputs
        .iter()
        .filter(|(name, before)| now.get(*name) != Some(before))
        .map(|(name, before)| {
            let now = now.get(name).map_or("absent", String::as_str);
            format!("  {name}: was {before}, is {now}")
        })
        .collect();
    if !changed.is_empty() {
        let message = format!(
            "run {} cannot go on, because what it was planned on has changed:\n{}",
            run.id,
            changed.join("\n")
        );
        return Err(Ending::new(Exit::Preconditions, message)
            .hint("change it back and resume")
            .hint(format!("cargo xtask rollback {}", run.id))
            .into());
    }
    let left = crate::steps::clear_orphans(
        &world(context, &run, "resume")?,
        plan::charge::uses_docker(&context.loaded.settings),
    );
    let left = left.map_err(|failure| Ending::new(Exit::Preconditions, failure.message))?;
    for what in left {
        context
            .terminal
            .line(&format!("removed what a killed run left: {what}"));
    }
    journal.append(JournalEvent::RunResumed {})?;
    Ok((run, plan, journal, Vec::new()))
}

/// After the cutover only the run's kept copies know the old passwords.
pub(crate) fn learn_kept(context: &mut Context, run: &RunDir) -> anyhow::Result<()> {
    let kept = std::fs::read_dir(run.path().join("env"))
        .into_iter()
        .flatten()
        .flatten();
    for entry in kept.filter(|entry| entry.path().extension().is_some_and(|end| end == "before")) {
        let bytes = std::fs::read(entry.path()).context("failed to read a kept .env")?;
        observe::learn_kept(
            &context.loaded.settings,
            &context.runner,
            &bytes,
            &mut context.vault,
        );
    }
    Ok(())
}

fn execute(context: &Context, run: &RunDir, plan: &Plan, journal: &mut Journal) -> anyhow::Result<Outcome> {
    let steps = Planned::all(&plan.steps);
    let world = |step: &Planned<'_>| world(context, run, crate::steps::Step::id(step));
    engine::run(&steps, world, journal, |event| context.terminal.event(&event))
}

/// A step's world: its own log.
pub(crate) fn world<'a>(context: &'a Context, run: &RunDir, step: &str) -> anyhow::Result<World<'a>> {
    let log = run.logs().join(format!("{step}.log"));
    let runner = context
        .runner
        .with_log(&log)
        .with_context(|| format!("failed to open {}", log.display()))?;
    Ok(World {
        vault: &context.vault,
        runner,
        run: run.clone(),
        progress: &context.terminal,
    })
}

/// `report.html` and `report.md` in the run's folder. A report that cannot be written is said and changes no outcome.
pub(crate) fn write_reports(
    context: &Context,
    run: &RunDir,
    plan: &Plan,
    journal: &Journal,
    document: &RunDocument,
) {
    let redactor = context.runner.redactor();
    let written = crate::report::write_reports(plan, journal.entries(), run, document, redactor);
    context.terminal.line(&match written {
        Ok(()) => format!("report:    {}", run.path().join("report.html").display()),
        Err(error) => format!("warning: no report was written: {error:#}"),
    });
}

/// The run as a document.
pub(crate) fn describe(
    context: &Context,
    run: &RunDir,
    plan: &Plan,
    journal: &Journal,
    findings: Vec<Finding>,
) -> anyhow::Result<RunDocument> {
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    let state = engine::fold(&ids, journal.entries())?;
    let target = &context.loaded.settings.target;
    Ok(RunDocument {
        schema_version: 1,
        verified: state.finished,
        runtime: None,
        run: run.id.to_string(),
        steps: documents::steps(plan, &state),
        databases: documents::databases(plan, run)?,
        backup: run.backup(),
        target: TargetDocument {
            host: target.host.clone(),
            port: target.port,
            user: target.user.clone(),
        },
        error: None,
        findings,
    })
}

/// Shows the plan and asks. Only a terminal is asked; elsewhere `--yes` is needed.
fn confirm(context: &Context, plan: &Plan, findings: &[Finding], yes: bool) -> anyhow::Result<()> {
    let terminal = &context.terminal;
    for finding in findings {
        terminal.line(&finding.to_string());
    }
    terminal.line(&format!("plan {}: {}", plan.run, plan.databases.join(", ")));
    for (number, step) in plan.steps.iter().enumerate() {
        terminal.line(&format!("{:>3}. {}", number + 1, step.title));
    }
    terminal.line("     (cargo xtask migrate --dry-run shows every command)");
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Ending::new(
            Exit::Preconditions,
            "nobody confirmed the plan; nothing was changed",
        )
        .hint("cargo xtask migrate --yes")
        .into());
    }
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "\ngo ahead? The old instances stop now. [y/N] ");
    let _ = out.flush();
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("failed to read the answer")?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Ending::new(Exit::Preconditions, "not confirmed; nothing was changed").into())
}
