//! Why storage could not do what was asked, and what that means for the exit code.

use infra::programs::{Manager, Program};
use infra::s3::{Location, Reason, S3Error};

use super::Storage;
use crate::config;
use crate::model::Finding;
use crate::steps::Failure;

/// Three ways of not succeeding.
#[derive(Debug)]
pub enum Trouble {
    /// Something is missing or in the way; nothing was changed.
    Refused(Box<Finding>),
    /// Something is not what it must be. Each in a sentence.
    Differs(Vec<String>),
    /// It stopped on the way; the same command goes on.
    Failed(Failure),
}

impl Trouble {
    pub(super) fn refused(finding: Finding) -> Self {
        Self::Refused(Box::new(finding))
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused(finding) => (*finding).into(),
            Trouble::Differs(differences) => Self::new(differences.join("\n  ")),
            Trouble::Failed(failure) => failure,
        }
    }
}

/// An error before anything was changed.
pub(super) fn before(error: &S3Error, at: &Location, storage: &Storage<'_>) -> Trouble {
    match explain(error, at, storage) {
        Some(finding) => Trouble::refused(finding),
        None => stopped(error),
    }
}

/// An error after something was changed.
pub(super) fn after(error: &S3Error, at: &Location, storage: &Storage<'_>) -> Trouble {
    match (explain(error, at, storage), stopped(error)) {
        (Some(finding), _) if error.reason == Reason::OldClient => Trouble::Failed(finding.into()),
        (Some(finding), Trouble::Failed(failure)) => {
            Trouble::Failed(finding.hints.into_iter().fold(failure, Failure::hint))
        }
        (_, stopped) => stopped,
    }
}

fn stopped(error: &S3Error) -> Trouble {
    Trouble::Failed(Failure {
        interrupted: error.reason == Reason::Interrupted,
        ..Failure::new(error.to_string())
    })
}

/// No client: what to install, on this system.
pub(super) fn no_client() -> Finding {
    let pip = "python3 -m pip install --user awscli";
    let finding = Finding::error("storage.client", "the aws client is not on this machine")
        .wanted("its version 1.35.0, 2.18.0 or newer on PATH, or its path in storage.program");
    // Debian's own is too old, so there it is the only way.
    match Program::Aws.hint(Manager::detect()) {
        hint if hint == pip => finding.hint(pip),
        hint => finding.hint(hint).hint(pip),
    }
}

/// What a person can do about it; `None` where only the client's own words help.
fn explain(error: &S3Error, at: &Location, storage: &Storage<'_>) -> Option<Finding> {
    let (bucket, settings) = (&at.bucket, storage.settings);
    let server = if settings.endpoint_url.is_empty() {
        "Amazon S3"
    } else {
        &settings.endpoint_url
    };
    let said = said(error);
    let finding =
        |id: &str, found: String| Finding::error(format!("storage.{id}"), format!("{said} ({found})"));
    Some(match error.reason {
        Reason::NoBucket => {
            let found = finding("bucket", format!("there is no bucket {bucket} at {server}"));
            if *bucket == settings.bucket {
                found.hint("add --set storage.bucket=NAME")
            } else {
                // The address was typed: no setting says it.
                found
                    .wanted(format!(
                        "an address with a bucket that is there, in place of {at}"
                    ))
                    .hint(buckets(settings))
            }
        }
        Reason::Forbidden => finding("forbidden", format!("the credentials may not {}", what(error)))
            .wanted("the rights that docs/storage.md lists")
            .hint("aws sts get-caller-identity"),
        Reason::Credentials => finding(
            "credentials",
            format!("{server} takes no credentials of this environment"),
        )
        .wanted("AWS_PROFILE, storage.profile, or the variables of the aws client")
        .hint("aws configure")
        .hint("aws sts get-caller-identity"),
        Reason::Region => finding("region", format!("bucket {bucket} is in another region"))
            .hint("add --set storage.region=NAME"),
        Reason::Unreachable => finding("unreachable", format!("{server} does not answer"))
            .wanted("an answer within the times of [storage]")
            .hint("cargo xtask status --settings"),
        Reason::NotSupported => finding("service", format!("{server} lacks what a safe upload needs"))
            .wanted("a service with conditional writes and SHA-256 checksums: docs/storage.md"),
        Reason::OldClient => {
            let client = storage.client.describe(&storage.runner);
            finding("client", client.unwrap_or_else(|error| error.to_string()))
                .wanted("install a newer one, or name its path in storage.program")
                .hint("python3 -m pip install --user --upgrade awscli")
        }
        Reason::NoClient => return Some(no_client()),
        Reason::Interrupted | Reason::NoObject | Reason::Exists | Reason::Other => return None,
    })
}

/// The client's last line, which says what went wrong.
fn said(error: &S3Error) -> String {
    match error.error.tail().lines().last() {
        Some(line) if !line.is_empty() => line.to_owned(),
        _ => error.to_string(),
    }
}

/// The line that lists the buckets of these credentials.
fn buckets(settings: &config::Storage) -> String {
    let mut line = "aws s3 ls".to_owned();
    for (name, value) in [
        ("--endpoint-url", &settings.endpoint_url),
        ("--profile", &settings.profile),
    ] {
        if !value.is_empty() {
            line.push_str(&format!(" {name} {}", infra::command::shell_word(value)));
        }
    }
    line
}

/// What was being done.
fn what(error: &S3Error) -> &str {
    match &error.error {
        infra::CommandError::Failed { what, .. } => what,
        _ => "do that",
    }
}
