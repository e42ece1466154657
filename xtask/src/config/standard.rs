//! What PostgreSQL's own client programs read: `PG*` variables, the connection service file, the password file.
//!
//! They fill what the settings of an external server leave empty or as this program brings it: a service that the settings
//! (or `PGSERVICE`) name before the variables, as in libpq. What the team or a person wrote stands. Variables speak of the
//! target, because a client program knows only one server.

use std::path::PathBuf;

use super::SslMode;
use super::layers::{ConfigError, Merged, Origin};

/// libpq's parameter, its variable, and the setting that it fills.
const PARAMETERS: [(&str, &str, &str); 8] = [
    ("host", "PGHOST", "host"),
    ("hostaddr", "PGHOSTADDR", "connection.hostaddr"),
    ("port", "PGPORT", "port"),
    ("user", "PGUSER", "user"),
    ("sslmode", "PGSSLMODE", "connection.sslmode"),
    ("sslrootcert", "PGSSLROOTCERT", "connection.sslrootcert"),
    (
        "connect_timeout",
        "PGCONNECT_TIMEOUT",
        "connection.connect-timeout-seconds",
    ),
    ("application_name", "PGAPPNAME", "connection.application-name"),
];

/// The environment as libpq reads it.
pub(super) struct Standard<'a> {
    environment: &'a [(String, String)],
}

/// One line of a service.
struct Line {
    parameter: String,
    value: String,
    origin: Origin,
}

impl<'a> Standard<'a> {
    pub(super) fn new(environment: &'a [(String, String)]) -> Self {
        Self { environment }
    }

    /// A variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&'a str> {
        let found = self.environment.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The password file: `PGPASSFILE`, else the one in the home folder.
    pub(super) fn password_file(&self) -> Option<PathBuf> {
        let own = self.variable("PGPASSFILE").map(PathBuf::from);
        own.or_else(|| self.in_home(".pgpass", "pgpass.conf"))
    }

    /// Fills what one external server leaves empty, or as `shipped` says it. `is_target`: variables speak of it.
    pub(super) fn fill(
        &self,
        merged: &mut Merged,
        shipped: &Merged,
        endpoint: &str,
        is_target: bool,
    ) -> Result<(), ConfigError> {
        let named = merged.text(&format!("{endpoint}.connection.service"));
        let by_variable = self
            .variable("PGSERVICE")
            .filter(|_| is_target)
            .map(str::to_owned);
        let lines = match named.or(by_variable) {
            Some(service) => self.service(&service)?,
            None => Vec::new(),
        };
        for (parameter, variable, setting) in PARAMETERS {
            let path = format!("{endpoint}.{setting}");
            if merged.is_said(&path, shipped) {
                continue;
            }
            let by_service = lines.iter().find(|line| line.parameter == parameter);
            let (value, origin) = match (by_service, self.variable(variable).filter(|_| is_target)) {
                (Some(line), _) => (line.value.as_str(), line.origin.clone()),
                (None, Some(value)) => (value, Origin::Environment(variable.to_owned())),
                (None, None) => continue,
            };
            if parameter == "sslmode" {
                as_strong_as_without(value, &path, &origin)?;
            }
            merged.set(&path, value, origin.clone(), &origin.to_string())?;
        }
        Ok(())
    }

    /// The lines of a service; the user's file before the system's.
    fn service(&self, name: &str) -> Result<Vec<Line>, ConfigError> {
        let own = self.variable("PGSERVICEFILE").map(PathBuf::from);
        let own = own.or_else(|| self.in_home(".pg_service.conf", ".pg_service.conf"));
        let system = self
            .variable("PGSYSCONFDIR")
            .map(|dir| PathBuf::from(dir).join("pg_service.conf"));
        let files: Vec<PathBuf> = own.into_iter().chain(system).collect();
        for file in files.iter().filter(|file| file.is_file()) {
            let text = std::fs::read_to_string(file).map_err(|error| ConfigError {
                place: file.display().to_string(),
                why: error.to_string(),
            })?;
            let lines = lines_of(&text, name, &file.display().to_string());
            if !lines.is_empty() {
                return Ok(lines);
            }
        }
        let looked: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        Err(ConfigError {
            place: format!("service {name}"),
            why: format!("no such service; looked in {}", looked.join(", ")),
        })
    }

    fn in_home(&self, unix: &str, windows: &str) -> Option<PathBuf> {
        if cfg!(windows) {
            let folder = self.variable("APPDATA")?;
            return Some(PathBuf::from(folder).join("postgresql").join(windows));
        }
        Some(PathBuf::from(self.variable("HOME")?).join(unix))
    }
}

/// A variable that is left over from other work may not take the proof away of who answers: only a setting may.
fn as_strong_as_without(value: &str, path: &str, origin: &Origin) -> Result<(), ConfigError> {
    let full = SslMode::default().word();
    if value == full {
        return Ok(());
    }
    Err(ConfigError {
        place: origin.to_string(),
        why: format!(
            "sslmode {value} is less than {full}, and only a setting may ask for less; take it away there, or say \
             --set {path}={full}"
        ),
    })
}

/// External servers: what PostgreSQL's own programs read fills what is empty, and no settings hold a password. The
/// development password in the team's file is not inherited.
pub(super) fn external(
    merged: &mut Merged,
    shipped: &Merged,
    standard: &Standard<'_>,
) -> Result<(), ConfigError> {
    let is_external = |merged: &Merged, endpoint: &str| {
        merged.text(&format!("{endpoint}.control")).as_deref() == Some("external")
    };
    for name in merged.keys("databases") {
        let endpoint = format!("databases.{name}.source");
        if is_external(merged, &endpoint) {
            standard.fill(merged, shipped, &endpoint, false)?;
        }
    }
    if !is_external(merged, "target") {
        return Ok(());
    }
    standard.fill(merged, shipped, "target", true)?;
    if merged.text("target.port").is_none() {
        merged.set("target.port", "5432", Origin::Guide, "target.port")?;
    }
    match merged.take_target_password() {
        None => Ok(()),
        Some(place) => Err(ConfigError {
            place,
            why: "target.password of an external server may not stand in settings; put it into the variable \
                  XTASK_TARGET_PASSWORD, .xtask/secrets.env or a .pgpass file, or name a \
                  target.connection.password-command"
                .to_owned(),
        }),
    }
}

/// The lines below `[name]`, up to the next heading.
fn lines_of(text: &str, name: &str, file: &str) -> Vec<Line> {
    let heading = format!("[{name}]");
    let numbered = text.lines().map(str::trim).enumerate();
    let below = numbered.skip_while(|(_, line)| *line != heading).skip(1);
    below
        .take_while(|(_, line)| !line.starts_with('['))
        .filter(|(_, line)| !line.starts_with('#'))
        .filter_map(|(number, line)| {
            let (parameter, value) = line.split_once('=')?;
            Some(Line {
                parameter: parameter.trim().to_owned(),
                value: value.trim().to_owned(),
                origin: Origin::File(file.to_owned(), number + 1),
            })
        })
        .collect()
}

/// The first line of a password file that fits. Fields are separated by colons, `*` fits everything, and a backslash
/// takes the next character's meaning away.
pub(super) fn password(text: &str, host: &str, port: u16, database: &str, user: &str) -> Option<String> {
    let port = port.to_string();
    let wanted = [host, port.as_str(), database, user];
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(fields).find_map(|fields| {
        let (password, keys) = fields.split_last()?;
        let fits = keys.len() == wanted.len()
            && keys
                .iter()
                .zip(wanted)
                .all(|(key, wanted)| key == "*" || key == wanted);
        fits.then(|| password.clone())
    })
}

/// Four fields and the rest of the line, which is the password.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        if c == ':' && fields.len() < 5 {
            fields.push(String::new());
            continue;
        }
        let c = if c == '\\' {
            characters.next().unwrap_or(c)
        } else {
            c
        };
        if let Some(last) = fields.last_mut() {
            last.push(c);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_password_file_that_fits_counts() {
        let text = "# db:5432:labeler:u:comment\nother:5432:*:u:no\ndb:5432:lab\\:eler:u:s3:c\\:r\\\\et\n*:*:*:u:any\n";
        let find = |host, database| password(text, host, 5432, database, "u");
        assert_eq!(find("db", "lab:eler").as_deref(), Some("s3:c:r\\et"));
        assert_eq!(find("db", "labeler").as_deref(), Some("any"));
        assert_eq!(find("other", "x").as_deref(), Some("no"));
        assert_eq!(password(text, "db", 5432, "labeler", "v"), None);
    }

    #[test]
    fn a_service_ends_at_the_next_heading_and_knows_its_lines() {
        let text = "[a]\nhost=one\n\n# no\nport = 1\n[b]\nhost=two\n";
        let found = lines_of(text, "a", "f");
        let found: Vec<_> = found
            .iter()
            .map(|line| {
                (
                    line.parameter.as_str(),
                    line.value.as_str(),
                    line.origin.to_string(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [("host", "one", "f:2".to_owned()), ("port", "1", "f:5".to_owned())]
        );
    }
}
