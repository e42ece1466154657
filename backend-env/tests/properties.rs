//! Properties of arbitrary bytes. proptest makes a failure small.

#[path = "support/checks.rs"]
mod checks;
#[path = "support/random.rs"]
mod random;

use backend_env::{Document, Environment, Reader};
use proptest::prelude::*;

/// Bytes with the characters that mean something in them.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(b"AB=x'\"\\$`{}#:-+ \t\r\n\0;&|()<>~!\xc3\xa9\xef\xbb\xbf".to_vec());
    prop::collection::vec(prop_oneof![9 => special, 1 => any::<u8>()], 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn parse_then_write_is_the_identity(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        checks::check_document(&bytes);
    }

    #[test]
    fn every_reader_answers_for_every_file(bytes in hostile_bytes()) {
        let doc = checks::check_document(&bytes);
        for reader in Reader::ALL {
            let readings = doc.read_all(*reader, &Environment::empty());
            for (key, line) in readings.keys() {
                prop_assert!(line >= 1 && line <= bytes.len() + 1, "{reader} {key}");
            }
        }
        doc.disagreements(Reader::ALL);
    }

    #[test]
    fn edits_change_what_they_say_and_nothing_else(bytes in hostile_bytes(), seed in any::<u64>()) {
        let mut random = random::Random::new(seed);
        let mut doc = Document::parse(bytes);
        for _ in 0..4 {
            checks::check_edit(&mut doc, &mut random);
        }
    }

    #[test]
    fn a_value_that_is_set_is_read(value in "[ -~\n\t\u{e9}\u{2028}]{0,12}", quote in "['\"]?") {
        let mut doc = Document::parse(format!("# top\nK={quote}old{quote} # c\nB=2\n"));
        if doc.set("K", &value, Reader::ALL).is_ok() {
            for reader in Reader::ALL {
                prop_assert!(doc.read("K", *reader).value() == Some(value.as_bytes()), "{reader}");
                prop_assert!(doc.read("B", *reader).value() == Some(b"2"), "{reader}");
            }
        }
    }

    #[test]
    fn no_secret_is_shown(before in hostile_bytes(), seed in any::<u64>()) {
        const SECRET: &str = "s3cr3tS3cr3t";
        let mut random = random::Random::new(seed);
        let mut bytes = before.clone();
        bytes.extend_from_slice(format!("\nK={}{SECRET}\n", random.text(random::VALUE, 2).replace(['\n', '\r'], "")).as_bytes());
        let old = Document::parse(bytes);
        let mut new = old.clone();
        let mut shown = match new.set("K", format!("{SECRET}{}", random.text(random::VALUE, 4)), Reader::ALL) {
            Ok(edit) => format!("{edit:?}"),
            Err(conflict) => format!("{conflict} {conflict:?}"),
        };
        // What a reader takes for a key is shown: a value it splits off a line may become one.
        let is_key = |doc: &Document| Reader::ALL.iter().any(|reader| {
            doc.read_all(*reader, &Environment::empty()).keys().iter().any(|(key, _)| key.contains(SECRET))
        });
        prop_assume!(!is_key(&old) && !is_key(&new));
        shown.push_str(&format!("{old:?} {new:?} {:?} {}", new.disagreements(Reader::ALL), old.diff(&new)));
        prop_assert!(!shown.contains(SECRET), "{}", shown);
    }
}
