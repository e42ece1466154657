//! Extra care for a migration to a server that is not ours: whose name was typed, when it is done, how long it takes, and a
//! record of it all.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::confirm::ask;
use super::{Context, Ending};
use crate::config::{Control, Settings};
use crate::model::backup::BackupManifest;
use crate::model::run_dir::read_json;
use crate::model::upload::Uploads;
use crate::model::{Exit, Finding, RunDir, time};
use crate::plan::action::Fenced;
use crate::plan::{Action, Plan};
use crate::report::documents::RunDocument;

/// What a rehearsal left for estimates.
const RATE: &str = "production-rate.json";
/// Bytes of database that a run without a rehearsal is taken to move in a second: dump, restore and comparison together.
const CAUTIOUS_RATE: f64 = 5.0 * 1024.0 * 1024.0;
/// Steps between which nobody can use the databases.
const DOWN: [&str; 6] = ["fence", "backup", "seal", "restore", "swap", "schema"];

/// Whether this is about a server that is not ours.
pub(super) fn is_needed(settings: &Settings) -> bool {
    settings.target.control == Control::External
}

/// What people must know beside the preflight: the window, and how long the databases will be away.
pub(super) fn findings(context: &Context, plan: &Plan, sizes: u64) -> Vec<Finding> {
    let settings = &context.loaded.settings;
    if !is_needed(settings) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if !settings.maintenance.is_open(time::clock()) {
        findings.push(
            Finding::warning(
                "maintenance.window",
                format!("it is {}, outside of the maintenance window", time::now()),
            )
            .wanted(settings.maintenance.describe()),
        );
    }
    let rate = Rate::read(context.workspace.root());
    let (bytes_per_second, source) = match &rate {
        Some(rate) => (
            rate.bytes_per_second,
            format!(
                "as the rehearsal of {} did on this machine; the network comes on top",
                rate.at
            ),
        ),
        None => (
            CAUTIOUS_RATE,
            "a cautious guess; cargo xtask rehearse --profile production measures".to_owned(),
        ),
    };
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let seconds = 30.0 + sizes as f64 / bytes_per_second;
    findings.push(Finding::note(
        "downtime",
        format!(
            "{} will be away for about {}: {} at {}/s, {source}",
            plan.databases.join(", "),
            time::seconds(seconds),
            time::bytes(sizes),
            time::bytes(whole(bytes_per_second)),
        ),
    ));
    findings
}

/// The name of the target's host, typed by a person or given on the command line of `command`.
pub(super) fn confirm_target(context: &Context, command: &str, given: Option<&str>) -> anyhow::Result<()> {
    let settings = &context.loaded.settings;
    if !is_needed(settings) {
        return Ok(());
    }
    let host = &settings.target.host;
    let typed = match given {
        Some(given) => Some(given.to_owned()),
        None => ask(&format!(
            "this changes databases on {host}. Type that name to go on:"
        ))?,
    };
    match typed.as_deref() {
        Some(typed) if typed == host => Ok(()),
        Some(typed) => Err(Ending::new(
            Exit::Preconditions,
            format!("the target is {host}, not {typed}; nothing was changed"),
        )
        .into()),
        None => Err(Ending::new(
            Exit::Preconditions,
            "nobody named the target's host; nothing was changed",
        )
        .hint(format!("cargo xtask {command} --yes --confirm-target HOST"))
        .into()),
    }
}

/// How fast a rehearsal moved data.
#[derive(Debug, Serialize, Deserialize)]
struct Rate {
    at: String,
    bytes_per_second: f64,
}

impl Rate {
    fn path(root: &Path) -> PathBuf {
        root.join("target").join("rehearsal").join(RATE)
    }

    fn read(root: &Path) -> Option<Self> {
        read_json(&Self::path(root))
            .ok()
            .flatten()
            .filter(|rate: &Self| rate.bytes_per_second > 0.0)
    }
}

/// Keeps what a rehearsal measured, for the estimate of the real run.
pub(super) fn keep_rate(root: &Path, document: &RunDocument) -> anyhow::Result<()> {
    let down = document
        .steps
        .iter()
        .filter(|step| DOWN.iter().any(|name| step.name.starts_with(name)));
    let seconds: f64 = down.map(|step| step.seconds).sum();
    let bytes: u64 = document.databases.iter().map(|database| database.bytes).sum();
    if seconds <= 0.0 || bytes == 0 {
        return Ok(());
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let rate = Rate {
        at: time::now(),
        bytes_per_second: bytes as f64 / seconds,
    };
    let text = serde_json::to_vec_pretty(&rate).context("failed to write the rate as JSON")?;
    infra::files::write_private(&Rate::path(root), &text)
        .context("failed to keep what the rehearsal measured")
}

fn whole(value: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate, shown in three digits"
    )]
    let whole = value.max(0.0) as u64;
    whole
}

/// Writes down who did what, when, with which versions. Nothing of it is a secret.
///
/// # Errors
/// When it cannot be written.
pub(super) fn audit(
    context: &Context,
    run: &RunDir,
    plan: &Plan,
    what: &str,
    ended: &str,
) -> anyhow::Result<()> {
    let settings = &context.loaded.settings;
    if !is_needed(settings) {
        return Ok(());
    }
    let path = run.path().join("audit.jsonl");
    let manifest = BackupManifest::path(&run.backup());
    let sum = |path: &Path| infra::files::sha256(path).map(|(sum, _)| sum).ok();
    let sources: Vec<serde_json::Value> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Fence(fence) => Some(serde_json::json!({
                "database": fence.source_database,
                "server": fence.external().map(|instance| &instance.reach),
                "role": fence.user,
                "closed": fence.is_closable(),
                "vouched": matches!(&fence.fenced, Fenced::External(external) if external.vouched),
            })),
            _ => None,
        })
        .collect();
    let entry = serde_json::json!({
        "schema_version": 1,
        "at": time::now(),
        "who": who(),
        "what": what,
        "ended": ended,
        "run": run.id.to_string(),
        "profile": plan.profile,
        "databases": plan.databases,
        "sources": sources,
        "target": { "host": settings.target.host, "port": settings.target.port, "role": settings.target.user },
        "program": env!("CARGO_PKG_VERSION"),
        "plan_sha256": sum(&run.plan()),
        "manifest_sha256": sum(&manifest),
        "uploads": Uploads::read(&run.backup()).unwrap_or_default().locations(),
        "versions": versions(run),
    });
    let mut file =
        infra::files::append_private(&path).with_context(|| format!("failed to open {}", path.display()))?;
    let line = format!("{entry}\n");
    std::io::Write::write_all(&mut file, line.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("failed to write {}", path.display()))
}

/// Versions of the servers, as far as the backup knows them.
fn versions(run: &RunDir) -> serde_json::Value {
    let manifest = BackupManifest::read(&run.backup()).ok().flatten();
    let names = manifest
        .into_iter()
        .flat_map(|manifest| manifest.databases.into_keys());
    let version = |name: String| {
        let backup = crate::model::backup::DatabaseBackup::read(&run.backup(), &name)
            .ok()
            .flatten()?;
        let version = infra::postgres::version_text(backup.manifest.server_version_num);
        Some((name, serde_json::Value::from(version)))
    };
    names
        .filter_map(version)
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The account and the machine.
fn who() -> String {
    let variable = |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok());
    let number = || Some(format!("account number {}", infra::command::account_number()?));
    let user = variable(&["SUDO_USER", "USER", "USERNAME", "LOGNAME"]).or_else(number);
    let machine = std::fs::read_to_string("/etc/hostname")
        .ok()
        .map(|name| name.trim().to_owned());
    let machine = machine.or_else(|| variable(&["COMPUTERNAME", "HOSTNAME"]));
    format!(
        "{} on {}",
        user.unwrap_or_else(|| "an unknown account".to_owned()),
        machine.unwrap_or_else(|| "an unknown machine".to_owned())
    )
}
