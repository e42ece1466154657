//! What a run that stopped says of the old instances.

use infra::Interrupt;

use super::world;
use crate::cli::Context;
use crate::model::RunDir;
use crate::plan::{Action, Plan};
use crate::steps::{self, World};

/// What became of the old instances, as they are at this moment.
pub(super) fn old_instances(context: &Context, run: &RunDir, plan: &Plan) -> anyhow::Result<String> {
    let world = world(context, run, "watch")?;
    let world = World {
        // Also after Ctrl-C.
        runner: world.runner.interrupted_by(Interrupt::default()),
        ..world
    };
    let mut lines = String::new();
    let mut fences = 0;
    for step in &plan.steps {
        let Action::Fence(fence) = &step.action else {
            continue;
        };
        fences += 1;
        match steps::what_runs(fence, &world) {
            Ok(None) => {}
            Ok(Some(what)) => lines.push_str(&format!("{what}\n")),
            Err(failure) => lines.push_str(&format!(
                "whether the old instance of {} runs cannot be told: {}\n",
                fence.database, failure.message
            )),
        }
    }
    Ok(match lines.is_empty() && fences > 0 {
        true => "the old instances are stopped and fenced\n".to_owned(),
        false => lines,
    })
}
