//! Programs that stand before psql, pg_dump and pg_restore: they count the calls of a run, and one of them waits at the
//! call that a fault is meant for until the suite has struck.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Programs whose calls are counted. They run as we do; the server's programs run as another account under root.
pub(super) const CLIENTS: [&str; 3] = ["psql", "pg_dump", "pg_restore"];

/// The folder of stand-ins, and the folder through which they are told.
#[derive(Debug)]
pub(super) struct StandIns {
    /// For `bin` in the settings.
    pub(super) bin: PathBuf,
    control: PathBuf,
}

impl StandIns {
    /// Puts a stand-in before every program of `real`.
    pub(super) fn make(home: &Path, real: &Path) -> io::Result<Self> {
        let stand_ins = Self {
            bin: home.join("bin"),
            control: home.join("control"),
        };
        fs::create_dir_all(&stand_ins.bin)?;
        for entry in fs::read_dir(real)? {
            let program = entry?.path();
            let Some(name) = program.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let count = if CLIENTS.contains(&name) {
                stand_ins.counting(name)
            } else {
                String::new()
            };
            let word = infra::command::shell_word(&program.to_string_lossy());
            let text = format!("#!/bin/sh\n# Of the fault suite.\n{count}exec {word} \"$@\"\n");
            executable(&stand_ins.bin.join(name), &text)?;
        }
        Ok(stand_ins)
    }

    /// No two calls get the same number: a file is made only where there was none.
    fn counting(&self, name: &str) -> String {
        let control = infra::command::shell_word(&self.control.to_string_lossy());
        format!(
            "control={control}\n\
             if [ -d \"$control/calls\" ]; then\n\
             \x20 set -C\n\
             \x20 n=1\n\
             \x20 until {{ true > \"$control/calls/{name}.$n\"; }} 2>/dev/null; do n=$((n + 1)); done\n\
             \x20 set +C\n\
             \x20 if [ -e \"$control/at/{name}.$n\" ]; then\n\
             \x20   echo $$ > \"$control/here\"\n\
             \x20   while [ ! -e \"$control/go\" ] && [ -d \"$control/at\" ]; do sleep 0.02; done\n\
             \x20 fi\n\
             fi\n"
        )
    }

    /// Begins to count anew; the given call waits.
    pub(super) fn arm(&self, call: Option<(&str, usize)>) -> io::Result<()> {
        self.disarm()?;
        fs::create_dir_all(self.control.join("at"))?;
        if let Some((program, number)) = call {
            fs::File::create(self.control.join("at").join(format!("{program}.{number}")))?;
        }
        fs::create_dir(self.control.join("calls"))
    }

    /// Counts nothing, and lets everybody go.
    pub(super) fn disarm(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.control) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The process that waits.
    pub(super) fn waiting(&self) -> Option<u32> {
        let text = fs::read_to_string(self.control.join("here")).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    }

    /// Lets the waiting one go on: from here on it is the real program.
    pub(super) fn release(&self) -> io::Result<()> {
        fs::File::create(self.control.join("go")).map(drop)
    }

    /// How often each program was called since [`StandIns::arm`].
    pub(super) fn calls(&self) -> io::Result<BTreeMap<String, usize>> {
        let mut calls = BTreeMap::new();
        for entry in fs::read_dir(self.control.join("calls"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Some((program, _)) = name.rsplit_once('.') {
                *calls.entry(program.to_owned()).or_insert(0) += 1;
            }
        }
        Ok(calls)
    }
}

fn executable(path: &Path, text: &str) -> io::Result<()> {
    infra::files::write_shared(path, text.as_bytes())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
