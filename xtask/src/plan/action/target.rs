//! The new instance.

use infra::Cmd;
use infra::compose::Project;
use infra::postgres::cluster::Cluster;
use serde::{Deserialize, Serialize};

use super::Instance;
use crate::config::{SecretName, Vault};

/// Start the new instance and wait for a query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StartTarget {
    /// How.
    pub control: TargetControl,
    /// The instance.
    pub instance: Instance,
    /// A database that always exists.
    pub maintenance_database: String,
    /// How long it may take, in seconds.
    pub limit_seconds: u64,
    /// Host and port as the application reaches it.
    pub published: (String, u16),
    /// Whether it ran before: then going back does not stop it.
    pub was_running: bool,
}

/// The ways to start it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetControl {
    /// Compose.
    Compose {
        /// The Compose file.
        project: Project,
        /// The service that is PostgreSQL; nothing else of the file is started.
        service: String,
        /// The container that is PostgreSQL.
        container: String,
        /// Variables of the file that are secrets.
        secrets: Vec<(String, SecretName)>,
    },
    /// A local cluster.
    Cluster(Cluster),
    /// Somebody else's: it must answer already.
    External,
}

impl StartTarget {
    /// The commands that start it.
    pub fn commands(&self, vault: &Vault) -> Vec<Cmd> {
        match &self.control {
            TargetControl::Compose {
                project,
                service,
                secrets,
                ..
            } => {
                let known = secrets
                    .iter()
                    .filter_map(|(name, secret)| Some((name, vault.get(secret)?)));
                let up = known.fold(project.up_only([service.as_str()]), |cmd, (name, secret)| {
                    cmd.secret_env(name, secret)
                });
                vec![up]
            }
            TargetControl::Cluster(cluster) if !self.was_running => vec![self.start_cluster(cluster)],
            TargetControl::Cluster(_) | TargetControl::External => Vec::new(),
        }
    }

    /// Starts a local cluster.
    pub fn start_cluster(&self, cluster: &Cluster) -> Cmd {
        cluster.start(&[], &cluster.log())
    }
}
