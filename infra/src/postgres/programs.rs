//! PostgreSQL's programs on this machine, and the processes of its servers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Clients;
use super::plain::psql_version;
use super::release::version_in;
use crate::command::{Cmd, CommandError, Runner, find_program};
use crate::docker;

/// Folders where installations of every version lie side by side, each with its `bin`.
const ROOTS: [&str; 3] = [
    "/usr/lib/postgresql",
    "C:\\Program Files\\PostgreSQL",
    "/opt/homebrew/Cellar/postgresql",
];

/// `bin` folders of installations: the newest version first, then PATH's own.
pub fn installed() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ROOTS.iter().flat_map(|root| versions(Path::new(root))).collect();
    let on_path = ["pg_ctl", "psql"].iter().filter_map(|name| find_program(name));
    found.extend(on_path.filter_map(|program| Some(program.parent()?.to_owned())));
    found
}

fn versions(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let digits: String = name
                .chars()
                .skip_while(|c| !c.is_ascii_digit())
                .take_while(char::is_ascii_digit)
                .collect();
            Some((digits.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, bin)| bin).collect()
}

/// The version of a client program, as `server_version_num` writes it.
///
/// # Errors
/// When it does not run or prints no version.
pub fn version(runner: &Runner, clients: &Clients, program: &str) -> Result<u32, CommandError> {
    let cmd = clients.version(program);
    let text = runner.run(&cmd)?.stdout_text();
    version_in(&text).ok_or_else(|| CommandError::Unreadable {
        what: cmd.what().to_owned(),
        why: format!("the answer is {:?}", text.trim()),
    })
}

/// The extensions that the server beside these programs offers, without starting it.
///
/// # Errors
/// When its `pg_config` or the folder of its extensions cannot be asked.
pub fn extensions(runner: &Runner, clients: &Clients) -> Result<Vec<String>, CommandError> {
    let what = format!("list the extensions of {clients}");
    let files: Vec<String> = match clients {
        Clients::Image { image, .. } => {
            let list = "ls \"$(pg_config --sharedir)/extension\"";
            let cmd = Cmd::new(docker::PROGRAM, what)
                .args([
                    "run",
                    "--rm",
                    "--network",
                    "none",
                    "--entrypoint",
                    "sh",
                    image,
                    "-c",
                    list,
                ])
                .limit(Duration::from_secs(60));
            let text = runner.run(&cmd)?.stdout_text();
            text.lines().map(str::to_owned).collect()
        }
        Clients::Machine { bin } => {
            let program = bin
                .as_ref()
                .map_or_else(|| "pg_config".into(), |bin| bin.join("pg_config"));
            let text = runner
                .run(&Cmd::new(program, what.clone()).arg("--sharedir"))?
                .stdout_text();
            let folder = Path::new(text.trim()).join("extension");
            let entries = std::fs::read_dir(&folder).map_err(|error| CommandError::Unreadable {
                what,
                why: format!("{}: {error}", folder.display()),
            })?;
            let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
            entries.flatten().map(name).collect()
        }
    };
    let name = |file: &String| Some(file.strip_suffix(".control")?.to_owned());
    Ok(files.iter().filter_map(name).collect())
}

/// The newest client programs of this machine with their major version; asks each psql.
pub fn newest_clients(runner: &Runner) -> Option<(u32, PathBuf)> {
    let ask = |bin: PathBuf| {
        let clients = Clients::Machine {
            bin: Some(bin.clone()),
        };
        let (major, _) = psql_version(runner, &clients).ok()?;
        Some((major, bin))
    };
    installed()
        .into_iter()
        .filter_map(ask)
        .max_by_key(|(major, _)| *major)
}

/// Sessions of a server that lets nobody in, from the titles of its processes: how many of each role and database.
/// `container` names its container; else `parent` is its first process on this machine.
pub fn sessions_by_title(runner: &Runner, container: Option<&str>, parent: Option<u32>) -> Vec<String> {
    let cmd = match container {
        Some(name) => Cmd::new(docker::PROGRAM, "list the server's processes").args([
            "top",
            name,
            "-eo",
            "pid,ppid,args",
        ]),
        None => Cmd::new("ps", "list the server's processes").args(["-ww", "-eo", "pid,ppid,args"]),
    };
    let Ok(output) = runner.run(&cmd) else {
        return Vec::new();
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in output.stdout_text().lines() {
        if let Some(who) = session(line, parent) {
            *counts.entry(who).or_default() += 1;
        }
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let lines = counts
        .into_iter()
        .map(|(who, count)| format!("{count} sessions: {who}"));
    lines.collect()
}

/// `PID PPID postgres: ROLE DATABASE HOST(PORT) idle` as `role ROLE, database DATABASE`.
fn session(line: &str, parent: Option<u32>) -> Option<String> {
    let mut words = line.split_whitespace().skip(1);
    let its_parent: u32 = words.next()?.parse().ok()?;
    if parent.is_some_and(|parent| parent != its_parent) || words.next()? != "postgres:" {
        return None;
    }
    let (role, database, place) = (words.next()?, words.next()?, words.next()?);
    // Background processes have titles of their own; only a session says where it comes from.
    let session = place.contains('(') || place == "[local]";
    session.then(|| format!("role {role}, database {database}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_told_from_a_background_process() {
        let line = "  812   790 postgres: admin labeler 127.0.0.1(40112) idle in transaction";
        let who = "role admin, database labeler";
        assert_eq!(session(line, None).as_deref(), Some(who));
        assert_eq!(session(line, Some(790)).as_deref(), Some(who));
        assert_eq!(session(line, Some(1)), None);
        assert_eq!(
            session("  793   790 postgres: logical replication launcher", None),
            None
        );
        assert_eq!(session("  793   790 /usr/bin/psql -h x", None), None);
    }
}
