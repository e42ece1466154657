//! Configuration as it lies in files: no service, no engine, no network. Asks git what it tracks, Compose what its files mean, and
//! Alembic what its history is.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use backend_env::Document;
use infra::alembic::History;
use infra::compose::{Config, Project, Refused};

use super::compose::checkout_project;
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
    /// The labeler's Compose file.
    pub labeler_compose: Option<ComposeSeen>,
    /// The platform's Compose file.
    pub platform_compose: Option<ComposeSeen>,
    /// Scripts that the platform's PostgreSQL runs on an empty volume.
    pub init_scripts: Vec<TextFile>,
    /// Alembic's files.
    pub alembic: Option<AlembicFiles>,
    /// What was asked of other programs, each with the seconds it took.
    pub asked: Vec<(String, f64)>,
}

/// A `.env` file or a template. Holds secrets, so it has no `Debug`.
pub struct EnvText {
    /// The file.
    pub path: PathBuf,
    /// What it says, or why it cannot be read.
    pub document: Result<Document, String>,
}

/// A Compose file, read or not. May hold passwords, so it has no `Debug`.
pub struct ComposeSeen {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What Compose makes of it, with the override file beside it laid over it.
    pub config: Result<Config, Refused>,
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

/// Answers what a Compose file means: asked about a file, with the project's name and variables of the settings.
pub type AskCompose<'a> = &'a dyn Fn(&Path, &str, &BTreeMap<String, String>) -> Result<Config, Refused>;

/// Reads everything.
pub fn read_config(eyes: &Eyes<'_>) -> ConfigSeen {
    let program = OnceCell::new();
    let asked = RefCell::new(Vec::new());
    let mut seen = read_config_with(eyes, &|file, name, env| {
        let find = || infra::compose::find(eyes.runner, eyes.settings.docker.compose);
        let Some(program) = *program.get_or_init(find) else {
            return Err(Refused {
                why: match eyes.settings.docker.compose {
                    Some(wanted) => format!("`{}` is not on this machine; install it", wanted.name()),
                    None => "neither `docker compose` nor `docker-compose` is on this machine; install one"
                        .to_owned(),
                },
                fault: false,
            });
        };
        let over = infra::compose::override_of(file);
        let project: Project = checkout_project(program, file.to_owned(), over, name, env);
        let began = Instant::now();
        let answer = project.read(eyes.runner);
        let what = format!("{} config for {}", program.name(), file.display());
        asked.borrow_mut().push((what, began.elapsed().as_secs_f64()));
        answer
    });
    seen.asked.extend(asked.into_inner());
    seen
}

/// Reads everything, with another answer for Compose files.
pub fn read_config_with(eyes: &Eyes<'_>, ask: AskCompose<'_>) -> ConfigSeen {
    let settings = eyes.settings;
    let labeler = repositories::first_dir(eyes, &settings.labeler.repository);
    let platform = repositories::first_dir(eyes, &settings.platform.repository);
    let platform_compose = platform.as_ref().and_then(|root| {
        let own = &settings.platform;
        let mut dirs = own.infrastructure.iter().map(|dir| root.join(dir));
        let file = dirs.find_map(|dir| repositories::first_file(&dir, &own.compose_files))?;
        let ask = |file: &Path| ask(file, &own.compose_project, &own.compose_env);
        Some(compose(&file, &own.compose_files, &ask))
    });
    let labeler_compose = labeler.as_ref().and_then(|root| {
        let own = &settings.labeler;
        let file = repositories::first_file(root, &own.compose_files)?;
        let ask = |file: &Path| ask(file, &own.compose_project, &own.compose_env);
        Some(compose(&file, &own.compose_files, &ask))
    });
    let init_scripts = platform_compose.as_ref().map(init_scripts).unwrap_or_default();
    let (mut env_files, mut examples, mut alembic_seen) = (Vec::new(), Vec::new(), None);
    let mut asked = Vec::new();
    if let Some(root) = &labeler {
        let own = settings.labeler.env_files.iter().map(|file| root.join(file));
        env_files = own.filter(|path| path.exists()).map(env_text).collect();
        let template = root.join(&settings.labeler.env_example);
        examples = [template]
            .into_iter()
            .filter(|path| path.exists())
            .map(env_text)
            .collect();
        if !settings.schema.database.is_empty() {
            let began = Instant::now();
            alembic_seen = Some(alembic_files(eyes, root));
            asked.push(("Alembic".to_owned(), began.elapsed().as_secs_f64()));
        }
    }
    let began = Instant::now();
    let tracked = labeler.as_ref().map_or(Ok(Vec::new()), |root| {
        infra::git::tracked(eyes.runner, root, &settings.labeler.env_files)
    });
    asked.push(("git ls-files".to_owned(), began.elapsed().as_secs_f64()));
    ConfigSeen {
        tracked: tracked.map_err(|error| error.to_string()),
        env_files,
        examples,
        labeler_compose,
        platform_compose,
        init_scripts,
        alembic: alembic_seen,
        asked,
        labeler,
        platform,
    }
}

fn env_text(path: PathBuf) -> EnvText {
    let document = infra::files::read_regular(&path)
        .map(Document::parse)
        .map_err(|error| error.to_string());
    EnvText { path, document }
}

/// A Compose file, and those beside it under the names that the settings or Compose itself look for.
fn compose(path: &Path, names: &[PathBuf], ask: &dyn Fn(&Path) -> Result<Config, Refused>) -> ComposeSeen {
    let known = infra::compose::NAMES.iter().map(PathBuf::from);
    let names: BTreeSet<PathBuf> = names.iter().cloned().chain(known).collect();
    let beside = names.iter().map(|name| path.with_file_name(name));
    let others = beside.filter(|other| other != path && other.is_file());
    let one = |path: PathBuf| ComposeSeen {
        config: ask(&path),
        text: infra::files::read_regular(&path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default(),
        path,
        others: Vec::new(),
    };
    ComposeSeen {
        others: others.map(one).collect(),
        ..one(path.to_owned())
    }
}

/// What the PostgreSQL image runs on an empty volume, in its order.
fn init_scripts(compose: &ComposeSeen) -> Vec<TextFile> {
    let Ok(config) = &compose.config else {
        return Vec::new();
    };
    let servers = config.services.iter().filter(|service| service.is_postgres());
    let mounts = servers.flat_map(|service| &service.mounts);
    let mut paths = Vec::new();
    for mount in mounts.filter(|mount| mount.target.starts_with("/docker-entrypoint-initdb.d")) {
        let source = PathBuf::from(&mount.source);
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
    let bytes = infra::files::read_regular(&path).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Some(TextFile { path, text })
}
