//! What problems are examined on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use infra::docker::Container as Seen;
use infra::postgres::facts::ServerFacts;

use crate::checks::NotLooked;
use crate::config::{Control, Loaded, Settings, Workspace};
use crate::model::RunDir;
use crate::observe::{Checkup, Held, Inside, LoginSeen, Named, SourceSeen, SourceState};
use crate::plan::action::{EnvChange, Instance};
use crate::plan::{Action, Parts, Request, Roles, charge};

use super::act::{Act, Container, Part, Verb};
use super::{OpenRun, Past, symptom};

/// What problems are examined on.
pub struct Case<'a> {
    /// The workspace.
    pub workspace: &'a Workspace,
    /// The settings.
    pub loaded: &'a Loaded,
    /// What was seen.
    pub seen: &'a Checkup,
    /// What the newest migration left, by database.
    pub past: &'a BTreeMap<String, Past>,
    /// The run that is neither finished nor rolled back.
    pub open: Option<&'a OpenRun>,
    /// The folder that the next repair uses.
    pub run: &'a RunDir,
}

impl<'a> Case<'a> {
    /// The settings.
    pub(super) fn settings(&self) -> &'a Settings {
        &self.loaded.settings
    }

    /// The target, as its administrator.
    pub(super) fn target(&self) -> Instance {
        charge::target(self.settings(), self.run.id.as_str())
    }

    /// Whether the target is a container.
    pub(super) fn target_is_container(&self) -> bool {
        matches!(
            self.settings().target.control,
            Control::Compose | Control::Container
        )
    }

    /// A database that always exists on the target.
    pub(super) fn maintenance(&self) -> &'a str {
        &self.settings().target.maintenance_database
    }

    /// Whether `.env` names the target for this database.
    pub(super) fn in_charge(&self, name: &str) -> bool {
        charge::names_target(&self.seen.seen, self.settings(), name) == Some(true)
    }

    /// The old container that `.env` means with the target's place: it does not run, nothing says that its rows were moved,
    /// and the target does not hold them.
    pub(super) fn old_in_charge(&self, name: &str) -> Option<&'a Seen> {
        let seen = &self.seen.seen;
        let SourceState::Container(container) = &seen.sources.get(name)?.state else {
            return None;
        };
        let target = &self.settings().target;
        let port = |container: &Seen| {
            let ports = container.ports.get(&5432);
            ports.is_some_and(|ports| ports.contains(&target.port))
        };
        // Without any run it is only known where `.env` still names another old instance.
        let named =
            |source: &SourceSeen| source.named.as_ref().map(|named| &named.what) == Some(&Named::Found);
        let unmoved = match self.past.get(name) {
            Some(past) => matches!(past, Past::RolledBack(_)),
            None => seen
                .sources
                .iter()
                .any(|(other, source)| other != name && named(source)),
        };
        let held = self.seen.backups.get(name);
        let on_target = seen.target.databases.get(name);
        let is_on_target = on_target.is_some_and(|database| database.facts.has_content())
            && !held.is_some_and(Held::is_emptied);
        let displaced = !container.is_running() && container.name != target.container && port(container);
        (self.in_charge(name) && displaced && unmoved && !is_on_target).then_some(&**container)
    }

    /// Whether some `.env` file says where some database is.
    ///
    /// # Errors
    /// When none does: then nobody knows which one is in use.
    pub(super) fn env_speaks(&self) -> Result<(), NotLooked> {
        let place = |name: &String| {
            let mut files = self
                .seen
                .seen
                .env_files
                .iter()
                .filter(|file| file.problem.is_none());
            files.any(|file| {
                let mapping = file.mappings.get(name);
                mapping.is_some_and(|mapping| mapping.host.value.is_some() && mapping.port.value.is_some())
            })
        };
        match self.settings().databases.keys().any(place) {
            true => Ok(()),
            false => Err(NotLooked::because("no .env says where the databases are")),
        }
    }

    /// Whether the target must answer: `.env` names it for some database. Before a migration the old instances serve, and
    /// a target that does not run is no problem.
    pub(super) fn target_is_needed(&self) -> bool {
        self.settings().databases.keys().any(|name| self.in_charge(name))
    }

    /// The target's server; `None` when it does not run and need not.
    ///
    /// # Errors
    /// When it must answer and does not.
    pub(super) fn server(&self) -> Result<Option<&'a ServerFacts>, NotLooked> {
        match &self.seen.seen.target.server {
            Some(server) => Ok(Some(server)),
            None if self.target_is_needed() => Err(NotLooked::because("the target does not answer")),
            None => self.env_speaks().map(|()| None),
        }
    }

    /// What the target says of itself; `None` as in [`Case::server`].
    pub(super) fn inside(&self) -> Result<Option<&'a Inside>, NotLooked> {
        self.server()?;
        Ok(self.seen.inside.as_ref())
    }

    /// The logins whose complaint speaks like this, with the line that does.
    pub(super) fn complaints(
        &self,
        patterns: &'static [&'static str],
    ) -> impl Iterator<Item = (&'a str, &'a LoginSeen, &'a str)> {
        self.seen.logins.iter().filter_map(move |(name, login)| {
            let said = login.works.as_ref().err()?;
            Some((name.as_str(), login, symptom::any(patterns, said)?))
        })
    }

    /// What speaks like this: a login, or the administrator's own.
    pub(super) fn said(&self, patterns: &'static [&'static str]) -> Option<&'a str> {
        let login = self.complaints(patterns).next().map(|(.., line)| line);
        let administrator = self.seen.seen.target.problem.as_deref();
        login.or_else(|| symptom::any(patterns, administrator?))
    }

    /// Builds a part of a migration as an act.
    pub(super) fn part(
        &self,
        roles: Roles,
        title: impl Into<String>,
        make: impl FnOnce(&Parts<'_>) -> anyhow::Result<Option<Action>>,
    ) -> Option<Act> {
        let request = Request {
            run: self.run.id.clone(),
            only: Vec::new(),
            roles,
            pull: false,
            set_aside: false,
            accept_unfenced: false,
            target_password: true,
            reader_ports: Vec::new(),
        };
        let seen = &self.seen.seen;
        let folder: PathBuf = self.run.path().to_owned();
        let parts = Parts::new(self.workspace, self.loaded, seen, &request, folder);
        // What cannot be built has no automatic repair; the finding says what is missing.
        let action = make(&parts).ok()??;
        Some(Act::Part(Part::new(title.into(), action)))
    }

    /// Start the target, as a migration does; a plain container by its name.
    pub(super) fn start_target(&self) -> Option<Act> {
        let target = &self.settings().target;
        if target.control == Control::Container {
            self.seen.seen.target.container.as_ref()?;
            return Some(Act::Container(Container::new(
                Verb::Start,
                target.container.clone(),
            )));
        }
        self.part(Roles::Unify, "start the target", |parts| {
            Ok(Some(Action::StartTarget(parts.start_target()?)))
        })
    }

    /// Set keys in every `.env` file.
    pub(super) fn set_env(&self, changes: &[EnvChange]) -> Option<Act> {
        self.part(Roles::Unify, "set keys of .env", |parts| {
            Ok(Some(Action::Cutover(parts.cutover(changes)?)))
        })
    }
}
