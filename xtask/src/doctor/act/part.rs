//! A part of a migration: start the target, have Redis, rewrite `.env`.

use serde::{Deserialize, Serialize};

use super::setting::env_commands;
use crate::config::Vault;
use crate::doctor::fix::shown;
use crate::plan::action::TargetControl;
use crate::plan::{Action, PlannedStep};
use crate::steps::{Failure, Planned, Step, World};

/// A step of a migration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Part(Box<PlannedStep>);

impl Part {
    /// This one.
    pub fn new(title: String, action: Action) -> Self {
        Self(Box::new(PlannedStep {
            id: "part".to_owned(),
            title,
            reason: String::new(),
            commands: Vec::new(),
            action,
        }))
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<String> {
        match &self.0.action {
            // Not a program's work: the same edit as a person would make it.
            Action::Cutover(cutover) => env_commands(cutover),
            action => shown(action.commands(vault)),
        }
    }

    pub(super) fn touches(&self) -> Vec<String> {
        match &self.0.action {
            Action::Cutover(cutover) => {
                let files = cutover.files.iter();
                files
                    .map(|file| format!("file {}", file.path.display()))
                    .collect()
            }
            Action::StartTarget(start) => match &start.control {
                TargetControl::Compose { container, .. } => vec![format!("container {container}")],
                TargetControl::Cluster(cluster) => vec![format!("cluster {}", cluster.data.display())],
                TargetControl::External => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    pub(super) fn apply(&self, world: &World<'_>) -> Result<(), Failure> {
        for step in self.steps() {
            step.apply(world)?;
            step.verify(world)?;
        }
        Ok(())
    }

    pub(super) fn undo(&self, world: &World<'_>) -> Result<(), Failure> {
        // The step speaks of the migration that it was made for.
        let ours = |failure: Failure| Failure {
            message: failure.message.replace("after the cutover", "after this repair"),
            ..failure
        };
        self.steps()
            .iter()
            .try_for_each(|step| step.undo(world).map_err(ours))
    }

    fn steps(&self) -> Vec<Planned<'_>> {
        Planned::all(std::slice::from_ref(&self.0))
    }
}
