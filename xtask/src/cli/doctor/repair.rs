//! Repairs, one after the other, and the way back.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use infra::wait;

use super::super::confirm::confirm;
use super::super::context::lock;
use super::super::migrate::world;
use super::super::output::err_line;
use super::super::{Context, Ending, record};
use super::{DoctorArgs, checkup, look};
use crate::doctor::{self, Case, Diagnosis, Examination, FixStep, Kept, Problem};
use crate::engine::{self, Journal, JournalEvent, Outcome, StepState};
use crate::model::{Exit, RunDir, RunId};
use crate::report::Repaired;
use crate::steps::Failure;

/// How long a problem may take to be gone: a health check comes every few seconds.
const SETTLE: Duration = Duration::from_secs(30);

/// Repairs what can be repaired. One at a time: what follows from a problem is often gone with it, so everything is looked
/// at again after each.
pub(super) fn repair(
    context: &mut Context,
    problems: &[&'static Problem],
    args: &DoctorArgs,
) -> anyhow::Result<(Vec<Examination>, Vec<Repaired>)> {
    let _lock = lock(context, "cargo xtask doctor --fix")?;
    let (mut repaired, mut left) = (Vec::new(), BTreeSet::new());
    loop {
        let (run, examinations) = look(context, problems);
        let next = examinations.iter().find_map(|examination| {
            let mut all = examination.result.iter().flatten();
            let open = all.find(|one| one.fix.is_some() && !left.contains(&key(one)))?;
            Some((examination.problem, open.clone()))
        });
        let Some((problem, diagnosis)) = next else {
            return Ok((examinations, repaired));
        };
        if context.runner.interrupt().is_set() {
            return Ok((examinations, repaired));
        }
        // Tried once: a repair that does not help is not tried for ever.
        left.insert(key(&diagnosis));
        if !agreed(context, &diagnosis, args)? {
            continue;
        }
        repaired.push(one(context, &run, problem, &diagnosis)?);
        reload(context)?;
    }
}

fn key(diagnosis: &Diagnosis) -> (String, String) {
    (diagnosis.finding.id.clone(), diagnosis.subject.clone())
}

/// Shows the repair and asks. On a terminal a no leaves this one out; elsewhere nothing is repaired without `--yes`.
fn agreed(context: &Context, diagnosis: &Diagnosis, args: &DoctorArgs) -> anyhow::Result<bool> {
    let Some(fix) = &diagnosis.fix else {
        return Ok(false);
    };
    let terminal = &context.terminal;
    let redactor = context.runner.redactor();
    terminal.line(&redactor.redact(&format!("{}: {}", diagnosis.finding.id, diagnosis.finding.found)));
    terminal.line(&format!("repair: {}", fix.title));
    if let Some(whom) = &fix.disturbs {
        terminal.line(&format!("disturbs: {whom}"));
    }
    for command in fix.commands(&context.vault) {
        terminal.line(&redactor.redact(&format!("  $ {}", command.replace('\n', "\n    "))));
    }
    if fix.no_way_back().is_some() {
        terminal.line("there is no way back from this one, and none is needed");
    }
    match confirm("repair this?", args.yes, &args.again()) {
        Ok(()) => Ok(true),
        // A person who said no to one may say yes to the next.
        Err(_)
            if !context.runner.interrupt().is_set()
                && std::io::IsTerminal::is_terminal(&std::io::stdin()) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// One repair: announced, done, looked at again.
fn one(
    context: &Context,
    run: &RunDir,
    problem: &'static Problem,
    diagnosis: &Diagnosis,
) -> anyhow::Result<Repaired> {
    let fix = diagnosis.fix.clone().context("this problem has no repair")?;
    let kept = Kept {
        schema_version: 1,
        problem: problem.id.to_owned(),
        subject: diagnosis.subject.clone(),
        found: context.runner.redactor().redact(&diagnosis.finding.found),
        fix,
    };
    run.create()?;
    let text = serde_json::to_vec_pretty(&kept).context("failed to write a repair as JSON")?;
    let path = run.plan();
    infra::files::write_private(&path, &text)
        .with_context(|| format!("failed to write {}", path.display()))?;
    let mut journal = Journal::open(&run.journal())?;
    journal.append(JournalEvent::RunStarted {
        plan: infra::files::sha256_bytes(&text),
    })?;
    let gone = || still_there(context, problem, diagnosis);
    let step = FixStep {
        kept: &kept,
        gone: &gone,
    };
    let step = [step];
    let outcome = engine::run(
        &step,
        |_| world(context, run, problem.id),
        &mut journal,
        |event| context.terminal.event(&event),
    )?;
    let error = match outcome {
        Outcome::Finished => None,
        Outcome::Stopped { failure, .. } => Some(failure),
    };
    if let Some(failure) = &error {
        context.terminal.line(&failure.message);
        for hint in failure.hints.iter().take(2) {
            err_line(format_args!("hint: {hint}"));
        }
    }
    if kept.fix.no_way_back().is_none() {
        context
            .terminal
            .line(&format!("to go back: cargo xtask doctor --undo {}", run.id));
    }
    Ok(Repaired {
        repair: run.id.to_string(),
        problem: kept.problem,
        subject: kept.subject,
        title: kept.fix.title,
        gone: error.is_none(),
        error: error.map(|failure| context.runner.redactor().redact(&failure.message)),
    })
}

/// Looks for the same problem again, until it is gone or has had its time.
fn still_there(context: &Context, problem: &'static Problem, diagnosis: &Diagnosis) -> Result<(), Failure> {
    let mut last = String::new();
    let gone = wait::until(context.runner.interrupt(), SETTLE, || {
        // Settings may be what was repaired.
        let loaded = context.reloaded().ok()?;
        let mut vault = context.vault.clone();
        let checkup = checkup(context, &loaded.settings, &mut vault);
        let run = RunDir::new(&context.workspace.repairs(), RunId::new());
        let past = super::past::past(context);
        let open = super::past::open(context);
        let case = Case {
            past: &past,
            open: open.as_ref(),
            workspace: &context.workspace,
            loaded: &loaded,
            seen: &checkup,
            run: &run,
        };
        let examination = doctor::examine(&[problem], &case).pop()?;
        match examination.result {
            Err(why) => last = format!("it cannot be looked for any more: {}", why.0),
            Ok(all) => match all.iter().find(|one| one.subject == diagnosis.subject) {
                Some(still) => last = format!("it is still there: {}", still.finding.found),
                None => return Some(()),
            },
        }
        None
    });
    gone.map_err(|stopped| match stopped {
        wait::Stopped::Interrupted => Failure::interrupted("look again"),
        wait::Stopped::TimedOut => Failure::new(last),
    })
}

/// What was repaired may have been the settings.
fn reload(context: &mut Context) -> anyhow::Result<()> {
    context.loaded = context.reloaded()?;
    Ok(())
}

/// Takes a repair back: the one that is named, or the newest that is not taken back yet.
pub(super) fn undo(context: &mut Context, id: Option<&str>, yes: bool) -> anyhow::Result<Exit> {
    let _lock = lock(context, "cargo xtask doctor --undo")?;
    let Some((run, kept, mut journal)) = find(context, id)? else {
        let what = id.map_or_else(
            || "nothing to do: no repair is left to take back".to_owned(),
            |id| format!("nothing to do: repair {id} is taken back"),
        );
        return Err(Ending::new(Exit::NothingToDo, what).into());
    };
    if let Some(why) = kept.fix.no_way_back() {
        return Err(Ending::new(Exit::NothingToDo, format!("{}: {why}", kept.fix.title)).into());
    }
    newer(context, &run, &kept)?;
    context.terminal.line(&format!(
        "going back from repair {}: {} ({}: {})",
        run.id, kept.fix.title, kept.problem, kept.found
    ));
    if let Some(whom) = &kept.fix.disturbs {
        context.terminal.line(&format!("disturbs: {whom}"));
    }
    confirm(
        "go back?",
        yes,
        &format!("cargo xtask doctor --undo {} --yes", run.id),
    )?;
    // The passwords that the way back needs.
    let mut vault = context.vault.clone();
    checkup(context, &context.loaded.settings, &mut vault);
    context.vault = vault;
    let gone = || Ok(());
    let step = FixStep {
        kept: &kept,
        gone: &gone,
    };
    let failures = engine::undo(
        &[step],
        |_| world(context, &run, &kept.problem),
        &mut journal,
        |event| context.terminal.event(&event),
    )?;
    match failures.into_iter().next() {
        None => Ok(Exit::Ok),
        Some((title, failure)) => {
            let message = format!("failed to go back from \"{title}\": {}", failure.message);
            let ending = Ending::new(Exit::RollbackIncomplete, message);
            Err(failure.hints.into_iter().fold(ending, Ending::hint).into())
        }
    }
}

/// Going back from a repair under a newer one of the same database, file or container would take half of both back.
fn newer(context: &Context, run: &RunDir, kept: &Kept) -> anyhow::Result<()> {
    for newer in RunDir::all(&context.workspace.repairs()).into_iter().rev() {
        if newer.id <= run.id {
            break;
        }
        let Some((other, _)) = standing(&newer)? else {
            continue;
        };
        if other.fix.no_way_back().is_none() && other.fix.meets(&kept.fix) {
            let message = format!(
                "repair {} is newer, still stands, and changed the same ({}: {}); nothing was changed",
                newer.id, other.problem, other.fix.title
            );
            return Err(Ending::new(Exit::Preconditions, message)
                .hint(format!("cargo xtask doctor --undo {}", newer.id))
                .into());
        }
    }
    Ok(())
}

/// The repair with its journal; `None` when it is taken back already.
fn standing(run: &RunDir) -> anyhow::Result<Option<(Kept, Journal)>> {
    let documents = record::documents::<Kept>(run);
    let documents = documents.with_context(|| format!("repair {} cannot be read", run.id))?;
    let Some((kept, _)) = documents else {
        return Ok(None);
    };
    let journal = Journal::open(&run.journal())?;
    let state = engine::fold(&[kept.problem.as_str()], journal.entries())?;
    let begun = !matches!(state.steps[..], [StepState::Pending | StepState::Undone]);
    Ok(begun.then_some((kept, journal)))
}

/// The repair with its journal; `None` when it is taken back already.
fn find(context: &Context, id: Option<&str>) -> anyhow::Result<Option<(RunDir, Kept, Journal)>> {
    let all = RunDir::all(&context.workspace.repairs());
    if let Some(id) = id
        && !all.iter().any(|run| run.id.as_str() == id)
    {
        let known: Vec<String> = all.iter().rev().take(3).map(|run| run.id.to_string()).collect();
        let ending = Ending::new(Exit::Preconditions, format!("there is no repair {id}"));
        return Err(match known.first() {
            Some(newest) => ending.hint(format!("cargo xtask doctor --undo {newest}")),
            None => ending,
        }
        .into());
    }
    for run in all
        .into_iter()
        .rev()
        .filter(|run| id.is_none_or(|id| run.id.as_str() == id))
    {
        // Without an id, one that cannot be taken back is not in the way of those before it.
        if let Some((kept, journal)) = standing(&run)?
            && (id.is_some() || kept.fix.no_way_back().is_none())
        {
            return Ok(Some((run, kept, journal)));
        }
    }
    Ok(None)
}
