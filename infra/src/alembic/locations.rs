//! Where Alembic looks for revision files: `version_locations` of `alembic.ini`, else the `versions` folder.

use std::path::{Path, PathBuf};

use super::HistoryError;

/// The folders of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locations {
    /// The folders.
    pub folders: Vec<PathBuf>,
    /// Whether folders inside them count.
    pub recursive: bool,
}

/// The folders that Alembic reads when it is started in `backend`; `versions` is that of the settings.
pub fn locations(backend: &Path, versions: &Path) -> Locations {
    // Python reads it in the locale's encoding: what is not UTF-8 is a comment somewhere, and no reason to ignore the rest.
    let ini = std::fs::read(backend.join("alembic.ini")).unwrap_or_default();
    let ini = String::from_utf8_lossy(&ini);
    let value = |key: &str| value(&ini, key).map(|value| filled(&value, backend));
    let separator = value("path_separator").or_else(|| value("version_path_separator"));
    let folders: Vec<PathBuf> = value("version_locations")
        .map(|text| split(&text, separator.as_deref()))
        .unwrap_or_default()
        .iter()
        .map(|folder| backend.join(folder))
        .collect();
    Locations {
        folders: if folders.is_empty() {
            vec![backend.join(versions)]
        } else {
            folders
        },
        recursive: value("recursive_version_locations").as_deref() == Some("true"),
    }
}

/// A key of section `[alembic]`, its indented lines included.
fn value(ini: &str, wanted: &str) -> Option<String> {
    let mut section = "";
    let mut found: Option<String> = None;
    let mut ours = false;
    for line in ini.lines() {
        let text = line.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let (true, Some(found)) = (ours, found.as_mut()) {
                found.push('\n');
                found.push_str(text);
            }
        } else if let Some(name) = text.strip_prefix('[') {
            section = name.trim_end_matches(']');
            ours = false;
        } else if let Some((key, value)) = text.split_once(['=', ':']) {
            ours = section == "alembic" && key.trim().eq_ignore_ascii_case(wanted);
            if ours {
                found = Some(value.trim().to_owned());
            }
        }
    }
    found
}

/// `%(here)s` is the folder of the file.
fn filled(value: &str, here: &Path) -> String {
    value
        .replace("%(here)s", &here.to_string_lossy())
        .replace("%%", "%")
}

/// Without a separator Alembic splits at commas and blanks.
fn split(text: &str, separator: Option<&str>) -> Vec<String> {
    let os = if cfg!(windows) { ';' } else { ':' };
    let at: &[char] = match separator {
        Some("os") => &[os],
        Some("space") => &[' '],
        Some("newline") => &['\n'],
        Some(":") => &[':'],
        Some(";") => &[';'],
        _ => &[',', ' '],
    };
    let parts = text.split(at).map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// Every revision file with its text, by name. A folder that Alembic passes over because it is not there is one that others
/// stand beside.
///
/// # Errors
/// [`HistoryError::Folder`].
pub fn revision_files(locations: &Locations) -> Result<Vec<(PathBuf, String)>, HistoryError> {
    let mut files = Vec::new();
    let there: Vec<&PathBuf> = locations.folders.iter().filter(|dir| dir.exists()).collect();
    let folders = if there.is_empty() {
        locations.folders.iter().collect()
    } else {
        there
    };
    for folder in folders {
        list(folder, locations.recursive, &mut files)?;
    }
    files.sort();
    files.dedup();
    let read = |file: PathBuf| {
        let bytes = std::fs::read(&file).map_err(|error| unreadable(&file, &error))?;
        Ok((file, String::from_utf8_lossy(&bytes).into_owned()))
    };
    files.into_iter().map(read).collect()
}

fn list(folder: &Path, recursive: bool, files: &mut Vec<PathBuf>) -> Result<(), HistoryError> {
    let error = |error: std::io::Error| unreadable(folder, &error);
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        // Links to folders are not followed, as in os.walk.
        if entry.file_type().map_err(error)?.is_dir() {
            if recursive && name != "__pycache__" {
                list(&path, recursive, files)?;
            }
        } else if name.ends_with(".py") && !name.starts_with("__init__") && !name.starts_with(".#") {
            files.push(path);
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> HistoryError {
    HistoryError::Folder {
        path: path.to_owned(),
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The revision files that are found with this `alembic.ini`.
    fn found(ini: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::files::write_shared(&path, text.as_bytes()).unwrap();
        };
        write("alembic.ini", ini);
        for name in ["alembic/versions/a.py", "alembic/versions/old/b.py", "more/c.py"] {
            write(name, "");
        }
        write("more/__init__.py", "");
        write("alembic/versions/__pycache__/d.py", "");
        let files = revision_files(&locations(dir.path(), Path::new("alembic/versions"))).unwrap();
        let name = |(file, _): &(PathBuf, String)| file.file_stem().unwrap().to_string_lossy().into_owned();
        files.iter().map(name).collect()
    }

    #[test]
    fn files_are_looked_for_where_alembic_looks() {
        for (ini, wanted) in [
            ("[alembic]\nscript_location = alembic\n", vec!["a"]),
            ("[alembic]\nrecursive_version_locations = true\n", vec!["a", "b"]),
            (
                "[alembic]\nversion_locations = alembic/versions more\n",
                vec!["a", "c"],
            ),
            (
                "[alembic]\nversion_locations = %(here)s/alembic/versions, %(here)s/more\n",
                vec!["a", "c"],
            ),
            (
                "[alembic]\npath_separator = newline\nversion_locations =\n  more\n  # none\n  gone\n",
                vec!["c"],
            ),
            (
                "[alembic]\nversion_path_separator = ;\nversion_locations: more;alembic/versions\n",
                vec!["a", "c"],
            ),
            ("[other]\nversion_locations = more\n", vec!["a"]),
        ] {
            assert_eq!(found(ini), wanted, "{ini}");
        }
    }
}
