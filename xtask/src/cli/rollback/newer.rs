//! What is on the target and not in the old instances: rows that somebody wrote there.

use infra::postgres::manifest::CompareOptions;

use super::{Going, env_files, set_aside};
use crate::cli::migrate::world;
use crate::cli::{Ending, backup};
use crate::engine::StepState;
use crate::model::run_dir::BEFORE_ROLLBACK;
use crate::model::{Exit, time};
use crate::plan::Action;
use crate::plan::action::{BackupDatabase, Restore, RestoreDatabase};
use crate::steps::{self, Failure, Planned, Step as _, World};

/// How many differences of a database are shown.
const SHOWN: usize = 10;

/// Whether something is on the target that the old world does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newer {
    /// No: it was compared, or nobody but us ever wrote there.
    Nothing,
    /// Yes.
    Rows,
    /// It cannot be told, and cannot be backed up.
    Unknown,
}

impl Going<'_> {
    /// Looks for rows that were written on the target since the cutover, and refuses to leave them behind.
    pub(super) fn new_writes(&self) -> anyhow::Result<Newer> {
        let restored = self.plan.steps.iter().find_map(|step| match &step.action {
            Action::Restore(restore) => Some(restore),
            _ => None,
        });
        let swapped = self.is_open(|action| matches!(action, Action::Swap(_)));
        let (Some(asked), true) = (restored, swapped) else {
            return Ok(Newer::Nothing);
        };
        // The swap can only be undone on a target that runs.
        let world = world(self.context, self.run, "rollback")?;
        let mut changed = "nothing was changed";
        let started = self.start_target(&world).map(|started| {
            if started {
                changed = "the target was started to look, and runs; nothing else was changed";
            }
        });
        let cut_over = self.is_open(|action| matches!(action, Action::Cutover(_)));
        // Where the target took the place of an old instance, `.env` names it before the cutover.
        let since = match cut_over {
            true => "the cutover",
            false => "the databases were put in place",
        };
        let options = CompareOptions {
            // A swap that was cut off leaves our mark in it.
            database_comment: cut_over,
            ..CompareOptions::default()
        };
        let looked = started.and_then(|()| match cut_over {
            true => {
                let aside = set_aside::since(self, asked)?;
                Ok((steps::written_since(asked, &options, &world)?, aside))
            }
            false => {
                let unfinished = self.unfinished(asked, &world)?;
                Ok((steps::written_since(&unfinished, &options, &world)?, Vec::new()))
            }
        });
        let discard = self.args.discard_new_writes;
        let flag = format!("cargo xtask rollback {} --discard-new-writes", self.run.id);
        match looked {
            Ok((found, aside)) if found.is_empty() && aside.is_empty() => {
                self.context
                    .terminal
                    .line(&format!("  nothing was written on the target since {since}"));
                Ok(Newer::Nothing)
            }
            Ok((found, aside)) => {
                let mut message = String::from("the target holds what the old instances do not have:");
                for (database, differences) in &found {
                    for difference in differences.iter().take(SHOWN) {
                        message.push_str(&format!("\n  {database}: {difference}"));
                    }
                    if differences.len() > SHOWN {
                        message.push_str(&format!("\n  {database}: and {} more", differences.len() - SHOWN));
                    }
                }
                for aside in &aside {
                    message.push_str(&format!("\n  {aside}"));
                }
                if discard {
                    self.context.terminal.line(&message);
                    return Ok(Newer::Rows);
                }
                message.push_str(&format!("\ngoing back would leave that behind; {changed}"));
                let server = asked.target.server(&self.context.vault);
                let look = aside.first().map(|aside| server.connect_hint(&aside.name));
                let ending = Ending::new(Exit::Preconditions, message);
                let ending = look.into_iter().fold(ending, Ending::hint);
                Err(ending.hint(flag).into())
            }
            // Nobody but us was told of the target yet.
            Err(_) if !cut_over && !env_files::any_on_the_target(self) => Ok(Newer::Nothing),
            Err(failure) if discard => {
                self.context.terminal.line(&format!(
                    "cannot tell what was written on the target since {since}: {}",
                    failure.message
                ));
                let answers = asked.target.server(&self.context.vault);
                let answers = answers.answers(&self.context.runner, &asked.maintenance_database);
                Ok(if answers.is_ok() {
                    Newer::Rows
                } else {
                    Newer::Unknown
                })
            }
            Err(failure) => {
                let message = format!(
                    "cannot tell what was written on the target since {since}: {}\n{changed}",
                    failure.message
                );
                Err(Ending::new(Exit::Preconditions, message).hint(flag).into())
            }
        }
    }

    /// The databases of a run that came to its swap and not to its cutover which others may have written to: those in place,
    /// but for one whose schema was being upgraded, by us.
    fn unfinished(&self, restore: &Restore, world: &World<'_>) -> Result<Restore, Failure> {
        let mut restore = restore.clone();
        let in_place = self.in_place(world)?;
        restore
            .databases
            .retain(|database| in_place.contains(&database.name));
        for (step, state) in self.plan.steps.iter().zip(&self.state.steps) {
            if let Action::UpgradeSchema(schema) = &step.action
                && *state != StepState::Pending
                && !steps::is_recorded(self.run, &schema.name)?
            {
                restore.databases.retain(|database| database.name != schema.name);
            }
        }
        Ok(restore)
    }

    /// The databases that this run put in place and that are there now.
    fn in_place(&self, world: &World<'_>) -> Result<Vec<String>, Failure> {
        let mut swaps = self.plan.steps.iter().filter_map(|step| match &step.action {
            Action::Swap(swap) => Some(swap),
            _ => None,
        });
        swaps
            .next()
            .map_or(Ok(Vec::new()), |swap| steps::in_place_now(swap, world))
    }

    /// Starts the target when somebody stopped it meanwhile; whether it did.
    fn start_target(&self, world: &World<'_>) -> Result<bool, Failure> {
        let mut started = false;
        for (planned, step) in self.plan.steps.iter().zip(Planned::all(&self.plan.steps)) {
            let Action::StartTarget(start) = &planned.action else {
                continue;
            };
            let server = start.instance.server(&self.context.vault);
            if server
                .answers(&world.runner, &start.maintenance_database)
                .is_err()
            {
                self.context
                    .terminal
                    .line("  the target does not answer; starting it to look");
                step.apply(world)?;
                step.verify(world)?;
                started = true;
            }
        }
        Ok(started)
    }

    /// Backs the target's databases up into the run's folder.
    pub(super) fn keep_target(&self) -> anyhow::Result<()> {
        let restored = self.plan.steps.iter().find_map(|step| match &step.action {
            Action::Restore(restore) => Some(restore),
            _ => None,
        });
        let Some(restore) = restored else { return Ok(()) };
        let world = world(self.context, self.run, "rollback")?;
        let in_place = self
            .in_place(&world)
            .map_err(|failure| self.refuse(&failure.message))?;
        let here = |database: &&RestoreDatabase| in_place.contains(&database.name);
        let databases = restore
            .databases
            .iter()
            .filter(here)
            .map(|database| BackupDatabase {
                name: database.name.clone(),
                source_database: database.target_name.clone(),
                reader: restore.target.clone(),
                watched: false,
            });
        let folder = self
            .run
            .path()
            .join(format!("{BEFORE_ROLLBACK}{}", time::compact_now()));
        self.context.terminal.line(&format!(
            "backing up the target before going back: {}",
            folder.display()
        ));
        backup::take(self.context, self.run, databases.collect(), folder)?;
        Ok(())
    }
}
