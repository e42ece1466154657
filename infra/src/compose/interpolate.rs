//! `${NAME:-default}` as Compose fills it in.

/// Answers for the name of a variable.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces variables in a text. What is set nowhere is empty, as in Compose.
pub fn interpolate(text: &str, lookup: Lookup<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let Some(end) = closing(inside) else {
                out.push_str("${");
                rest = inside;
                continue;
            };
            out.push_str(&braced(&inside[..end], lookup));
            rest = &inside[end + 1..];
        } else {
            let end = name_end(rest);
            if end == 0 {
                out.push('$');
            } else {
                out.push_str(&lookup(&rest[..end]).unwrap_or_default());
            }
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    out
}

/// Where the brace that is open closes; defaults may hold variables of their own.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        before = c;
    }
    None
}

fn name_end(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

fn braced(inside: &str, lookup: Lookup<'_>) -> String {
    let (name, rest) = inside.split_at(name_end(inside));
    let value = lookup(name);
    let filled = value.clone().filter(|value| !value.is_empty());
    let word = |text: &str| interpolate(text, lookup);
    if let Some(default) = rest.strip_prefix(":-") {
        filled.unwrap_or_else(|| word(default))
    } else if let Some(default) = rest.strip_prefix('-') {
        value.unwrap_or_else(|| word(default))
    } else if let Some(other) = rest.strip_prefix(":+") {
        filled.map_or_else(String::new, |_| word(other))
    } else if let Some(other) = rest.strip_prefix('+') {
        value.map_or_else(String::new, |_| word(other))
    } else {
        // `:?message` and `?message` make Compose stop when the variable is missing; here it is only empty.
        value.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_as_compose_does() {
        let lookup = |name: &str| match name {
            "SET" => Some("s".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, wanted) in [
            ("${NONE:-5432}:5432", "5432:5432"),
            ("${SET:-x}${EMPTY:-y}${EMPTY-z}", "sy"),
            ("$SET-$NONE.", "s-."),
            ("$$SET ${SET", "$SET ${SET"),
            ("${NONE:-${SET}b}c", "sbc"),
            ("${SET:+on}${NONE:+off}${SET:?must}", "ons"),
            ("100$", "100$"),
        ] {
            assert_eq!(interpolate(text, &lookup), wanted, "{text}");
        }
    }
}
