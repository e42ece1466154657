//! What pg_dump writes into a plain dump of one database, and the roles that its lines name.

use super::scanner::Statement;

/// Encodings in which a byte of a character may look like a backslash: psql reads those characters as a whole.
const UNSAFE_ENCODINGS: [&str; 8] = [
    "SJIS",
    "SHIFTJIS",
    "SHIFTJIS2004",
    "BIG5",
    "GBK",
    "UHC",
    "GB18030",
    "JOHAB",
];

/// What pg_dump sets.
const SETTINGS: [&str; 14] = [
    "STATEMENT_TIMEOUT",
    "LOCK_TIMEOUT",
    "IDLE_IN_TRANSACTION_SESSION_TIMEOUT",
    "TRANSACTION_TIMEOUT",
    "CHECK_FUNCTION_BODIES",
    "XMLOPTION",
    "CLIENT_MIN_MESSAGES",
    "ESCAPE_STRING_WARNING",
    "ROW_SECURITY",
    "SEARCH_PATH",
    "DEFAULT_TABLESPACE",
    "DEFAULT_TABLE_ACCESS_METHOD",
    "DEFAULT_WITH_OIDS",
    "ROLE",
];

/// The functions of `pg_catalog` that pg_dump calls: values of sequences, large objects, statistics.
const FUNCTIONS: [&str; 8] = [
    "SETVAL(",
    "LO_CREATE(",
    "LO_OPEN(",
    "LOWRITE(",
    "LO_CLOSE(",
    "LO_UNLINK(",
    "PG_RESTORE_RELATION_STATS(",
    "PG_RESTORE_ATTRIBUTE_STATS(",
];

/// Whether pg_dump does not write such a statement for one database. What it does not write may reach beyond the database
/// that is restored: databases, roles, tablespaces, the server's settings, and rows that come from or go to anywhere but the
/// dump itself. What is not known is not let through: a `DO` can do anything.
pub(super) fn is_foreign(statement: &Statement) -> bool {
    let text = statement.text.as_str();
    let words: Vec<&str> = text.splitn(6, ' ').collect();
    if statement.inner {
        // A piece of a function's body or of a rule.
        let action = words.first().is_some_and(|word| {
            matches!(
                *word,
                "SELECT"
                    | "INSERT"
                    | "UPDATE"
                    | "DELETE"
                    | "MERGE"
                    | "VALUES"
                    | "WITH"
                    | "RETURN"
                    | "NOTIFY"
                    | "END"
            )
        });
        return !action && !text.is_empty() && !text.starts_with(['(', ')']);
    }
    match words.as_slice() {
        [""] | ["BEGIN" | "COMMIT"] => false,
        ["CREATE" | "ALTER" | "DROP", "USER", "MAPPING", ..] => false,
        ["CREATE" | "ALTER" | "DROP", kind, ..] => {
            is_shared(kind) || matches!(*kind, "USER" | "GROUP" | "SYSTEM")
        }
        ["COMMENT", "ON", kind, ..] => is_shared(kind),
        // Without `ON` it makes one role a member of another.
        ["GRANT" | "REVOKE", ..] | ["SECURITY", "LABEL", ..] => text
            .split_once(" ON ")
            .is_none_or(|(_, on)| on.split(' ').next().is_none_or(is_shared)),
        ["COPY", ..] => !text.ends_with(" FROM STDIN"),
        ["INSERT", "INTO", ..] | ["REFRESH", "MATERIALIZED", "VIEW", ..] => false,
        ["SET" | "RESET", "SESSION", "AUTHORIZATION", ..] => false,
        ["SET", "STANDARD_CONFORMING_STRINGS", "=", "ON" | "OFF"] => false,
        ["SET", "CLIENT_ENCODING", "="] => !statement.strings.first().is_some_and(|name| is_safe(name)),
        ["SET", setting, ..] => !SETTINGS.contains(setting),
        ["SELECT", "PG_CATALOG.SET_CONFIG(", ..] => {
            statement.strings.first().map(String::as_str) != Some("search_path")
        }
        ["SELECT", "*", "FROM", called, ..] | ["SELECT", called, ..] => !called
            .strip_prefix("PG_CATALOG.")
            .is_some_and(|called| FUNCTIONS.iter().any(|function| called.starts_with(function))),
        _ => true,
    }
}

/// Kinds of objects that belong to the whole instance.
fn is_shared(kind: &str) -> bool {
    matches!(kind, "DATABASE" | "ROLE" | "TABLESPACE" | "PARAMETER")
}

fn is_safe(encoding: &str) -> bool {
    let letters = encoding.chars().filter(char::is_ascii_alphanumeric);
    let name: String = letters.map(|c| c.to_ascii_uppercase()).collect();
    !UNSAFE_ENCODINGS.contains(&name.as_str()) && !name.starts_with("MSKANJI") && !name.starts_with("WIN9")
}

/// The roles that one line of pg_dump's output names.
pub(super) fn roles(text: &str) -> Vec<String> {
    let Some(text) = text.trim_end().strip_suffix(';') else {
        return Vec::new();
    };
    let after = |word: &str| text.rfind(word).and_then(|at| name(&text[at + word.len()..]));
    let mut found = Vec::new();
    if text.starts_with("ALTER ") {
        found.extend(after(" OWNER TO "));
        found.extend(after(" DEFAULT PRIVILEGES FOR ROLE "));
    }
    if text.starts_with("GRANT ") || text.contains(" GRANT ") && text.starts_with("ALTER DEFAULT ") {
        found.extend(after(" TO "));
    }
    if text.starts_with("REVOKE ") || text.contains(" REVOKE ") && text.starts_with("ALTER DEFAULT ") {
        found.extend(after(" FROM "));
    }
    if text.starts_with("SET SESSION AUTHORIZATION ") {
        found.extend(after("SET SESSION AUTHORIZATION "));
    }
    let names = found.into_iter().map(|(name, _)| name);
    names
        .filter(|name| !matches!(name.as_str(), "PUBLIC" | "DEFAULT"))
        .collect()
}

/// The roles that a row-level security policy names. Its expression may go on over further lines.
pub(super) fn policy_roles(text: &str) -> Vec<String> {
    let list = || {
        let (_, rest) = name(text.strip_prefix("CREATE POLICY ")?)?;
        let (_, mut rest) = name(rest.strip_prefix(" ON ")?)?;
        if let Some(table) = rest.strip_prefix('.') {
            rest = name(table)?.1;
        }
        for clause in [" AS ", " FOR "] {
            if let Some(word) = rest.strip_prefix(clause) {
                rest = name(word)?.1;
            }
        }
        rest.strip_prefix(" TO ")
    };
    let mut found = Vec::new();
    let mut rest = list();
    while let Some((role, further)) = rest.and_then(name) {
        found.push(role);
        rest = further.strip_prefix(", ");
    }
    found
        .into_iter()
        .filter(|role| !role.eq_ignore_ascii_case("public"))
        .collect()
}

/// A name as pg_dump writes it, plain or in double quotes, and what follows it.
pub(in crate::postgres) fn name(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut out = String::new();
        let mut chars = quoted.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c != '"' {
                out.push(c);
            } else if chars.next_if(|(_, next)| *next == '"').is_some() {
                out.push('"');
            } else {
                return Some((out, &quoted[at + 1..]));
            }
        }
        return None;
    }
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$')
        .unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_of_policies_are_found() {
        let of = |text: &str| policy_roles(text).join("|");
        assert_eq!(
            of("CREATE POLICY p ON public.t AS RESTRICTIVE TO ghost USING (true);"),
            "ghost"
        );
        assert_eq!(
            of(
                "CREATE POLICY \"a TO b\" ON public.\"x \"\"y\" FOR SELECT TO \"Read Only\", other USING ((EXISTS ("
            ),
            "Read Only|other"
        );
        assert_eq!(of("CREATE POLICY p ON t USING (a TO b);"), "");
    }
}
