//! A role's password, made to be the one that `.env` has.

use infra::Secret;
use infra::postgres::{Script, quote};
use serde::{Deserialize, Serialize};

use crate::config::{SecretName, Vault};
use crate::doctor::fix::shown;
use crate::plan::action::Instance;
use crate::steps::{Failure, World};

/// State file: what the server kept of the previous password. As good as the password, and as private as the `.env` files
/// that a run keeps.
const VERIFIER: &str = "verifier";

/// Give a role the password of `.env`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetPassword {
    /// The server.
    pub instance: Instance,
    /// A database that always exists.
    pub maintenance: String,
    /// The role.
    pub role: String,
    /// Which password.
    pub password: SecretName,
}

impl SetPassword {
    fn script(&self, password: &Secret) -> Script {
        // SCRAM whatever the server's default is: the text must not reach its log.
        Script::new(format!(
            "SET log_statement = 'none';\nSET log_min_error_statement = 'panic';\nALTER ROLE {} PASSWORD :'password';",
            quote::ident(&self.role)
        ))
        .secret_var("password", password)
    }

    fn what(&self) -> String {
        format!("set the password of {}", self.role)
    }

    pub(super) fn commands(&self, vault: &Vault) -> Vec<String> {
        let masked = Secret::new(infra::secret::MASK);
        let server = self.instance.server(vault);
        shown([server.psql(&self.maintenance, &self.script(&masked), self.what())])
    }

    pub(super) fn apply(&self, world: &World<'_>) -> Result<(), Failure> {
        let password = world
            .vault
            .get(&self.password)
            .ok_or_else(|| Failure::new("the password of .env is not known"))?;
        let server = self.instance.server(world.vault);
        let kept: Option<Option<String>> = world.run.load(VERIFIER)?;
        if kept.is_none() {
            let ask =
                Script::new("SELECT to_json(rolpassword) FROM pg_catalog.pg_authid WHERE rolname = :'role';")
                    .var("role", &self.role);
            let what = format!("keep what the server knows of the password of {}", self.role);
            let text = server.execute(&world.runner, &self.maintenance, &ask, what)?;
            let verifier: Option<String> = serde_json::from_str(text.trim()).unwrap_or_default();
            if let Some(verifier) = &verifier {
                world.runner.learn(&Secret::new(verifier.clone()));
            }
            world.run.save(VERIFIER, &verifier)?;
        }
        server.execute(
            &world.runner,
            &self.maintenance,
            &self.script(password),
            self.what(),
        )?;
        Ok(())
    }

    pub(super) fn undo(&self, world: &World<'_>) -> Result<(), Failure> {
        let Some(verifier) = world.run.load::<Option<String>>(VERIFIER)? else {
            return Ok(());
        };
        let server = self.instance.server(world.vault);
        let script = match verifier {
            Some(verifier) => {
                let verifier = Secret::new(verifier);
                world.runner.learn(&verifier);
                self.script(&verifier)
            }
            None => Script::new(format!("ALTER ROLE {} PASSWORD NULL;", quote::ident(&self.role))),
        };
        server.execute(&world.runner, &self.maintenance, &script, self.what())?;
        Ok(())
    }
}
