//! The two assignments of a revision file.

/// Value of a Python assignment at the left margin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// `None`.
    Nothing,
    /// One string or a tuple or list of strings.
    Strings(Vec<String>),
}

/// Finds `name = ...` or `name: annotation = ...` at the left margin; `None` when there is none or when its value is
/// not made of plain strings.
pub(super) fn assignment(source: &str, name: &str) -> Option<Value> {
    let mut offset = 0;
    for line in source.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix(name) {
            let rest = rest.trim_start();
            let assigned = match rest.chars().next() {
                Some('=') if !rest.starts_with("==") => Some(rest),
                Some(':') => rest.find('=').map(|at| &rest[at..]),
                _ => None,
            };
            if let Some(assigned) = assigned {
                let start = offset + (line.len() - assigned.len()) + 1;
                return value(&source[start..]);
            }
        }
        offset += line.len();
    }
    None
}

/// Reads `None`, a string, or a parenthesised list of strings, which may span lines and hold comments.
fn value(text: &str) -> Option<Value> {
    let text = text.trim_start_matches([' ', '\t']);
    if text.starts_with("None") {
        return Some(Value::Nothing);
    }
    let (closing, mut rest) = match text.chars().next()? {
        '(' => (Some(')'), &text[1..]),
        '[' => (Some(']'), &text[1..]),
        _ => (None, text),
    };
    let mut strings = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        match rest.chars().next()? {
            quote @ ('"' | '\'') => {
                let end = rest[1..].find(quote)? + 1;
                strings.push(rest[1..end].to_owned());
                rest = &rest[end + 1..];
                if closing.is_none() {
                    return Some(Value::Strings(strings));
                }
            }
            '#' if closing.is_some() => rest = &rest[rest.find('\n')?..],
            ',' | '\n' | '\r' if closing.is_some() => rest = &rest[1..],
            c if Some(c) == closing => return Some(Value::Strings(strings)),
            _ => return None,
        }
    }
}
