//! What else a rollback stops.

use infra::postgres::facts;

use super::Going;
use crate::engine::StepState;
use crate::plan::Action;

/// Who stops the target stops every database on it: those that the run did not bring are named.
pub(super) fn tell(going: &Going<'_>) {
    let begun = |state: &StepState| !matches!(state, StepState::Pending | StepState::Undone);
    let mut steps = going.plan.steps.iter().zip(&going.state.steps);
    let started = steps.find_map(|(step, state)| match &step.action {
        Action::StartTarget(start) if begun(state) && !start.was_running => Some(start),
        _ => None,
    });
    let Some(start) = started else { return };
    let (runner, server) = (&going.context.runner, start.instance.server(&going.context.vault));
    // A target that does not answer serves nobody.
    let Ok(there) = facts::server(runner, &server, &start.maintenance_database) else {
        return;
    };
    let brought = going.plan.steps.iter().flat_map(|step| match &step.action {
        Action::Restore(restore) => restore.databases.as_slice(),
        _ => &[],
    });
    let brought: Vec<&str> = brought.map(|database| database.target_name.as_str()).collect();
    for name in there
        .databases
        .keys()
        .filter(|name| !brought.contains(&name.as_str()))
    {
        let own = ["__incoming", "__before_", "__undone_"];
        if own.iter().any(|word| name.contains(word)) {
            continue;
        }
        let found = facts::database(runner, &server, name);
        if found.is_ok_and(|found| found.has_content()) {
            going.context.terminal.line(&format!(
                "  warning: the target is stopped, and with it database {name}, which this run did not bring"
            ));
        }
    }
}
