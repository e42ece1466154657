//! A run as a document, and its reports on disk.

use crate::cli::Context;
use crate::engine::{self, Journal};
use crate::model::upload::Uploads;
use crate::model::{Finding, RunDir};
use crate::plan::Plan;
use crate::report::documents::{self, RunDocument, TargetDocument};

/// `report.html` and `report.md` in the run's folder. A report that cannot be written is said and changes no outcome.
pub(crate) fn write_reports(
    context: &Context,
    run: &RunDir,
    plan: &Plan,
    journal: &Journal,
    document: &RunDocument,
) {
    let redactor = context.runner.redactor();
    let written = crate::report::write_reports(plan, journal.entries(), run, document, redactor);
    context.terminal.line(&match written {
        Ok(()) => format!("report:    {}", run.path().join("report.html").display()),
        Err(error) => format!("warning: no report was written: {error:#}"),
    });
}

/// The run as a document.
pub(crate) fn describe(
    context: &Context,
    run: &RunDir,
    plan: &Plan,
    journal: &Journal,
    findings: Vec<Finding>,
) -> anyhow::Result<RunDocument> {
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    let state = engine::fold(&ids, journal.entries())?;
    let target = &context.loaded.settings.target;
    Ok(RunDocument {
        schema_version: 1,
        verified: state.finished,
        runtime: None,
        run: run.id.to_string(),
        steps: documents::steps(plan, &state),
        databases: documents::databases(plan, run)?,
        backup: run.backup(),
        uploads: Uploads::read(&run.backup())?.locations(),
        target: TargetDocument {
            host: target.host.clone(),
            port: target.port,
            user: target.user.clone(),
        },
        rest: documents::rest(plan, &state),
        error: None,
        findings,
    })
}
