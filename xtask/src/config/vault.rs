//! Secrets by name. Plans and journals hold [`SecretName`]s; only the moment of use resolves them.

use std::collections::BTreeMap;

use infra::{Runner, Secret};

use serde::{Deserialize, Serialize};

use super::{Settings, Workspace};

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

/// Variable that holds the target's password.
pub const TARGET_PASSWORD: &str = "XTASK_TARGET_PASSWORD";

impl Vault {
    /// The target's password: the environment before `.xtask/secrets.env` before the settings.
    ///
    /// # Errors
    /// When `.xtask/secrets.env` is there and cannot be read.
    pub fn load(
        runner: &Runner,
        workspace: &Workspace,
        settings: &Settings,
        environment: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let mut vault = Self::default();
        let file = workspace.private().join("secrets.env");
        let mut own: Vec<(String, String)> = Vec::new();
        if file.is_file() {
            let read = dotenvy::from_path_iter(&file).and_then(Iterator::collect);
            // The library's error quotes the line, which may hold a secret.
            own = read
                .map_err(|_| anyhow::anyhow!("failed to read {}: a line is not KEY=VALUE", file.display()))?;
        }
        let named = environment
            .iter()
            .chain(&own)
            .find(|(name, _)| name == TARGET_PASSWORD);
        let password = named
            .map(|(_, value)| Secret::new(value.clone()))
            .or_else(|| settings.target.password.clone());
        if let Some(password) = password {
            vault.insert(runner, SecretName::Target, password);
        }
        Ok(vault)
    }

    /// Puts a secret in and teaches the runner to mask it.
    pub fn insert(&mut self, runner: &Runner, name: SecretName, secret: Secret) {
        runner.learn(&secret);
        self.secrets.insert(name, secret);
    }

    /// Every secret that is known.
    pub fn all(&self) -> impl Iterator<Item = &Secret> {
        self.secrets.values()
    }

    /// The secret, when it is known.
    pub fn get(&self, name: &SecretName) -> Option<&Secret> {
        self.secrets.get(name)
    }
}
