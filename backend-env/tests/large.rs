//! Sizes at which anything that is not linear would take hours.

use backend_env::{Document, Environment, Reader};

/// Enough to see that time grows with the file; an unoptimised build takes a second for each.
const READERS: &[Reader] = &[Reader::PythonDotenv, Reader::Compose];

/// Pieces that make a careless parser look at the rest of the file again and again.
const PIECES: &[&str] = &[
    "A=\"\n",
    "A='\n",
    "A=`\n",
    "A=\"x\\\"\n",
    "A='\\'\n",
    "A=\\'x\\'\n",
    "A=${\n",
    "A=\"${B:-\n",
    "A=$(x\n",
    "${",
    "${A:x",
    "${A:-",
    "${A:-x}",
    "$A",
    "\\",
    "'",
    "\"",
    "` ",
    " #",
    "A=1 ",
    "export ",
    "A: ",
    "\r",
    "\r\n",
    "\n \n",
    "{",
    "}",
    "a",
    "A=x\\\n",
    "'A",
    "A=1\n",
    "A+=x\n",
    "A=$A\n",
    "export\n",
    "A\n\n",
    "=",
    "A=1;",
    "A=1&",
    "A=1|",
    "A=1&&",
    ">x",
];

#[test]
fn every_reader_gets_to_the_end() {
    const BYTES: usize = 1 << 14;
    for piece in PIECES {
        for head in ["", "A=", "A=\"", "A='"] {
            let text = head.to_owned() + &piece.repeat(BYTES / piece.len());
            let doc = Document::parse(text);
            for reader in Reader::ALL {
                doc.read_all(*reader, &Environment::empty());
            }
        }
    }
}

#[test]
fn doubling_references_end() {
    let mut text = String::from("A0=xxxxxxxxxxxxxxxx\n");
    for n in 1..200 {
        text.push_str(&format!("A{n}=\"${{A{}}}${{A{}}}\"\n", n - 1, n - 1));
    }
    let doc = Document::parse(text);
    for reader in Reader::ALL {
        doc.read_all(*reader, &Environment::empty());
    }
}

#[test]
fn a_hundred_thousand_lines_are_edited() {
    let lines: String = (0..100_000)
        .map(|n| format!("KEY_{n}='value {n}' # {n}\n"))
        .collect();
    let mut doc = Document::parse(lines);
    assert_eq!(doc.entries().count(), 100_000);
    doc.set("KEY_50000", "new value", READERS).expect("a plain edit");
    assert_eq!(
        doc.get("KEY_50000").expect("it is there").written_value(),
        b"'new value'"
    );
}

#[test]
fn a_hundred_thousand_duplicates_are_edited() {
    let mut doc = Document::parse("A=1\n".repeat(100_000));
    let edit = doc.set("A", "2", READERS).expect("a plain edit");
    assert_eq!((edit.line(), edit.shadowed().len()), (100_000, 99_999));
    doc.comment_out("A", READERS).expect("a plain edit");
    assert_eq!(doc.entries().count(), 0);
}

#[test]
fn a_line_of_a_megabyte_is_edited() {
    let value = "x".repeat(1 << 20);
    let mut doc = Document::parse(format!("A='{value}'\nB=1\n"));
    doc.set("B", &value, READERS).expect("a plain edit");
    doc.set("A", "short", READERS).expect("a plain edit");
    assert_eq!(doc.read("B", Reader::Compose).value(), Some(value.as_bytes()));
    let other = Document::parse("A=1\n".repeat(20_000) + "B=2\n");
    assert!(!doc.diff(&other).is_empty());
}
