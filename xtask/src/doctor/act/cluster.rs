//! An old instance in a data directory, started.

use infra::postgres::cluster::Cluster;
use serde::{Deserialize, Serialize};

use crate::config::Vault;
use crate::doctor::fix::shown;
use crate::steps::{Failure, World};

/// State file: that it was this repair that started the server.
const STARTED: &str = "started";

/// Start the server of a data directory; going back stops it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StartCluster(pub Cluster);

impl StartCluster {
    fn start(&self) -> infra::Cmd {
        self.0.start(&[], &self.0.log())
    }

    pub(super) fn commands(&self, _: &Vault) -> Vec<String> {
        shown([self.start()])
    }

    pub(super) fn apply(&self, world: &World<'_>) -> Result<(), Failure> {
        if !self.0.is_running(&world.runner)? {
            world.run.save(STARTED, &true)?;
            world.runner.run(&self.start())?;
        }
        Ok(())
    }

    pub(super) fn undo(&self, world: &World<'_>) -> Result<(), Failure> {
        if world.run.load::<bool>(STARTED)?.is_some() {
            self.0.end(&world.runner)?;
        }
        Ok(())
    }
}
