//! The plan as people read it before they say yes.

use std::fmt::Write;

use super::action::{Action, EnvValue};
use super::{Plan, Roles};

/// The plan as text: each step with its reason and its exact commands, and what changes in `.env`.
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
            let _ = writeln!(out, "    $ {command}");
        }
        if let Action::Cutover(cutover) = &step.action {
            for file in &cutover.files {
                let _ = writeln!(out, "    {}", file.path.display());
                for change in &file.changes {
                    let value = match &change.value {
                        EnvValue::Plain(value) => value.as_str(),
                        EnvValue::Secret(_) => infra::secret::MASK,
                    };
                    let _ = writeln!(out, "    + {}={value}", change.key);
                }
            }
        }
    }
    out
}
