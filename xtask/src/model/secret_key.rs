//! Which keys of a `.env` file hold secrets, by their names and values. Only those of the databases are known by the
//! settings; an application has others, and programs quote them when they complain.

/// Words in a key that stand for a secret.
const WORDS: [&str; 12] = [
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
];

/// Whether a key's name says that its value is a secret.
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_uppercase();
    WORDS.iter().any(|word| key.contains(word))
}

/// `TOKEN_EXPIRE_MINUTES=30` holds a secret's name and no secret.
pub fn is_number_or_switch(value: &str) -> bool {
    matches!(value.to_lowercase().as_str(), "true" | "false" | "yes" | "no")
        || value.chars().all(|c| c.is_ascii_digit())
}

/// What is secret of a key's value: all of it, or the login of an address.
pub fn secrets_of<'a>(key: &str, value: &'a str) -> Vec<&'a str> {
    let passwords = passwords_in(value);
    let mut secrets = Vec::new();
    if !passwords.is_empty() || has_login(value) {
        secrets.push(value);
        secrets.extend(passwords);
    } else if is_secret_key(key) && !is_number_or_switch(value) {
        secrets.push(value);
    }
    secrets.retain(|secret| !secret.is_empty());
    secrets
}

/// Whether a value is a URL or another address with a password in it, where a host's or a database's bare name belongs.
pub fn is_address(value: &str) -> bool {
    value.contains("://") || !passwords_in(value).is_empty()
}

fn has_login(value: &str) -> bool {
    value
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains('@'))
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

#[cfg(test)]
mod tests {
    use super::{is_address, secrets_of};

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
}
