//! Amazon S3 and what speaks its protocol (R2, MinIO), through the `aws` client.
//!
//! The client finds credentials by its own means: environment, profile, the machine's role. None passes through here, so
//! none can reach an argument or a log. Every call is bounded: the client's own timeouts and attempts, and a limit on the
//! whole that follows from the bytes it has to move.

mod error;
mod location;
mod objects;
pub mod server;

use std::path::PathBuf;
use std::time::Duration;

pub use error::{Reason, S3Error};
pub use location::{Location, is_plain};
pub use objects::{Head, Listed};

use crate::command::{Cmd, Runner, find_program};

/// The client's name on PATH.
pub const PROGRAM: &str = "aws";

/// The first versions of both generations whose `s3 cp` has `--checksum-algorithm` and `--checksum-mode`; `s3api put-object`
/// had `--if-none-match` before.
const OLDEST: &str = "aws-cli/1.35.0, aws-cli/2.18.0 or newer";
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

impl Encryption {
    /// The service's name for it, and the key.
    fn names(&self) -> Option<(&'static str, Option<&str>)> {
        match self {
            Self::Bucket => None,
            Self::Aes256 => Some(("AES256", None)),
            Self::Kms(key) => Some(("aws:kms", key.as_deref())),
        }
    }
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
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a connection may be silent.
    pub read_timeout: Duration,
    /// Attempts for one request, the first included.
    pub attempts: u32,
    /// Bytes per second that a transfer must reach on the whole.
    pub minimum_rate: u64,
}

/// The client of this machine.
#[derive(Clone, Debug)]
pub struct Client {
    program: PathBuf,
    options: Options,
}

impl Client {
    /// The client that the options name, or the one on PATH; nothing is started.
    pub fn find(options: Options) -> Option<Self> {
        let program = options.program.clone().or_else(|| find_program(PROGRAM))?;
        Some(Self { program, options })
    }

    /// Which client this is, and which versions can do what is asked here, for people: after [`Reason::OldClient`].
    ///
    /// # Errors
    /// When it does not answer.
    pub fn describe(&self, runner: &Runner) -> Result<String, S3Error> {
        let what = "ask the aws client for its version";
        let output = runner.run(&Cmd::new(&self.program, what).arg("--version").limit(START))?;
        // Clients of old Pythons print it on standard error.
        let text = output.stdout_text() + &output.stderr;
        let version = text.split_whitespace().next().unwrap_or_default();
        Ok(format!(
            "{} is {version}; {OLDEST} is needed",
            self.program.display()
        ))
    }

    /// A call that moves this many bytes.
    fn cmd(&self, what: impl Into<String>, operation: [&str; 2], bytes: u64) -> Cmd {
        let options = &self.options;
        let seconds = |duration: Duration| duration.as_secs().max(1).to_string();
        let mut cmd = Cmd::new(&self.program, what)
            // Only the checksums that are asked for: other servers than Amazon's refuse those that new clients add.
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_ends_in_bounded_time_that_follows_from_its_bytes() {
        let client = Client {
            program: PathBuf::from(PROGRAM),
            options: Options {
                program: None,
                profile: None,
                credentials_file: None,
                region: None,
                endpoint: None,
                encryption: Encryption::Bucket,
                connect_timeout: Duration::from_secs(10),
                read_timeout: Duration::from_secs(60),
                attempts: 3,
                minimum_rate: 1000,
            },
        };
        assert_eq!(client.limit(0), Duration::from_secs(60 + 3 * 90));
        assert_eq!(client.limit(5000), client.limit(0) + Duration::from_secs(5));
    }
}
