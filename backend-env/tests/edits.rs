//! Edits as data: a file, what is done to it, the file afterwards.

#![expect(clippy::unwrap_used, reason = "a helper of a test panics when the test fails")]

use backend_env::{Conflict, Document, Place, Reader, Reason};

const ALL: &[Reader] = Reader::ALL;
const PYTHON: &[Reader] = &[Reader::PythonDotenv];

#[track_caller]
fn check(before: &str, after: &str, edit: impl FnOnce(&mut Document) -> Result<backend_env::Edit, Conflict>) {
    let mut doc = Document::parse(before);
    let edit = edit(&mut doc).unwrap();
    assert_eq!(String::from_utf8_lossy(doc.as_bytes()), after);
    // Replaying the splices over the old bytes gives the new ones: nothing else changed.
    let (mut replayed, mut copied) = (Vec::new(), 0);
    for splice in edit.splices() {
        replayed.extend_from_slice(&before.as_bytes()[copied..splice.old.start]);
        let at = replayed.len();
        replayed.extend_from_slice(&doc.as_bytes()[at..at + splice.length]);
        copied = splice.old.end;
    }
    replayed.extend_from_slice(&before.as_bytes()[copied..]);
    assert_eq!(replayed, doc.as_bytes());
}

#[track_caller]
fn conflict(
    before: &str,
    edit: impl FnOnce(&mut Document) -> Result<backend_env::Edit, Conflict>,
) -> Conflict {
    let mut doc = Document::parse(before);
    let conflict = edit(&mut doc).unwrap_err();
    assert_eq!(
        doc.as_bytes(),
        before.as_bytes(),
        "a conflict leaves the document alone"
    );
    conflict
}

#[test]
fn set_changes_the_bytes_of_the_value_only() {
    check("A=x", "A=y", |d| d.set("A", "y", ALL));
    check("A=x\n", "A=''\n", |d| d.set("A", "", ALL));
    check("A=\n", "A=y\n", |d| d.set("A", "y", ALL));
    check("A=   \n", "A=y   \n", |d| d.set("A", "y", ALL));
    check("A='x'  # keep\n", "A='y'  # keep\n", |d| d.set("A", "y", ALL));
    check("  export A=\"x\"\n\n# end", "  export A=\"y z\"\n\n# end", |d| {
        d.set("A", "y z", ALL)
    });
    check("A=x # why\nB=2\n", "A='y z' # why\nB=2\n", |d| {
        d.set("A", "y z", ALL)
    });
    check("A='one\ntwo'\nB=2\n", "A='three'\nB=2\n", |d| {
        d.set("A", "three", ALL)
    });
    check("A=x\nB=2", "A='one\ntwo'\nB=2", |d| d.set("A", "one\ntwo", ALL));
    check("A=\"x\"\n", "A='say \"hi\"'\n", |d| d.set("A", "say \"hi\"", ALL));
    check("A='x'\n", "A=\"it's\"\n", |d| d.set("A", "it's", ALL));
    check("A='x'\n", "A='p$1w'\n", |d| d.set("A", "p$1w", ALL));
    check("A=\"x\"\n", "A='p$1w'\n", |d| d.set("A", "p$1w", ALL));
    check("A=x\n", "A='~/x'\n", |d| d.set("A", "~/x", ALL));
    check("A=x\n", "A=postgres://u:p@h:5432/d\n", |d| {
        d.set("A", "postgres://u:p@h:5432/d", ALL)
    });
    check("A=x\n", "A='a?b=1&c=2#d'\n", |d| d.set("A", "a?b=1&c=2#d", ALL));
}

#[test]
fn set_keeps_crlf_bom_and_spacing_where_the_readers_can_live_with_it() {
    let readers = &[Reader::PythonDotenv, Reader::Compose];
    check("A = \"x\"\r\nB=2\r\n", "A = \"y\"\r\nB=2\r\n", |d| {
        d.set("A", "y", readers)
    });
    check("\u{feff}A=x\r\nB=2", "\u{feff}A=y\r\nB=2", |d| {
        d.set("A", "y", readers)
    });
    check("A=1 # c\r\nB=2\n", "A=3 # c\r\nB=2\n", |d| d.set("A", "3", ALL));
}

#[test]
fn set_edits_the_last_duplicate_and_names_the_others() {
    let mut doc = Document::parse("A=1\nB=2\nA=3\n# A=4\nA\n");
    let edit = doc.set("A", "5", &[Reader::Compose]).unwrap();
    assert_eq!(doc.as_bytes(), b"A=1\nB=2\nA=5\n# A=4\nA\n");
    assert_eq!((edit.line(), edit.shadowed()), (3, &[1][..]));
    // For python a bare `A` afterwards takes the value away.
    let conflict = doc.set("A", "6", PYTHON).unwrap_err();
    assert_eq!(
        (conflict.readers(), conflict.reason()),
        (PYTHON, &Reason::ReadDifferently)
    );
}

#[test]
fn set_to_the_value_that_is_there_changes_nothing() {
    let mut doc = Document::parse("A=\"x\"\n");
    assert!(!doc.set("A", "x", ALL).unwrap().is_change());
    assert_eq!(doc.as_bytes(), b"A=\"x\"\n");
}

#[test]
fn set_of_a_new_key_adds_a_line() {
    check("", "A=y\n", |d| d.set("A", "y", ALL));
    check("B=1", "B=1\nA=y", |d| d.set("A", "y", ALL));
    check("B=1\r\n", "B=1\r\nA=y\r\n", |d| d.set("A", "y", PYTHON));
    check("\u{feff}", "\u{feff}A=y\n", |d| {
        d.set("A", "y", &[Reader::PythonDotenv])
    });
    check("export B='1'\n", "export B='1'\nexport A='y'\n", |d| {
        d.set("A", "y", ALL)
    });
    check("B = 1\n", "B = 1\nA = y\n", |d| d.set("A", "y", PYTHON));
    check("# A=old\nB=1\n", "# A=old\nA=y\nB=1\n", |d| d.set("A", "y", ALL));
    check("# c\n\n", "# c\n\nA=y\n", |d| d.set("A", "y", ALL));
}

#[test]
fn insert_goes_where_it_is_told() {
    check("A=1\nB=2\n", "A=1\nC=3\nB=2\n", |d| {
        d.insert("C", "3", Place::After("A"), ALL)
    });
    check("A=1\nB=2\n", "A=1\nC=3\nB=2\n", |d| {
        d.insert("C", "3", Place::Before("B"), ALL)
    });
    check("A=1\nB=2", "A=1\nB=2\nC=3", |d| {
        d.insert("C", "3", Place::After("B"), ALL)
    });
    check("\u{feff}A=1\n", "\u{feff}C=3\nA=1\n", |d| {
        d.insert("C", "3", Place::Before("A"), &[Reader::Compose])
    });
    assert_eq!(
        *conflict("A=1\n", |d| d.insert("A", "2", Place::End, ALL)).reason(),
        Reason::AlreadyThere
    );
    assert_eq!(
        *conflict("A=1\n", |d| d.insert("B", "2", Place::After("X"), ALL)).reason(),
        Reason::NoSuchKey
    );
    assert_eq!(
        *conflict("A=1\n", |d| d.insert("B C", "2", Place::End, ALL)).reason(),
        Reason::BadKey
    );
}

#[test]
fn unset_removes_lines() {
    check("A=1\nB=2\nA=3\n", "B=2\n", |d| d.unset("A", ALL));
    check("B=2\nA=1", "B=2", |d| d.unset("A", ALL));
    check("B=2\r\nA=1\r\nA=2", "B=2", |d| d.unset("A", PYTHON));
    check("A=1", "", |d| d.unset("A", ALL));
    check("A='x\ny' # c\nB=2\n", "B=2\n", |d| d.unset("A", ALL));
    assert_eq!(
        *conflict("A=1\n", |d| d.unset("B", ALL)).reason(),
        Reason::NoSuchKey
    );
}

#[test]
fn comment_out_and_rename() {
    check("A=1\nB=2\n  A='x\ny'\n", "# A=1\nB=2\n#   A='x\n# y'\n", |d| {
        d.comment_out("A", ALL)
    });
    check("export A = 1 # c\r\nB=2\n", "export C = 1 # c\r\nB=2\n", |d| {
        d.rename("A", "C", PYTHON)
    });
    assert_eq!(
        *conflict("A=1\nB=2\n", |d| d.rename("A", "B", ALL)).reason(),
        Reason::AlreadyThere
    );
    // A reference to the old name would come out empty.
    let other = Reason::OtherKey {
        key: "B".to_owned(),
        line: 2,
    };
    assert_eq!(
        *conflict("A=1\nB=${A}\n", |d| d.rename("A", "C", PYTHON)).reason(),
        other
    );
}

#[test]
fn what_cannot_be_written_for_all_names_the_readers() {
    let impossible = conflict("A=x\n", |d| d.set("A", "it's ${X}", ALL));
    assert_eq!(*impossible.reason(), Reason::NoSpelling);
    assert_eq!(
        conflict("A=x\n", |d| d.set("A", "${X}", ALL)).readers(),
        [Reader::PythonDotenv]
    );
    assert_eq!(
        *conflict("A=x\n", |d| d.set("A", "a\rb", ALL)).reason(),
        Reason::Forbidden
    );
    // Fewer readers can be told more.
    check("A=x\n", "A=\"it's \\\"x\\\"\"\n", |d| {
        d.set("A", "it's \"x\"", PYTHON)
    });
    check("A=x\n", "A='${X}'\n", |d| d.set("A", "${X}", &[Reader::Compose]));
}

#[test]
fn a_conflict_names_key_line_and_readers_but_no_value() {
    let impossible = conflict("B=1\nA=x\n", |d| d.set("A", "hunter2 ${X}", ALL));
    assert_eq!((impossible.key(), impossible.line()), ("A", Some(2)));
    let rejected = conflict("B='hunter2\nA=y\n", |d| d.set("A", "z", &[Reader::Compose]));
    assert_eq!(
        rejected.to_string(),
        "cannot set A on line 2: compose cannot read the file beyond line 1: a quote is not closed"
    );
    for conflict in [impossible, rejected] {
        assert!(!format!("{conflict:?} {conflict}").contains("hunter2"));
    }
}

#[test]
fn a_value_never_shows_in_debug() {
    let doc = Document::parse("A=hunter2\nB='hunter2'\nhunter2\n# hunter2\nC=x #hunter2\nA=hunter2x\n");
    let other = Document::parse("A=hunter3\n");
    let readings = doc.read_all(Reader::PythonDotenv, &backend_env::Environment::empty());
    let shown = format!(
        "{doc:?} {:?} {:?} {readings:?} {:?} {:?} {}",
        doc.get("A"),
        doc.read("A", Reader::Compose),
        doc.disagreements(Reader::ALL),
        doc.diff(&other),
        doc.diff(&other)
    );
    // `hunter2` alone on a line is a key, for all python can tell.
    let shown = shown.replace("\"hunter2\": Unset", "");
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn a_file_the_reader_rejects_can_be_repaired() {
    check("A='x\nB=1\n", "A=x\nB=1\n", |d| d.set("A", "x", ALL));
}

#[test]
fn keys_that_refer_to_the_edited_one_follow_it() {
    let mut doc = Document::parse("HOST=a\nURL=http://${HOST}/\nOTHER=1\n");
    let edit = doc.set("HOST", "b", Reader::ALL).unwrap();
    assert_eq!(edit.follows(), ["URL"]);
    assert_eq!(doc.read("URL", Reader::Compose).value(), Some(&b"http://b/"[..]));
}

#[test]
fn another_key_that_would_change_is_a_conflict() {
    // For python the open quote on line 1 takes line 2 with it.
    let conflict = conflict("A='x\nB='1'\n", |d| d.set("A", "y", PYTHON));
    assert_eq!(
        *conflict.reason(),
        Reason::OtherKey {
            key: "B".to_owned(),
            line: 2
        }
    );
    assert_eq!(conflict.readers(), PYTHON);
}

#[test]
fn a_reader_is_known_by_its_name() {
    for reader in Reader::ALL {
        assert_eq!(reader.name().parse(), Ok(*reader));
    }
    assert!("ruby".parse::<Reader>().is_err());
}

#[test]
fn c2_a_line_that_only_other_programs_misread_hinders_no_edit() {
    check("APP_NAME=My App\n", "APP_NAME=My App\nNEW_KEY=1\n", |d| {
        d.set("NEW_KEY", "1", ALL)
    });
}

#[test]
fn c12_twelve_thousand_keys_are_read_once_for_each_reader() {
    let text: String = (0..12_000)
        .map(|n| format!("KEY_{n}='a value of $X'\n"))
        .collect();
    let doc = Document::parse(text);
    assert_eq!(doc.entries().count(), 12_000);
    assert!(doc.disagreements(ALL).is_empty());
}
