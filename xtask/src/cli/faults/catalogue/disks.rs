//! Disks that are full, and files that cannot be written.

use std::path::Path;

use super::{Act, Fault, Needs, When};
use crate::cli::faults::round::Round;
use crate::cli::faults::space::Space;
use crate::model::Exit;

const fn own(
    name: &'static str,
    what: &'static str,
    needs: Needs,
    act: fn(&mut Round<'_>) -> anyhow::Result<()>,
) -> Fault {
    Fault {
        name,
        what,
        needs,
        short: false,
        act: Act::Own(act),
    }
}

pub(super) const FAULTS: [Fault; 4] = [
    own(
        "full-backup",
        "the disk for the backup is full",
        Needs::Mounts,
        full_backup,
    ),
    own(
        "full-target",
        "the disk of the new instance is full",
        Needs::Mounts,
        full_target,
    ),
    own(
        "env-mounted-read-only",
        "the folder of .env cannot be written",
        Needs::Mounts,
        read_only_folder,
    ),
    own(
        "env-read-only",
        ".env is marked read-only (mode 0444)",
        Needs::Nothing,
        read_only_file,
    ),
];

/// What a disk has to spare before somebody fills it: enough for every check.
const SPARE: u64 = 400_000_000;

/// Somebody fills the disk while pg_dump begins.
fn full_backup(round: &mut Round<'_>) -> anyhow::Result<()> {
    let runs = round.arena.workspace.runs();
    infra::files::private_dir(&runs)?;
    let mount = |space: &Space| space.small_disk(&runs, SPARE);
    round.in_space(mount, |round| {
        fill_at(round, When::Call("pg_dump"), &runs, 40_000)
    })
}

/// Somebody fills the disk while pg_restore begins.
fn full_target(round: &mut Round<'_>) -> anyhow::Result<()> {
    let data = round.arena.target_cluster().data;
    let mount = |space: &Space| space.small_copy(&data, SPARE);
    round.in_space(mount, |round| {
        fill_at(round, When::LateCall("pg_restore"), &data, 3_000_000)
    })
}

fn fill_at(round: &mut Round<'_>, when: When, disk: &Path, most: usize) -> anyhow::Result<()> {
    let left = round.random.below(most);
    round.note(format!("{left} bytes are left"));
    let ran = round.migrate_and_at(when, |arena| arena.space()?.fill(disk, left))?;
    round.arena.space()?.make_room(disk)?;
    round.judge(&ran)?;
    round.recover()
}

fn read_only_folder(round: &mut Round<'_>) -> anyhow::Result<()> {
    let folder = round.arena.env_file().with_file_name("");
    round.in_space(
        |space| space.read_only(&folder),
        |round| {
            let ran = round.arena.xtask(&["migrate", "--yes"])?;
            round.judge(&ran)?;
            round.arena.space()?.writable(&folder)?;
            round.recover()
        },
    )
}

/// A file that is replaced as a whole needs no permission of its own; its mode must stay, there and back.
fn read_only_file(round: &mut Round<'_>) -> anyhow::Result<()> {
    let file = round.arena.env_file().to_owned();
    let before = std::fs::metadata(&file)?.permissions();
    let mut locked = before.clone();
    locked.set_readonly(true);
    std::fs::set_permissions(&file, locked.clone())?;
    let ran = round.arena.xtask(&["migrate", "--yes"])?;
    round.judge(&ran)?;
    let stays = |round: &mut Round<'_>, when: &str| -> anyhow::Result<()> {
        if std::fs::metadata(&file)?.permissions() != locked {
            round.wrong(format!("{when} .env has another mode"));
        }
        Ok(())
    };
    stays(round, "after the migration")?;
    if ran.is(Exit::Ok) {
        round.go_back()?;
    }
    stays(round, "after the rollback")?;
    std::fs::set_permissions(&file, before)?;
    Ok(())
}
