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
    let login = value
        .split_once("://")
        .and_then(|(_, rest)| rest.rsplit_once('@'));
    let mut secrets = Vec::new();
    if let Some((login, _)) = login {
        secrets.push(value);
        secrets.extend(login.split_once(':').map(|(_, password)| password));
    } else if is_secret_key(key) && !is_number_or_switch(value) {
        secrets.push(value);
    }
    secrets.retain(|secret| !secret.is_empty());
    secrets
}

#[cfg(test)]
mod tests {
    use super::secrets_of;

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
