//! Which keys of a `.env` file hold secrets, by their names and values. Only those of the databases are known by the
//! settings; an application has others, and programs quote them when they complain.

use backend_env::{Diff, Document};

/// Words in a key that stand for a secret.
const WORDS: [&str; 16] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "CREDENTIAL",
    "PRIVATE_KEY",
    "ACCESS_KEY",
    "API_KEY",
    "APIKEY",
    "AUTH_KEY",
    "SIGNING_KEY",
    "JWT_KEY",
    "ENCRYPTION_KEY",
    "MASTER_KEY",
    "SESSION_KEY",
];

/// Those that are part of ordinary words, and stand alone.
const PARTS: [&str; 3] = ["PASS", "PWD", "PW"];

/// Ends of a key whose value is the secret itself, and no limit or length of one.
const ENDS: [&str; 8] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "SECRET_KEY",
    "_PASS",
    "_PWD",
    "_PW",
];

/// Whether a key's name says that its value is a secret.
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_uppercase();
    WORDS.iter().any(|word| key.contains(word)) || key.split('_').any(|part| PARTS.contains(&part))
}

/// Ends of a key whose value is about a secret and is none.
const ABOUT: [&str; 8] = [
    "_NAME",
    "_TYPE",
    "_FILE",
    "_PATH",
    "_ALGORITHM",
    "_HEADER",
    "_ENABLED",
    "_ISSUER",
];

/// Whether a key's name holds a secret's word and says that its value is none: `TOKEN_TYPE`. Masking does not rely on it.
pub fn is_about_a_secret(key: &str) -> bool {
    let key = key.to_uppercase();
    ABOUT.iter().any(|end| key.ends_with(end))
}

/// `TOKEN_EXPIRE_MINUTES=30` and `USE_PASSWORD=1` hold a secret's name and no secret; `ADMIN_PASSWORD=20240117` is one.
fn is_number_or_switch(key: &str, value: &str) -> bool {
    let key = key.to_uppercase();
    let number = value.chars().all(|c| c.is_ascii_digit());
    matches!(value.to_lowercase().as_str(), "true" | "false" | "yes" | "no")
        || (number && (value.len() < 4 || !ENDS.iter().any(|end| key.ends_with(end))))
}

/// The part of a value that must stay secret: the password of an address, the key that stands alone before the host of a
/// web address (a DSN), or all of it.
pub fn secret_part<'a>(key: &str, value: &'a str) -> Option<&'a str> {
    let part = match value.split_once("://").and_then(login) {
        Some((_, Some(password))) => password,
        Some((key, None)) if value.starts_with("http") => key,
        Some(_) => return None,
        None if is_secret_key(key) && !is_number_or_switch(key, value) => value,
        None => return None,
    };
    Some(part).filter(|part| !part.is_empty())
}

/// Who logs in by an address, and with which password.
fn login<'a>((scheme, rest): (&str, &'a str)) -> Option<(&'a str, Option<&'a str>)> {
    // Paths of web addresses hold `@`; passwords of databases hold `/`, which nobody escaped.
    let end = if scheme.starts_with("http") {
        rest.find(['/', '?', '#'])
    } else {
        None
    };
    let (login, _) = rest[..end.unwrap_or(rest.len())].rsplit_once('@')?;
    Some(
        login
            .split_once(':')
            .map_or((login, None), |(user, password)| (user, Some(password))),
    )
}

/// What is secret of a key's value, and whatever would tell it: an address with a login as a whole.
pub fn secrets_of<'a>(key: &str, value: &'a str) -> Vec<&'a str> {
    let mut secrets = passwords_in(value);
    secrets.extend(secret_part(key, value).filter(|part| !passwords_in(value).contains(part)));
    let has_login = value.split_once("://").and_then(login).is_some();
    if (has_login || !passwords_in(value).is_empty()) && !secrets.contains(&value) {
        secrets.insert(0, value);
    }
    secrets
}

/// Whether a value is a URL or another address with a password in it, where a host's or a database's bare name belongs.
pub fn is_address(value: &str) -> bool {
    value.contains("://") || !passwords_in(value).is_empty()
}

/// Passwords of `scheme://user:password@host`, with or without the scheme, and of `password=...` in an address.
fn passwords_in(value: &str) -> Vec<&str> {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let login = rest.rsplit_once('@').and_then(|(login, _)| login.split_once(':'));
    let mut found: Vec<&str> = login.map(|(_, password)| password).into_iter().collect();
    // ASCII only changes its case here, so places in both are the same.
    let lower = value.to_ascii_lowercase();
    for (at, name) in lower.match_indices("password=") {
        let rest = value[at + name.len()..].trim_start_matches(['\'', '"']);
        let end = rest.find(['&', ' ', ';', '\'', '"']);
        found.push(&rest[..end.unwrap_or(rest.len())]);
    }
    found.retain(|password| !password.is_empty());
    found
}

/// Ends of a key whose value a person needs to review a change, and which is no secret when it looks like what it says.
const SHOWN: [&str; 9] = [
    "HOST", "PORT", "USER", "USERNAME", "ROLE", "NAME", "DB", "DATABASE", "IMAGE",
];

/// The difference of two `.env` files as people may see it: hosts, ports, users and names are shown, other values are not.
pub fn difference(old: &Document, new: &Document) -> Diff {
    old.diff_showing(new, &|key, value| {
        let upper = key.to_uppercase();
        let end = upper.rsplit('_').next().filter(|end| SHOWN.contains(end));
        let value = String::from_utf8_lossy(value);
        let bare = value.trim_matches(['\'', '"']);
        !is_secret_key(key)
            && secrets_of(key, &value).is_empty()
            && end.is_some_and(|end| looks_like(end, bare))
    })
}

/// Whether a value has the form of a host, a port, a name or an image: anything else may be a secret in the wrong place.
fn looks_like(end: &str, value: &str) -> bool {
    let only = |more: &str| value.chars().all(|c| c.is_alphanumeric() || more.contains(c));
    value.len() <= 128
        && match end {
            "PORT" => value.parse::<u16>().is_ok(),
            "HOST" => only("-_.") || value.parse::<std::net::IpAddr>().is_ok(),
            "IMAGE" => only("-_./:@"),
            _ => only("-_."),
        }
}

#[cfg(test)]
mod tests {
    use backend_env::Document;

    use super::{difference, is_address, secret_part, secrets_of};

    #[test]
    fn a_pasted_address_gives_its_password_away_in_every_form() {
        for (value, password) in [
            ("postgresql://adm:Sup3rSecretPw@db", "Sup3rSecretPw"),
            ("adm:Sup3rSecretPw@db:5432", "Sup3rSecretPw"),
            (
                "postgresql://db/x?user=adm&Password=Sup3rSecretPw&a=b",
                "Sup3rSecretPw",
            ),
            ("host=db password='Sup3rSecretPw' user=adm", "Sup3rSecretPw"),
        ] {
            assert!(is_address(value), "{value}");
            assert_eq!(secrets_of("PLATFORM_DB_HOST", value), [value, password]);
        }
        for value in ["localhost", "db.example.com", "admin@tenant", "::1", ""] {
            assert!(!is_address(value), "{value}");
            assert!(secrets_of("PLATFORM_DB_HOST", value).is_empty(), "{value}");
        }
    }

    #[test]
    fn what_a_key_or_an_address_keeps_secret_is_known_and_ordinary_values_are_not() {
        assert_eq!(secrets_of("STRIPE_TOKEN", "abc-def"), ["abc-def"]);
        assert_eq!(secrets_of("S3_SECRET_KEY", "abc"), ["abc"]);
        let url = "postgresql://u:p%40ss@host/db";
        assert_eq!(secrets_of("DATABASE_URL", url), [url, "p%40ss"]);
        for (key, value) in [
            ("TOKEN_EXPIRE_MINUTES", "30"),
            ("API_URL", "http://localhost:8000"),
            ("ENVIRONMENT", "production"),
            ("SECRET", ""),
        ] {
            assert!(secrets_of(key, value).is_empty(), "{key}");
        }
    }

    #[test]
    fn c5_a_difference_shows_hosts_ports_and_users_and_hides_what_is_secret() {
        let old = "DB_HOST=localhost\nDB_PORT=5435 # old s3cret\nDB_PASSWORD=s3cret-a\nDB_USER=\"app\"\nAPP_NAME=u:s3cret-c@h\nX_USER='u:s3cret-e'\nX_PORT=s3cret\nKEY_NAME='a\ns3cret'\n";
        let new = "DB_HOST=localhost\nDB_PORT=5432 # old s3cret\nDB_PASSWORD=s3cret-b\nDB_USER='admin'\nAPP_NAME=u:s3cret-d@h\nX_USER='u:s3cret-f'\nX_PORT=s3cret2\nKEY_NAME='b\ns3cret'\n";
        let text = difference(&Document::parse(old.as_bytes()), &Document::parse(new.as_bytes()));
        let text = text.masked("a", "b");
        for line in [
            " DB_HOST=localhost",
            "-DB_PORT=5435 # <comment>",
            "+DB_PORT=5432 # <comment>",
            "-DB_PASSWORD=<old>",
            "-DB_USER=\"app\"",
            "+DB_USER='admin'",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
        assert!(!text.contains("s3cret"), "{text}");
    }

    #[test]
    fn the_secret_part_is_found_wherever_it_stands() {
        for (key, value, wanted) in [
            ("DATABASE_URL", "postgresql://u:pw@host/db", "pw"),
            ("SENTRY_DSN", "https://abc123@o1.example/4", "abc123"),
            ("DB_PASS", "hunter2", "hunter2"),
            ("PGPWD", "x", ""),
            ("DB_PWD", "hunter2", "hunter2"),
            ("JWT_KEY", "0f3a", "0f3a"),
            ("ADMIN_PASSWORD", "20240117", "20240117"),
            ("PASSWORD_MIN_LENGTH", "1234", ""),
            ("ACCESS_TOKEN_EXPIRE_SECONDS", "86400", ""),
            ("USE_PASSWORD", "1", ""),
            ("JWT_ALGORITHM", "HS256", ""),
            ("BYPASS", "some", ""),
            ("HOME_PAGE", "https://host.example/@team", ""),
            ("DATABASE_URL", "postgresql://admin@host/db", ""),
        ] {
            assert_eq!(
                secret_part(key, value).unwrap_or_default(),
                wanted,
                "{key}={value}"
            );
        }
    }
}
