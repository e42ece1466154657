//! A repair as data, and as a step of the engine: announced in a journal before it acts, looked at again afterwards,
//! and taken back from the same journal.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::act::Act;
use crate::config::Vault;
use crate::plan;
use crate::steps::{Failure, Probe, Step, World};

/// A repair.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fix {
    /// What it does, in a few words.
    pub title: String,
    /// Whom it disturbs, when it disturbs anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbs: Option<String>,
    /// The acts in order; going back takes them in reverse.
    pub acts: Vec<Act>,
}

impl Fix {
    /// A repair that disturbs nobody.
    pub(super) fn new(title: impl Into<String>, acts: Vec<Act>) -> Self {
        Self {
            title: title.into(),
            disturbs: None,
            acts,
        }
    }

    /// Says whom it disturbs.
    #[must_use]
    pub(super) fn disturbs(mut self, whom: impl Into<String>) -> Self {
        self.disturbs = Some(whom.into());
        self
    }

    /// The commands as they will run, secrets masked.
    pub fn commands(&self, vault: &Vault) -> Vec<String> {
        let acts = self.acts.iter().flat_map(|act| act.commands(vault));
        acts.collect()
    }

    /// Whether both change the same: a database, a file, a container.
    pub fn meets(&self, other: &Self) -> bool {
        let touched = |fix: &Self| -> Vec<String> { fix.acts.iter().flat_map(Act::touches).collect() };
        let others = touched(other);
        touched(self).iter().any(|one| others.contains(one))
    }

    /// Why it cannot be taken back, when it cannot.
    pub fn no_way_back(&self) -> Option<&'static str> {
        self.acts.iter().find_map(Act::no_way_back)
    }
}

/// `plan.json` of a repair's folder: what was repaired, beside the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// Version of this document.
    pub schema_version: u32,
    /// The problem.
    pub problem: String,
    /// What it was about.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// The repair.
    pub fix: Fix,
}

/// A repair as the engine runs it.
pub struct FixStep<'a> {
    /// What to do.
    pub kept: &'a Kept,
    /// Looks again: an error while the problem is still there.
    pub gone: &'a dyn Fn() -> Result<(), Failure>,
}

impl<'a> Step for FixStep<'a> {
    type World = World<'a>;

    fn id(&self) -> &str {
        &self.kept.problem
    }

    fn title(&self) -> &str {
        &self.kept.fix.title
    }

    fn probe(&self, _: &World<'a>) -> Result<Probe, Failure> {
        // It was looked at a moment ago, and every act looks before it acts.
        Ok(Probe::Absent)
    }

    fn apply(&self, world: &World<'a>) -> Result<Value, Failure> {
        for act in &self.kept.fix.acts {
            act.apply(world)?;
        }
        Ok(Value::Null)
    }

    fn verify(&self, _: &World<'a>) -> Result<(), Failure> {
        (self.gone)()
    }

    fn undo(&self, world: &World<'a>) -> Result<(), Failure> {
        if let Some(why) = self.kept.fix.no_way_back() {
            return Err(Failure::new(why));
        }
        for act in self.kept.fix.acts.iter().rev() {
            act.undo(world)?;
        }
        Ok(())
    }
}

/// Commands as people paste them.
pub(super) fn shown(commands: impl IntoIterator<Item = infra::Cmd>) -> Vec<String> {
    commands.into_iter().map(|cmd| plan::shown(&cmd)).collect()
}
