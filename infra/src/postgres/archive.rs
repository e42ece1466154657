//! Archives: pg_dump in directory format, read back before they are trusted, restored in parallel.

use std::path::Path;

use super::{Clients, Server, quote};
use crate::command::Cmd;

/// Name of pg_dump's table of contents inside a directory archive.
pub const TOC: &str = "toc.dat";

/// `pg_dump -Fd -j`: parallel within one database, under an exported snapshot so that the manifest sees the same rows.
///
/// Compressed (level 1): stock tools notice damage in compressed archives but not in plain ones, and the SHA-256 of
/// every file covers the rest.
pub fn dump(
    server: &Server,
    database: &str,
    folder: &Path,
    name: &str,
    jobs: u32,
    snapshot: Option<&str>,
) -> Cmd {
    let (cmd, seen) = server.bulk_client("pg_dump", folder, false, format!("dump database {database}"));
    // Inside a container the path is a Linux path, whatever this machine is.
    let target = container_path(&seen, name);
    let cmd = cmd
        .args([
            "-d",
            &quote::dbname(database),
            "-Fd",
            "-j",
            &jobs.to_string(),
            "-Z",
            "1",
            "--no-password",
        ])
        .args(["--lock-wait-timeout", "60000", "--no-sync", "-f", &target]);
    match snapshot {
        Some(id) => cmd.args(["--snapshot", id]),
        None => cmd,
    }
}

/// Reads a whole archive without a server: every data file is decompressed. `pg_restore -l` alone reads only the table
/// of contents and finds nothing wrong with a truncated archive.
pub fn read_back(clients: &Clients, folder: &Path, name: &str) -> Cmd {
    let (cmd, seen) = clients.offline("pg_restore", folder, format!("read back the archive of {name}"));
    cmd.args([
        "-f",
        null_device(clients),
        "--exit-on-error",
        &container_path(&seen, name),
    ])
}

/// How [`restore`] treats owners and privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Everything belongs to the role that restores.
    Unify,
    /// Owners and privileges as they were.
    Preserve,
}

/// `pg_restore -j` into an existing, empty database. The bulk-load settings hold for these sessions only.
pub fn restore(
    server: &Server,
    database: &str,
    folder: &Path,
    name: &str,
    jobs: u32,
    maintenance_work_mem: &str,
    ownership: Ownership,
) -> Cmd {
    let tuned = Server {
        options: [
            server.options.clone(),
            vec![("PGOPTIONS".to_owned(), bulk_options(maintenance_work_mem))],
        ]
        .concat(),
        ..server.clone()
    };
    let (cmd, seen) = tuned.bulk_client("pg_restore", folder, true, format!("restore database {name}"));
    let cmd = cmd.args([
        "-d",
        &quote::dbname(database),
        "-j",
        &jobs.to_string(),
        "--exit-on-error",
        "--no-password",
    ]);
    let cmd = match ownership {
        Ownership::Unify => cmd.args(["--no-owner", "--no-privileges"]),
        Ownership::Preserve => cmd,
    };
    cmd.arg(container_path(&seen, name))
}

fn bulk_options(maintenance_work_mem: &str) -> String {
    // Parallel index builds need shared memory that a container's 64 MB /dev/shm does not have; two jobs use the
    // processors better than two workers of one job.
    format!(
        "-c synchronous_commit=off -c maintenance_work_mem={maintenance_work_mem} \
         -c max_parallel_maintenance_workers=0 -c statement_timeout=0 -c lock_timeout=0"
    )
}

pub(super) fn container_path(seen: &Path, name: &str) -> String {
    if seen == Path::new("/backup") {
        format!("/backup/{name}")
    } else {
        seen.join(name).display().to_string()
    }
}

fn null_device(clients: &Clients) -> &'static str {
    let container = matches!(clients, Clients::Image { .. });
    if cfg!(windows) && !container {
        "NUL"
    } else {
        "/dev/null"
    }
}
