//! Archives: pg_dump in directory format, read back before they are trusted, restored in parallel.

use std::path::Path;

use super::{Clients, Server};
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
            &server.dbname(database),
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

/// The rows of one table as SQL on standard output, without a server.
pub fn rows(clients: &Clients, folder: &Path, name: &str, schema: &str, table: &str) -> Cmd {
    let what = format!("read the rows of {schema}.{table} in the archive of {name}");
    let (cmd, seen) = clients.offline("pg_restore", folder, what);
    cmd.args(["-f", "-", "--data-only", "--exit-on-error"])
        .args(["--schema", schema, "--table", table])
        .arg(container_path(&seen, name))
}

/// How [`restore`] treats owners and privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Everything belongs to the role that restores.
    Unify,
    /// Owners and privileges as they were.
    Preserve,
}

/// How [`restore`] works.
#[derive(Debug, Clone, Copy)]
pub struct Restoring<'a> {
    /// Jobs within one pg_restore.
    pub jobs: u32,
    /// Memory for index builds.
    pub maintenance_work_mem: &'a str,
    /// Owners and privileges.
    pub ownership: Ownership,
    /// The role that owns what is made, where it is not the one we log in as.
    pub role: Option<&'a str>,
    /// Whether to leave out what only a superuser may say of an object: its security label.
    pub unprivileged: bool,
    /// The entries to restore; all without it.
    pub list: Option<&'a Path>,
}

/// `pg_restore -j` into an existing, empty database. The bulk-load settings hold for these sessions only.
pub fn restore(server: &Server, database: &str, folder: &Path, name: &str, how: &Restoring<'_>) -> Cmd {
    let tuned = server
        .clone()
        .with_option("PGOPTIONS", bulk_options(how.maintenance_work_mem));
    let (cmd, seen) = tuned.bulk_client("pg_restore", folder, true, format!("restore database {name}"));
    let mut cmd = cmd.args([
        "-d",
        &server.dbname(database),
        "-j",
        &how.jobs.to_string(),
        "--exit-on-error",
        "--no-password",
        // They are folders of the old machine; everything goes to the new database's own.
        "--no-tablespaces",
    ]);
    if how.ownership == Ownership::Unify {
        cmd = cmd.args(["--no-owner", "--no-privileges"]);
    }
    if let Some(role) = how.role {
        cmd = cmd.args(["--role", role]);
    }
    if how.unprivileged {
        cmd = cmd.arg("--no-security-labels");
    }
    if let Some(list) = how.list {
        cmd = cmd.arg("-L").arg(list);
    }
    cmd.arg(container_path(&seen, name))
}

/// The list of an archive's entries, in pg_restore's form: `-L` takes it back with lines left out.
pub fn list(clients: &Clients, folder: &Path, name: &str) -> Cmd {
    let (cmd, seen) = clients.offline("pg_restore", folder, format!("list the archive of {name}"));
    cmd.args(["-l", &container_path(&seen, name)])
}

/// Whether an entry of [`list`] makes the object `class name`, or says something about it.
///
/// An entry is `dump-id; catalogue-oid oid DESCRIPTION schema name owner`; without a schema a dash stands there.
/// Comments, and tables that belong to publications, name their object after it.
pub fn is_about(entry: &str, class: &str, name: &str) -> bool {
    let Some((_, rest)) = entry.split_once("; ") else {
        return false;
    };
    // Two numbers come first.
    let words = rest.splitn(3, ' ').nth(2).unwrap_or_default();
    let is = |text: &str, what: &str| {
        let rest = text.strip_prefix(what).and_then(|rest| rest.strip_prefix(' '));
        rest.is_some_and(|rest| rest == name || rest.starts_with(&format!("{name} ")))
    };
    let made = is(words, &format!("{class} -"));
    let commented = words
        .strip_prefix("COMMENT - ")
        .is_some_and(|text| is(text, class));
    let member =
        class == "PUBLICATION" && words.starts_with("PUBLICATION ") && words.contains(&format!(" {name} "));
    made || commented || member
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

#[cfg(test)]
mod tests {
    use super::is_about;

    #[test]
    fn entries_of_a_list_are_known_by_class_and_name() {
        let extension = "2; 3079 16401 EXTENSION - pg_trgm ";
        let comment = "3701; 0 0 COMMENT - EXTENSION pg_trgm ";
        assert!(is_about(extension, "EXTENSION", "pg_trgm"));
        assert!(is_about(comment, "EXTENSION", "pg_trgm"));
        assert!(!is_about(extension, "EXTENSION", "pg_tr"));
        assert!(is_about(
            "5; 3466 17000 EVENT TRIGGER - no drops admin",
            "EVENT TRIGGER",
            "no drops"
        ));
        assert!(!is_about(
            "6; 0 17001 TABLE DATA public pg_trgm admin",
            "EXTENSION",
            "pg_trgm"
        ));
        assert!(!is_about("; Archive created at 2026", "EXTENSION", "created"));
    }
}
