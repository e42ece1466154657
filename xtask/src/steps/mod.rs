//! The steps. Each can look (`probe`), act (`apply`), check (`verify`) and go back (`undo`); all four may run twice.

mod application;
mod ask_application;
mod backup;
mod cutover;
mod databases;
mod environment;
mod failure;
mod fence;
mod images;
mod incoming;
mod link;
mod local;
mod old_data;
mod orphans;
mod plain;
mod pull;
mod redis;
mod release;
mod restore;
mod roles;
mod schema;
mod seal;
mod since;
mod stack;
mod stop_application;
pub mod storage;
mod swap;
mod target;
mod unlogged;
mod upload;
mod wait;
mod watch;
mod write_probe;

use infra::Runner;
use serde_json::Value;

use crate::config::Vault;
use crate::model::{Finding, RunDir};
use crate::plan::{Action, PlannedStep};

pub use application::judge;
pub use ask_application::ask_once;
pub use backup::read_back;
use backup::{make_private, report_growth, sync};
pub use cutover::{edits, preview};
pub use failure::Failure;
pub use fence::external::vouch_for_inside;
pub use fence::returned::proven;
pub use fence::{in_its_place, what_runs};
pub use old_data::differs_from_backup;
pub use orphans::clear as clear_orphans;
pub use since::{is_recorded, written_since};
pub use swap::in_place_now;
pub use wait::wait_for_query;
pub use watch::{Watch, under_watch};
pub use write_probe::write_probe;

/// What a step finds when it looks.
#[derive(Debug)]
pub enum Probe {
    /// Not done: `apply` does it.
    Absent,
    /// Done already, as wanted.
    Satisfied,
    /// Something else is there: a person decides.
    Conflict(Finding),
}

/// What the engine runs. It knows no step by name.
pub trait Step {
    /// What a step acts on.
    type World;

    /// Its name in the journal.
    fn id(&self) -> &str;
    /// What it does, in a few words.
    fn title(&self) -> &str;
    /// Looks, changes nothing.
    ///
    /// # Errors
    /// When it cannot tell: an unknown is never a pass.
    fn probe(&self, world: &Self::World) -> Result<Probe, Failure>;
    /// Acts. Safe to repeat after a crash anywhere inside.
    ///
    /// # Errors
    /// When it could not finish.
    fn apply(&self, world: &Self::World) -> Result<Value, Failure>;
    /// Checks that what `apply` promised is true now.
    ///
    /// # Errors
    /// When it is not, or when it cannot be told.
    fn verify(&self, world: &Self::World) -> Result<(), Failure>;
    /// Goes back to what was there before. Safe to repeat, and safe when `apply` never ran.
    ///
    /// # Errors
    /// When it could not finish.
    fn undo(&self, world: &Self::World) -> Result<(), Failure>;
}

/// Where steps tell how far they are.
pub trait Progress: Send + Sync {
    /// Bytes done of a task, of an expected total.
    fn bytes(&self, task: &str, done: u64, total: u64);
    /// A passing line.
    fn note(&self, text: &str);
    /// A line that stays and asks for nothing.
    fn remark(&self, text: &str);
    /// A line that stays.
    fn warn(&self, text: &str);
}

/// What our steps act on.
pub struct World<'a> {
    /// Secrets.
    pub vault: &'a Vault,
    /// Runs programs, into this step's log.
    pub runner: Runner,
    /// The run's folder.
    pub run: RunDir,
    /// How far we are.
    pub progress: &'a dyn Progress,
}

/// A planned step with its world's lifetime.
pub struct Planned<'a> {
    step: &'a PlannedStep,
    watch: Option<&'a Watch<'a>>,
}

impl<'a> Planned<'a> {
    /// The steps of a plan.
    pub fn all(steps: &'a [PlannedStep]) -> Vec<Self> {
        Self::watched_by(steps, None)
    }

    /// The steps of a plan, under the watch of its fences.
    pub fn watched_by(steps: &'a [PlannedStep], watch: Option<&'a Watch<'a>>) -> Vec<Self> {
        steps.iter().map(|step| Self { step, watch }).collect()
    }

    /// Works under a heartbeat where servers on a network take part, and under the watch of the fences.
    fn watched<T>(
        &self,
        world: &World<'a>,
        work: impl FnOnce(&World<'a>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let action = &self.step.action;
        let work = |world: &World<'a>| link::watched(&action.external(), world, work);
        match self.watch {
            Some(watch) => watch.over(action, world, work),
            None => work(world),
        }
    }
}

impl Planned<'_> {
    /// Tells the watch that a fence is up, or that `.env` names the target.
    fn tell_watch(&self) {
        match (&self.step.action, self.watch) {
            (Action::Fence(fence), Some(watch)) => watch.is_up(fence),
            (Action::Cutover(_), Some(watch)) => watch.end(),
            _ => {}
        }
    }
}

/// Hands each call to the action's own module.
macro_rules! each {
    ($action:expr, $method:ident, $world:expr) => {
        match $action {
            Action::Pull(a) => pull::$method(a, $world),
            Action::Images(a) => images::$method(a, $world),
            Action::StopApplication(a) => stop_application::$method(a, $world),
            Action::Fence(a) => fence::$method(a, $world),
            Action::Backup(a) => backup::$method(a, $world),
            Action::Seal(a) => seal::$method(a, $world),
            Action::Upload(a) => upload::$method(a, $world),
            Action::StartTarget(a) => target::$method(a, $world),
            Action::Restore(a) => restore::$method(a, $world),
            Action::RestorePlain(a) => plain::$method(a, $world),
            Action::Swap(a) => swap::$method(a, $world),
            Action::UpgradeSchema(a) => schema::$method(a, $world),
            Action::Cutover(a) => cutover::$method(a, $world),
            Action::StartRedis(a) => redis::$method(a, $world),
            Action::StartStack(a) => stack::$method(a, $world),
            Action::CheckApplication(a) => application::$method(a, $world),
            Action::AskApplication(a) => ask_application::$method(a, $world),
            Action::Release(a) => release::$method(a, $world),
            Action::LocalSettings(a) => local::$method(a, $world),
            Action::Environment(a) => environment::$method(a, $world),
            Action::CreateDatabases(a) => databases::$method(a, $world),
        }
    };
}

impl<'a> Step for Planned<'a> {
    type World = World<'a>;

    fn id(&self) -> &str {
        &self.step.id
    }

    fn title(&self) -> &str {
        &self.step.title
    }

    fn probe(&self, world: &World<'a>) -> Result<Probe, Failure> {
        let found = self.watched(world, |world| each!(&self.step.action, probe, world))?;
        if matches!(found, Probe::Satisfied) {
            self.tell_watch();
        }
        Ok(found)
    }

    fn apply(&self, world: &World<'a>) -> Result<Value, Failure> {
        self.watched(world, |world| each!(&self.step.action, apply, world))
    }

    fn verify(&self, world: &World<'a>) -> Result<(), Failure> {
        self.watched(world, |world| each!(&self.step.action, verify, world))?;
        self.tell_watch();
        Ok(())
    }

    fn undo(&self, world: &World<'a>) -> Result<(), Failure> {
        self.watched(world, |world| each!(&self.step.action, undo, world))
    }
}

/// Runs one piece of work for each item at the same time. All are waited for; the first failure is returned.
fn parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, Failure> + Sync,
) -> Result<Vec<R>, Failure> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = items.iter().map(|item| scope.spawn(|| work(item))).collect();
        let results: Vec<Result<R, Failure>> = threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Failure::new("a worker ended unexpectedly")))
            })
            .collect();
        results.into_iter().collect()
    })
}
