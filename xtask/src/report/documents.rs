//! Documents for programs: each carries `schema_version`.

use std::path::PathBuf;

use infra::postgres::manifest::{DatabaseManifest, TableKind};
use serde::{Deserialize, Serialize};

use crate::checks::Counts;
use crate::engine::{RunState, StepState};
use crate::model::backup::DatabaseBackup;
use crate::model::{Finding, RunDir};
use crate::plan::Plan;

/// What `migrate --json` and `rehearse --json` print.
#[derive(Debug, Serialize)]
pub struct RunDocument {
    /// Version of this document.
    pub schema_version: u32,
    /// Whether every step was done and checked.
    pub verified: bool,
    /// `docker` or `local`; only for rehearsals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// The run.
    pub run: String,
    /// The steps in order.
    pub steps: Vec<StepDocument>,
    /// The databases.
    pub databases: Vec<DatabaseDocument>,
    /// The backup's folder.
    pub backup: PathBuf,
    /// Where the backup was uploaded to, `s3://...`, the oldest upload first.
    pub uploads: Vec<String>,
    /// The new instance.
    pub target: TargetDocument,
    /// What was not started of the platform's stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest: Option<RestDocument>,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was noticed before.
    pub findings: Vec<Finding>,
}

impl RunDocument {
    /// The document of a rehearsal that was only prepared.
    pub fn empty(runtime: &str) -> Self {
        Self {
            schema_version: 1,
            verified: false,
            runtime: Some(runtime.to_owned()),
            run: String::new(),
            steps: Vec::new(),
            databases: Vec::new(),
            backup: PathBuf::new(),
            uploads: Vec::new(),
            target: TargetDocument {
                host: String::new(),
                port: 0,
                user: String::new(),
            },
            rest: None,
            error: None,
            findings: Vec::new(),
        }
    }
}

/// Services of the platform's stack that do not run.
#[derive(Debug, Serialize, Deserialize)]
pub struct RestDocument {
    /// Each service, and why.
    pub not_started: Vec<String>,
    /// What to type once nothing stands in the way any more.
    pub line: Option<String>,
}

/// What the step that starts the rest of the platform's stack left out; `None` when it has not ended or left nothing out.
pub fn rest(plan: &Plan, state: &RunState) -> Option<RestDocument> {
    let mut steps = plan.steps.iter().zip(&state.steps);
    let (_, state) = steps.find(|(step, _)| step.id == crate::plan::STACK)?;
    let StepState::Done { facts, .. } = state else {
        return None;
    };
    let rest: RestDocument = serde_json::from_value(facts.clone()).ok()?;
    (!rest.not_started.is_empty()).then_some(rest)
}

/// What `onboard --json` prints.
#[derive(Debug, Serialize)]
pub struct OnboardDocument {
    /// Version of this document.
    pub schema_version: u32,
    /// Whether no check found a fault.
    pub ready: bool,
    /// Whether anything was done.
    pub changed: bool,
    /// The steps that were needed.
    pub steps: Vec<StepDocument>,
    /// How many checks said what.
    pub checks: Counts,
    /// What was noticed before and after.
    pub findings: Vec<Finding>,
    /// What to type to start the application.
    pub start: Vec<String>,
}

/// One step.
#[derive(Debug, Serialize)]
pub struct StepDocument {
    /// Its id.
    pub name: String,
    /// Seconds it took.
    pub seconds: f64,
    /// `done`, `skipped`, `failed`, `pending` or `undone`.
    pub result: &'static str,
}

/// One database.
#[derive(Debug, Serialize)]
pub struct DatabaseDocument {
    /// Its name.
    pub name: String,
    /// Its tables.
    pub tables: Vec<TableDocument>,
    /// Bytes in the old instance.
    pub bytes: u64,
}

/// One table.
#[derive(Debug, Serialize)]
pub struct TableDocument {
    /// Its name with its schema.
    pub name: String,
    /// Rows in the old instance, under the backup's snapshot.
    pub source_rows: u64,
    /// Rows in the restored copy; absent until it was compared.
    pub target_rows: Option<u64>,
    /// Whether its rows are those of its partitions, which are tables of their own here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partitioned: bool,
}

/// The new instance.
#[derive(Debug, Serialize)]
pub struct TargetDocument {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Role.
    pub user: String,
}

/// The steps as a program reads them.
pub fn steps(plan: &Plan, state: &RunState) -> Vec<StepDocument> {
    let one = |(step, state): (&crate::plan::PlannedStep, &StepState)| {
        let (seconds, result) = match state {
            StepState::Pending => (0.0, "pending"),
            StepState::Open { .. } => (0.0, "failed"),
            StepState::Done {
                seconds,
                skipped: true,
                ..
            } => (*seconds, "skipped"),
            StepState::Done { seconds, .. } => (*seconds, "done"),
            StepState::Undoing { .. } => (0.0, "failed"),
            StepState::Undone => (0.0, "undone"),
        };
        StepDocument {
            name: step.id.clone(),
            seconds,
            result,
        }
    };
    plan.steps.iter().zip(&state.steps).map(one).collect()
}

/// The databases with the rows on both sides.
///
/// # Errors
/// When a manifest is there and cannot be read.
pub fn databases(plan: &Plan, run: &RunDir) -> anyhow::Result<Vec<DatabaseDocument>> {
    let mut documents = Vec::new();
    for name in &plan.databases {
        let Some(backup) = DatabaseBackup::read(&run.backup(), name)? else {
            continue;
        };
        let restored: Option<DatabaseManifest> = run.load(&format!("restored-{name}"))?;
        let tables = backup.manifest.tables.iter().map(|(table, facts)| TableDocument {
            name: table.clone(),
            source_rows: facts.rows,
            target_rows: restored
                .as_ref()
                .and_then(|r| r.tables.get(table))
                .map(|facts| facts.rows),
            partitioned: facts.kind == TableKind::Partitioned,
        });
        documents.push(DatabaseDocument {
            name: name.clone(),
            tables: tables.collect(),
            bytes: backup.manifest.bytes,
        });
    }
    Ok(documents)
}
