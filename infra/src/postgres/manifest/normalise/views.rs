//! The name that columns of a view over one relation carry before PostgreSQL 16.

use super::{Token, closing, outside};

/// Words before which a view's FROM ends.
const AFTER_FROM: [&str; 9] = [
    "where",
    "group",
    "having",
    "window",
    "order",
    "limit",
    "offset",
    "fetch",
    "tablesample",
];

/// Words that join queries or relations: a view with one of them has no single relation.
const JOINS: [&str; 4] = ["join", "union", "intersect", "except"];

/// Removes `name.` before the columns of a query over one relation of that name; subqueries keep it.
pub(super) fn without_single_relation(tokens: Vec<Token>) -> Vec<Token> {
    let Some(name) = single_relation(&tokens).cloned() else {
        return tokens;
    };
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let next = |number: usize| tokens.get(at + number);
        let is_query = next(1).is_some_and(|token| token.is_word(&["select", "with", "values"]));
        if tokens[at] == Token::Sign('(') && is_query {
            let close = closing(&tokens, at).unwrap_or(tokens.len() - 1);
            kept.extend_from_slice(&tokens[at..=close]);
            at = close + 1;
            continue;
        }
        let is_column = tokens[at] == name
            && next(1) == Some(&Token::Sign('.'))
            && matches!(next(2), Some(Token::Word(_)))
            && next(3) != Some(&Token::Sign('('))
            && !matches!(kept.last(), Some(Token::Cast | Token::Sign('.')));
        at += if is_column { 2 } else { 0 };
        kept.push(tokens[at].clone());
        at += 1;
    }
    kept
}

/// The name under which a query knows the only relation of its FROM.
fn single_relation(tokens: &[Token]) -> Option<&Token> {
    let outside: Vec<usize> = outside(tokens).collect();
    if outside.iter().any(|at| tokens[*at].is_word(&JOINS)) {
        return None;
    }
    let is_from = |at: &usize| tokens[*at].is_word(&["from"]);
    let from = outside.iter().position(is_from)?;
    if outside[from + 1..].iter().any(is_from) {
        return None;
    }
    let list = outside[from + 1..]
        .iter()
        .map(|at| &tokens[*at])
        .take_while(|token| !token.is_word(&AFTER_FROM))
        .collect::<Vec<_>>();
    if list.contains(&&Token::Sign(',')) {
        return None;
    }
    list.into_iter().rfind(|token| matches!(token, Token::Word(_)))
}
