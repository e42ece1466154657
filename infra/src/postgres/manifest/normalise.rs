//! Whether two printed SQL expressions say the same.
//!
//! PostgreSQL prints expressions from their parsed form, and the print of a re-parsed print is not always the same text:
//! `status IN ('a', 'b')` over a varchar column comes back as `((status)::text = ANY ((ARRAY['a'::character varying,
//! 'b'::character varying])::text[]))` and after one dump and restore as `((status)::text = ANY (ARRAY[('a'::character
//! varying)::text, ('b'::character varying)::text]))`. Versions differ as well: 16 prints the columns of a view over one
//! table without the table's name. So white space, casts, parentheses around a single thing and, in views, the
//! qualifiers of names do not count. What this hides - a changed cast, a column of another table of the same view - is
//! nothing that a dump and a restore can produce.

/// A piece of SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// Name, key word or number.
    Word(String),
    /// String constant, quotes included.
    Text(String),
    /// `::`
    Cast,
    /// Any other character.
    Sign(char),
}

/// Key words after which a parenthesis groups; after every other word it holds arguments.
const BEFORE_GROUP: [&str; 30] = [
    "all",
    "and",
    "any",
    "as",
    "between",
    "by",
    "case",
    "check",
    "distinct",
    "else",
    "except",
    "exclude",
    "from",
    "having",
    "in",
    "intersect",
    "is",
    "like",
    "limit",
    "not",
    "on",
    "or",
    "return",
    "select",
    "then",
    "union",
    "using",
    "when",
    "where",
    "with",
];

/// Words that may follow the first word of a type name.
const TYPE_TAIL: [&str; 9] = [
    "varying",
    "precision",
    "with",
    "without",
    "time",
    "zone",
    "to",
    "second",
    "month",
];

/// The text without what does not count; `qualifiers` keeps `table.` before names.
pub(super) fn normal(text: &str, qualifiers: bool) -> String {
    let mut tokens = without_casts(tokens(text));
    if !qualifiers {
        tokens = without_qualifiers(tokens);
    }
    while let Some(shorter) = without_one_group(&tokens) {
        tokens = shorter;
    }
    let words: Vec<String> = tokens
        .iter()
        .map(|token| match token {
            Token::Word(text) | Token::Text(text) => text.clone(),
            Token::Cast => "::".to_owned(),
            Token::Sign(sign) => sign.to_string(),
        })
        .collect();
    words.join(" ").trim_end_matches([' ', ';']).to_owned()
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        if c == '\'' || c == '"' {
            let mut word = c.to_string();
            while let Some(next) = chars.next() {
                word.push(next);
                if next == c {
                    if chars.peek() == Some(&c) {
                        chars.next();
                        word.push(c);
                    } else {
                        break;
                    }
                } else if next == '\\'
                    && c == '\''
                    && matches!(tokens.last(), Some(Token::Word(e)) if e == "E")
                {
                    // In E'..' a backslash takes the next character with it.
                    word.extend(chars.next());
                }
            }
            tokens.push(if c == '"' {
                Token::Word(word)
            } else {
                Token::Text(word)
            });
        } else if c.is_alphanumeric() || c == '_' {
            let mut word = c.to_string();
            let number = c.is_ascii_digit();
            while let Some(next) =
                chars.next_if(|n| n.is_alphanumeric() || *n == '_' || *n == '$' || (number && *n == '.'))
            {
                word.push(next);
            }
            tokens.push(Token::Word(word));
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            tokens.push(Token::Cast);
        } else {
            tokens.push(Token::Sign(c));
        }
    }
    tokens
}

/// Removes `::type`, with its modifier, its further words and `[]`.
fn without_casts(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        if token != Token::Cast {
            kept.push(token);
            continue;
        }
        rest.next_if(|t| matches!(t, Token::Word(_)));
        while rest.next_if_eq(&Token::Sign('.')).is_some() {
            rest.next_if(|t| matches!(t, Token::Word(_)));
        }
        loop {
            if rest.next_if_eq(&Token::Sign('(')).is_some() {
                while rest.next().is_some_and(|t| t != Token::Sign(')')) {}
            } else if rest.next_if_eq(&Token::Sign('[')).is_some() {
                rest.next_if(|t| *t != Token::Sign(']'));
                rest.next_if_eq(&Token::Sign(']'));
            } else if rest
                .next_if(|t| matches!(t, Token::Word(w) if TYPE_TAIL.contains(&w.as_str())))
                .is_none()
            {
                break;
            }
        }
    }
    kept
}

/// Removes every `name .` before a name.
fn without_qualifiers(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept: Vec<Token> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let qualified = matches!(token, Token::Word(_) | Token::Sign('*'))
            && kept.last() == Some(&Token::Sign('.'))
            && matches!(kept.iter().rev().nth(1), Some(Token::Word(_)));
        if qualified {
            kept.truncate(kept.len() - 2);
        }
        kept.push(token);
    }
    kept
}

/// Removes the first pair of parentheses that groups a single thing; `None` when there is none.
fn without_one_group(tokens: &[Token]) -> Option<Vec<Token>> {
    let mut open = Vec::new();
    for (end, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(') => open.push(end),
            Token::Sign(')') => {
                let start = open.pop()?;
                let groups = match start.checked_sub(1).map(|before| &tokens[before]) {
                    Some(Token::Word(word)) => BEFORE_GROUP.contains(&word.to_lowercase().as_str()),
                    _ => true,
                };
                if groups && is_single(&tokens[start + 1..end]) {
                    let mut shorter = tokens[..start].to_vec();
                    shorter.extend_from_slice(&tokens[start + 1..end]);
                    shorter.extend_from_slice(&tokens[end + 1..]);
                    return Some(shorter);
                }
            }
            _ => {}
        }
    }
    None
}

/// A name, a constant, a call, a bracketed array or a group.
fn is_single(tokens: &[Token]) -> bool {
    match tokens {
        [Token::Word(_) | Token::Text(_)] => true,
        [Token::Word(_), Token::Sign('.'), rest @ ..] => is_single(rest),
        [Token::Word(_), rest @ ..] => is_enclosed(rest, '(', ')') || is_enclosed(rest, '[', ']'),
        rest => is_enclosed(rest, '(', ')'),
    }
}

/// Whether the first sign opens what the last one closes.
fn is_enclosed(tokens: &[Token], open: char, close: char) -> bool {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        if *token == Token::Sign(open) {
            depth += 1;
        } else if *token == Token::Sign(close) {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            return index > 0 && index + 1 == tokens.len();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(same: bool, a: &str, b: &str) {
        assert_eq!(
            normal(a, true) == normal(b, true),
            same,
            "\n{}\n{}",
            normal(a, true),
            normal(b, true)
        );
    }

    #[test]
    fn a_varchar_check_prints_differently_after_a_restore() {
        check(
            true,
            "CHECK (((status)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))",
            "CHECK (((status)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))",
        );
    }

    #[test]
    fn casts_of_every_spelling_go() {
        for cast in [
            "::text",
            "::character varying(10)",
            "::public.\"My Type\"[]",
            "::numeric(10,2)",
            "::timestamp(3) without time zone",
            "::double precision",
            "::interval",
            "::\"char\"",
        ] {
            check(true, &format!("(('x'{cast} || b))"), "('x' || b)");
        }
    }

    #[test]
    fn what_matters_stays() {
        check(false, "(a > 0)", "(a >= 0)");
        check(false, "'a b'", "'a  b'");
        check(false, "a * (b + c)", "a * b + c");
        check(false, "f(a)", "g(a)");
        check(false, "\"A\"", "a");
        check(false, "REFERENCES public.t(id)", "REFERENCES other.t(id)");
        check(false, "(x IN (1, 2))", "(x IN (1, 3))");
        check(false, "'it''s'", "'its'");
    }

    #[test]
    fn a_view_over_one_table_has_no_qualifiers_since_16() {
        let old =
            " SELECT t.a,\n    count(t.\"B b\") AS n\n   FROM public.t\n  WHERE ((t.v)::text = 'x'::text);";
        let new = " SELECT a,\n    count(\"B b\") AS n\n   FROM public.t\n  WHERE ((v)::text = 'x'::text);";
        assert_eq!(normal(old, false), normal(new, false));
        assert_ne!(normal(old, true), normal(new, true));
    }

    #[test]
    fn unfinished_text_does_not_hang() {
        for text in ["'abc", "\"", "((", "a::", "a::b(", "))", "E'\\"] {
            let _ = normal(text, false);
        }
    }
}
