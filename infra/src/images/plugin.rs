//! Docker Compose v2 for tests on a machine that only has the old `docker-compose`.

use std::fs;
use std::path::{Path, PathBuf};

use super::apt::{Apt, Family};
use super::{ImageError, host_for, lock, recipe};
use crate::command::Runner;
use crate::compose::Program;
use crate::files;

/// Where Debian and Ubuntu put the plugin.
const PLUGIN: &str = "usr/libexec/docker/cli-plugins/docker-compose";

/// Makes sure that `docker compose` works: `None` when it does already, else a folder to give as `DOCKER_CONFIG`, filled
/// from the distribution's package. Nothing is installed, and the person's own Docker configuration is not touched.
///
/// # Errors
/// [`ImageError::Unavailable`] where there are no such packages; else the program or file that failed.
pub fn ensure_compose_v2(
    runner: &Runner,
    cache: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<Option<PathBuf>, ImageError> {
    if Program::Plugin.version(runner).is_some() {
        return Ok(None);
    }
    let host = host_for(runner, false).map_err(|problems| ImageError::Unavailable {
        what: "Docker Compose v2".to_owned(),
        pull: String::new(),
        problems,
    })?;
    let _lock = lock(runner, cache)?;
    let config = cache.join("docker-config");
    let plugins = config.join("cli-plugins");
    let plugin = plugins.join("docker-compose");
    if plugin.exists() {
        return Ok(Some(config));
    }
    // Debian 13 is the first with Compose 2, a program that needs nothing but the C library.
    let (suite, package) = match host.family {
        Family::Debian => ("trixie", "docker-compose"),
        Family::Ubuntu => (host.suite.as_str(), "docker-compose-v2"),
    };
    progress(&format!(
        "fetching Docker Compose v2: package {package} of {suite}"
    ));
    let work = recipe::work_dir(cache)?;
    let apt = Apt::open(runner, &work.path().join("apt"), &host, suite)?;
    let archives = apt.fetch_alone(package)?;
    let root = work.path().join("root");
    fs::create_dir(&root).map_err(ImageError::io(format!("create {}", root.display())))?;
    apt.unpack(&archives, &root)?;
    files::private_dir(&plugins).map_err(ImageError::io(format!("create {}", plugins.display())))?;
    fs::rename(root.join(PLUGIN), &plugin)
        .map_err(ImageError::io(format!("take {PLUGIN} out of package {package}")))?;
    Ok(Some(config))
}
