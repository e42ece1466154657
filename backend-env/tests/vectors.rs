//! The 123 texts of `testdata/env-readers.jsonl` with what the real readers made of each.

#![expect(clippy::unwrap_used, reason = "a helper of a test panics when the test fails")]

#[path = "support/json.rs"]
mod json;

use backend_env::{Document, Environment, Reader, Reading};
use json::Json;

const NAMES: &[(&str, Reader)] = &[
    ("python-dotenv-1.2.4", Reader::PythonDotenv),
    ("compose-go-2", Reader::Compose),
];

#[test]
fn every_reader_reads_every_vector() {
    let environment: Environment = [("OUTER", "outer"), ("HOME", "/h")].into_iter().collect();
    let vectors = include_str!("../testdata/env-readers.jsonl");
    let (mut lines, mut readings) = (0, 0);
    let mut wrong = Vec::new();
    for line in vectors.lines() {
        lines += 1;
        let vector = json::parse(line);
        let text = vector.get("text").unwrap().text();
        // The vectors were read from files that end in a newline.
        let mut file = text.to_vec();
        if !file.ends_with(b"\n") {
            file.push(b'\n');
        }
        let doc = Document::parse(file);
        for (name, reader) in NAMES {
            readings += 1;
            let wanted = vector.get("reads").unwrap().get(name).unwrap();
            let got = doc.read_all(*reader, &environment);
            let shown = String::from_utf8_lossy(text);
            if let Err(why) = compare(wanted, &got) {
                wrong.push(format!("{shown:?} {name}: {why}; got {got:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((lines, readings), (123, 246));
}

fn compare(wanted: &Json, got: &backend_env::Readings) -> Result<(), String> {
    let rejected = got.rejection();
    if *wanted == Json::Text(b"error".to_vec()) {
        return if rejected.is_some() {
            Ok(())
        } else {
            Err("not rejected".to_owned())
        };
    }
    let values = wanted.get("values").unwrap().object();
    if let Some(rejection) = rejected {
        return Err(format!("{rejection:?}"));
    }
    for (key, value) in values {
        let key = std::str::from_utf8(key).unwrap();
        let same = match value {
            Json::Null => *got.get(key) == Reading::Unset,
            value => got.get(key).value() == Some(value.text()),
        };
        if !same {
            return Err(format!(
                "{key} differs: {:?}",
                got.get(key).value().map(String::from_utf8_lossy)
            ));
        }
    }
    match got
        .keys()
        .into_iter()
        .find(|(key, _)| !values.contains_key(key.as_bytes()) && got.get(key).value().is_some())
    {
        Some((key, _)) => Err(format!("{key} is set as well")),
        None => Ok(()),
    }
}
