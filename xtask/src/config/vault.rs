//! Secrets by name. Plans and journals hold [`SecretName`]s; only the moment of use resolves them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use infra::{Cmd, Runner, Secret};

use serde::{Deserialize, Serialize};

use super::own_secrets;
use super::standard::{self, Standard};
use super::{Connection, Control, Settings, Workspace};

/// Which secret is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretName {
    /// The password of the target's role.
    Target,
    /// The password of a source's role, by database.
    Source(String),
    /// A value that `onboard` makes up for a key of `.env`.
    New(String),
    /// The password of the role that `.env` names on the target, by database, where that is not the target's role.
    Login(String),
}

impl SecretName {
    /// The variable that holds it, in the environment or in `.xtask/secrets.env`.
    pub fn variable(&self) -> String {
        let name = |name: &str| name.to_uppercase().replace('-', "_");
        match self {
            Self::Target => "XTASK_TARGET_PASSWORD".to_owned(),
            Self::Source(database) => format!("XTASK_SOURCE_{}_PASSWORD", name(database)),
            Self::Login(database) => format!("XTASK_LOGIN_{}_PASSWORD", name(database)),
            Self::New(key) => format!("XTASK_NEW_{}", name(key)),
        }
    }
}

/// The secrets of this run.
#[derive(Clone, Debug, Default)]
pub struct Vault {
    secrets: BTreeMap<SecretName, Secret>,
    /// Those that somebody gave us by name: what a `.env` file says does not replace them.
    given: BTreeSet<SecretName>,
}

/// Why a password cannot be had, which a person can change.
#[derive(Debug)]
pub struct Withheld {
    why: String,
    /// What to do.
    pub hint: String,
}

impl std::fmt::Display for Withheld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Withheld {}

/// How long a password command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// A login whose password is looked for.
struct Login<'a> {
    secret: SecretName,
    host: &'a str,
    port: u16,
    databases: Vec<&'a str>,
    user: &'a str,
    /// The password file counts, as of an external server.
    external: bool,
    /// Where the password command stands that speaks of this login: it prints one password.
    command: Option<&'a Connection>,
}

impl Vault {
    /// The passwords that are given by name: the environment before `.xtask/secrets.env`, and for external servers the
    /// password file and the password command after them. In development the target's may stand in the settings.
    ///
    /// # Errors
    /// When `.xtask/secrets.env` or the password file is there and cannot be read, or the password command fails.
    pub fn load(
        runner: &Runner,
        workspace: &Workspace,
        settings: &Settings,
        environment: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let mut vault = Self::default();
        let secrets = workspace.private().join("secrets.env");
        ours_alone(&secrets, "holds passwords and can be read by others")?;
        let own = own_secrets::read(&secrets, settings)?;
        let standard = Standard::new(environment);
        let passwords = password_file(&standard)?;
        for login in logins(settings) {
            let variable = login.secret.variable();
            let mut named = environment.iter().chain(&own);
            let mut found = named
                .find(|(name, _)| *name == variable)
                .map(|(_, value)| value.clone());
            if login.external {
                if login.secret == SecretName::Target {
                    found = found.or_else(|| standard.variable("PGPASSWORD").map(str::to_owned));
                }
                found = found.or_else(|| {
                    let find = |database: &&str| {
                        standard::password(
                            passwords.as_deref()?,
                            login.host,
                            login.port,
                            database,
                            login.user,
                        )
                    };
                    login.databases.iter().find_map(find)
                });
                if let (None, Some(connection)) = (&found, login.command) {
                    found = ask_command(runner, connection, &login.secret)?;
                }
            }
            if let Some(password) = found {
                vault.given.insert(login.secret.clone());
                vault.insert(runner, login.secret, Secret::new(password));
            }
        }
        if let Some(password) = settings.target.password.clone()
            && vault.get(&SecretName::Target).is_none()
        {
            vault.insert(runner, SecretName::Target, password);
        }
        Ok(vault)
    }

    /// Puts a secret in and teaches the runner to mask it.
    pub fn insert(&mut self, runner: &Runner, name: SecretName, secret: Secret) {
        runner.learn(&secret);
        self.secrets.insert(name, secret);
    }

    /// Puts a secret in that was found in a `.env` file, unless one was given by name.
    pub fn insert_found(&mut self, runner: &Runner, name: SecretName, secret: Secret) {
        runner.learn(&secret);
        if !self.given.contains(&name) {
            self.secrets.insert(name, secret);
        }
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

/// Every login that these settings know by name.
fn logins(settings: &Settings) -> Vec<Login<'_>> {
    let target = &settings.target;
    let external = |control: Control| control == Control::External;
    let on_target = external(target.control).then_some(&target.connection);
    let names = settings.databases.values().map(|database| database.name.as_str());
    let mut logins = vec![Login {
        secret: SecretName::Target,
        host: &target.host,
        port: target.port,
        databases: names.chain([target.maintenance_database.as_str()]).collect(),
        user: &target.user,
        external: on_target.is_some(),
        command: on_target,
    }];
    for (name, database) in &settings.databases {
        let source = &database.source;
        logins.push(Login {
            secret: SecretName::Source(name.clone()),
            host: &source.host,
            port: source.port,
            databases: vec![&source.database],
            user: &source.user,
            external: external(source.control),
            command: external(source.control).then_some(&source.connection),
        });
        if !database.login.is_empty() && database.login != target.user {
            logins.push(Login {
                secret: SecretName::Login(name.clone()),
                host: &target.host,
                port: target.port,
                databases: vec![&database.name],
                user: &database.login,
                external: on_target.is_some(),
                // The target's prints that of the target's role.
                command: None,
            });
        }
    }
    logins
}

/// The password file's text. libpq ignores one that others may read; we say so.
fn password_file(standard: &Standard<'_>) -> anyhow::Result<Option<String>> {
    let Some(file) = standard.password_file().filter(|file| file.is_file()) else {
        return Ok(None);
    };
    ours_alone(
        &file,
        "can be read by others, and PostgreSQL's programs ignore it then",
    )?;
    let text = std::fs::read_to_string(&file).map_err(|error| Withheld {
        why: format!("failed to read {}: {error}", file.display()),
        hint: "PGPASSFILE=FILE, a password file of yours".to_owned(),
    })?;
    Ok(Some(text))
}

/// Refuses a file of passwords that others than its owner may use. On Windows the folder's access list decides.
fn ours_alone(file: &Path, why: &str) -> anyhow::Result<()> {
    #[cfg(unix)]
    if file.is_file() {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(file)
            .with_context(|| format!("failed to look at {}", file.display()))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(Withheld {
                why: format!("{} {why}", file.display()),
                hint: format!(
                    "chmod 600 {}",
                    infra::command::shell_word(&file.to_string_lossy())
                ),
            }
            .into());
        }
    }
    #[cfg(not(unix))]
    let _ = (file, why);
    Ok(())
}

/// The first line that the password command prints.
fn ask_command(
    runner: &Runner,
    connection: &Connection,
    login: &SecretName,
) -> anyhow::Result<Option<String>> {
    let Some((program, args)) = connection.password_command.split_first() else {
        return Ok(None);
    };
    let cmd = Cmd::new(program, "ask the password command")
        .args(args)
        .limit(COMMAND_LIMIT);
    let endpoint = match login {
        SecretName::Source(database) => format!("databases.{database}.source"),
        _ => "target".to_owned(),
    };
    let withheld = |why: String| Withheld {
        why,
        hint: format!(
            "let {endpoint}.connection.password-command print the password, or give it as {}",
            login.variable()
        ),
    };
    let text = match runner.answer(&cmd) {
        Ok(done) => done.stdout_text(),
        Err(error) if error.is_interrupt() => return Err(error.into()),
        Err(error) => return Err(withheld(error.to_string()).into()),
    };
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Some(line.to_owned())),
        _ => Err(withheld(format!("the password command {program} printed nothing")).into()),
    }
}

#[cfg(test)]
mod tests {
    use infra::Interrupt;

    use super::*;
    use crate::config::load;

    /// The vault of the production profile, with a `secrets.env` of this text and these variables.
    fn vault(secrets: &str, environment: &[(&str, &str)], sets: &[&str]) -> anyhow::Result<Vault> {
        let folder = tempfile::tempdir()?;
        let workspace = Workspace::at(folder.path());
        infra::files::private_dir(&workspace.private())?;
        infra::files::write_private(&workspace.private().join("secrets.env"), secrets.as_bytes())?;
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(owned).collect();
        let mut sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        sets.push("target.host=db".to_owned());
        let loaded = load(&workspace, "production", &environment, &sets)?;
        Vault::load(
            &Runner::new(Interrupt::default()),
            &workspace,
            &loaded.settings,
            &environment,
        )
    }

    fn target(vault: &Vault) -> Option<&str> {
        vault.get(&SecretName::Target).map(Secret::expose)
    }

    #[test]
    fn a_password_is_taken_from_the_first_place_that_has_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        let lines = "db:5432:*:labeler_user:from-file\ndb:5432:users:users_readonly:for-users\n";
        infra::files::write_private(&file, lines.as_bytes()).unwrap();
        let file = file.display().to_string();
        let passfile = ("PGPASSFILE", file.as_str());
        let own = "XTASK_TARGET_PASSWORD=own\n";

        let found = vault(own, &[("XTASK_TARGET_PASSWORD", "said"), passfile], &[]).unwrap();
        assert_eq!(target(&found), Some("said"));
        assert_eq!(
            target(&vault(own, &[("PGPASSWORD", "pg"), passfile], &[]).unwrap()),
            Some("own")
        );
        assert_eq!(
            target(&vault("", &[("PGPASSWORD", "pg"), passfile], &[]).unwrap()),
            Some("pg")
        );
        let found = vault("", &[passfile], &[]).unwrap();
        assert_eq!(target(&found), Some("from-file"));
        let users = found.get(&SecretName::Login("users".to_owned()));
        assert_eq!(users.map(Secret::expose), Some("for-users"));
        assert_eq!(target(&vault("", &[], &[]).unwrap()), None);
        // The password command is the target role's alone, and keeps no other login from the file.
        let command = ["target.connection.password-command=[\"no-such-program-here\"]"];
        let given = [passfile, ("XTASK_TARGET_PASSWORD", "said")];
        let found = vault("", &given, &command).unwrap();
        let users = found.get(&SecretName::Login("users".to_owned()));
        assert_eq!(users.map(Secret::expose), Some("for-users"));
    }

    #[cfg(unix)]
    #[test]
    fn a_password_command_is_asked_last_and_a_password_file_for_everybody_is_refused() {
        let command = ["target.connection.password-command=[\"printf\", \"%s\", \"it's a \\\"$x\"]"];
        assert_eq!(target(&vault("", &[], &command).unwrap()), Some("it's a \"$x"));
        for no_password in ["false", "true", "no-such-program-here"] {
            let command = format!("target.connection.password-command=[\"{no_password}\"]");
            let hint = withheld(vault("", &[], &[&command])).hint;
            assert!(
                hint.contains("target.connection.password-command") && hint.contains("XTASK_TARGET_PASSWORD"),
                "{hint}"
            );
        }

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        infra::files::write_shared(&file, b"*:*:*:*:x\n").unwrap();
        let file = file.display().to_string();
        let refused = withheld(vault("", &[("PGPASSFILE", &file)], &[]));
        assert_eq!(refused.hint, format!("chmod 600 {file}"));
    }

    #[cfg(unix)]
    fn withheld(given: anyhow::Result<Vault>) -> Withheld {
        given.unwrap_err().downcast::<Withheld>().unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn our_own_passwords_are_refused_where_others_may_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets.env");
        assert!(ours_alone(&file, "").is_ok(), "a file that is not there");
        infra::files::write_private(&file, b"").unwrap();
        assert!(ours_alone(&file, "").is_ok());

        let workspace = Workspace::at(folder.path());
        infra::files::private_dir(&workspace.private()).unwrap();
        let secrets = workspace.private().join("secrets.env");
        infra::files::write_shared(&secrets, b"XTASK_TARGET_PASSWORD=x\n").unwrap();
        let loaded = load(&workspace, "development", &[], &[]).unwrap();
        let runner = Runner::new(Interrupt::default());
        let refused = withheld(Vault::load(&runner, &workspace, &loaded.settings, &[]));
        assert_eq!(refused.hint, format!("chmod 600 {}", secrets.display()));
        assert!(refused.to_string().contains("read by others"), "{refused}");
    }
}
