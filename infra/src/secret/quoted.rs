//! Secrets that nobody told us of, in what other programs print: a statement that failed is quoted whole, and holds the
//! passwords of user mappings, servers, subscriptions and roles.

use super::MASK;

/// Words of an option's or a key's name that stand for a secret.
const WORDS: [&str; 8] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "private_key",
    "api_key",
];

/// Parameters of a connection string that are secrets.
const PARAMETERS: [&str; 4] = ["password", "passwd", "pgpassword", "sslpassword"];

/// The text without the values that its own words call secret: `PASSWORD '...'`, every value of `OPTIONS (...)`,
/// `CONNECTION '...'`, `password=...`, `://user:...@host` and verifiers.
pub(super) fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\'', '(', '=', ':', '$']) {
        let before = &rest[..at];
        // What comes before may have been copied already.
        out.push_str(before);
        let sign = &rest[at..=at];
        rest = &rest[at + 1..];
        out.push_str(sign);
        match sign {
            "'" if names_a_secret(&out) => rest = mask_literal(&mut out, rest),
            "(" if word_before(&out[..out.len() - 1])
                .is_some_and(|word| word.eq_ignore_ascii_case("options")) =>
            {
                rest = mask_options(&mut out, rest);
            }
            "=" if is_parameter(&out[..out.len() - 1]) => rest = mask_word(&mut out, rest),
            ":" => rest = mask_login(&mut out, rest),
            "$" if out.ends_with("SCRAM-SHA-256$") => rest = mask_word(&mut out, rest),
            _ => {}
        }
    }
    out.push_str(rest);
    out
}

/// The word at the end of a text, without its quotes.
fn word_before(text: &str) -> Option<&str> {
    let text = text.trim_end();
    if let Some(inner) = text.strip_suffix('"') {
        return inner.rfind('"').map(|start| &inner[start + 1..]);
    }
    let is_of_a_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let start = text.trim_end_matches(is_of_a_word).len();
    (start < text.len()).then(|| &text[start..])
}

/// Whether a literal that begins at the end of this text is one to hide.
fn names_a_secret(text: &str) -> bool {
    let text = text.strip_suffix('\'').unwrap_or(text);
    // E'..' and U&'..'.
    let bare = ["E", "e", "U&", "u&"].iter().find_map(|prefix| {
        let rest = text.strip_suffix(prefix)?;
        rest.ends_with([' ', '\t', '\n', '=', '(']).then_some(rest)
    });
    let text = bare.unwrap_or(text);
    // A quote right behind a word ends a literal or is an apostrophe.
    let named = text.trim_end_matches([' ', '\t', '\r', '\n']);
    let (named, assigned) = match named.strip_suffix('=') {
        Some(named) => (named, true),
        None => (named, false),
    };
    if !assigned && named.len() == text.len() {
        return false;
    }
    word_before(named).is_some_and(|word| word.eq_ignore_ascii_case("connection"))
        || ends_with_a_secret_name(named)
}

/// Whether the last word of a text is the name of a secret.
pub(super) fn ends_with_a_secret_name(text: &str) -> bool {
    let word = word_before(text).unwrap_or_default().to_lowercase();
    // Parsers of all kinds complain of an unexpected token.
    word != "token" && WORDS.iter().any(|known| word.contains(known))
}

/// Hides a literal up to its closing quote, or all that is left. The answer starts behind it.
fn mask_literal<'a>(out: &mut String, text: &'a str) -> &'a str {
    let escapes = out.ends_with("E'") || out.ends_with("e'");
    out.push_str(MASK);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 1,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 1,
            b'\'' => {
                out.push('\'');
                return &text[at + 1..];
            }
            _ => {}
        }
        at += 1;
    }
    ""
}

/// Hides every literal up to the closing parenthesis.
fn mask_options<'a>(out: &mut String, text: &'a str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find(['\'', ')']) {
        out.push_str(&rest[..=at]);
        let closed = rest[at..].starts_with(')');
        rest = &rest[at + 1..];
        if closed {
            return rest;
        }
        rest = mask_literal(out, rest);
    }
    out.push_str(rest);
    ""
}

/// Whether an equals sign behind this text gives a parameter that is a secret.
fn is_parameter(text: &str) -> bool {
    word_before(text).is_some_and(|word| PARAMETERS.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// Hides what stands there up to a blank or a sign that ends it. A literal is left to its quote.
fn mask_word<'a>(out: &mut String, text: &'a str) -> &'a str {
    let end = text
        .find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '&' | ',' | ';' | ')' | '`'))
        .unwrap_or(text.len());
    if end > 0 {
        out.push_str(MASK);
    }
    &text[end..]
}

/// Hides the password of `scheme://user:password@host`; `out` ends with a colon.
fn mask_login<'a>(out: &mut String, text: &'a str) -> &'a str {
    let Some(address) = text.strip_prefix("//") else {
        return text;
    };
    let end = address
        .find(|c: char| c.is_whitespace() || matches!(c, '/' | '\'' | '"' | '<' | '>'))
        .unwrap_or(address.len());
    let login = address[..end].rfind('@').map(|at| &address[..at]);
    let Some((user, password)) = login.and_then(|login| login.split_once(':')) else {
        return text;
    };
    out.push_str("//");
    out.push_str(user);
    out.push(':');
    out.push_str(MASK);
    &address[user.len() + 1 + password.len()..]
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn statements_that_failed_are_quoted_without_their_secrets() {
        for (text, masked) in [
            (
                "pg_restore: error: could not execute query: ERROR:  role \"x\" does not exist\n\
                 Command was: CREATE USER MAPPING FOR x SERVER far OPTIONS (\n    password 'fdw-it''s-98',\n    \"user\" 'u'\n);\n",
                "pg_restore: error: could not execute query: ERROR:  role \"x\" does not exist\n\
                 Command was: CREATE USER MAPPING FOR x SERVER far OPTIONS (\n    password '***',\n    \"user\" '***'\n);\n",
            ),
            // One line of it, as output that is read line by line comes.
            ("    password 'fdw-98',", "    password '***',"),
            ("    \"access_token\" 'fdw-98'", "    \"access_token\" '***'"),
            (
                "ALTER ROLE a PASSWORD 'md5abc', b",
                "ALTER ROLE a PASSWORD '***', b",
            ),
            (
                r"ALTER ROLE a PASSWORD E'x\'y' VALID",
                "ALTER ROLE a PASSWORD E'***' VALID",
            ),
            ("PASSWORD 'no end", "PASSWORD '***"),
            (
                "CREATE SUBSCRIPTION s CONNECTION 'host=h password=p' PUBLICATION q",
                "CREATE SUBSCRIPTION s CONNECTION '***' PUBLICATION q",
            ),
            ("host=h password=p@ss user=u", "host=h password=*** user=u"),
            ("host=h password='p s' user=u", "host=h password='***' user=u"),
            (
                "could not connect to postgres://u:p:w@h:5432/d?x=1",
                "could not connect to postgres://u:***@h:5432/d?x=1",
            ),
            (
                "verifier SCRAM-SHA-256$4096:a$b:c end",
                "verifier SCRAM-SHA-256$*** end",
            ),
        ] {
            assert_eq!(mask(text), masked);
            assert_eq!(mask(masked), masked, "twice is once");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "it can't be the user's password's length",
            "password authentication failed for user 'admin'",
            "unexpected token '<' in JSON",
            "LABELER_DB_PASSWORD is set twice, LABELER_DB_PASSWORD=",
            "DETAIL:  Key (name)=('x') exists, at 10:20:30",
            "http://127.0.0.1:8000/health and postgres://u@h/d",
            "options: 'x' (y) $1 é 한글",
            "",
        ] {
            assert_eq!(mask(text), text);
        }
    }
}
