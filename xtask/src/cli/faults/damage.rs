//! Damages files, and asks every command that reads them.

use anyhow::Context as _;

use super::catalogue::{Damage, PlainDamage};
use super::round::{Round, Verdict};
use crate::cli::faults::catalogue::Place;
use crate::model::Exit;
use infra::postgres::plain::dump;

/// The name that a damaged dump is restored under.
const INTO: &str = "fault_restored";
/// The database whose plain dump is damaged.
const DUMPED: &str = "labeler";

impl Round<'_> {
    /// Damages the backup of a run that was killed right after it; `backup verify` must see it, a restore must refuse
    /// it, and the resumed run must take the backup again.
    pub(super) fn damage(&mut self, damage: Damage) -> anyhow::Result<()> {
        let taken = self.baseline.done("target")?;
        self.crash("migrate", taken)?;
        let run = self.arena.run().context("the migration left no run")?;
        let databases: Vec<String> = self.arena.databases().cloned().collect();
        let database = self.random.pick(&databases).context("there are no databases")?;
        let folder = run.backup();
        let done = damage(&Place {
            folder: &folder,
            database,
        })?;
        self.note(done);
        let verified = self.arena.xtask(&["backup", "verify", run.id.as_str()])?;
        self.learned.detect = Some(verified.took);
        let restored = self.arena.xtask(&[
            "restore",
            run.id.as_str(),
            "--database",
            database,
            "--into",
            INTO,
            "--yes",
        ])?;
        let refused = [Exit::Findings, Exit::Preconditions];
        for (what, ran) in [("backup verify", &verified), ("restore", &restored)] {
            if !refused.iter().any(|exit| ran.is(*exit)) {
                self.wrong(format!(
                    "{what} of a damaged backup ended with {:?}: {}",
                    ran.code,
                    ran.said()
                ));
            }
        }
        if !verified.is(Exit::Findings) {
            self.wrong(format!(
                "backup verify ended with {:?}: {}",
                verified.code,
                verified.said()
            ));
        }
        self.learned.verdict = Some(match self.learned.wrong.is_empty() {
            true => Verdict::Detected,
            false => Verdict::Undetected,
        });
        self.recover()
    }

    /// Damages a plain dump; it must be refused before anything shows of it.
    pub(super) fn damage_plain(&mut self, damage: PlainDamage) -> anyhow::Result<()> {
        let runner = self.arena.runner.clone();
        let whole = runner.run(&dump(&self.arena.source(DUMPED)?, DUMPED))?.stdout;
        let file = self.arena.home().join("dump.sql");
        infra::files::write_private(&file, &damage(&whole))?;
        let path = file.to_string_lossy().into_owned();
        let target = self.arena.target_cluster();
        runner.run(&target.start(&[], &target.data.with_extension("log")))?;
        let restored =
            self.arena
                .xtask(&["restore", &path, "--database", DUMPED, "--into", INTO, "--yes"])?;
        self.learned.detect = Some(restored.took);
        let maintenance = &self.arena.settings.target.maintenance_database;
        let names = infra::postgres::facts::server(&runner, &self.arena.target(), maintenance)?.databases;
        runner.run(&target.stop())?;
        let shown: Vec<&String> = names.keys().filter(|name| name.starts_with(INTO)).collect();
        if restored.is(Exit::Ok) || !shown.is_empty() {
            self.lost(
                1,
                format!("a damaged dump was restored ({:?}): {shown:?}", restored.code),
            );
            self.learned.verdict = Some(Verdict::Undetected);
        } else {
            self.learned.verdict = Some(Verdict::Detected);
        }
        if !restored.is(Exit::Findings) && !restored.is(Exit::Preconditions) {
            self.wrong(format!(
                "restore ended with {:?}: {}",
                restored.code,
                restored.said()
            ));
        }
        self.old_world()?;
        self.learned.recovered = self.learned.wrong.is_empty();
        Ok(())
    }
}
