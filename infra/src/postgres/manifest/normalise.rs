//! Whether two printed SQL expressions say the same.
//!
//! PostgreSQL prints expressions from their parsed form, and the print of a re-parsed print is not always the same text.
//! Tried with some hundred kinds of expressions from 15 to 18, three things change, and only these do not count here:
//!
//! - The cast of a whole array goes to its elements: `status IN ('a', other)` over varchar columns comes back as
//!   `(ARRAY['a'::character varying, other])::text[]` and after a dump and a restore as
//!   `ARRAY[('a'::character varying)::text, (other)::text]`.
//! - AND within AND loses its parentheses, and OR within OR: `a BETWEEN 1 AND 2 AND b` is `(((a >= 1) AND (a <= 2)) AND b)`
//!   first and `((a >= 1) AND (a <= 2) AND b)` then.
//! - Before 16 the columns of a view over one relation carry its name; since then they do not, except in subqueries.
//!
//! White space and parentheses around a single thing do not count either. Casts and all other qualifiers do: `now()` is
//! not `now()::date`, and in a self-join `x.a` is not `y.a`.

mod views;

use views::without_single_relation;

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

/// Words after which a condition in parentheses may stand.
const BEFORE_CONDITION: [&str; 8] = ["check", "where", "when", "having", "on", "return", "then", "else"];

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

/// The text without what does not count; `of_views` takes the name of a single relation away, as 16 and later do.
pub(super) fn normal(text: &str, of_views: bool) -> String {
    let mut tokens = tokens(text);
    if of_views {
        tokens = without_single_relation(tokens);
    }
    while let Some(other) = with_one_cast_inside(&tokens)
        .or_else(|| without_one_group(&tokens))
        .or_else(|| without_one_nested_list(&tokens))
    {
        tokens = other;
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

/// The language and region of an ICU locale, without keywords: 16 and later write `de_DE@collation=phonebook` as
/// `de-DE-u-co-phonebk`.
pub(super) fn language(locale: &str) -> String {
    let end = locale.find('@').or_else(|| locale.find("-u-"));
    match locale[..end.unwrap_or(locale.len())].replace('_', "-").as_str() {
        "" | "root" => "und".to_owned(),
        language => language.to_owned(),
    }
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

impl Token {
    fn is_word(&self, words: &[&str]) -> bool {
        matches!(self, Self::Word(word) if words.contains(&word.to_lowercase().as_str()))
    }
}

/// Where the type name that begins at `from` ends: its further words, modifier and `[]` included.
fn end_of_type(tokens: &[Token], from: usize) -> usize {
    let is_word = |at: usize| matches!(tokens.get(at), Some(Token::Word(_)));
    let mut end = from + usize::from(is_word(from));
    while tokens.get(end) == Some(&Token::Sign('.')) && is_word(end + 1) {
        end += 2;
    }
    loop {
        end = match tokens.get(end) {
            Some(Token::Sign('(')) => closing(tokens, end).map_or(tokens.len(), |close| close + 1),
            Some(Token::Sign('[')) if tokens.get(end + 1) == Some(&Token::Sign(']')) => end + 2,
            Some(token) if token.is_word(&TYPE_TAIL) => end + 1,
            _ => return end,
        };
    }
}

/// The place of the sign that closes the bracket at `open`.
fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Sign('(' | '[') => depth += 1,
            Token::Sign(')' | ']') => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The places of tokens that stand in no bracket.
fn outside(tokens: &[Token]) -> impl Iterator<Item = usize> {
    let mut depth = 0_usize;
    tokens.iter().enumerate().filter_map(move |(at, token)| {
        match token {
            Token::Sign('(' | '[') => depth += 1,
            Token::Sign(')' | ']') => depth = depth.saturating_sub(1),
            _ if depth == 0 => return Some(at),
            _ => {}
        }
        None
    })
}

/// Gives the cast of the first array constructor to its elements, as PostgreSQL's parser does.
fn with_one_cast_inside(tokens: &[Token]) -> Option<Vec<Token>> {
    (0..tokens.len()).find_map(|start| {
        if !tokens[start].is_word(&["array"]) || tokens.get(start + 1) != Some(&Token::Sign('[')) {
            return None;
        }
        let close = closing(tokens, start + 1)?;
        let grouped = start > 0
            && tokens[start - 1] == Token::Sign('(')
            && groups(tokens, start - 1)
            && tokens.get(close + 1) == Some(&Token::Sign(')'));
        let (from, cast) = if grouped {
            (start - 1, close + 2)
        } else {
            (start, close + 1)
        };
        let elements = &tokens[start + 2..close];
        if elements.is_empty() || tokens.get(cast) != Some(&Token::Cast) {
            return None;
        }
        let end = end_of_type(tokens, cast + 1);
        let array_type = &tokens[cast + 1..end];
        let element_type = array_type.strip_suffix(&[Token::Sign('['), Token::Sign(']')])?;
        let mut result = tokens[..from].to_vec();
        result.extend_from_slice(&tokens[start..start + 2]);
        for (number, element) in separated(elements).into_iter().enumerate() {
            if number > 0 {
                result.push(Token::Sign(','));
            }
            let inner = matches!(element, [word, Token::Sign('['), ..] if word.is_word(&["array"]));
            result.push(Token::Sign('('));
            result.extend_from_slice(element);
            result.extend([Token::Sign(')'), Token::Cast]);
            result.extend_from_slice(if inner { array_type } else { element_type });
        }
        result.push(Token::Sign(']'));
        result.extend_from_slice(&tokens[end..]);
        Some(result)
    })
}

/// The parts between commas that stand in no bracket.
fn separated(tokens: &[Token]) -> Vec<&[Token]> {
    let mut parts = Vec::new();
    let mut from = 0;
    for comma in outside(tokens).filter(|at| tokens[*at] == Token::Sign(',')) {
        parts.push(&tokens[from..comma]);
        from = comma + 1;
    }
    parts.push(&tokens[from..]);
    parts
}

/// Removes the first parentheses around an AND list within an AND list, or an OR list within an OR list.
fn without_one_nested_list(tokens: &[Token]) -> Option<Vec<Token>> {
    (0..tokens.len()).find_map(|start| {
        let close = (tokens[start] == Token::Sign('(')).then(|| closing(tokens, start))??;
        let before = start.checked_sub(1).map(|at| &tokens[at]);
        let after = tokens.get(close + 1);
        let inside = &tokens[start + 1..close];
        let is_nested = |word: &str, other: &str| {
            let is = |token: Option<&Token>| token.is_some_and(|token| token.is_word(&[word]));
            let opens = before.is_none_or(|t| *t == Token::Sign('(') || t.is_word(&BEFORE_CONDITION));
            let ends = after.is_none_or(|t| *t == Token::Sign(')'));
            let words = || outside(inside).map(|at| &inside[at]);
            ((is(before) && (is(after) || ends)) || (opens && is(after)))
                && words().any(|token| token.is_word(&[word]))
                && !words().any(|token| token.is_word(&[other, "select", "between"]))
        };
        if !(is_nested("and", "or") || is_nested("or", "and")) {
            return None;
        }
        Some([&tokens[..start], inside, &tokens[close + 1..]].concat())
    })
}

/// Removes the first pair of parentheses that groups a single thing; `None` when there is none.
fn without_one_group(tokens: &[Token]) -> Option<Vec<Token>> {
    let mut open = Vec::new();
    for (end, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(') => open.push(end),
            Token::Sign(')') => {
                let start = open.pop()?;
                let inside = &tokens[start + 1..end];
                // `(a).b` is a field of a, `a.b` a column of a; `(x::t)[1]` is not `x::t[1]`.
                let single = match tokens.get(end + 1) {
                    Some(Token::Sign('.')) => false,
                    Some(Token::Sign('[')) => is_single(inside),
                    _ => is_single(without_last_casts(inside)),
                };
                if groups(tokens, start) && single {
                    let mut shorter = tokens[..start].to_vec();
                    shorter.extend_from_slice(inside);
                    shorter.extend_from_slice(&tokens[end + 1..]);
                    return Some(shorter);
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether the parenthesis at `open` groups; otherwise it holds arguments.
fn groups(tokens: &[Token], open: usize) -> bool {
    match open.checked_sub(1).map(|before| &tokens[before]) {
        Some(word @ Token::Word(_)) => word.is_word(&BEFORE_GROUP),
        _ => true,
    }
}

/// `a` of `a::type::type`.
fn without_last_casts(tokens: &[Token]) -> &[Token] {
    let mut casts = outside(tokens).filter(|at| tokens[*at] == Token::Cast);
    let Some(first) = casts.next() else {
        return tokens;
    };
    let mut end = first;
    while tokens.get(end) == Some(&Token::Cast) {
        end = end_of_type(tokens, end + 1);
    }
    if end == tokens.len() {
        &tokens[..first]
    } else {
        tokens
    }
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
mod tests;
