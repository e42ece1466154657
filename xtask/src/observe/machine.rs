//! What a machine has and lacks for development, beside what every command looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use backend_env::{Document, Environment, Reader};
use infra::programs::{self, Manager, Program};
use infra::python;
use serde::{Deserialize, Serialize};

use super::{Eyes, LabelerSeen, is_placeholder};

/// A machine for development.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MachineSeen {
    /// The programs with what they say of their version; `None` for one that is not there.
    pub programs: Vec<(Program, Option<String>)>,
    /// What installs programs here.
    pub manager: Option<Manager>,
    /// Where this repository was cloned from, without a login.
    pub origin: Option<String>,
    /// The Python of this machine, when it is new enough.
    pub python: Option<PathBuf>,
    /// Why it makes no virtual environments.
    pub venv_problem: Option<String>,
    /// The labeler's environment; `None` without a checkout.
    pub environment: Option<EnvironmentSeen>,
    /// The `.env` files that the settings name, there or not.
    pub env_files: Vec<EnvFileSeen>,
    /// Databases whose rows a backup of this workspace holds, each with its run.
    #[serde(default)]
    pub held: BTreeMap<String, String>,
    /// `.xtask/local.toml`; empty when it is not there.
    pub local_settings: String,
}

/// The labeler's virtual environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvironmentSeen {
    /// Its folder, or the one where it will be.
    pub folder: PathBuf,
    /// Whether it is there.
    pub exists: bool,
    /// The file that says what belongs into it.
    pub requirements: Option<PathBuf>,
    /// Lines of that file which it does not satisfy, or why that cannot be told.
    pub missing: Result<Vec<String>, String>,
    /// Whether something is missing and there is no pip to install it: it was cut off while it was made, or somebody made
    /// it without.
    #[serde(default)]
    pub without_pip: bool,
    /// Whether `onboard` began to make it, and did not come to the end.
    #[serde(default)]
    pub ours: bool,
}

/// A `.env` file, or the place of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvFileSeen {
    /// The file.
    pub path: PathBuf,
    /// The file that it is made from when it is not there, with its SHA-256.
    pub template: Option<(PathBuf, String)>,
    /// Keys that hold a template's value: in the file or, where it is not there, in the template.
    pub open: Vec<String>,
}

/// Looks at the machine; reads only.
pub fn look_at_machine(eyes: &Eyes<'_>, labeler: Option<&LabelerSeen>) -> MachineSeen {
    let found = python::find(eyes.runner);
    let version = |program: Program| match program {
        Program::Python => {
            let path = found.as_ref()?;
            programs::version(eyes.runner, path.to_str()?)
        }
        // `docker compose` and the engine are looked at where Docker is.
        Program::Compose => None,
        other => programs::version(eyes.runner, other.name()),
    };
    let programs = Program::ALL
        .into_iter()
        .filter(|program| *program != Program::Compose);
    MachineSeen {
        programs: programs.map(|program| (program, version(program))).collect(),
        manager: Manager::detect(),
        origin: infra::git::origin(eyes.runner, eyes.workspace.root()),
        venv_problem: found
            .as_deref()
            .and_then(|python| python::venv_problem(eyes.runner, python)),
        environment: labeler.map(|labeler| environment(eyes, labeler)),
        env_files: labeler.map_or_else(Vec::new, |labeler| env_files(eyes, labeler)),
        held: super::held::held(eyes.workspace),
        local_settings: std::fs::read_to_string(eyes.workspace.local_settings()).unwrap_or_default(),
        python: found,
    }
}

fn environment(eyes: &Eyes<'_>, labeler: &LabelerSeen) -> EnvironmentSeen {
    let settings = &eyes.settings.labeler;
    let requirements = labeler.backend.join(&settings.requirements);
    let requirements = requirements.is_file().then_some(requirements);
    let first = settings.virtual_environments.first();
    let planned = labeler
        .root
        .join(first.map_or_else(|| PathBuf::from("backend/.venv"), Clone::clone));
    // `bin/python` lies two levels below.
    let folder = labeler
        .python
        .as_ref()
        .and_then(|python| python.ancestors().nth(2));
    let missing = match (&labeler.python, &requirements) {
        (Some(python), Some(file)) => {
            python::missing_requirements(eyes.runner, python, file).map_err(|error| error.to_string())
        }
        _ => Ok(Vec::new()),
    };
    let complete = missing.as_ref().is_ok_and(Vec::is_empty);
    EnvironmentSeen {
        without_pip: !complete
            && labeler
                .python
                .as_ref()
                .is_some_and(|python| !python::has_pip(eyes.runner, python)),
        ours: false,
        folder: folder.map_or(planned, PathBuf::from),
        exists: labeler.python.is_some(),
        requirements,
        missing,
    }
}

fn env_files(eyes: &Eyes<'_>, labeler: &LabelerSeen) -> Vec<EnvFileSeen> {
    let settings = &eyes.settings.labeler;
    let one = |file: &PathBuf| {
        let path = labeler.root.join(file);
        // The template beside the file before the one of the settings: each `.env` has its own.
        let beside = path.with_file_name(".env.example");
        let candidates = [beside, labeler.root.join(&settings.env_example)];
        let template = candidates.into_iter().find_map(|template| {
            let bytes = std::fs::read(&template).ok()?;
            Some((template, bytes))
        });
        let own = std::fs::read(&path).ok();
        let bytes = own.or_else(|| template.as_ref().map(|(_, bytes)| bytes.clone()));
        EnvFileSeen {
            path,
            template: template.map(|(path, bytes)| (path, infra::files::sha256_bytes(&bytes))),
            open: bytes.map_or_else(Vec::new, |bytes| open_keys(&Document::parse(bytes))),
        }
    };
    settings.env_files.iter().map(one).collect()
}

/// Keys whose value a template leaves to be filled in.
fn open_keys(document: &Document) -> Vec<String> {
    let keys: BTreeSet<&str> = document.entries().map(|entry| entry.key()).collect();
    let readings = document.read_all(Reader::PythonDotenv, &Environment::empty());
    let open = keys.into_iter().filter(|key| {
        readings
            .get(key)
            .value()
            .and_then(|value| std::str::from_utf8(value).ok())
            .is_some_and(is_placeholder)
    });
    open.map(str::to_owned).collect()
}
