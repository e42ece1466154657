//! How a server is reached that we may only connect to. Like `settings.rs`, the comments are the reference.

use std::path::PathBuf;

use serde::Deserialize;

/// `[target.connection]` or `[databases.NAME.source.connection]`: how a server is reached that we may only connect to
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Connection {
    /// An entry of the connection service file (`pg_service.conf`) that gives `host`, `hostaddr`, `port`, `user`, `sslmode`,
    /// `sslrootcert`, `connect_timeout` and `application_name` where the settings are empty or as this program brings them; its
    /// other lines do not count.
    pub service: String,
    /// The numeric address to connect to; the certificate must name `host` all the same. Empty: what `host` resolves to.
    pub hostaddr: String,
    /// What TLS must prove, in libpq's words; without it `verify-full`. Less than `require` is refused; less than
    /// `verify-full` is taken from settings only, never from `PGSSLMODE` or a service.
    pub sslmode: Option<SslMode>,
    /// File with the certificates of the authorities that are trusted (for RDS: its CA bundle); empty: libpq's own,
    /// `~/.postgresql/root.crt`.
    pub sslrootcert: PathBuf,
    /// The name under which our sessions show on the server; without it `xtask`.
    pub application_name: String,
    /// How long a connection may take to be there; 0: 10.
    pub connect_timeout_seconds: u64,
    /// How long the server may work on one short question; 0: 300. Dump, restore and comparison have no limit.
    pub statement_timeout_seconds: u64,
    /// How long a connection may be idle before it is probed; 0: 30.
    pub keepalive_seconds: u64,
    /// How long the server may be out of reach before a step gives up; 0: 60.
    pub unreachable_seconds: u64,
    /// A program with its arguments that prints the password; run without a shell, and last of all ways. The target's prints
    /// that of the target's role, and of no other login.
    pub password_command: Vec<String>,
}

/// libpq's words for what TLS must prove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS when the server insists.
    Allow,
    /// TLS when the server has it.
    Prefer,
    /// TLS with anybody.
    Require,
    /// TLS with a server whose certificate comes from a trusted authority.
    VerifyCa,
    /// That, and the certificate names the host.
    #[default]
    VerifyFull,
}

impl SslMode {
    /// As libpq spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl Connection {
    /// What TLS must prove.
    pub fn sslmode(&self) -> SslMode {
        self.sslmode.unwrap_or_default()
    }

    /// How long the server may be out of reach, in seconds.
    pub fn unreachable_seconds(&self) -> u64 {
        or(self.unreachable_seconds, 60)
    }

    /// For [`infra::postgres::Server::options`]: names in capitals are libpq's variables, the others its parameters.
    pub fn options(&self) -> Vec<(String, String)> {
        let name = match self.application_name.as_str() {
            "" => "xtask",
            name => name,
        };
        let (statement, idle) = (
            or(self.statement_timeout_seconds, 300),
            or(self.keepalive_seconds, 30),
        );
        let mut options = vec![
            ("PGSSLMODE", self.sslmode().word().to_owned()),
            ("PGAPPNAME", name.to_owned()),
            (
                "PGCONNECT_TIMEOUT",
                or(self.connect_timeout_seconds, 10).to_string(),
            ),
            ("PGOPTIONS", format!("-c statement_timeout={statement}s")),
            ("keepalives_idle", idle.to_string()),
            ("keepalives_interval", "10".to_owned()),
            ("keepalives_count", "3".to_owned()),
            (
                "tcp_user_timeout",
                (self.unreachable_seconds() * 1000).to_string(),
            ),
        ];
        if !self.hostaddr.is_empty() {
            options.push(("PGHOSTADDR", self.hostaddr.clone()));
        }
        if !self.sslrootcert.as_os_str().is_empty() {
            options.push(("PGSSLROOTCERT", self.sslrootcert.display().to_string()));
        }
        options
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

fn or(value: u64, default: u64) -> u64 {
    if value == 0 { default } else { value }
}
