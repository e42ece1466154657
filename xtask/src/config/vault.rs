//! Secrets by name. Plans and journals hold [`SecretName`]s; only the moment of use resolves them.

use std::collections::BTreeMap;

use infra::{Runner, Secret};
use serde::{Deserialize, Serialize};

/// Which secret is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretName {
    /// The password of the target's role.
    Target,
    /// The password of a source's role, by database.
    Source(String),
}

/// The secrets of this run.
#[derive(Clone, Debug, Default)]
pub struct Vault {
    secrets: BTreeMap<SecretName, Secret>,
}

impl Vault {
    /// Puts a secret in and teaches the runner to mask it.
    pub fn insert(&mut self, runner: &Runner, name: SecretName, secret: Secret) {
        runner.learn(&secret);
        self.secrets.insert(name, secret);
    }

    /// The secret, when it is known.
    pub fn get(&self, name: &SecretName) -> Option<&Secret> {
        self.secrets.get(name)
    }
}
