//! Why a call to the storage failed, in kinds that can be acted on.

use std::fmt;

use crate::command::CommandError;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The `aws` client is not on this machine.
    NoClient,
    /// The `aws` client does not know what it was asked for: it is too old.
    OldClient,
    /// There are no credentials, or they are not valid.
    Credentials,
    /// The credentials may not do this.
    Forbidden,
    /// There is no such bucket.
    NoBucket,
    /// The bucket is in another region.
    Region,
    /// There is no such object.
    NoObject,
    /// The object exists, and was to be written only when it does not.
    Exists,
    /// The service does not do what was asked for.
    NotSupported,
    /// The server did not answer, or stopped answering.
    Unreachable,
    /// Ctrl-C.
    Interrupted,
    /// Anything else.
    Other,
}

/// A call that failed.
#[derive(Debug)]
pub struct S3Error {
    /// The kind.
    pub reason: Reason,
    /// What the client said.
    pub error: CommandError,
}

impl From<CommandError> for S3Error {
    fn from(error: CommandError) -> Self {
        let reason = match &error {
            CommandError::NotFound { .. } => Reason::NoClient,
            CommandError::Interrupted { .. } => Reason::Interrupted,
            CommandError::TimedOut { .. } => Reason::Unreachable,
            CommandError::Failed { tail, .. } => reason(tail),
            CommandError::Io { .. } | CommandError::Unreadable { .. } => Reason::Other,
        };
        Self { reason, error }
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for S3Error {}

/// What the client printed before it gave up. The code of the service stands in brackets; what the client found out by
/// itself is a sentence.
fn reason(text: &str) -> Reason {
    let code = text
        .split_once("An error occurred (")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map_or("", |(code, _)| code);
    match code {
        "NoSuchBucket" => return Reason::NoBucket,
        "NoSuchKey" | "404" | "NotFound" => return Reason::NoObject,
        "AccessDenied" | "403" | "Forbidden" | "AllAccessDisabled" => return Reason::Forbidden,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "InvalidToken"
        | "InvalidClientTokenId"
        | "RequestTimeTooSkewed"
        | "Unauthorized"
        | "401" => return Reason::Credentials,
        "PreconditionFailed" | "ConditionalRequestConflict" | "412" | "409" => return Reason::Exists,
        "PermanentRedirect"
        | "301"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => return Reason::Region,
        "NotImplemented" | "501" => return Reason::NotSupported,
        "RequestTimeout" | "ServiceUnavailable" | "SlowDown" | "500" | "502" | "503" | "504" => {
            return Reason::Unreachable;
        }
        _ => {}
    }
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if says(&["Unknown options"]) {
        Reason::OldClient
    } else if says(&[
        "Unable to locate credentials",
        "Partial credentials found",
        "The config profile",
        "Error when retrieving",
        "Error loading SSO",
        "The SSO session",
        "Token has expired",
    ]) {
        Reason::Credentials
    } else if says(&[
        "Could not connect to the endpoint",
        "Connect timeout",
        "Read timeout",
        "Connection was closed",
        "Connection reset",
        "Connection aborted",
        "Connection broken",
        "Remote end closed",
        "Failed to connect",
        "Max retries exceeded",
    ]) {
        Reason::Unreachable
    } else {
        Reason::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_says_is_understood() {
        for (text, wanted) in [
            (
                "An error occurred (NoSuchBucket) when calling the ListObjectsV2 operation: The specified bucket does not exist",
                Reason::NoBucket,
            ),
            (
                "fatal error: An error occurred (404) when calling the HeadObject operation: Key \"x\" does not exist",
                Reason::NoObject,
            ),
            (
                "An error occurred (AccessDenied) when calling the PutObject operation: Access Denied",
                Reason::Forbidden,
            ),
            (
                "An error occurred (PreconditionFailed) when calling the PutObject operation: At least one",
                Reason::Exists,
            ),
            (
                "Unable to locate credentials. You can configure credentials by running \"aws configure\".",
                Reason::Credentials,
            ),
            (
                "Could not connect to the endpoint URL: \"http://127.0.0.1:1/b/k\"",
                Reason::Unreachable,
            ),
            (
                "Read timeout on endpoint URL: \"http://127.0.0.1:1/b/k\"",
                Reason::Unreachable,
            ),
            ("Unknown options: --checksum-algorithm,SHA256", Reason::OldClient),
            ("something else", Reason::Other),
        ] {
            assert_eq!(reason(text), wanted, "{text}");
        }
    }
}
