//! `cargo xtask migrate`

mod command_line;
mod describe;
mod old_instances;
mod resume;

use anyhow::Context as _;

use self::command_line::typed;
pub(super) use self::describe::{describe, write_reports};
use self::old_instances::old_instances;
use self::resume::resume;
pub(super) use self::resume::{decisions, open_run, state, unfinished};

use super::confirm::confirm;
use super::output::{out, out_line};
use super::{Context, Ending, Global, care, error_document, refuse};
use crate::engine::{self, Journal, JournalEvent, Outcome};
use crate::model::finding::worst;
use crate::model::{Exit, Finding, RunDir, RunId, Severity};
use crate::observe::{self, Eyes};
use crate::plan::{self, Plan, Request, Roles};
use crate::report::documents::RunDocument;
use crate::report::summary;
use crate::steps::{self, Planned, World};

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
    /// Go on with a run that stopped (the newest, or the one named), as it was planned
    #[arg(
        long,
        value_name = "RUN",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = ["only", "dry_run", "roles", "pull", "set_aside_existing"],
    )]
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
    /// The name of the target's host, instead of typing it; needed for a server that is not ours
    #[arg(long, value_name = "HOST")]
    pub(crate) confirm_target: Option<String>,
    /// Go on although an external source cannot be closed: you vouch that nobody writes to it. With --resume: that the
    /// sessions named after the cutover are not the application's
    #[arg(long)]
    pub(crate) accept_unfenced_source: bool,
    /// Print one JSON document about the run on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a person has to do after we stopped their application.
const RESTART: &str = "\nyour application was stopped for this: start it again, it reads the new .env";

/// What a person has to do whom no step told so.
const RESTART_ELSEWHERE: &str = "\nrestart the application wherever it runs: it reads the new .env";

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
                let diff = steps::preview(cutover, &context.vault)
                    .map_err(|failure| Ending::new(Exit::Preconditions, failure.message))?;
                out(format_args!("\n{diff}"))?;
            }
        }
        return Ok(Exit::Ok);
    }
    let document = match migrate(&mut context, args) {
        Ok(document) => document,
        Err(error) => {
            if args.json {
                out_line(serde_json::to_string_pretty(&error_document(&error))?)?;
            }
            return Err(error);
        }
    };
    if args.json {
        out_line(serde_json::to_string_pretty(&document)?)?;
    } else {
        out(summary(&document))?;
    }
    let run = &document.run;
    if document
        .steps
        .iter()
        .any(|step| step.name == plan::STOP_APPLICATION)
    {
        context.terminal.line(RESTART);
    }
    let elsewhere = care::is_needed(&context.loaded.settings);
    if elsewhere && !document.steps.iter().any(|step| step.name == plan::APPLICATION) {
        context.terminal.line(RESTART_ELSEWHERE);
    }
    let untouched = match elsewhere {
        true => "the old server's data are untouched",
        false => "the old volumes are untouched",
    };
    context
        .terminal
        .line(&format!("\ndone and checked. Run {run}; {untouched}."));
    context
        .terminal
        .line(&format!("go back:   cargo xtask rollback {run}"));
    context.terminal.line(&format!(
        "clean up:  cargo xtask cleanup {run}   (when you are sure)"
    ));
    for finding in document
        .findings
        .iter()
        .filter(|one| one.id == observe::OLD_PLACE)
    {
        context.terminal.line(&finding.to_string());
    }
    if let Some(rest) = &document.rest {
        for service in &rest.not_started {
            context.terminal.line(&format!("not started: {service}"));
        }
        if let Some(line) = &rest.line {
            context.terminal.line(&format!(
                "start the rest of the platform's stack when that is out of the way:\n{line}"
            ));
        }
    }
    Ok(Exit::Ok)
}

/// The whole migration: lock, plan or resume, confirm, run.
pub(crate) fn migrate(context: &mut Context, args: &MigrateArgs) -> anyhow::Result<RunDocument> {
    let _lock = super::context::lock_from(context, "cargo xtask migrate", "another migration")?;
    let (run, plan, mut journal, findings) = match &args.resume {
        Some(name) => resume(context, name, args.accept_unfenced_source)?,
        None => begin(context, args)?,
    };
    let line = typed(args);
    care::audit(context, &run, &plan, &line, "begun")?;
    let outcome = execute(context, &run, &plan, &mut journal)?;
    let ended = match &outcome {
        Outcome::Finished => "finished".to_owned(),
        Outcome::Stopped { step, .. } => format!("stopped at {step}"),
    };
    care::audit(context, &run, &plan, &line, &ended)?;
    let findings = with_old_names(findings, &plan);
    let mut document = describe(context, &run, &plan, &journal, findings)?;
    if let Outcome::Stopped { failure, .. } = &outcome {
        document.error = Some(failure.message.clone());
    }
    write_reports(context, &run, &plan, &journal, &document);
    match outcome {
        Outcome::Finished => Ok(document),
        Outcome::Stopped { step, title, failure }
            if plan::BEFORE_ANYTHING_STOPS.contains(&step.as_str()) && !failure.interrupted =>
        {
            // Nothing has stopped yet: a precondition is not met. The run is closed, so that the next one starts afresh.
            let steps = Planned::all(&plan.steps);
            let world = |step: &Planned<'_>| world(context, &run, steps::Step::id(step));
            engine::undo(&steps, world, &mut journal, |_| {})?;
            let message = failure.message.trim_start_matches("failed to ");
            let message = format!("failed to {title}: {message}\n\nno server was stopped, .env is untouched");
            let ending = Ending::new(Exit::Preconditions, message).document(&document);
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
            let elsewhere = |step: &plan::PlannedStep| match &step.action {
                plan::Action::Cutover(cutover) => cutover.files.is_empty(),
                _ => false,
            };
            let any = |wanted: fn(&plan::Action) -> bool| plan.steps.iter().any(|step| wanted(&step.action));
            let outside = any(|action| matches!(action, plan::Action::Seal(_)))
                && !any(|action| matches!(action, plan::Action::Release(_)));
            message.push_str(match (done("fence"), done("cutover")) {
                (_, true) if plan.steps.iter().any(elsewhere) => {
                    "the target is in use, and its databases are complete\n"
                }
                (_, true) => "the target is in use: .env names it, and its databases are complete\n",
                (_, false) if outside => {
                    "the old server stays in use: .env is untouched, the target shows no half-restored database\n"
                }
                (_, false) => ".env is untouched, the target shows no half-restored database\n",
            });
            if done("fence") && !done("cutover") {
                message.push_str(&old_instances(context, &run, &plan)?);
            }
            message.push_str(&format!("log: {}\n", log.display()));
            message.push_str(&format!("go back with: cargo xtask rollback {}", run.id));
            let ending = Ending::new(exit, message).document(&document);
            let for_good = failure.for_good;
            let ending = failure.hints.into_iter().take(1).fold(ending, Ending::hint);
            if for_good {
                return Err(ending.into());
            }
            Err(ending
                .hint(format!("cargo xtask migrate --resume {}", run.id))
                .into())
        }
    }
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
        // `.env` may name the target because it was moved there, or because the target's settings name the old server.
        if care::is_needed(settings) && !moved_before(context)? {
            return Err(refuse(&plan::onto_itself(&seen, settings)).into());
        }
        return Err(Ending::new(Exit::NothingToDo, format!("nothing to do: {why}")).into());
    }
    let runs = RunDir::all(&context.workspace.runs());
    let request = Request {
        run: RunId::after(runs.last().map(|run| &run.id)),
        only: args.only.clone(),
        roles: args.roles,
        pull: args.pull,
        set_aside: args.set_aside_existing,
        accept_unfenced: args.accept_unfenced_source,
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
    let sizes = seen
        .sources
        .values()
        .filter_map(|source| source.database.as_ref());
    let care = care::findings(context, &plan, sizes.map(|database| database.bytes).sum());
    Ok((findings.into_iter().chain(care).collect(), Some(plan)))
}

/// The findings, where those that name old places are what there is now.
fn with_old_names(mut findings: Vec<Finding>, plan: &Plan) -> Vec<Finding> {
    let cutovers = plan.steps.iter().filter_map(|step| match &step.action {
        plan::Action::Cutover(cutover) => Some(&cutover.old_names),
        _ => None,
    });
    for names in cutovers {
        findings.retain(|finding| finding.id != observe::OLD_PLACE);
        findings.extend(names.still_there());
    }
    findings
}

/// Whether a run of this profile has moved the databases and is in use.
pub(super) fn moved_before(context: &Context) -> anyhow::Result<bool> {
    for run in RunDir::all(&context.workspace.runs()) {
        if let Some((plan, state)) = super::record::read(&run)?
            && plan.profile == context.loaded.profile
            && state.finished
            && !state.rolled_back
        {
            return Ok(true);
        }
    }
    Ok(false)
}

type Begun = (RunDir, Plan, Journal, Vec<Finding>);

fn begin(context: &mut Context, args: &MigrateArgs) -> anyhow::Result<Begun> {
    if let Some(open) = open_run(context)? {
        return Err(unfinished(context, &open)?.into());
    }
    let (findings, plan) = prepare(context, args)?;
    let plan = plan.context("there is no plan")?;
    show_and_confirm(context, &plan, &findings, args.yes)?;
    care::confirm_target(context, "migrate", args.confirm_target.as_deref())?;
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

/// After the cutover only the run's kept copies know the old passwords.
pub(crate) fn learn_kept(context: &mut Context, run: &RunDir) -> anyhow::Result<()> {
    let kept = std::fs::read_dir(run.path().join("env"))
        .into_iter()
        .flatten()
        .flatten();
    for entry in kept.filter(|entry| entry.path().extension().is_some_and(|end| end == "before")) {
        let bytes = infra::files::read_regular(&entry.path()).context("failed to read a kept .env")?;
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
    let watching = world(context, run, "watch")?;
    steps::under_watch(&plan.steps, &watching, |watch| {
        let steps = Planned::watched_by(&plan.steps, watch);
        let world = |step: &Planned<'_>| world(context, run, steps::Step::id(step));
        engine::run(&steps, world, journal, |event| context.terminal.event(&event))
    })
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

/// Shows the plan and asks. Only a terminal is asked; elsewhere `--yes` is needed.
fn show_and_confirm(context: &Context, plan: &Plan, findings: &[Finding], yes: bool) -> anyhow::Result<()> {
    let terminal = &context.terminal;
    for finding in findings {
        terminal.line(&finding.to_string());
    }
    terminal.line(&format!("plan {}: {}", plan.run, plan.databases.join(", ")));
    for (number, step) in plan.steps.iter().enumerate() {
        terminal.line(&format!("{:>3}. {}", number + 1, step.title));
    }
    terminal.line("     (cargo xtask migrate --dry-run shows every command)");
    let question = match care::is_needed(&context.loaded.settings) {
        true => "go ahead? Sessions on the old database end now.",
        false => "go ahead? The old instances stop now.",
    };
    let again = match care::is_needed(&context.loaded.settings) {
        true => "cargo xtask migrate --yes --confirm-target HOST",
        false => "cargo xtask migrate --yes",
    };
    confirm(question, yes, again)
}
