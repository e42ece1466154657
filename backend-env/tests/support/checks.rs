//! What must hold for any file and any edit, whoever makes them up.

use std::collections::BTreeMap;

use backend_env::{Conflict, Document, Edit, Environment, Place, Reader, Reading};

use crate::random::{Random, VALUE};

/// The keys edits are made to.
pub(crate) const KEYS: &[&str] = &["A", "B", "K", "x", "A.B", "é"];

pub(crate) fn check_document(bytes: &[u8]) -> Document {
    let doc = Document::parse(bytes);
    assert_eq!(doc.as_bytes(), bytes, "parse and write is the identity");
    let mut end = 0;
    for entry in doc.entries() {
        assert!(entry.span().start >= end, "statements follow each other");
        end = entry.span().end;
        let value = entry.value_span();
        assert!(entry.span().start <= value.start && value.end <= end);
        assert_eq!(&bytes[value], entry.written_value());
        assert!(
            doc.get(entry.key())
                .is_some_and(|last| last.line() >= entry.line())
        );
    }
    let _ = (
        doc.duplicates(),
        doc.commented_out(),
        doc.crlf_lines(),
        doc.has_bom(),
    );
    doc
}

/// Every reading, for comparison.
fn readings(doc: &Document, reader: Reader) -> (bool, BTreeMap<String, Option<Vec<u8>>>) {
    let all = doc.read_all(reader, &Environment::empty());
    let understood = *all.get("no such key") == Reading::Unset;
    let read = |key: &str| match all.get(key) {
        Reading::Value(value) => Some(value.clone()),
        Reading::Unknown { why, .. } => Some(format!("unknown: {why}").into_bytes()),
        _ => None,
    };
    (
        understood,
        all.keys()
            .into_iter()
            .map(|(key, _)| (key.to_owned(), read(key)))
            .collect(),
    )
}

/// An edit that may be made or refused, checked without the help of the code that verified it.
pub(crate) fn check_edit(doc: &mut Document, random: &mut Random) -> bool {
    let before = doc.clone();
    let readers = some_readers(random);
    let key = random.pick(KEYS);
    let value = random.text(VALUE, 5);
    let other = random.pick(KEYS);
    let action = random.below(8);
    let result: Result<Edit, Conflict> = match action {
        0 => doc.unset(key, &readers),
        1 => doc.comment_out(key, &readers),
        2 => doc.rename(key, other, &readers),
        3 => doc.insert(key, &value, Place::End, &readers),
        4 => doc.insert(key, &value, Place::Before(other), &readers),
        5 => doc.insert(key, &value, Place::After(other), &readers),
        _ => doc.set(key, &value, &readers),
    };
    let edit = match result {
        Err(conflict) => {
            assert_eq!(
                doc.as_bytes(),
                before.as_bytes(),
                "a conflict changes nothing: {conflict}"
            );
            return false;
        }
        Ok(edit) => edit,
    };
    check_document(doc.as_bytes());
    check_splices(before.as_bytes(), doc.as_bytes(), &edit);
    for reader in readers {
        let (understood, mut old) = readings(&before, reader);
        let (_, mut new) = readings(doc, reader);
        let touched: &[&str] = if action == 2 { &[key, other] } else { &[key] };
        match action {
            0 | 1 => assert_eq!(
                new.get(key).cloned().flatten(),
                None,
                "{reader} still reads {key}"
            ),
            2 => {
                assert_eq!(
                    new.get(key).cloned().flatten(),
                    None,
                    "{reader} still reads {key}"
                );
                assert_eq!(
                    new.get(other).cloned().flatten(),
                    old.get(key).cloned().flatten(),
                    "{reader}"
                );
            }
            _ => assert_eq!(
                new.get(key).cloned().flatten(),
                Some(value.clone().into_bytes()),
                "{reader}"
            ),
        }
        if !understood {
            continue;
        }
        for gone in touched
            .iter()
            .copied()
            .chain(edit.follows().iter().map(String::as_str))
        {
            old.remove(gone);
            new.remove(gone);
        }
        old.retain(|_, value| value.is_some());
        new.retain(|_, value| value.is_some());
        assert_eq!(old, new, "{reader} reads another key differently");
    }
    let diff = before.diff(doc);
    assert_eq!(diff.is_empty(), before.as_bytes() == doc.as_bytes());
    true
}

fn some_readers(random: &mut Random) -> Vec<Reader> {
    match random.below(4) {
        0 => Reader::ALL.to_vec(),
        1 => vec![Reader::ALL[random.below(Reader::ALL.len())]],
        _ => Reader::ALL
            .iter()
            .copied()
            .filter(|_| random.below(2) == 0)
            .chain([Reader::PythonDotenv])
            .collect(),
    }
}

/// The bytes outside the splices are those of before.
pub(crate) fn check_splices(before: &[u8], after: &[u8], edit: &Edit) {
    let (mut old, mut new) = (0, 0);
    for splice in edit.splices() {
        let kept = splice.old.start - old;
        assert_eq!(before[old..splice.old.start], after[new..new + kept]);
        old = splice.old.end;
        new += kept + splice.length;
    }
    assert_eq!(before[old..], after[new..]);
}
