//! The sample repositories, filled in, with a virtual environment for the application.

use std::path::{Path, PathBuf};

use anyhow::Context;
use infra::rehearsal::{REPOSITORIES, write};
use infra::{Runner, Secret, python};

use super::Stage;
use crate::cli::Ending;
use crate::model::Exit;

/// Where one old instance is said to be in `.env`.
pub(super) struct OldInstance {
    /// Mark in the sample `.env`: `PLATFORM`, `USERS` or `LABELER`.
    pub(super) mark: &'static str,
    /// Port on loopback.
    pub(super) port: u16,
    /// Password of its superuser.
    pub(super) password: Secret,
}

/// Writes both repositories and the `.env`.
pub(super) fn make(stage: &Stage<'_>, old: &[OldInstance], redis_port: u16) -> anyhow::Result<()> {
    let labeler = labeler(stage);
    write("labeler", &labeler).context("failed to write the sample labeler repository")?;
    write("labeler-old", &stage.base.join("labeler-old")).context("failed to write the old Compose file")?;
    if stage.situation != super::Situation::NoPlatform {
        write("platform", &platform(stage)).context("failed to write the sample platform repository")?;
    }
    let template = REPOSITORIES
        .iter()
        .find(|sample| sample.path == "labeler/backend/env.crlf");
    let mut text =
        String::from_utf8_lossy(template.context("the sample .env is missing")?.bytes).into_owned();
    for instance in old {
        text = text
            .replace(&format!("@{}_HOST@", instance.mark), "localhost")
            .replace(&format!("@{}_PORT@", instance.mark), &instance.port.to_string())
            .replace(
                &format!("@{}_PASSWORD@", instance.mark),
                instance.password.expose(),
            );
    }
    text = text
        .replace("@REDIS_HOST@", "localhost")
        .replace("@REDIS_PORT@", &redis_port.to_string());
    infra::files::write_private(&labeler.join("backend").join(".env"), text.as_bytes())
        .context("failed to write the sample .env")
}

/// The labeler checkout.
pub(super) fn labeler(stage: &Stage<'_>) -> PathBuf {
    stage.base.join("mvp-vision-ai-labeler")
}

/// The platform checkout.
pub(super) fn platform(stage: &Stage<'_>) -> PathBuf {
    stage.base.join("mvp-vision-ai-platform")
}

/// A Python of this machine, or what to install.
pub(super) fn machine_python(runner: &Runner) -> anyhow::Result<PathBuf> {
    python::find(runner).ok_or_else(|| {
        Ending::new(
            Exit::Preconditions,
            "Python 3.9 or newer is not on this machine; the sample application needs it",
        )
        .hint("https://www.python.org/downloads or: sudo apt-get install python3 python3-venv")
        .into()
    })
}

/// The application's environment, made once and used by every rehearsal with the same requirements.
pub(super) fn environment(
    runner: &Runner,
    cache: &Path,
    note: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<PathBuf> {
    let mut samples = REPOSITORIES.iter();
    let requirements = samples.find(|sample| sample.path == "labeler/backend/requirements.txt");
    let bytes = requirements.context("the sample requirements are missing")?.bytes;
    let folder = cache.join(format!("venv-{}", &infra::files::sha256_bytes(bytes)[..12]));
    let marker = folder.join(".complete");
    let _alone = super::alone(runner, cache)?;
    if marker.is_file() {
        return Ok(folder);
    }
    note("installing the sample application's packages");
    let machine = machine_python(runner)?;
    runner
        .run(&python::create_environment(&machine, &folder))
        .map_err(|error| {
            Ending::new(Exit::Preconditions, error.to_string()).hint("sudo apt-get install python3-venv")
        })?;
    let packages = String::from_utf8_lossy(bytes);
    let install = python::pip_install(
        &python::in_environment(&folder),
        "install the sample requirements",
        packages.split_whitespace(),
    );
    runner.stream(&install, note)?;
    infra::files::write_shared(&marker, b"").context("failed to mark the environment as complete")?;
    Ok(folder)
}
