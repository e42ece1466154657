//! Which readers an edit of a `.env` file must satisfy.

use backend_env::{Document, Reader};

/// The readers that an edit of `key` must satisfy, and those it need not.
///
/// A reader that misreads the key today does not start to matter now: bash keeps the carriage return of every CRLF line
/// and does not know `KEY = value`. For a key that is not there yet, the file's other keys tell.
pub fn for_edit(document: &Document, key: &str) -> (Vec<Reader>, Vec<Reader>) {
    let application = Reader::PythonDotenv;
    let probe: Vec<String> = match document.get(key) {
        Some(_) => vec![key.to_owned()],
        None if document.crlf_lines().is_empty() => Vec::new(),
        None => document
            .entries()
            .take(1)
            .map(|entry| entry.key().to_owned())
            .collect(),
    };
    Reader::for_document(document)
        .iter()
        .copied()
        .partition(|reader| {
            probe
                .iter()
                .all(|key| document.read(key, *reader) == document.read(key, application))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_counts_where_it_reads_the_key_as_the_application_does() {
        let (readers, left_out) = for_edit(&Document::parse("A=x\nB = y\n"), "A");
        assert!(readers.contains(&Reader::Bash) && left_out.is_empty());
        let (readers, left_out) = for_edit(&Document::parse("A=x\nB = y\n"), "B");
        assert!(!readers.contains(&Reader::Bash) && left_out == [Reader::Bash]);
        let (_, left_out) = for_edit(&Document::parse("A=x\r\n"), "NEW");
        assert_eq!(left_out, [Reader::Bash]);
    }
}
