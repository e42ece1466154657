//! Single objects: list, ask, write, read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::Deserialize;

use super::{Client, Location, Reason, S3Error};
use crate::command::{CommandError, Runner};

/// Attribute of an object that holds the SHA-256 of its content, as lower-case hex. The ETag of an object that came in
/// parts is no hash of it.
const ATTRIBUTE: &str = "sha256";

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Name in the folder that was listed.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// What the server says of an object without sending it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes.
    pub size: u64,
    /// SHA-256 by our attribute: what was meant to be stored.
    pub sha256: Option<String>,
    /// SHA-256 that the server computed when it received the object, in base64; for an object that came in parts, the
    /// SHA-256 of theirs.
    pub checksum: Option<String>,
    /// `AES256` or `aws:kms`.
    pub encryption: Option<String>,
}

/// A file that becomes an object.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256, lower-case hex.
    pub sha256: &'a str,
}

#[derive(Deserialize)]
struct List {
    #[serde(rename = "Contents", default)]
    contents: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HeadAnswer {
    content_length: u64,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(rename = "ChecksumSHA256", default)]
    checksum: Option<String>,
    #[serde(default)]
    server_side_encryption: Option<String>,
}

impl Client {
    /// Every object in a folder, by name.
    ///
    /// # Errors
    /// When the list cannot be had.
    pub fn list(&self, runner: &Runner, folder: &Location) -> Result<Vec<Listed>, S3Error> {
        let what = format!("list {folder}");
        let start = folder.start();
        let cmd = self.cmd(&what, ["s3api", "list-objects-v2"], 0).args([
            "--bucket",
            &folder.bucket,
            "--prefix",
            &start,
        ]);
        let answer = runner.run(&cmd)?.stdout;
        // Older clients print nothing at all for an empty folder.
        if answer.iter().all(u8::is_ascii_whitespace) {
            return Ok(Vec::new());
        }
        let list: List = read(&what, &answer)?;
        let mut listed: Vec<Listed> = list
            .contents
            .into_iter()
            .flatten()
            .map(|entry| Listed {
                // The console makes an empty object for a folder itself; it then has the empty name.
                name: entry.key.strip_prefix(&start).unwrap_or(&entry.key).to_owned(),
                size: entry.size,
            })
            .filter(|entry| !entry.name.is_empty())
            .collect();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// What the server says of an object. Ask only for objects that were listed: without the right to list everything,
    /// an absent object is forbidden, not absent.
    ///
    /// # Errors
    /// When there is no answer or no such object.
    pub fn head(&self, runner: &Runner, folder: &Location, name: &str) -> Result<Head, S3Error> {
        let key = folder.key(name);
        let what = format!("look at {folder}/{name}");
        let mut cmd =
            self.cmd(&what, ["s3api", "head-object"], 0)
                .args(["--bucket", &folder.bucket, "--key", &key]);
        if self.has_checksums() {
            cmd = cmd.args(["--checksum-mode", "ENABLED"]);
        }
        let answer: HeadAnswer = read(&what, &runner.run(&cmd)?.stdout)?;
        let attribute = |metadata: BTreeMap<String, String>| {
            let mut found = metadata.into_iter();
            // Servers differ in how they spell the case of attributes.
            found.find_map(|(name, value)| name.eq_ignore_ascii_case(ATTRIBUTE).then_some(value))
        };
        Ok(Head {
            size: answer.content_length,
            sha256: answer.metadata.and_then(attribute),
            // Some servers add the number of parts, some do not.
            checksum: answer
                .checksum
                .and_then(|text| text.split('-').next().map(str::to_owned)),
            encryption: answer.server_side_encryption,
        })
    }

    /// Writes one object in one request; at most 5 GB. With `if_absent`, an object that exists stays, and that is an
    /// error, where client and server know how.
    ///
    /// # Errors
    /// Any; the object is then absent or as it was, or it is there and the answer was lost.
    pub fn put(
        &self,
        runner: &Runner,
        folder: &Location,
        name: &str,
        body: Body<'_>,
        if_absent: bool,
    ) -> Result<(), S3Error> {
        let key = folder.key(name);
        let what = format!("write {folder}/{name}");
        let cmd = self
            .cmd(&what, ["s3api", "put-object"], body.size)
            .args(["--bucket", &folder.bucket, "--key", &key, "--body"])
            .arg(body.path)
            .args(["--metadata", &format!("{ATTRIBUTE}={}", body.sha256)]);
        let cmd = self.encryption(self.checksum(cmd, body.sha256));
        self.run_once(runner, cmd, if_absent)
    }

    /// Runs a write, on the condition that its object is absent where that can be asked for.
    pub(super) fn run_once(&self, runner: &Runner, cmd: crate::Cmd, if_absent: bool) -> Result<(), S3Error> {
        if !if_absent || !self.has_conditions() {
            return Ok(runner.run(&cmd).map(drop)?);
        }
        match runner.run(&cmd.clone().args(["--if-none-match", "*"])).map(drop) {
            Ok(()) => Ok(()),
            Err(error) => match S3Error::from(error) {
                error if error.reason == Reason::NotSupported => Ok(runner.run(&cmd).map(drop)?),
                error => Err(error),
            },
        }
    }

    /// An object's content, in memory: for small ones.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(
        &self,
        runner: &Runner,
        folder: &Location,
        name: &str,
        size: u64,
    ) -> Result<Vec<u8>, S3Error> {
        let mut bytes = Vec::new();
        self.copy_to(runner, folder, name, size, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies an object of this size to `sink`, piece by piece: disk and memory do not grow with it. The number of bytes is
    /// the caller's to compare.
    ///
    /// # Errors
    /// When it cannot be read or `sink` fails.
    pub fn copy_to(
        &self,
        runner: &Runner,
        folder: &Location,
        name: &str,
        size: u64,
        sink: &mut impl Write,
    ) -> Result<u64, S3Error> {
        let what = format!("read {folder}/{name}");
        // Not `s3 cp ... -`: version 1.46.3 stops for ever when standard output takes an object of many pieces.
        let scratch = tempfile::tempdir().map_err(|source| local(&what, "a temporary folder", source))?;
        let piece = scratch.path().join("piece");
        let key = folder.key(name);
        let mut copied = 0;
        loop {
            let length = self.options.piece.max(1).min(size - copied);
            let mut cmd = self.cmd(&what, ["s3api", "get-object"], length).args([
                "--bucket",
                &folder.bucket,
                "--key",
                &key,
            ]);
            if size > length {
                cmd = cmd.args(["--range", &format!("bytes={copied}-{}", copied + length - 1)]);
            }
            runner.run(&cmd.arg(&piece))?;
            let n = File::open(&piece)
                .and_then(|mut file| std::io::copy(&mut file, sink))
                .map_err(|source| local(&what, &piece.display().to_string(), source))?;
            copied += n;
            if n != length || copied >= size {
                return Ok(copied);
            }
        }
    }

    /// Copies a whole folder of this many bytes into a local one, several objects at the same time.
    ///
    /// # Errors
    /// When anything cannot be copied; part of it may be there then.
    pub fn download(&self, runner: &Runner, folder: &Location, to: &Path, bytes: u64) -> Result<(), S3Error> {
        let cmd = self
            .cmd(format!("download {folder}"), ["s3", "cp"], bytes)
            .args(["--recursive", "--only-show-errors", &format!("{folder}/")])
            .arg(to);
        Ok(runner.run(&cmd).map(drop)?)
    }
}

/// A fault of this machine's files.
fn local(what: &str, place: &str, source: std::io::Error) -> CommandError {
    CommandError::Io {
        what: what.to_owned(),
        line: place.to_owned(),
        source,
    }
}

/// An answer of the client as what it should be.
pub(super) fn read<T: serde::de::DeserializeOwned>(what: &str, answer: &[u8]) -> Result<T, S3Error> {
    serde_json::from_slice(answer).map_err(|error| {
        S3Error::from(CommandError::Unreadable {
            what: what.to_owned(),
            why: format!("the aws client's answer cannot be understood: {error}"),
        })
    })
}
