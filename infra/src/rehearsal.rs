//! The sample repositories and data of a rehearsal, embedded: a rehearsal needs no file but the program.

use std::io;
use std::path::Path;

/// One embedded file.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Path below `infra/rehearsal/`, with `/`.
    pub path: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

macro_rules! samples {
    ($($path:literal),* $(,)?) => {
        &[$(Sample { path: $path, bytes: include_bytes!(concat!("../rehearsal/", $path)) }),*]
    };
}

/// Every file of the sample repositories.
pub const REPOSITORIES: &[Sample] = samples![
    "labeler-old/docker-compose.yml",
    "labeler/.env.example",
    "labeler/.gitignore",
    "labeler/README.md",
    "labeler/backend/.env.example",
    "labeler/backend/alembic.ini",
    "labeler/backend/alembic/env.py",
    "labeler/backend/alembic/versions/a1f0c3d27e41_core_tables.py",
    "labeler/backend/alembic/versions/b27d54e9a0c2_search_and_statistics.py",
    "labeler/backend/alembic/versions/c93e1b6f8d03_audit.py",
    "labeler/backend/alembic/versions/d4085f2a7b14_exports.py",
    "labeler/backend/alembic/versions/e5b1946c3f25_project_milestones.py",
    "labeler/backend/app/__init__.py",
    "labeler/backend/app/config.py",
    "labeler/backend/app/db.py",
    "labeler/backend/app/main.py",
    "labeler/backend/env.crlf",
    "labeler/backend/requirements.txt",
    "labeler/backend/scripts/init_database.py",
    "labeler/docker-compose.yml",
    "platform/README.md",
    "platform/platform/infrastructure/docker-compose.yml",
    "platform/platform/infrastructure/init-scripts/01-create-databases.sql",
];

/// SQL that fills an old instance, by database: run in this order with the psql variable `rows`.
pub fn sql(database: &str) -> Option<String> {
    let roles = include_str!("../rehearsal/sql/roles.sql");
    let own = match database {
        "platform" => include_str!("../rehearsal/sql/platform.sql").to_owned(),
        "users" => include_str!("../rehearsal/sql/users.sql").to_owned(),
        "labeler" => [
            include_str!("../rehearsal/sql/labeler-schema.sql"),
            include_str!("../rehearsal/sql/labeler.sql"),
        ]
        .join("\n"),
        _ => return None,
    };
    Some(format!("{roles}\n{own}"))
}

/// Writes a sample repository below `target`.
///
/// # Errors
/// Any I/O error.
pub fn write(repository: &str, target: &Path) -> io::Result<()> {
    let prefix = format!("{repository}/");
    for sample in REPOSITORIES {
        let Some(rest) = sample.path.strip_prefix(&prefix) else {
            continue;
        };
        let path = rest
            .split('/')
            .fold(target.to_owned(), |path, part| path.join(part));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        // Containers read some of these files as another user.
        crate::files::write_shared(&path, sample.bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn every_file_of_the_sample_repositories_is_embedded() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rehearsal");
        let mut open = vec![
            root.join("labeler"),
            root.join("labeler-old"),
            root.join("platform"),
        ];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    if path.file_name().unwrap() != "__pycache__" {
                        open.push(path);
                    }
                    continue;
                }
                let name = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_string_lossy()
                    .replace('\\', "/");
                assert!(
                    REPOSITORIES.iter().any(|sample| sample.path == name),
                    "{name} is not embedded"
                );
            }
        }
    }
}
