//! Which readers an edit of a `.env` file must satisfy.

use backend_env::{Document, Reader};

/// The readers that an edit of `key` must satisfy, and those it need not.
///
/// A reader that reads the key differently from the application today does not start to matter now.
pub fn for_edit(document: &Document, key: &str) -> (Vec<Reader>, Vec<Reader>) {
    let application = document.read(key, Reader::PythonDotenv);
    let readers = Reader::ALL.iter().copied();
    readers.partition(|reader| document.read(key, *reader) == application)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compose_counts_where_it_reads_the_key_as_the_application_does() {
        let document = Document::parse("A=x\nB=x\t# c\n");
        let (readers, left_out) = for_edit(&document, "A");
        assert!(readers.contains(&Reader::Compose) && left_out.is_empty());
        let (readers, left_out) = for_edit(&document, "B");
        assert!(!readers.contains(&Reader::Compose) && left_out == [Reader::Compose]);
        assert!(for_edit(&document, "NEW").1.is_empty());
        // A file that Compose does not read at all.
        let (readers, _) = for_edit(&Document::parse("A='x\n"), "NEW");
        assert!(!readers.contains(&Reader::Compose));
    }
}
