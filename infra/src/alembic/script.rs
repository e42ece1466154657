//! The assignments of a revision file, found as Python finds them: at the left margin, outside of every text.

/// Value of a Python assignment at the left margin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// `None`.
    Nothing,
    /// One string, or a tuple, list or set of strings.
    Strings(Vec<String>),
    /// Anything else: what it comes to is not known without running it.
    Computed,
}

/// The value of `name = ...` or `name: annotation = ...` at the left margin; `None` when there is none.
pub(super) fn assignment(source: &str, name: &str) -> Option<Value> {
    find(source, name).map(|(_, text)| value(text))
}

/// The line that assigns a name at the left margin, from 1.
pub fn assigned_line(source: &str, name: &str) -> Option<usize> {
    find(source, name).map(|(line, _)| line)
}

/// What stands behind the `=` of a name, and the line of the name. Of several the last one counts, as in Python.
fn find<'a>(source: &'a str, name: &str) -> Option<(usize, &'a str)> {
    let assigned = |(line, text): (usize, &'a str)| {
        let rest = text.strip_prefix(name)?;
        let rest = rest.trim_start_matches([' ', '\t']);
        let behind = match rest.chars().next()? {
            '=' if !rest.starts_with("==") => &rest[1..],
            ':' => &rest[rest.find('=')? + 1..],
            _ => return None,
        };
        Some((line, behind))
    };
    statements(source).into_iter().rev().find_map(assigned)
}

/// The statements of a module with their first lines: what brackets, texts and backslashes hold together is one.
fn statements(source: &str) -> Vec<(usize, &str)> {
    let mut all = Vec::new();
    let (mut start, mut first, mut line, mut depth) = (0, 1, 1, 0_usize);
    let mut at = 0;
    while let Some(c) = source[at..].chars().next() {
        let mut next = at + c.len_utf8();
        match c {
            '"' | '\'' => next = after_text(source, at),
            '#' => next = source[at..].find('\n').map_or(source.len(), |end| at + end),
            '\\' => {
                next = source[next..]
                    .find('\n')
                    .map_or(source.len(), |end| next + end + 1)
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        line += source[at..next].matches('\n').count();
        if c == '\n' && depth == 0 {
            all.push((first, &source[start..at]));
            (start, first) = (next, line);
        }
        at = next;
    }
    all.push((first, &source[start..]));
    all
}

/// Where the text ends that begins here with a quote, or with three.
fn after_text(source: &str, at: usize) -> usize {
    let quote = &source[at..=at];
    let three = quote.repeat(3);
    let closing = if source[at..].starts_with(&three) {
        &three
    } else {
        quote
    };
    let mut end = at + closing.len();
    while let Some(c) = source[end..].chars().next() {
        if source[end..].starts_with(closing) {
            return end + closing.len();
        }
        // A text in single quotes ends with its line, closed or not.
        if c == '\n' && closing.len() == 1 {
            return end;
        }
        end += c.len_utf8();
        if c == '\\' {
            end += source[end..].chars().next().map_or(0, char::len_utf8);
        }
    }
    source.len()
}

/// Reads `None`, a string, or several with commas between them.
fn value(text: &str) -> Value {
    let (mut strings, mut nothing, mut separated) = (Vec::new(), false, true);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match c {
            '#' => rest = rest.find('\n').map_or("", |end| &rest[end..]),
            '\\' if rest[1..].trim_start_matches('\r').starts_with('\n') => rest = &rest[1..],
            '(' | '[' | '{' | ')' | ']' | '}' => rest = &rest[1..],
            ',' => {
                separated = true;
                rest = &rest[1..];
            }
            '"' | '\'' => {
                let end = after_text(rest, 0);
                let quotes = if rest[..end].starts_with(&c.to_string().repeat(3)) {
                    3
                } else {
                    1
                };
                let inside = rest.get(quotes..end.saturating_sub(quotes)).unwrap_or("\\");
                // Python would join two neighbours and read escapes.
                if !separated || inside.contains('\\') {
                    return Value::Computed;
                }
                strings.push(inside.to_owned());
                separated = false;
                rest = &rest[end..];
            }
            c if c.is_whitespace() => rest = &rest[c.len_utf8()..],
            _ if rest.starts_with("None") && separated => {
                (nothing, separated) = (true, false);
                rest = &rest[4..];
            }
            _ => return Value::Computed,
        }
    }
    match (nothing, strings.is_empty()) {
        (true, true) => Value::Nothing,
        (true, false) => Value::Computed,
        (false, _) => Value::Strings(strings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_python_reads_them() {
        let strings = |all: &[&str]| Value::Strings(all.iter().map(|one| (*one).to_owned()).collect());
        for (source, wanted) in [
            ("x = 'a'\n", Some(strings(&["a"]))),
            ("x = \"\"\"a\"\"\"\n", Some(strings(&["a"]))),
            ("x = '''a'''  # id\n", Some(strings(&["a"]))),
            ("x = \\\n    'a'\n", Some(strings(&["a"]))),
            ("x = \\\r\n    'a'\r\n", Some(strings(&["a"]))),
            ("x: str = \"a\"", Some(strings(&["a"]))),
            ("x = 'a', 'b'\n", Some(strings(&["a", "b"]))),
            (
                "x = (\n    'a',  # one\n    'b',\n)\n",
                Some(strings(&["a", "b"])),
            ),
            ("x = ['a']\nx = 'b'\n", Some(strings(&["b"]))),
            ("x: Union[str, None] = None\r\n", Some(Value::Nothing)),
            ("x = ()\n", Some(strings(&[]))),
            ("x = make()\n", Some(Value::Computed)),
            ("x = 'a' + y\n", Some(Value::Computed)),
            ("x = 'a' 'b'\n", Some(Value::Computed)),
            ("x = None or 'b'\n", Some(Value::Computed)),
            ("x = 'a\\x41'\n", Some(Value::Computed)),
            ("x == 'a'\nxy = 'b'\nif y:\n    x = 'c'\n", None),
            ("\"\"\"Text.\n\nx: my = nope\n\"\"\"\ny = '#'\n", None),
            ("f(\nx = 'a'\n)\n", None),
        ] {
            assert_eq!(assignment(source, "x"), wanted, "{source}");
        }
    }

    #[test]
    fn the_line_is_that_of_the_assignment_and_not_of_a_text() {
        let source = "'''It's\nx: my = nope\n'''\n# '\nimport y\n\nx = 'a'\n";
        assert_eq!(assigned_line(source, "x"), Some(7));
        assert_eq!(assigned_line(source, "z"), None);
    }
}
