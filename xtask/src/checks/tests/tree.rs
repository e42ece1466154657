//! A workspace with both sample repositories beside it, as after a migration.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use infra::alembic::History;
use infra::compose::{Config, Refused, yaml};
use infra::secret::Redactor;
use infra::{Cmd, Interrupt, Runner};

use crate::checks::{Case, Scope, Selection, Verdicts, run, select};
use crate::config::{self, Workspace};
use crate::observe::{AlembicFiles, Eyes, TextFile, learn_config, read_config_with};

pub(super) const ENV: &str = "mvp-vision-ai-labeler/backend/.env";
pub(super) const PLATFORM_COMPOSE: &str = "mvp-vision-ai-platform/platform/infrastructure/docker-compose.yml";
pub(super) const PASSWORD: &str = "a-password-of-nobody";
pub(super) const SECRET: &str = "a-secret-of-nobody";

pub(super) struct Tree {
    dir: tempfile::TempDir,
    /// Whether a migration came to its end.
    pub(super) moved: bool,
    /// Whether Alembic itself is asked: only where a test changes its files.
    alembic: Cell<bool>,
}

impl Tree {
    pub(super) fn clean() -> Self {
        let tree = Self {
            // People's folders have blanks in their names.
            dir: tempfile::Builder::new().prefix("a tree ").tempdir().unwrap(),
            moved: true,
            alembic: Cell::new(false),
        };
        infra::rehearsal::write("labeler", &tree.path("mvp-vision-ai-labeler")).unwrap();
        infra::rehearsal::write("platform", &tree.path("mvp-vision-ai-platform")).unwrap();
        tree.write("workspace/infra/migration.toml", infra::MIGRATION_TOML);
        // The sample is faithful to the real ones: both publish Redis on one port.
        tree.edit(
            PLATFORM_COMPOSE,
            "PLATFORM_REDIS_PORT:-6379",
            "PLATFORM_REDIS_PORT:-6380",
        );
        let example = tree.read("mvp-vision-ai-labeler/backend/.env.example");
        let env = example
            .replace("SECRET_KEY=change_me", &format!("SECRET_KEY={SECRET}"))
            .replace("change_me", PASSWORD)
            .replace("Copy to .env and replace every change_me.", "");
        tree.write(ENV, &env.replace('\n', "\r\n"));
        let git = |args: &[&str]| {
            let cmd = Cmd::new("git", "make a checkout")
                .args(args.iter().copied())
                .cwd(tree.path("mvp-vision-ai-labeler"));
            Runner::new(Interrupt::default()).run(&cmd).unwrap();
        };
        git(&["init", "--quiet"]);
        git(&["add", "."]);
        tree
    }

    pub(super) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        file.split('/')
            .fold(self.root().to_owned(), |path, part| path.join(part))
    }

    pub(super) fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap()
    }

    pub(super) fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        infra::files::write_shared(&path, text.as_bytes()).unwrap();
        if file.contains("alembic") {
            self.ask_alembic();
        }
    }

    /// Has Alembic itself asked.
    pub(super) fn ask_alembic(&self) {
        self.alembic.set(true);
    }

    /// What Alembic would say of the sample.
    fn without_alembic(&self, alembic: &mut AlembicFiles) {
        let env = self.path("mvp-vision-ai-labeler/backend/alembic/env.py");
        alembic.env = std::fs::read_to_string(&env)
            .ok()
            .map(|text| TextFile { path: env, text });
        alembic.history = Ok(History {
            heads: vec!["e5b1946c3f25".to_owned()],
            ..History::default()
        });
    }

    pub(super) fn remove(&self, file: &str) {
        let path = self.path(file);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }

    pub(super) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{file} does not hold {from}");
        self.write(file, &text.replacen(from, to, 1));
    }

    /// Puts files under git's control that `.gitignore` keeps out.
    pub(super) fn track(&self, file: &str) {
        let cmd = Cmd::new("git", "track a file")
            .args(["add", "--force", file])
            .cwd(self.path("mvp-vision-ai-labeler"));
        Runner::new(Interrupt::default()).run(&cmd).unwrap();
    }

    /// The line that begins with a text, blanks aside; 0 for no text, the first line for `^`.
    pub(super) fn line(&self, file: &str, start: &str) -> usize {
        match start {
            "" => return 0,
            "^" => return 1,
            _ => {}
        }
        let text = self.read(file);
        let at = text.lines().position(|line| line.trim_start().starts_with(start));
        at.unwrap_or_else(|| panic!("{file} has no line {start}")) + 1
    }

    /// What one check found.
    pub(super) fn found(&self, check: &str) -> Vec<String> {
        let verdicts = self.verdicts();
        let findings = verdicts.findings().filter(|finding| finding.id == check);
        findings.map(|finding| finding.found.clone()).collect()
    }

    /// What the checks of configuration say.
    pub(super) fn verdicts(&self) -> Verdicts {
        self.looked().0
    }

    /// The same, and what is known to be secret afterwards.
    pub(super) fn looked(&self) -> (Verdicts, Redactor) {
        let workspace = Workspace::at(self.path("workspace"));
        let mut loaded = config::load(&workspace, crate::DEFAULT_PROFILE, &[], &[]).unwrap();
        let runner = Runner::new(Interrupt::default());
        if self.alembic.get() {
            let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            let environment = crate::cli::rehearse::sample_environment(project, &runner).unwrap();
            loaded.settings.labeler.virtual_environments = vec![environment];
        }
        let eyes = Eyes {
            workspace: &workspace,
            settings: &loaded.settings,
            runner: &runner,
            only: &[],
        };
        let mut seen = read_config_with(&eyes, &ask);
        if let Some(alembic) = seen.alembic.as_mut().filter(|_| !self.alembic.get()) {
            self.without_alembic(alembic);
        }
        let case = Case {
            loaded: &loaded,
            root: workspace.root(),
            config: Some(&seen),
            instance: None,
            application: None,
            backups: None,
            moved: self.moved,
            writes: None,
        };
        learn_config(&loaded.settings, &runner, &seen);
        let verdicts = run(&select(Scope::Config, &Selection::default()).unwrap(), &case);
        (verdicts, runner.redactor().clone())
    }
}

/// Stands for Compose: reads the file itself, with the default of every variable. What Compose makes of files is tested where it is
/// asked, in `infra`.
fn ask(file: &Path, _: &str, _: &BTreeMap<String, String>) -> Result<Config, Refused> {
    let text = std::fs::read_to_string(file).unwrap();
    let fault = |why: String| Refused { why, fault: true };
    let mut filled = text.clone();
    while let Some((before, rest)) = filled.split_once("${") {
        let (variable, after) = rest.split_once('}').unwrap();
        let Some((_, default)) = variable.split_once(":-") else {
            let why = format!("variable {variable} is missing a value");
            return Err(Refused { why, fault: false });
        };
        filled = format!("{before}{default}{after}");
    }
    let mut answer = yaml::parse(&filled).map_err(fault)?;
    // Compose makes every path absolute.
    let folder = file.parent().unwrap().display();
    for service in answer["services"].as_object_mut().into_iter().flatten() {
        for volume in service.1["volumes"].as_array_mut().into_iter().flatten() {
            let path = volume.as_str().and_then(|path| path.strip_prefix("./"));
            *volume = path.map_or(volume.clone(), |path| format!("{folder}/{path}").into());
        }
    }
    Config::of(&answer, &[(file.to_owned(), text)]).map_err(fault)
}
