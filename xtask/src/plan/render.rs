//! The plan as people read it before they say yes.

use std::fmt::Write;

use super::{Plan, Roles};

/// The plan as text: each step with its reason and its exact commands.
pub fn render(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "plan {} ({} profile): {}",
        plan.run,
        plan.profile,
        plan.databases.join(", ")
    );
    let _ = writeln!(
        out,
        "roles: {}",
        match plan.roles {
            Roles::Unify => "unify - everything belongs to the target's role, .env follows",
            Roles::Preserve => "preserve - the old role is made again and owns its database",
        }
    );
    for (number, step) in plan.steps.iter().enumerate() {
        let _ = writeln!(out, "\n{:>2}. {}  [{}]", number + 1, step.title, step.id);
        let _ = writeln!(out, "    why: {}", step.reason);
        for command in &step.commands {
            let _ = writeln!(out, "    $ {}", command.replace('\n', "\n      "));
        }
    }
    out
}
