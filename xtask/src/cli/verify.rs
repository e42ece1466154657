//! `cargo xtask verify`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use infra::site::Site;

use super::names::Names;
use super::output::{out, out_line};
use super::{Context, Ending, Global, migrate};
use crate::checks::{
    self, CHECKS, Case, Check, Group, Scope, Selection, UnknownName, Verdicts, Write, nearest,
};
use crate::model::{Exit, RunDir};
use crate::observe::{self, Eyes};
use crate::report;

/// Verify: the guide's checklist and more, as named checks
///
/// Scope `config` reads files only, and asks git, Compose and Alembic about them: no service, no engine, no network; made for
/// pre-merge pipelines. Each check has a section in docs/checks.md. Exit code 0: no errors; 3: findings; 10: only warnings,
/// with --deny-warnings; 20: no service is reachable, or nothing could be checked.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct VerifyArgs {
    /// How much to look at
    #[arg(long, value_enum, default_value_t = Scope::All)]
    scope: Scope,
    /// How to say it: text, json, junit, github, markdown, html; several with commas, each with =FILE when it shall go there
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', default_value = "text")]
    format: Vec<String>,
    /// The file of the one machine-readable format
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only these checks or groups
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = Names::checks(), hide_possible_values = true)]
    only: Vec<String>,
    /// Not these checks or groups
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = Names::checks(), hide_possible_values = true)]
    skip: Vec<String>,
    /// End with 10 when there are warnings and nothing worse
    #[arg(long)]
    deny_warnings: bool,
    /// Create, read and delete through the application's API what `application.write-probes` names; triggers and
    /// sequences keep a trace of it
    #[arg(long)]
    write_probe: bool,
    /// List the checks: id and meaning
    #[arg(long)]
    list: bool,
    /// With --list: the page docs/checks.md
    #[arg(long, requires = "list", hide = true)]
    markdown: bool,
}

/// The formats.
const FORMATS: [&str; 6] = ["text", "json", "junit", "github", "markdown", "html"];

/// A format and where it goes; `None` is standard output.
type Sink = (&'static str, Option<PathBuf>);

/// Runs the command.
pub(crate) fn cmd_verify(global: &Global, args: &VerifyArgs) -> anyhow::Result<Exit> {
    let wanted = Selection {
        only: &args.only,
        skip: &args.skip,
    };
    let selected = checks::select(args.scope, &wanted).map_err(unknown)?;
    if selected.is_empty() {
        return Err(nothing_left(args).into());
    }
    if args.list {
        if args.markdown {
            out(checks::page())?;
            return Ok(Exit::Ok);
        }
        let width = CHECKS.iter().map(|check| check.id.len()).max().unwrap_or(0);
        for check in &selected {
            out_line(format_args!("{:<width$}  {}", check.id, check.meaning))?;
        }
        return Ok(Exit::Ok);
    }
    let sinks = sinks(args)?;
    let mut context = Context::new(global)?;
    let (verdicts, reachable) = look(&mut context, args.scope, &selected, args.write_probe);
    if context.runner.interrupt().is_set() {
        return Err(Ending::new(Exit::Interrupted, "interrupted").into());
    }
    let exit = match (args.scope, reachable) {
        (Scope::Databases, false) => Exit::Preconditions,
        _ => verdicts.exit(args.deny_warnings),
    };
    let github = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
    let repository = github.or_else(|| std::env::current_dir().ok());
    // Masks must come before anything that could hold a secret, and only where a runner eats them.
    if sinks.iter().any(|(format, _)| *format == "github") && is_set("GITHUB_ACTIONS") {
        out(report::masks(&context.runner.redactor().known()))?;
    }
    // Messages of servers and programs can repeat what they were given. Before any format spells a secret its own way.
    let verdicts = verdicts.each_text(&|text| context.runner.redactor().redact(text));
    for (format, file) in &sinks {
        let text = match *format {
            "json" => {
                let document =
                    report::VerifyDocument::new(&verdicts, args.scope, &context.loaded.profile, exit);
                serde_json::to_string_pretty(&document)? + "\n"
            }
            "junit" => report::junit(&verdicts),
            "github" => {
                write_summary(&verdicts, repository.as_deref())?;
                report::annotations(&verdicts, repository.as_deref())
            }
            "html" => report::checks_page(&verdicts, args.scope, &context.loaded.profile, exit, &|text| {
                context.runner.redactor().redact(text)
            }),
            "markdown" => report::job_summary(&verdicts, repository.as_deref()),
            _ => report::text(&verdicts, &context.terminal),
        };
        match file {
            None => out(&text)?,
            Some(file) => infra::files::write_shared(file, text.as_bytes())
                .with_context(|| format!("failed to write {}", file.display()))?,
        }
    }
    if exit != Exit::Preconditions {
        return Ok(exit);
    }
    let target = &context.loaded.settings.target;
    let ending = match verdicts.undecided() {
        Some(message) if reachable => Ending::new(exit, message),
        _ => {
            let message = format!(
                "no service is reachable on {}:{}; nothing could be checked there",
                target.host, target.port
            );
            Ending::new(exit, message).hint(checks::DIAGNOSE)
        }
    };
    Err(ending.into())
}

/// Looks at what the selected checks need, and runs them. The second answer: whether the instance answered, or was not
/// asked.
pub(super) fn look(
    context: &mut Context,
    scope: Scope,
    selected: &[&'static Check],
    write_probe: bool,
) -> (Verdicts, bool) {
    let needs = |wanted: Scope| selected.iter().any(|check| check.group.scope() == wanted);
    let eyes = Eyes {
        workspace: &context.workspace,
        settings: &context.loaded.settings,
        runner: &context.runner,
        only: &[],
    };
    let cleanup = scope == Scope::All && selected.iter().any(|check| check.group == Group::Cleanup);
    let config = needs(Scope::Config).then(|| observe::read_config(&eyes));
    if let Some(seen) = &config {
        for (what, seconds) in &seen.asked {
            context.terminal.line(&format!("asked {what}: {seconds:.1} s"));
        }
        observe::learn_config(&context.loaded.settings, &context.runner, seen);
    }
    let instance =
        (needs(Scope::Databases) || cleanup).then(|| observe::look_at_instance(&eyes, &mut context.vault));
    let application = needs(Scope::Application).then(|| observe::look_at_application(&eyes));
    let base = application
        .as_ref()
        .and_then(|seen| observe::base_of(&context.loaded.settings.application, seen.port));
    let writes = write_probe.then(|| write(context, base.as_deref()));
    let backups = instance
        .as_ref()
        .filter(|_| cleanup)
        .map(|seen| observe::look_at_backups(&eyes, &seen.docker));
    let case = Case {
        loaded: &context.loaded,
        root: context.workspace.root(),
        config: config.as_ref(),
        instance: instance.as_ref(),
        application: application.as_ref(),
        backups: backups.as_ref(),
        moved: moved(context),
        writes: writes.as_deref(),
    };
    let reachable = instance.as_ref().is_none_or(|seen| seen.target.server.is_some());
    (checks::run(selected, &case), reachable)
}

/// Whether a migration that was not taken back, or a set-up of this machine, came to its end.
fn moved(context: &Context) -> bool {
    let folders = [context.workspace.runs(), context.workspace.onboardings()];
    let mut runs = folders.iter().flat_map(|folder| RunDir::all(folder));
    runs.any(|run| {
        let state = migrate::state(&run).ok().flatten();
        state.is_some_and(|state| state.finished && !state.rolled_back)
    })
}

/// Writes through the application at this address, and takes it back; nothing where none answers.
fn write(context: &Context, base: Option<&str>) -> Vec<Write> {
    let Some(base) = base else { return Vec::new() };
    let site = Site {
        base,
        runner: &context.runner,
    };
    let probes = context.loaded.settings.application.write_probes.iter();
    probes
        .map(|probe| (probe.path.clone(), crate::steps::write_probe(probe, &site)))
        .collect()
}

/// Which format goes where.
fn sinks(args: &VerifyArgs) -> anyhow::Result<Vec<Sink>> {
    let mut sinks: Vec<Sink> = Vec::new();
    for word in &args.format {
        let (name, file) = match word.split_once('=') {
            Some((name, file)) => (name, Some(PathBuf::from(file))),
            None => (word.as_str(), None),
        };
        let known = FORMATS
            .iter()
            .copied()
            .find(|known| *known == name)
            .ok_or_else(|| {
                unknown(UnknownName {
                    what: "format",
                    name: name.to_owned(),
                    nearest: nearest(name, FORMATS.into_iter()),
                })
            })?;
        sinks.push((known, file));
    }
    if let Some(output) = &args.output {
        // People read text and runners read commands on standard output; the file is for the other one.
        let for_file = |(name, file): &&mut Sink| file.is_none() && !matches!(*name, "text" | "github");
        let alone = sinks.len() == 1;
        let chosen = if alone {
            sinks.first_mut()
        } else {
            sinks.iter_mut().find(for_file)
        };
        if let Some((_, file)) = chosen {
            *file = Some(output.clone());
        }
    }
    let documents: Vec<&str> = sinks
        .iter()
        .filter(|(_, file)| file.is_none())
        .map(|(name, _)| *name)
        .collect();
    let machine = documents
        .iter()
        .any(|name| matches!(*name, "json" | "junit" | "html"));
    if machine && documents.len() > 1 {
        let message = format!("{} cannot share standard output", documents.join(" and "));
        let file = match documents
            .iter()
            .find(|name| matches!(**name, "json" | "junit" | "html"))
        {
            Some(&"junit") => "junit=verify.xml",
            Some(&"html") => "html=verify.html",
            _ => "json=verify.json",
        };
        return Err(Ending::new(Exit::Usage, message)
            .hint(format!("cargo xtask verify --format text,{file}"))
            .into());
    }
    Ok(sinks)
}

fn unknown(error: UnknownName) -> Ending {
    let hint = match (error.what, &error.nearest) {
        ("check", Some(nearest)) => format!("cargo xtask verify --only {nearest}"),
        ("check", None) => "cargo xtask verify --list".to_owned(),
        (_, Some(nearest)) => format!("cargo xtask verify --format {nearest}"),
        (_, None) => format!("cargo xtask verify --format {}", FORMATS.join("|")),
    };
    Ending::new(Exit::Usage, format!("error: {error}")).hint(hint)
}

/// Nothing that was checked is nothing that passed.
fn nothing_left(args: &VerifyArgs) -> Ending {
    let named = |flag: &str, names: &[String]| match names {
        [] => String::new(),
        names => format!(" {flag} {}", names.join(",")),
    };
    let message = format!(
        "error: no check is left: --scope {}{}{} leaves none",
        args.scope.name(),
        named("--only", &args.only),
        named("--skip", &args.skip)
    );
    Ending::new(Exit::Usage, message).hint("cargo xtask verify --list")
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value == "true")
}

/// Adds to the file that GitHub shows on the job's page; nothing where there is none.
fn write_summary(verdicts: &Verdicts, repository: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty()) else {
        return Ok(());
    };
    let file = PathBuf::from(file);
    let mut all = std::fs::read(&file).unwrap_or_default();
    all.extend(report::job_summary(verdicts, repository).into_bytes());
    infra::files::write_shared(&file, &all).with_context(|| format!("failed to write {}", file.display()))
}
