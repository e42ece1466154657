//! The two sibling repositories.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use infra::alembic::{History, VersionTable};
use infra::compose::{Refused, override_of};
use serde::{Deserialize, Serialize};

use super::{Eyes, StackSeen, alembic};

/// The labeler's checkout.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LabelerSeen {
    /// Its folder.
    pub root: PathBuf,
    /// The backend's folder.
    pub backend: PathBuf,
    /// The Compose file, when there is one.
    pub compose_file: Option<PathBuf>,
    /// The file that Compose lays over it.
    pub compose_override: Option<PathBuf>,
    /// The image of the Redis that a run starts through Compose.
    #[serde(default)]
    pub redis_image: Option<String>,
    /// The Python of its virtual environment.
    pub python: Option<PathBuf>,
    /// Whether that Python has Alembic.
    pub has_alembic: bool,
    /// Whether the project's own schema script is there.
    pub has_script: bool,
    /// Alembic's history, or why nobody could tell.
    pub alembic: Result<History, String>,
}

impl LabelerSeen {
    /// The revisions that nothing follows; none where they are not known.
    pub fn heads(&self) -> &[String] {
        self.alembic.as_ref().map_or(&[], |history| &history.heads)
    }

    /// Where a database says at which revisions it stands, as far as the checkout tells.
    pub fn version_table(&self) -> Option<&VersionTable> {
        self.alembic.as_ref().ok()?.version_table.as_ref()
    }
}

/// The platform's checkout.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlatformSeen {
    /// Its folder.
    pub root: PathBuf,
    /// The infrastructure's folder.
    pub infrastructure: Option<PathBuf>,
    /// Its Compose file.
    pub compose_file: Option<PathBuf>,
    /// The file that Compose lays over it.
    pub compose_override: Option<PathBuf>,
    /// SHA-256 of each of them.
    pub compose_sha256: BTreeMap<PathBuf, String>,
    /// What Compose makes of both, or its own words; `None` where Compose does not start the target or was not asked.
    #[serde(default)]
    pub stack: Option<Result<StackSeen, Refused>>,
}

/// Looks for the labeler's checkout.
pub fn labeler(eyes: &Eyes<'_>) -> Option<LabelerSeen> {
    let settings = &eyes.settings.labeler;
    let root = first_dir(eyes, &settings.repository)?;
    let backend = root.join(&settings.backend);
    let asked = alembic::ask(eyes, &root, &[]);
    let compose_file = first_file(&root, &settings.compose_files);
    Some(LabelerSeen {
        compose_override: compose_file.as_deref().and_then(override_of),
        redis_image: None,
        compose_file,
        has_script: backend.join(&eyes.settings.schema.script).is_file(),
        python: asked.python,
        has_alembic: asked.has_alembic,
        alembic: asked.history,
        backend,
        root,
    })
}

pub(super) fn platform(eyes: &Eyes<'_>) -> Option<PlatformSeen> {
    let settings = &eyes.settings.platform;
    let root = first_dir(eyes, &settings.repository)?;
    let infrastructure = settings
        .infrastructure
        .iter()
        .map(|dir| root.join(dir))
        .find(|dir| first_file(dir, &settings.compose_files).is_some());
    let compose_file = infrastructure
        .as_ref()
        .and_then(|dir| first_file(dir, &settings.compose_files));
    let compose_override = compose_file.as_deref().and_then(override_of);
    Some(PlatformSeen {
        stack: None,
        root,
        infrastructure,
        compose_sha256: compose_sums(compose_file.as_deref()),
        compose_override,
        compose_file,
    })
}

/// SHA-256 of a Compose file and of the one that Compose lays over it; without those that cannot be read.
pub fn compose_sums(file: Option<&Path>) -> BTreeMap<PathBuf, String> {
    let over = file.and_then(override_of);
    let files = file.map(Path::to_owned).into_iter().chain(over);
    files
        .filter_map(|file| {
            let (sum, _) = infra::files::sha256(&file).ok()?;
            Some((file, sum))
        })
        .collect()
}

pub(super) fn first_dir(eyes: &Eyes<'_>, candidates: &[PathBuf]) -> Option<PathBuf> {
    candidates
        .iter()
        .map(|path| eyes.workspace.resolve(path))
        .find(|path| path.is_dir())
}

pub(super) fn first_file(dir: &Path, names: &[PathBuf]) -> Option<PathBuf> {
    names
        .iter()
        .map(|name| dir.join(name))
        .find(|path| path.is_file())
}
