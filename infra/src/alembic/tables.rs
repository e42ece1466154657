//! The tables that a rendered migration (`alembic upgrade head --sql`) leaves behind.

use std::collections::BTreeSet;

/// Every table that stands at the end, with its schema (`public` where none is named).
///
/// Reads what Alembic and hand-written revisions emit: `CREATE TABLE`, `DROP TABLE`, `ALTER TABLE .. RENAME TO`. Texts,
/// comments and function bodies are skipped.
pub fn tables(sql: &str) -> BTreeSet<(String, String)> {
    let words = words(sql);
    let mut tables = BTreeSet::new();
    for statement in words.split(|word| *word == Word::End) {
        apply(statement, &mut tables);
    }
    tables
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// A name or a keyword; `true` when it was quoted.
    Name(String, bool),
    /// Any other character.
    Sign(char),
    /// `;`
    End,
}

impl Word {
    fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Name(name, false) if name.eq_ignore_ascii_case(keyword))
    }
}

fn apply(statement: &[Word], tables: &mut BTreeSet<(String, String)>) {
    let position = |keyword: &str| statement.iter().position(|word| word.is(keyword));
    let Some(first) = statement.first() else { return };
    let Some(table) = position("TABLE") else { return };
    if first.is("CREATE") && table <= 2 {
        // `CREATE TEMP TABLE` ends with the session.
        let temporary = statement[1..table]
            .iter()
            .any(|w| w.is("TEMP") || w.is("TEMPORARY"));
        if let (Some(name), false) = (name_after(statement, table + 1), temporary) {
            tables.insert(name);
        }
    } else if first.is("DROP") && table == 1 {
        if let Some(name) = name_after(statement, table + 1) {
            tables.remove(&name);
        }
    } else if first.is("ALTER") && table == 1 {
        let Some(name) = name_after(statement, table + 1) else {
            return;
        };
        let renamed = statement
            .windows(2)
            .position(|pair| pair[0].is("RENAME") && pair[1].is("TO"));
        let moved = statement
            .windows(2)
            .position(|pair| pair[0].is("SET") && pair[1].is("SCHEMA"));
        if let Some(new) = renamed.and_then(|at| plain(statement.get(at + 2)))
            && tables.remove(&name)
        {
            tables.insert((name.0, new));
        } else if let Some(schema) = moved.and_then(|at| plain(statement.get(at + 2)))
            && tables.remove(&name)
        {
            tables.insert((schema, name.1));
        }
    }
}

/// `[IF [NOT] EXISTS] [ONLY] [schema.]name`
fn name_after(statement: &[Word], mut at: usize) -> Option<(String, String)> {
    while statement
        .get(at)
        .is_some_and(|w| ["IF", "NOT", "EXISTS", "ONLY"].iter().any(|k| w.is(k)))
    {
        at += 1;
    }
    let first = plain(statement.get(at))?;
    if statement.get(at + 1) == Some(&Word::Sign('.')) {
        return Some((first, plain(statement.get(at + 2))?));
    }
    Some(("public".to_owned(), first))
}

/// Unquoted names are folded to lower case, as the server does.
fn plain(word: Option<&Word>) -> Option<String> {
    match word? {
        Word::Name(name, true) => Some(name.clone()),
        Word::Name(name, false) => Some(name.to_lowercase()),
        _ => None,
    }
}

fn words(sql: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
        } else if c == '\'' {
            rest = after(rest, '\'');
        } else if c == '"' {
            let end = after(rest, '"');
            let inside = &rest[1..(rest.len() - end.len()).saturating_sub(1).max(1)];
            words.push(Word::Name(inside.replace("\"\"", "\""), true));
            rest = end;
        } else if let Some(body) = dollar_quoted(rest) {
            rest = body;
        } else if c.is_alphabetic() || c == '_' {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$')
                .unwrap_or(rest.len());
            words.push(Word::Name(rest[..end].to_owned(), false));
            rest = &rest[end..];
        } else {
            match c {
                ';' => words.push(Word::End),
                c if c.is_whitespace() => {}
                c => words.push(Word::Sign(c)),
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    words
}

/// What follows a quoted text; a doubled quote belongs to it.
fn after(text: &str, quote: char) -> &str {
    let mut rest = &text[1..];
    while let Some(end) = rest.find(quote) {
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(further) => rest = further,
            None => return rest,
        }
    }
    ""
}

/// What follows `$tag$ .. $tag$`.
fn dollar_quoted(text: &str) -> Option<&str> {
    let tag_end = text.strip_prefix('$')?.find('$')? + 1;
    let tag = &text[..=tag_end];
    let inner = &tag[1..tag.len() - 1];
    let is_tag = inner.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !inner.starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return None;
    }
    let body = &text[tag.len()..];
    Some(body.find(tag).map_or("", |end| &body[end + tag.len()..]))
}

#[cfg(test)]
mod tests {
    use super::tables;

    #[test]
    fn what_stands_at_the_end_is_found() {
        let sql = r#"
            CREATE TABLE a (id int DEFAULT 1); -- CREATE TABLE no
            CREATE UNLOGGED TABLE IF NOT EXISTS audit."B c" (x text DEFAULT 'CREATE TABLE no');
            CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $x$ BEGIN CREATE TABLE no (); END $x$;
            CREATE TEMP TABLE no (id int);
            CREATE TABLE gone (id int); DROP TABLE IF EXISTS gone;
            CREATE TABLE Old (id int); ALTER TABLE ONLY old RENAME TO "New";
            ALTER TABLE a RENAME COLUMN id TO key;
            CREATE VIEW v AS SELECT 1; COMMENT ON TABLE a IS 'CREATE TABLE no';
        "#;
        let found: Vec<String> = tables(sql).into_iter().map(|(s, t)| format!("{s}.{t}")).collect();
        assert_eq!(found, ["audit.B c", "public.New", "public.a"]);
    }
}
