//! Packages of the machine's own mirrors, without touching the machine's package state and without root.
//!
//! A private apt root holds its own source list, package lists and downloads. The mirrors are the machine's, taken
//! from `apt-get update --print-uris`; only the suite's name is replaced where another release is wanted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ImageError;
use crate::command::{Cmd, Runner};
use crate::files;

/// One apt call downloads at most some 40 MB.
const LIMIT: Duration = Duration::from_secs(600);

/// The distribution this machine runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) family: Family,
    /// The release's name, which apt calls a suite: `bookworm`, `noble`.
    pub(super) suite: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Debian,
    Ubuntu,
}

impl Host {
    /// Reads `/etc/os-release`; `None` on anything but Debian, Ubuntu and Ubuntu's derivatives.
    pub(super) fn detect() -> Option<Self> {
        Self::parse(&fs::read_to_string("/etc/os-release").ok()?)
    }

    pub(super) fn parse(os_release: &str) -> Option<Self> {
        let value = |name: &str| {
            os_release
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                .map(|value| value.trim().trim_matches('"').to_owned())
        };
        if let Some(suite) = value("UBUNTU_CODENAME") {
            return Some(Self {
                family: Family::Ubuntu,
                suite,
            });
        }
        let suite = value("VERSION_CODENAME")?;
        (value("ID")? == "debian").then_some(Self {
            family: Family::Debian,
            suite,
        })
    }

    /// The archive's keys, where the package that holds them puts them (`.pgp` since Debian 13).
    fn keyring(&self) -> Option<PathBuf> {
        let name = match self.family {
            Family::Debian => "debian-archive-keyring",
            Family::Ubuntu => "ubuntu-archive-keyring",
        };
        ["gpg", "pgp"]
            .into_iter()
            .map(|ext| Path::new("/usr/share/keyrings").join(name).with_extension(ext))
            .find(|path| path.exists())
    }
}

/// A private apt root with up-to-date package lists.
pub(super) struct Apt<'a> {
    runner: &'a Runner,
    dir: PathBuf,
}

impl<'a> Apt<'a> {
    /// Makes one in `dir` for `suite` of the machine's distribution and fetches the package lists.
    pub(super) fn open(runner: &'a Runner, dir: &Path, host: &Host, suite: &str) -> Result<Self, ImageError> {
        let apt = Self {
            runner,
            dir: dir.to_owned(),
        };
        for folder in ["lists/partial", "archives/partial"] {
            let path = dir.join(folder);
            fs::create_dir_all(&path).map_err(ImageError::io(format!("create {}", path.display())))?;
        }
        apt.write("status", "")?;
        // Empty lists make apt print every index it would fetch, whatever the machine has fetched already.
        let cmd = Cmd::new("apt-get", "read this machine's package sources")
            .args([
                "-o",
                &format!("Dir::State::lists={}", dir.join("lists").display()),
            ])
            .args(["update", "--print-uris"]);
        let uris = runner.run(&cmd.limit(LIMIT))?.stdout_text();
        let sources = sources(&uris, &host.suite, suite, host.keyring().as_deref());
        if sources.is_empty() {
            return Err(ImageError::Io {
                what: format!(
                    "find a mirror of {} among this machine's package sources",
                    host.suite
                ),
                source: std::io::ErrorKind::NotFound.into(),
            });
        }
        apt.write("sources.list", &sources)?;
        runner.run(
            &apt.get(format!("fetch the package lists of {suite}"))
                .arg("update"),
        )?;
        Ok(apt)
    }

    /// Downloads packages with everything they depend on, as if nothing were installed.
    pub(super) fn fetch(&self, packages: &[&str]) -> Result<Vec<PathBuf>, ImageError> {
        let cmd = self
            .get("fetch the image's packages")
            .args(["--no-install-recommends", "--yes", "--download-only", "install"])
            .args(packages);
        self.runner.run(&cmd)?;
        self.archives()
    }

    /// Downloads one package and nothing else.
    pub(super) fn fetch_alone(&self, package: &str) -> Result<Vec<PathBuf>, ImageError> {
        let cmd = self
            .get(format!("fetch package {package}"))
            .args(["download", package]);
        self.runner.run(&cmd.cwd(self.dir.join("archives")))?;
        self.archives()
    }

    /// Unpacks packages into `root`, in the order of their names; their scripts do not run.
    pub(super) fn unpack(&self, archives: &[PathBuf], root: &Path) -> Result<(), ImageError> {
        for archive in archives {
            let name = archive.file_name().unwrap_or_default().to_string_lossy();
            let cmd = Cmd::new("dpkg-deb", format!("unpack {name}"))
                .arg("--extract")
                .arg(archive)
                .arg(root);
            self.runner.run(&cmd)?;
        }
        Ok(())
    }

    fn archives(&self) -> Result<Vec<PathBuf>, ImageError> {
        let dir = self.dir.join("archives");
        let read = || -> std::io::Result<Vec<PathBuf>> {
            let paths: std::io::Result<Vec<PathBuf>> = fs::read_dir(&dir)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect();
            let mut paths: Vec<PathBuf> = paths?;
            paths.retain(|path| path.extension().is_some_and(|ext| ext == "deb"));
            paths.sort();
            Ok(paths)
        };
        read().map_err(ImageError::io(format!("list {}", dir.display())))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), ImageError> {
        let path = self.dir.join(name);
        files::write_private(&path, text.as_bytes())
            .map_err(ImageError::io(format!("write {}", path.display())))
    }

    /// `apt-get` on the private root. The machine's own configuration still counts: it may name a proxy.
    fn get(&self, what: impl Into<String>) -> Cmd {
        let dir = self.dir.display();
        let options = [
            format!("Dir::Etc::sourcelist={dir}/sources.list"),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State={dir}"),
            format!("Dir::State::status={dir}/status"),
            format!("Dir::Cache={dir}"),
            // The lock files belong to root; nobody else knows this folder.
            "Debug::NoLocking=1".to_owned(),
            // As root, apt would download as a user that may not enter this folder.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        ];
        options
            .into_iter()
            .fold(Cmd::new("apt-get", what), |cmd, option| cmd.args(["-o", &option]))
            .limit(LIMIT)
    }
}

/// Lines of a `sources.list` for suite `to`, from the indexes that apt would fetch for suite `from`: the release itself,
/// its updates and its security fixes, of the distribution's own components.
pub(super) fn sources(uris: &str, from: &str, to: &str, keyring: Option<&Path>) -> String {
    let signed = keyring
        .map(|path| format!("[signed-by={}] ", path.display()))
        .unwrap_or_default();
    let lines: BTreeSet<String> = uris
        .lines()
        .filter_map(|line| {
            let uri = line.strip_prefix('\'')?.split('\'').next()?;
            let (mirror, index) = uri.split_once("/dists/")?;
            let mut parts = index.split('/');
            let (suite, component) = (parts.next()?, parts.next()?);
            let pocket = suite.strip_prefix(from)?;
            let ours =
                ["", "-updates", "-security"].contains(&pocket) && ["main", "universe"].contains(&component);
            ours.then(|| format!("deb {signed}{mirror} {to}{pocket} {component}\n"))
        })
        .collect();
    lines.into_iter().collect()
}
