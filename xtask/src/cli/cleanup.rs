//! `cargo xtask cleanup`

mod items;
mod remove;
mod runs;

use anyhow::Context as _;

use self::items::{Cleaning, Item};
use self::runs::{Known, known};
use super::confirm::confirm;
use super::context::lock;
use super::migrate::{learn_kept, unfinished, world};
use super::{Context, Ending, Global, backup, refuse};
use crate::engine::{Journal, JournalEvent};
use crate::model::examine;
use crate::model::{Exit, RunDir};
use crate::plan::action::Fence;
use crate::plan::{Action, charge};
use crate::steps;

/// Clean up: list what runs left behind, ask, remove it
///
/// Readers, client containers, unfinished, replaced and undone databases on the target, old runs, and old set-ups of
/// this machine. Old volumes and
/// old containers go only with --remove-volumes, and only when the run's backup was just read again from end to end.
/// After that there is no way back but the backup.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CleanupArgs {
    /// Only what belongs to this run; without it, every run that is not open
    run: Option<String>,
    /// Remove the old volumes as well
    #[arg(long)]
    remove_volumes: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
}

/// Runs the command.
pub(crate) fn cmd_cleanup(global: &Global, args: &CleanupArgs) -> anyhow::Result<Exit> {
    let mut context = Context::new(global)?;
    let _lock = lock(&context, "cargo xtask cleanup")?;
    let all = known(&context)?;
    let named = args
        .run
        .as_deref()
        .map(|name| context.run(Some(name)))
        .transpose()?;
    let of_named = |known: &&Known| named.as_ref().is_some_and(|run| run.id == known.dir.id);
    if let Some(plan) = all.iter().find(of_named).and_then(|known| known.plan.as_ref()) {
        let again = format!("cargo xtask cleanup {}", plan.run);
        super::record::same_profile(plan, &context.loaded.profile, &again)?;
    }
    let (open, closed): (Vec<Known>, Vec<Known>) = all.into_iter().partition(Known::is_open);
    if let Some(run) = &named
        && open.iter().any(|known| known.dir.id == run.id)
    {
        return Err(unfinished(&context, run)?.into());
    }
    let scope: Vec<&Known> = closed
        .iter()
        .filter(|known| named.as_ref().is_none_or(|run| run.id == known.dir.id))
        .collect();
    let seen = backup::look(&mut context, &[]);
    for known in &scope {
        learn_kept(&mut context, &known.dir)?;
    }
    let cleaning = Cleaning {
        context: &context,
        seen: &seen,
        open: open.iter().map(|known| known.dir.id.clone()).collect(),
        named: named.as_ref().map(|run| run.id.clone()),
    };
    let mut items = cleaning.containers(&scope)?;
    items.extend(cleaning.databases()?);
    let charged = if args.remove_volumes {
        let run = in_charge(&scope)?;
        items.extend(cleaning.old_world(run)?);
        Some(run)
    } else {
        None
    };
    if named.is_none() {
        items.extend(cleaning.old_runs(&closed));
        items.extend(cleaning.old_set_ups());
    }
    if items.is_empty() && seen.target.server.is_none() && !closed.is_empty() {
        let mut silent = charge::target_is_silent(&seen, "target".to_owned());
        if let Some(line) = start_line(&context, &closed) {
            silent.hints = vec![line];
        }
        return Err(refuse(&[silent.wanted("it to answer: what runs left on it is not known")]).into());
    }
    if items.is_empty() {
        return Err(Ending::new(Exit::NothingToDo, "nothing to do: there is nothing to clean up").into());
    }
    context.terminal.line("would go:");
    for item in &items {
        context.terminal.line(&format!("  {}", item.text));
    }
    if !args.remove_volumes {
        context
            .terminal
            .line("stay: the old volumes and data directories (--remove-volumes)");
    }
    if let Some(run) = charged {
        verify_backup(&context, run, &items)?;
    }
    let run = args
        .run
        .as_ref()
        .map_or_else(String::new, |run| format!(" {run}"));
    let volumes = if args.remove_volumes {
        " --remove-volumes"
    } else {
        ""
    };
    let again = format!("cargo xtask cleanup{run}{volumes} --yes");
    confirm("remove them? There is no way back from that.", args.yes, &again)?;
    let ends = |known: &&&Known| items.iter().any(|item| item.ends.as_ref() == Some(&known.dir.id));
    for known in scope.iter().filter(ends).filter(|known| known.is_finished()) {
        // Intent before effect: from here on the run cannot be rolled back any more.
        Journal::open(&known.dir.journal())?.append(JournalEvent::RunCleaned {})?;
    }
    remove::remove(&context, &items)
}

/// The line that starts the target again, as the newest run that started it would.
fn start_line(context: &Context, runs: &[Known]) -> Option<String> {
    let plans = runs.iter().rev().filter_map(|known| known.plan.as_ref());
    let mut steps = plans.flat_map(|plan| &plan.steps);
    steps.find_map(|step| match &step.action {
        Action::StartTarget(start) => start.commands(&context.vault).first().map(ToString::to_string),
        _ => None,
    })
}

/// The run whose target replaced the old volumes.
fn in_charge<'a>(scope: &[&'a Known]) -> anyhow::Result<&'a Known> {
    let newest = scope.iter().rev().find(|known| {
        known
            .state
            .as_ref()
            .is_some_and(|state| state.finished && !state.rolled_back)
    });
    newest.copied().ok_or_else(|| {
        Ending::new(
            Exit::Preconditions,
            "no finished run replaced the old volumes; they are in use and stay",
        )
        .hint("cargo xtask status")
        .into()
    })
}

/// What goes must be in the backup: the backup is read to its end, and the old data once more.
fn verify_backup(context: &Context, run: &Known, items: &[Item]) -> anyhow::Result<()> {
    let (dir, plan) = (&run.dir, run.plan.as_ref().context("a finished run has a plan")?);
    let going: Vec<&str> = items
        .iter()
        .filter_map(|item| item.old_data_of.as_deref())
        .collect();
    context
        .terminal
        .line(&format!("reading the backup of run {} from end to end", dir.id));
    let mut differences = examine::examine_own(dir, &dir.backup(), &going).map_err(|error| {
        Ending::new(
            Exit::Preconditions,
            format!("cannot tell whether it is intact: {error:#}"),
        )
    })?;
    if differences.is_empty() {
        differences = backup::intact(context, &dir.backup())?;
    }
    if !differences.is_empty() {
        let message = format!(
            "the backup of run {} is not intact, so the old volumes stay; nothing was removed:\n  {}",
            dir.id,
            differences.join("\n  ")
        );
        return Err(Ending::new(Exit::Findings, message)
            .hint("cargo xtask backup create")
            .into());
    }
    let fences = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Fence(fence) if going.contains(&fence.database.as_str()) => Some(fence),
        _ => None,
    });
    for fence in fences {
        still_as_backed_up(context, dir, fence)?;
    }
    Ok(())
}

/// Somebody may have started an old instance since, and written to it.
fn still_as_backed_up(context: &Context, run: &RunDir, old: &Fence) -> anyhow::Result<()> {
    let database = &old.database;
    context
        .terminal
        .line(&format!("comparing the old data of {database} with the backup"));
    let world = world(context, run, "cleanup")?;
    let differences = steps::differs_from_backup(old, &world);
    let by_hand = |ending: Ending| {
        let holder = steps::in_its_place(old, &world);
        let start = old.bring_back().into_iter().map(|cmd| cmd.to_string());
        let lines = to_look_at(start.collect(), holder.as_deref());
        anyhow::Error::from(lines.into_iter().fold(ending, Ending::hint))
    };
    let differences = differences.map_err(|failure| {
        let message = format!(
            "cannot tell whether the old data of {database} are in the backup, so they stay; nothing was removed: {}",
            failure.message
        );
        by_hand(Ending::new(Exit::Preconditions, message))
    })?;
    if differences.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = differences
        .iter()
        .map(|difference| format!("\n  {difference}"))
        .collect();
    let message = format!(
        "the old instance of {database} holds what the backup of run {} does not: it would be lost, so all of it stays; \
         nothing was removed{}",
        run.id,
        lines.concat()
    );
    Err(by_hand(Ending::new(Exit::Findings, message)))
}

/// The lines that start an old instance; whoever has its port makes room first.
fn to_look_at(start: Vec<String>, holder: Option<&str>) -> Vec<String> {
    let stop = holder
        .filter(|_| !start.is_empty())
        .map(|holder| format!("docker stop {holder}  # it has the port; start it again afterwards"));
    stop.into_iter().chain(start).collect()
}

#[cfg(test)]
mod tests {
    use super::to_look_at;

    #[test]
    fn who_has_the_port_makes_room_before_the_old_instance_starts() {
        let start = || vec!["docker start old".to_owned()];
        assert_eq!(to_look_at(start(), None), start());
        assert_eq!(
            to_look_at(start(), Some("new")),
            [
                "docker stop new  # it has the port; start it again afterwards",
                "docker start old"
            ]
        );
        assert!(to_look_at(Vec::new(), Some("new")).is_empty());
    }
}
