//! `s3://bucket/folder`

use std::fmt;

/// A folder in a bucket: what the names of its objects begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// The folder, without a slash at either end; may be empty.
    pub folder: String,
}

impl Location {
    /// Reads `s3://bucket/folder`; the error says what is wrong with it.
    ///
    /// # Errors
    /// When it has another form, no bucket, or a name that a bucket or a folder cannot have.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("s3://").ok_or("it does not begin with s3://")?;
        let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
        Self::new(bucket, folder)
    }

    /// From its parts.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub fn new(bucket: &str, folder: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if bucket.is_empty() || !bucket.chars().all(fits) {
            return Err(format!("{bucket:?} is not the name of a bucket"));
        }
        let folder = folder.trim_matches('/');
        if !folder.is_empty() && !is_plain(folder) {
            return Err(format!(
                "{folder:?} is not a plain folder: it has an empty part, `.`, `..`, a backslash or a control character"
            ));
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            folder: folder.to_owned(),
        })
    }

    /// A folder inside it.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        Self {
            bucket: self.bucket.clone(),
            folder: self.key(name),
        }
    }

    /// The full name of an object in it.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.start())
    }

    /// What the names of all its objects begin with.
    pub fn start(&self) -> String {
        if self.folder.is_empty() {
            String::new()
        } else {
            format!("{}/", self.folder)
        }
    }
}

/// Whether a name with slashes stays inside the folder it is put into, on every system.
pub fn is_plain(name: &str) -> bool {
    let part = |part: &str| !matches!(part, "" | "." | "..");
    name.split('/').all(part) && !name.contains(|c: char| c == '\\' || c.is_control())
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if !self.folder.is_empty() {
            write!(f, "/{}", self.folder)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_reads_back() {
        for text in ["s3://bucket", "s3://bucket/labeler/20261209/run"] {
            assert_eq!(Location::parse(text).unwrap().to_string(), text);
        }
        let with_slash = Location::parse("s3://bucket/labeler/").unwrap();
        assert_eq!(with_slash.to_string(), "s3://bucket/labeler");
        assert_eq!(with_slash.key("a b"), "labeler/a b");
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for text in [
            "https://bucket",
            "s3://",
            "s3:///x",
            "s3://a b/x",
            "s3://bucket/a//b",
            "s3://bucket/../x",
            "s3://bucket/a\\b",
        ] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }
}
