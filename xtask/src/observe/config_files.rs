//! Configuration as it lies in files: no service, no Docker, no network. Starts `git ls-files`, and Python for Alembic.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use backend_env::Document;
use infra::alembic::History;
use infra::compose::file::{ComposeFile, Located, Service};
use infra::compose::yaml::YamlError;

use super::{Eyes, alembic, repositories};

/// What the files say.
pub struct ConfigSeen {
    /// The labeler's checkout.
    pub labeler: Option<PathBuf>,
    /// The platform's checkout.
    pub platform: Option<PathBuf>,
    /// Every `.env` file that the settings name and that is there.
    pub env_files: Vec<EnvText>,
    /// Every template that is there.
    pub examples: Vec<EnvText>,
    /// Those of the settings' `.env` files that git tracks, relative to the labeler's checkout, or why git does not say.
    pub tracked: Result<Vec<PathBuf>, String>,
    /// The text of the platform's Compose files: what it holds is published.
    pub published: String,
    /// The labeler's Compose file.
    pub labeler_compose: Option<ComposeSeen>,
    /// The platform's Compose file.
    pub platform_compose: Option<ComposeSeen>,
    /// Scripts that the platform's PostgreSQL runs on an empty volume.
    pub init_scripts: Vec<TextFile>,
    /// Alembic's files.
    pub alembic: Option<AlembicFiles>,
}

/// A `.env` file or a template. Holds secrets, so it has no `Debug`.
pub struct EnvText {
    /// The file.
    pub path: PathBuf,
    /// What it says, or why it cannot be read.
    pub document: Result<Document, String>,
}

/// A Compose file, read or not.
pub struct ComposeSeen {
    /// The file.
    pub path: PathBuf,
    /// Its content, with the override file beside it laid over it and its services' `env_file`s read. Those that Compose would
    /// miss are left in `env_files`.
    pub file: Result<ComposeFile, YamlError>,
    /// Other Compose files in its folder, which `-f` leaves out.
    pub others: Vec<ComposeSeen>,
}

/// A text file.
#[derive(Clone, Debug)]
pub struct TextFile {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// Alembic's files.
#[derive(Clone, Debug)]
pub struct AlembicFiles {
    /// Its history, or why nobody could tell.
    pub history: Result<History, String>,
    /// `env.py`.
    pub env: Option<TextFile>,
    /// `alembic.ini`.
    pub ini: Option<TextFile>,
}

/// Reads everything.
pub fn read_config(eyes: &Eyes<'_>) -> ConfigSeen {
    let settings = eyes.settings;
    let labeler = repositories::first_dir(eyes, &settings.labeler.repository);
    let platform = repositories::first_dir(eyes, &settings.platform.repository);
    let compose_of = |dir: &Path, names: &[PathBuf], variables| {
        repositories::first_file(dir, names).map(|path| ComposeSeen {
            others: others(&path, names, variables),
            ..compose(&path, variables)
        })
    };
    let infrastructure = platform.as_ref().and_then(|root| {
        let names = &settings.platform.compose_files;
        let mut dirs = settings.platform.infrastructure.iter().map(|dir| root.join(dir));
        dirs.find(|dir| repositories::first_file(dir, names).is_some())
    });
    let platform_compose = infrastructure.as_ref().and_then(|dir| {
        compose_of(
            dir,
            &settings.platform.compose_files,
            &settings.platform.compose_env,
        )
    });
    let labeler_compose = labeler.as_ref().and_then(|root| {
        compose_of(
            root,
            &settings.labeler.compose_files,
            &settings.labeler.compose_env,
        )
    });
    let init_scripts = platform_compose.as_ref().map(init_scripts).unwrap_or_default();
    let (mut env_files, mut examples, mut alembic_seen) = (Vec::new(), Vec::new(), None);
    if let Some(root) = &labeler {
        let own = settings.labeler.env_files.iter().map(|file| root.join(file));
        env_files = own.filter(|path| path.exists()).map(env_text).collect();
        examples = templates(root, &settings.labeler.env_example);
        if !settings.schema.database.is_empty() {
            alembic_seen = Some(alembic_files(eyes, root));
        }
    }
    let tracked = labeler.as_ref().map_or(Ok(Vec::new()), |root| {
        infra::git::tracked(eyes.runner, root, &settings.labeler.env_files)
    });
    let compose_files = infrastructure.iter().flat_map(|dir| {
        let file = repositories::first_file(dir, &settings.platform.compose_files);
        let over = file.as_deref().and_then(infra::compose::override_of);
        file.into_iter().chain(over)
    });
    ConfigSeen {
        tracked: tracked.map_err(|error| error.to_string()),
        published: compose_files
            .filter_map(|file| std::fs::read_to_string(file).ok())
            .collect(),
        env_files,
        examples,
        labeler_compose,
        platform_compose,
        init_scripts,
        alembic: alembic_seen,
        labeler,
        platform,
    }
}

/// The template of the settings, and one of the same name at the root of the checkout: both occur, and both are copied.
fn templates(root: &Path, setting: &Path) -> Vec<EnvText> {
    let mut paths = vec![root.join(setting)];
    if let Some(name) = setting.file_name() {
        let at_root = root.join(name);
        if !paths.contains(&at_root) {
            paths.push(at_root);
        }
    }
    paths
        .into_iter()
        .filter(|path| path.exists())
        .map(env_text)
        .collect()
}

fn env_text(path: PathBuf) -> EnvText {
    let document = std::fs::read(&path)
        .map(Document::parse)
        .map_err(|error| error.to_string());
    EnvText { path, document }
}

pub(super) fn compose(path: &Path, variables: &BTreeMap<String, String>) -> ComposeSeen {
    // Compose reads the `.env` beside its file; what the shell has exported wins over that, and the settings' own variables
    // over both, as they do in a run.
    let beside = path.with_file_name(".env");
    let beside = std::fs::read(beside).map(Document::parse).ok();
    let lookup = |name: &str| {
        let exported = || std::env::var(name).ok();
        variables.get(name).cloned().or_else(exported).or_else(|| {
            let reading = beside.as_ref()?.read(name, backend_env::Reader::Compose);
            String::from_utf8(reading.value()?.to_vec()).ok()
        })
    };
    let file = match std::fs::read_to_string(path) {
        Ok(text) => infra::compose::read_with_override(path, text.trim_start_matches('\u{feff}'), &lookup),
        Err(error) => Err(YamlError {
            line: 0,
            why: error.to_string(),
        }),
    };
    ComposeSeen {
        path: path.to_owned(),
        file: file.map(|mut file| {
            file.services.iter_mut().for_each(read_env_files);
            file
        }),
        others: Vec::new(),
    }
}

/// Reads what `env_file` names; what stands under `environment` wins.
fn read_env_files(service: &mut Service) {
    let mut read = BTreeMap::new();
    service.env_files.retain(|file| {
        let Ok(bytes) = std::fs::read(&file.path) else {
            return file.required;
        };
        let document = Document::parse(bytes);
        for entry in document.entries() {
            let reading = document.read(entry.key(), backend_env::Reader::Compose);
            let value = reading
                .value()
                .and_then(|value| String::from_utf8(value.to_vec()).ok());
            let located = value.map(|text| Located {
                text,
                file: file.path.clone(),
                line: entry.line(),
            });
            read.extend(located.map(|located| (entry.key().to_owned(), located)));
        }
        false
    });
    for (name, value) in read {
        service.environment.entry(name).or_insert(value);
    }
}

/// The Compose files beside this one, under the names that the settings or Compose itself look for.
fn others(path: &Path, names: &[PathBuf], variables: &BTreeMap<String, String>) -> Vec<ComposeSeen> {
    let known = infra::compose::NAMES.iter().map(PathBuf::from);
    let names: BTreeSet<PathBuf> = names.iter().cloned().chain(known).collect();
    let beside = names.iter().map(|name| path.with_file_name(name));
    beside
        .filter(|other| other != path && other.is_file())
        .map(|other| compose(&other, variables))
        .collect()
}

/// What the PostgreSQL image runs on an empty volume, in its order.
fn init_scripts(compose: &ComposeSeen) -> Vec<TextFile> {
    let Ok(file) = &compose.file else {
        return Vec::new();
    };
    let servers = file.services.iter().filter(|service| service.is_postgres());
    let mounts = servers.flat_map(|service| service.mounts.iter().map(move |mount| (service, mount)));
    let mut paths = Vec::new();
    for (service, mount) in mounts.filter(|(_, m)| m.target.starts_with("/docker-entrypoint-initdb.d")) {
        // Messages read better without the dot.
        let source = service.file.with_file_name(mount.source.trim_start_matches("./"));
        if source.is_dir() {
            let entries = std::fs::read_dir(&source).into_iter().flatten().flatten();
            paths.extend(entries.map(|entry| entry.path()));
        } else {
            paths.push(source);
        }
    }
    paths.retain(|path| is_run(path));
    paths.sort();
    paths.into_iter().filter_map(text_file).collect()
}

/// Whether the image runs a file of this name; it passes over all others.
fn is_run(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let ends = [".sh", ".sql", ".sql.gz", ".sql.xz", ".sql.zst"];
    ends.iter().any(|end| name.ends_with(end))
}

fn alembic_files(eyes: &Eyes<'_>, root: &Path) -> AlembicFiles {
    let history = alembic::ask(eyes, root, &[]).history;
    let env = history.as_ref().ok().and_then(|history| history.env.clone());
    let ini = root.join(&eyes.settings.labeler.backend).join("alembic.ini");
    AlembicFiles {
        history,
        env: env.and_then(text_file),
        ini: text_file(ini),
    }
}

fn text_file(path: PathBuf) -> Option<TextFile> {
    let bytes = std::fs::read(&path).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Some(TextFile { path, text })
}
