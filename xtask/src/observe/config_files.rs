//! Configuration as it lies in files: no service, no engine, no network. Asks git what it tracks, and Compose what its files mean.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use backend_env::Document;
use infra::compose::{Config, Project, Refused};

use super::compose::checkout_project;
use super::{Eyes, is_template, repositories};

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
    /// Templates elsewhere in the checkouts, which git tracks: nothing is known of their keys.
    pub other_examples: Vec<EnvText>,
    /// `.env` files under git's control, or why git does not say, one entry for each checkout.
    pub tracked: Vec<Tracked>,
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

/// What git tracks in a checkout.
pub struct Tracked {
    /// The checkout.
    pub root: PathBuf,
    /// The files, or why git does not say.
    pub files: Result<Vec<PathBuf>, String>,
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
    /// The `versions` folder.
    pub versions: PathBuf,
    /// Its revisions, or why the folder cannot be read.
    pub sources: Result<Vec<TextFile>, String>,
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
    let (mut env_files, mut examples, mut alembic) = (Vec::new(), Vec::new(), None);
    if let Some(root) = &labeler {
        let own = settings.labeler.env_files.iter().map(|file| root.join(file));
        env_files = own.filter(|path| path.exists()).map(env_text).collect();
        examples = templates(root, &settings.labeler.env_example);
        if !settings.schema.database.is_empty() {
            let backend = root.join(&settings.labeler.backend);
            alembic = Some(alembic_files(&backend, &settings.schema.versions));
        }
    }
    let roots = labeler.iter().chain(&platform);
    let mut asked = Vec::new();
    let tracked = roots.map(|root| {
        let began = Instant::now();
        let files = infra::git::tracked_env_files(eyes.runner, root).map_err(|error| error.to_string());
        asked.push((
            format!("git ls-files in {}", root.display()),
            began.elapsed().as_secs_f64(),
        ));
        Tracked {
            root: root.clone(),
            files,
        }
    });
    let tracked: Vec<Tracked> = tracked.collect();
    ConfigSeen {
        other_examples: other_templates(&tracked, &examples),
        tracked,
        env_files,
        examples,
        labeler_compose,
        platform_compose,
        init_scripts,
        alembic,
        asked,
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

/// Templates that git tracks, beside those that are known already.
fn other_templates(tracked: &[Tracked], known: &[EnvText]) -> Vec<EnvText> {
    let all = tracked.iter().flat_map(|checkout| {
        let files = checkout.files.iter().flatten().filter(|file| is_template(file));
        files.map(|file| checkout.root.join(file))
    });
    let is_new = |path: &PathBuf| path.exists() && !known.iter().any(|one| one.path == *path);
    all.filter(is_new).map(env_text).collect()
}

fn env_text(path: PathBuf) -> EnvText {
    let document = std::fs::read(&path)
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
        text: std::fs::read(&path)
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

fn alembic_files(backend: &Path, versions: &Path) -> AlembicFiles {
    let sources = infra::alembic::revision_files(&infra::alembic::locations(backend, versions))
        .map(|files| {
            files
                .into_iter()
                .map(|(path, text)| TextFile { path, text })
                .collect()
        })
        .map_err(|error| error.to_string());
    let versions = backend.join(versions);
    AlembicFiles {
        sources,
        env: versions.parent().and_then(|dir| text_file(dir.join("env.py"))),
        ini: text_file(backend.join("alembic.ini")),
        versions,
    }
}

fn text_file(path: PathBuf) -> Option<TextFile> {
    let bytes = std::fs::read(&path).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Some(TextFile { path, text })
}
