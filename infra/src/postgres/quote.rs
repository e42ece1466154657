//! The one place that quotes names and values for SQL, psql and libpq.

/// An SQL identifier, always in double quotes: upper case, spaces and quotes keep their meaning.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// An SQL string literal, whatever `standard_conforming_strings` says.
pub fn literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// An argument of a psql meta-command in single quotes, where psql knows C-like escapes.
pub(super) fn psql_argument(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('\'');
    for c in value.chars() {
        match c {
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}

/// A database name for `-d`. Plain names stay as they are; anything libpq could take for a connection string is
/// written as one.
pub fn dbname(name: &str) -> String {
    let plain = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain {
        name.to_owned()
    } else {
        conninfo([("dbname", name)])
    }
}

/// A libpq connection string.
pub(super) fn conninfo<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('\'', "\\'");
    let words = parameters.into_iter();
    let words: Vec<String> = words
        .map(|(name, value)| format!("{name}='{}'", quoted(value)))
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_whatever_they_hold() {
        assert_eq!(ident("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\b"), "E'a\\\\b'");
        assert_eq!(psql_argument("it's\\\n"), r"'it\'s\\\n'");
        assert_eq!(dbname("labeler"), "labeler");
        assert_eq!(dbname("host=evil"), "dbname='host=evil'");
        assert_eq!(dbname("a'b"), r"dbname='a\'b'");
    }
}
