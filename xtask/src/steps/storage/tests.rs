use super::*;
use crate::model::upload::MANIFEST;

fn file(name: &str, size: u64) -> StoredFile {
    StoredFile {
        name: name.to_owned(),
        size,
        sha256: String::new(),
        etag: None,
    }
}

fn marker(files: Vec<StoredFile>) -> Completion {
    Completion {
        schema_version: 1,
        run: String::new(),
        created_at: String::new(),
        uploaded_at: String::new(),
        manifest_sha256: String::new(),
        files,
    }
}

fn listed(name: &str, size: u64) -> Listed {
    Listed {
        name: name.to_owned(),
        size,
        etag: name.to_owned(),
        has_sha256: None,
    }
}

#[test]
fn missing_shorter_and_unnamed_objects_are_told_apart() {
    let marker = marker(vec![file(MANIFEST, 10), file("a/1.dat", 20), file("a/2.dat", 30)]);
    let list = [
        listed("backup/a/1.dat", 19),
        listed("backup/manifest.json", 10),
        listed("complete.json", 99),
        listed("notes.txt", 1),
    ];
    assert_eq!(
        list_differences(&list, &marker),
        [
            "object backup/a/1.dat has 19 bytes instead of 20",
            "object backup/a/2.dat is missing",
            "object notes.txt is not named by complete.json",
        ]
    );
}

#[test]
fn an_object_that_was_written_again_differs_by_its_etag() {
    let mut written = file("a/1.dat", 20);
    written.etag = Some("\"old\"".to_owned());
    let marker = marker(vec![file(MANIFEST, 10), written]);
    let mut list = [listed("backup/a/1.dat", 20)];
    assert_eq!(
        etag_differences(&list, &marker),
        [
            "object backup/a/1.dat was written again after the upload: its ETag is backup/a/1.dat instead of \"old\""
        ]
    );
    list[0].etag = "\"old\"".to_owned();
    assert!(etag_differences(&list, &marker).is_empty());
}
