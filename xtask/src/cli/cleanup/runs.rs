//! The migrations of this workspace, as cleaning up sees them.

use crate::cli::Context;
use crate::cli::record;
use crate::engine::{RunState, StepState};
use crate::model::RunDir;
use crate::plan::Plan;

/// A run and where it stands.
pub(super) struct Known {
    pub(super) dir: RunDir,
    pub(super) plan: Option<Plan>,
    pub(super) state: Option<RunState>,
}

/// Every migration, the oldest first.
pub(super) fn known(context: &Context) -> anyhow::Result<Vec<Known>> {
    let one = |dir: RunDir| {
        let (plan, state) = record::read(&dir)?.unzip();
        Ok(Known { dir, plan, state })
    };
    RunDir::all(&context.workspace.runs())
        .into_iter()
        .map(one)
        .collect()
}

impl Known {
    pub(super) fn is_open(&self) -> bool {
        let begun = |step: &StepState| !matches!(step, StepState::Pending);
        self.state
            .as_ref()
            .is_some_and(|state| !state.finished && !state.rolled_back && state.steps.iter().any(begun))
    }

    pub(super) fn is_finished(&self) -> bool {
        self.state
            .as_ref()
            .is_some_and(|state| state.finished && !state.rolled_back && !state.cleaned)
    }
}
