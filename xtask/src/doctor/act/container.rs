//! A container started, stopped or restarted.

use infra::{Cmd, docker};
use serde::{Deserialize, Serialize};

use crate::config::Vault;
use crate::doctor::fix::shown;
use crate::steps::{Failure, World};

/// A container and what becomes of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// What to do.
    pub verb: Verb,
    /// Its restart policy before, when it must not come back by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// What can be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Start it; going back stops it.
    Start,
    /// Stop it and keep it from starting by itself; going back starts it.
    Stop,
    /// Restart it; there is nothing to go back to.
    Restart,
    /// Let its processes go on.
    Unpause,
    /// Remove one that never ran; its volumes stay. Compose makes it again when it is asked to.
    Forget,
}

impl Container {
    /// Without a change of its restart policy.
    pub fn new(verb: Verb, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            verb,
            policy: None,
        }
    }

    fn commands_to(&self) -> Vec<Cmd> {
        let name = &self.name;
        match self.verb {
            Verb::Start => vec![docker::start(name)],
            Verb::Stop if self.policy.is_some() => vec![docker::set_restart(name, "no"), docker::stop(name)],
            Verb::Stop => vec![docker::stop(name)],
            Verb::Restart => vec![docker::restart(name)],
            Verb::Unpause => vec![docker::unpause(name)],
            Verb::Forget => vec![docker::forget(name)],
        }
    }

    fn commands_back(&self) -> Vec<Cmd> {
        let name = &self.name;
        match (self.verb, &self.policy) {
            (Verb::Start, _) => vec![docker::stop(name)],
            (Verb::Stop, Some(policy)) => vec![docker::set_restart(name, policy), docker::start(name)],
            (Verb::Stop, None) => vec![docker::start(name)],
            (Verb::Restart | Verb::Unpause | Verb::Forget, _) => Vec::new(),
        }
    }

    pub(super) fn no_way_back(&self) -> Option<&'static str> {
        match self.verb {
            Verb::Restart | Verb::Unpause => {
                Some("there is nothing to take back: the container runs as it should")
            }
            Verb::Start | Verb::Stop | Verb::Forget => None,
        }
    }

    pub(super) fn commands(&self, _: &Vault) -> Vec<String> {
        shown(self.commands_to())
    }

    pub(super) fn apply(&self, world: &World<'_>) -> Result<(), Failure> {
        run(self.commands_to(), world)
    }

    pub(super) fn undo(&self, world: &World<'_>) -> Result<(), Failure> {
        run(self.commands_back(), world)
    }
}

fn run(commands: Vec<Cmd>, world: &World<'_>) -> Result<(), Failure> {
    for cmd in commands {
        world.runner.run(&cmd)?;
    }
    Ok(())
}
