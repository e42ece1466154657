//! Changes of one file. Each says what it did.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::Context as _;

pub(in crate::cli::faults) fn cut(path: &Path) -> anyhow::Result<String> {
    let file = OpenOptions::new().write(true).open(path)?;
    let length = file.metadata()?.len();
    file.set_len(length * 6 / 10)?;
    Ok(format!("cut {} to {} bytes", path.display(), length * 6 / 10))
}

pub(in crate::cli::faults) fn empty(path: &Path) -> anyhow::Result<String> {
    OpenOptions::new().write(true).open(path)?.set_len(0)?;
    Ok(format!("emptied {}", path.display()))
}

pub(in crate::cli::faults) fn remove(path: &Path) -> anyhow::Result<String> {
    fs::remove_file(path)?;
    Ok(format!("removed {}", path.display()))
}

/// One bit in the middle.
pub(in crate::cli::faults) fn flip(path: &Path) -> anyhow::Result<String> {
    let middle = fs::metadata(path)?.len() / 2;
    change(path, middle, |byte| byte ^ 1)?;
    Ok(format!("flipped a bit of byte {middle} of {}", path.display()))
}

/// The last digit: the file stays as long and as readable as it was.
pub(in crate::cli::faults) fn digit(path: &Path) -> anyhow::Result<String> {
    let at = fs::read(path)?
        .iter()
        .rposition(u8::is_ascii_digit)
        .context("no digit to change")?;
    change(
        path,
        at as u64,
        |digit| if digit == b'9' { b'8' } else { digit + 1 },
    )?;
    Ok(format!("changed the digit at byte {at} of {}", path.display()))
}

fn change(path: &Path, at: u64, to: impl Fn(u8) -> u8) -> anyhow::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&[to(byte[0])])?;
    Ok(())
}

/// The last lines of the rows are gone, and what is left is whole lines.
pub(in crate::cli::faults) fn cut_at_a_line(path: &Path) -> anyhow::Result<String> {
    let text = fs::read(path)?;
    let some = text.len() * 6 / 10;
    let end = text[..some]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    OpenOptions::new().write(true).open(path)?.set_len(end as u64)?;
    Ok(format!("cut {} to {end} bytes", path.display()))
}
