//! Addresses in one value: a `DATABASE_URL` that names another server, role or database than the Compose service it leads to.

use infra::compose::{Config, Service};

use super::{files, line, values};
use crate::checks::compose::{created, published, understood_any};
use crate::checks::{Case, Looked, NotLooked, error};
use crate::model::Finding;

/// What an address of PostgreSQL says. The password is left out.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    user: &'a str,
    host: &'a str,
    port: u16,
    database: &'a str,
}

impl<'a> Address<'a> {
    /// `postgresql+driver://user:password@host:port/database?options`; `None` for anything else, and where a reference is left.
    fn of(value: &'a str) -> Option<Self> {
        let (scheme, rest) = value.split_once("://")?;
        if !scheme.starts_with("postgres") || value.contains('$') {
            return None;
        }
        let (login, rest) = rest.rsplit_once('@')?;
        let user = login.split(':').next()?;
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = place.split_once(':').unwrap_or((place, "5432"));
        Some(Self {
            user,
            host,
            port: port.parse().ok()?,
            database: path.split('?').next().unwrap_or_default(),
        })
    }

    /// The service that it leads to: by its name inside the project, by its port from the host. Another machine's is nobody's
    /// business here.
    fn service<'c>(&self, file: &'c Config) -> Result<Option<&'c Service>, String> {
        if let Some(service) = file.service(self.host) {
            return match service.is_postgres() {
                true => Ok(Some(service)),
                // A pooler knows where it leads.
                false => Ok(None),
            };
        }
        if infra::ports::is_this_machine(self.host) {
            let publishes = |service: &&Service| service.ports.iter().any(|port| port.port == self.port);
            return match published(file).into_iter().find(publishes) {
                Some(service) => Ok(Some(service)),
                None => Err(format!(
                    "port {}, which no PostgreSQL of {} publishes",
                    self.port,
                    name(file)
                )),
            };
        }
        Ok(None)
    }

    /// What it says otherwise than the service.
    fn unlike(&self, case: &Case<'_>, service: &Service) -> Option<String> {
        let user = service.variable("POSTGRES_USER").unwrap_or("postgres");
        let database = service.variable("POSTGRES_DB").unwrap_or(user);
        // Scripts may make roles and databases of their own.
        let scripts = case
            .config
            .map(|config| config.init_scripts.as_slice())
            .unwrap_or_default();
        let mut wrong = Vec::new();
        if self.user != user && scripts.is_empty() {
            wrong.push(format!(
                "role {}, where service {} has {user}",
                self.user, service.name
            ));
        }
        let made = || scripts.iter().flat_map(|script| created(&script.text));
        if !self.database.is_empty() && self.database != database && !made().any(|one| one == self.database) {
            wrong.push(format!(
                "database {}, where service {} has {database}",
                self.database, service.name
            ));
        }
        (!wrong.is_empty()).then(|| wrong.join(" and "))
    }
}

fn name(file: &Config) -> String {
    file.path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// What is wrong with an address, for a service's own environment or a `.env` file.
fn judge(case: &Case<'_>, file: &Config, value: &str) -> Option<String> {
    let address = Address::of(value)?;
    match address.service(file) {
        Ok(service) => address.unlike(case, service?),
        Err(why) => Some(why),
    }
}

pub fn addresses(case: &Case<'_>) -> Looked {
    let compose = understood_any(case)?;
    let mut findings: Vec<Finding> = Vec::new();
    let mut say = |key: &str, file: &std::path::Path, line: usize, why: String| {
        let same = |known: &Finding| known.found.ends_with(&why);
        // A service that reads the `.env` file repeats what stands there.
        if !findings.iter().any(same) {
            let finding = error(format!("{key} names {why}"));
            findings.push(
                finding
                    .wanted("one server, role and database in both")
                    .at(file, line),
            );
        }
    };
    match files(case, true) {
        Ok(files) => {
            for (file, document) in files {
                let value = values(document);
                for key in document.entries().map(|entry| entry.key()) {
                    let why = value(key).and_then(|value| judge(case, compose, &value));
                    if let Some(why) = why {
                        say(key, &file.path, line(document, key), why);
                    }
                }
            }
        }
        Err(NotLooked(_)) if !compose.services.is_empty() => {}
        Err(why) => return Err(why),
    }
    for service in &compose.services {
        for (key, value) in &service.environment {
            if let Some(why) = judge(case, compose, value.expose()) {
                let key = format!("{key} of service {}", service.name);
                say(&key, &service.file, service.line, why);
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_is_read_without_its_password_and_a_reference_is_left_alone() {
        let of = |value| Address::of(value).map(|one| (one.user, one.host, one.port, one.database));
        assert_eq!(
            of("postgresql+asyncpg://app:p@ss/w@db:5433/app?ssl=true"),
            Some(("app", "db", 5433, "app"))
        );
        assert_eq!(
            of("postgres://app@localhost/x"),
            Some(("app", "localhost", 5432, "x"))
        );
        assert_eq!(of("postgresql://${USER}:x@db/x"), None);
        assert_eq!(of("redis://u:p@redis:6379/0"), None);
        assert_eq!(of("app"), None);
    }
}
