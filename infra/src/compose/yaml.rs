//! YAML as a plain tree, for the answers of a program that speaks nothing else.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// A collection that is being read.
struct Open {
    anchor: usize,
    /// The key whose value comes next.
    key: Option<String>,
    value: Value,
}

/// Reads the first document. Numbers and booleans stay texts.
///
/// # Errors
/// The first place that is not YAML, or a key that is no text or occurs twice.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: BTreeMap<usize, Value> = BTreeMap::new();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| format!("line {}: {}", error.marker().line(), error.info()))?;
        let line = span.start.line();
        let begun = |anchor, value| Open {
            anchor,
            key: None,
            value,
        };
        let (anchor, value) = match event {
            Event::Scalar(text, ScalarStyle::Plain, anchor, _) if matches!(&*text, "" | "~" | "null") => {
                (anchor, Value::Null)
            }
            Event::Scalar(text, _, anchor, _) => (anchor, Value::String(text.into_owned())),
            Event::Alias(anchor) => {
                let known = anchors.get(&anchor).cloned();
                (0, known.ok_or(format!("line {line}: an alias refers to itself"))?)
            }
            Event::SequenceStart(anchor, _) => {
                open.push(begun(anchor, Value::Array(Vec::new())));
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push(begun(anchor, Value::Object(Map::new())));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(done) => (done.anchor, done.value),
                None => continue,
            },
            _ => continue,
        };
        if anchor > 0 {
            anchors.insert(anchor, value.clone());
        }
        let Some(parent) = open.last_mut() else {
            return Ok(value);
        };
        match (&mut parent.value, parent.key.take(), value) {
            (Value::Object(map), Some(key), value) => {
                map.insert(key, value);
            }
            (Value::Object(map), None, Value::String(key)) if !map.contains_key(&key) => {
                parent.key = Some(key)
            }
            (Value::Object(_), None, key) => {
                return Err(format!("line {line}: {key} is no key, or is there twice"));
            }
            (Value::Array(items), _, value) => items.push(value),
            _ => {}
        }
    }
    Ok(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_text_becomes_a_tree() {
        let text = "a: &x\r\n  b: [1, 'two', ~]\r\n  c: \"3\"\r\nd: *x\r\n";
        let x = serde_json::json!({ "b": ["1", "two", null], "c": "3" });
        assert_eq!(parse(text), Ok(serde_json::json!({ "a": x.clone(), "d": x })));
        assert_eq!(parse(""), Ok(serde_json::Value::Null));
    }

    #[test]
    fn what_is_not_yaml_is_an_error_with_its_line() {
        assert!(parse("a: 1\nb: [1, 2\nc: }\n").unwrap_err().starts_with("line "));
        assert!(parse("a: 1\na: 2\n").unwrap_err().contains("twice"));
    }
}
