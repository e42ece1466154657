//! Amazon S3 and what speaks its protocol (R2, MinIO), through the `aws` client.
//!
//! The client finds credentials by its own means: environment, profile, the machine's role. None passes through here, so
//! none can reach an argument or a log. Every call is bounded: the client's own timeouts and attempts, and a limit on the
//! whole that follows from the bytes it has to move.

mod error;
mod location;
mod multipart;
mod objects;
pub mod server;

use std::path::PathBuf;
use std::time::Duration;

pub use error::{Reason, S3Error};
pub use location::{Location, is_plain};
pub use multipart::{PartSeen, PartSent};
pub use objects::{Body, Head, Listed};

use crate::command::{Cmd, CommandError, Runner, find_program};

/// The client's name on PATH.
pub const PROGRAM: &str = "aws";

/// What every call may take beside its requests: the client is a Python program, and a machine may be busy.
const START: Duration = Duration::from_secs(60);
/// The longest pause that the client makes before it tries again.
const PAUSE: Duration = Duration::from_secs(20);

/// How objects are encrypted where they lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket says.
    #[default]
    Bucket,
    /// `AES256`: keys of the storage service.
    Aes256,
    /// `aws:kms`, with this key or the account's own.
    Kms(Option<String>),
}

/// How the client is asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program; without it, the one on PATH.
    pub program: Option<PathBuf>,
    /// `--profile`.
    pub profile: Option<String>,
    /// `AWS_SHARED_CREDENTIALS_FILE`.
    pub credentials_file: Option<PathBuf>,
    /// `--region`.
    pub region: Option<String>,
    /// `--endpoint-url`; without it, Amazon's.
    pub endpoint: Option<String>,
    /// Encryption of new objects.
    pub encryption: Encryption,
    /// Whether the server is given a SHA-256 with each request, to compute its own and refuse what differs.
    pub checksums: Checksums,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a connection may be silent.
    pub read_timeout: Duration,
    /// Attempts for one request, the first included.
    pub attempts: u32,
    /// Bytes that are read with one request.
    pub piece: u64,
    /// Bytes per second that a transfer must reach on the whole.
    pub minimum_rate: u64,
}

/// Whether the server checks a SHA-256 by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// At Amazon, with a client that knows how.
    Auto,
    /// Always.
    Always,
    /// Never: some servers refuse such requests.
    Never,
}

/// The client of this machine.
#[derive(Clone, Debug)]
pub struct Client {
    program: PathBuf,
    version: (u32, u32, u32),
    options: Options,
}

impl Client {
    /// Finds the client and asks for its version.
    ///
    /// # Errors
    /// [`Reason::NoClient`] when there is none.
    pub fn find(runner: &Runner, options: Options) -> Result<Self, S3Error> {
        let what = "find the aws client";
        let named = options.program.clone();
        let program = named.or_else(|| find_program(PROGRAM)).ok_or_else(|| {
            S3Error::from(CommandError::NotFound {
                what: what.to_owned(),
                program: PROGRAM.to_owned(),
            })
        })?;
        let cmd = Cmd::new(&program, what).arg("--version").limit(START);
        let output = runner.run(&cmd)?;
        // Clients of old Pythons print it on standard error.
        let text = output.stdout_text() + &output.stderr;
        let version = version(&text).ok_or_else(|| CommandError::Unreadable {
            what: what.to_owned(),
            why: format!("{} --version says {:?}", program.display(), text.trim()),
        })?;
        Ok(Self {
            program,
            version,
            options,
        })
    }

    /// The client's version.
    pub fn version(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{major}.{minor}.{patch}")
    }

    /// Whether the server computes a SHA-256 of its own.
    pub fn has_checksums(&self) -> bool {
        match self.options.checksums {
            Checksums::Always => true,
            Checksums::Never => false,
            // The first versions that know `--checksum-algorithm`.
            Checksums::Auto => self.options.endpoint.is_none() && self.is_at_least((1, 22, 62), (2, 4, 21)),
        }
    }

    /// Whether a write can be made to depend on the object's absence.
    fn has_conditions(&self) -> bool {
        self.is_at_least((1, 34, 8), (2, 17, 42))
    }

    fn is_at_least(&self, one: (u32, u32, u32), two: (u32, u32, u32)) -> bool {
        self.version >= if self.version.0 < 2 { one } else { two }
    }

    /// A call that moves this many bytes.
    fn cmd(&self, what: impl Into<String>, operation: [&str; 2], bytes: u64) -> Cmd {
        let options = &self.options;
        let seconds = |duration: Duration| duration.as_secs().max(1).to_string();
        let mut cmd = Cmd::new(&self.program, what)
            // New clients add checksums of their own to every request, which other servers than Amazon's refuse.
            .env("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
            .env("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
            .env("AWS_RETRY_MODE", "standard")
            .env("AWS_MAX_ATTEMPTS", options.attempts.max(1).to_string())
            .env("AWS_CLI_AUTO_PROMPT", "off")
            .env("AWS_PAGER", "")
            .env("PYTHONUTF8", "1")
            .args(operation)
            .args(["--output", "json"])
            .args(["--cli-connect-timeout", &seconds(options.connect_timeout)])
            .args(["--cli-read-timeout", &seconds(options.read_timeout)])
            .limit(self.limit(bytes));
        if let Some(file) = &options.credentials_file {
            cmd = cmd.env("AWS_SHARED_CREDENTIALS_FILE", file);
        }
        for (name, value) in [
            ("--endpoint-url", &options.endpoint),
            ("--region", &options.region),
            ("--profile", &options.profile),
        ] {
            if let Some(value) = value {
                cmd = cmd.args([name, value]);
            }
        }
        cmd
    }

    /// How long such a call may take, whatever happens.
    fn limit(&self, bytes: u64) -> Duration {
        let options = &self.options;
        let attempt = options.connect_timeout + options.read_timeout + PAUSE;
        let moving = Duration::from_secs(bytes / options.minimum_rate.max(1));
        START + attempt * options.attempts.max(1) + moving
    }

    fn encryption(&self, cmd: Cmd) -> Cmd {
        match &self.options.encryption {
            Encryption::Bucket => cmd,
            Encryption::Aes256 => cmd.args(["--server-side-encryption", "AES256"]),
            Encryption::Kms(key) => {
                let cmd = cmd.args(["--server-side-encryption", "aws:kms"]);
                match key {
                    Some(key) => cmd.args(["--ssekms-key-id", key]),
                    None => cmd,
                }
            }
        }
    }

    /// SHA-256 for the server, which answers with an error when what it received has another.
    fn checksum(&self, cmd: Cmd, sha256: &str) -> Cmd {
        if !self.has_checksums() {
            return cmd;
        }
        let encoded = crate::hash::base64_of_hex(sha256);
        cmd.args(["--checksum-algorithm", "SHA256", "--checksum-sha256", &encoded])
    }
}

/// `aws-cli/2.23.6 Python/3.12.6 ...`
fn version(text: &str) -> Option<(u32, u32, u32)> {
    let (_, rest) = text.split_once("aws-cli/")?;
    let mut parts = rest.split_whitespace().next()?.split('.');
    let mut next = || parts.next()?.parse().ok();
    Some((next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(version: (u32, u32, u32)) -> Client {
        Client {
            program: PathBuf::from(PROGRAM),
            version,
            options: Options {
                program: None,
                profile: None,
                credentials_file: None,
                region: None,
                endpoint: None,
                encryption: Encryption::Kms(None),
                checksums: Checksums::Auto,
                connect_timeout: Duration::from_secs(10),
                read_timeout: Duration::from_secs(60),
                attempts: 3,
                piece: 1 << 20,
                minimum_rate: 1000,
            },
        }
    }

    #[test]
    fn the_version_is_read_as_both_generations_print_it() {
        let one = "aws-cli/1.45.11 Python/3.11.7 Linux/6.1 botocore/1.43.11\n";
        assert_eq!(version(one), Some((1, 45, 11)));
        assert_eq!(
            version("aws-cli/2.9.19 Python/3.11.2 source/x86_64.debian.12"),
            Some((2, 9, 19))
        );
        assert_eq!(version("something else"), None);
    }

    #[test]
    fn old_clients_are_not_asked_for_what_they_do_not_know() {
        // Debian 12 and Debian 11.
        let (twelve, eleven) = (client((2, 9, 19)), client((1, 19, 1)));
        assert!(twelve.has_checksums() && !twelve.has_conditions());
        assert!(!eleven.has_checksums() && !eleven.has_conditions());
        let new = client((2, 23, 6));
        assert!(new.has_checksums() && new.has_conditions());
    }

    #[test]
    fn other_servers_get_checksums_only_when_asked_for() {
        let mut client = client((2, 23, 6));
        client.options.endpoint = Some("https://example.org".to_owned());
        assert!(!client.has_checksums());
        client.options.checksums = Checksums::Always;
        assert!(client.has_checksums());
    }

    #[test]
    fn every_call_ends_in_bounded_time_that_follows_from_its_bytes() {
        let client = client((2, 23, 6));
        assert_eq!(client.limit(0), Duration::from_secs(60 + 3 * 90));
        assert_eq!(client.limit(5000), client.limit(0) + Duration::from_secs(5));
    }
}
