//! Ways to write a value. Which of them a set of readers reads back is decided by reading.
//!
//! The first three are the rule that every reader known to us shares, modelled or not: bare where nothing in the value means
//! anything to any reader, then single quotes, then double quotes, nothing escaped. The others serve fewer readers.

use crate::document::Quote;
use crate::model;
use crate::reader::{Environment, Reader};

/// The spellings of `value` that every reader reads back when the value stands alone, best first; or else the
/// readers that the best spelling fails for.
pub(crate) fn spellings(value: &[u8], old: Quote, readers: &[Reader]) -> Result<Vec<Vec<u8>>, Vec<Reader>> {
    let mut good = Vec::new();
    let mut fewest: Option<Vec<Reader>> = None;
    for spelling in candidates(value, old) {
        let failing = misread(&spelling, value, readers);
        if failing.is_empty() {
            good.push(spelling);
        } else if fewest.as_ref().is_none_or(|fewest| failing.len() < fewest.len()) {
            fewest = Some(failing);
        }
    }
    if good.is_empty() {
        Err(fewest.unwrap_or_else(|| readers.to_vec()))
    } else {
        Ok(good)
    }
}

fn misread(spelling: &[u8], value: &[u8], readers: &[Reader]) -> Vec<Reader> {
    let mut file = b"K=".to_vec();
    file.extend_from_slice(spelling);
    file.push(b'\n');
    let reads = |reader: Reader| {
        let readings = model::read(&file, reader, &Environment::empty(), None);
        readings.get("K").value() == Some(value) && readings.values.len() == 1 && readings.notes.is_empty()
    };
    readers.iter().copied().filter(|reader| !reads(*reader)).collect()
}

fn candidates(value: &[u8], old: Quote) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let shared = |quote: Quote| match quote {
        Quote::Bare => is_bare(value).then(|| value.to_vec()),
        Quote::Single => (!value.contains(&b'\'')).then(|| quoted(b'\'', value)),
        Quote::Double => (!value.iter().any(|b| b"\"\\$`".contains(b))).then(|| quoted(b'"', value)),
    };
    all.extend(shared(old));
    all.extend(
        [Quote::Bare, Quote::Single, Quote::Double]
            .into_iter()
            .filter(|quote| *quote != old)
            .filter_map(shared),
    );
    if !value.contains(&b'"') {
        all.push(quoted(b'"', value));
    }
    all.push(quoted(b'"', &escaped(value, b"\\\"")));
    all.push(quoted(b'"', &escaped(value, b"\\\"$")));
    all.push(quoted(b'\'', &escaped(value, b"'")));
    all.push(quoted(b'\'', &escaped(value, b"\\'")));
    all.push(quoted(b'"', &doubled(&escaped(value, b"\\\""))));
    if !value.is_empty() && !value.contains(&b'\n') {
        all.push(value.to_vec());
    }
    all
}

/// `^[A-Za-z0-9_./:@%+,=^-]+$`
fn is_bare(value: &[u8]) -> bool {
    !value.is_empty()
        && value
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"_./:@%+,=^-".contains(b))
}

fn quoted(quote: u8, inside: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(inside.len() + 2);
    out.push(quote);
    out.extend_from_slice(inside);
    out.push(quote);
    out
}

fn escaped(value: &[u8], special: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for byte in value {
        if special.contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

/// `$` as `$$`, which only compose understands.
fn doubled(value: &[u8]) -> Vec<u8> {
    value.split(|b| *b == b'$').collect::<Vec<_>>().join(&b"$$"[..])
}
