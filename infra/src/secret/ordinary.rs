//! Secrets that are ordinary words, or names of this setting-up: `postgres` as a password is also an image, a role and a database.
//! They are hidden where a password stands, and stay readable everywhere else.

use super::quoted;

/// Passwords that samples and tutorials publish, which are words of every message about PostgreSQL.
const WORDS: [&str; 21] = [
    "postgres",
    "postgresql",
    "password",
    "passwd",
    "secret",
    "admin",
    "root",
    "user",
    "test",
    "example",
    "database",
    "redis",
    "labeler",
    "platform",
    "localhost",
    "docker",
    "guest",
    "minio",
    "minioadmin",
    "pass",
    "mysecretpassword",
];

/// Whether a secret of this spelling is a word that people read everywhere.
pub(super) fn is_word(secret: &str) -> bool {
    WORDS.iter().any(|word| secret.eq_ignore_ascii_case(word))
}

/// Whether what stands between these two texts stands as a password: behind a name that says so, or in an address.
pub(super) fn stands_as_a_secret(before: &str, after: &str) -> bool {
    let in_address = before.ends_with(':') && after.starts_with('@');
    let named = before.trim_end_matches(['\'', '"', '`', ' ', '\\']);
    let named = named.strip_suffix(['=', ':']).unwrap_or(named);
    let gap = named.len() < before.len();
    in_address || (gap && quoted::ends_with_a_secret_name(named))
}
